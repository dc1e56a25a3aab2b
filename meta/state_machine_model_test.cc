// The state machine against a model that is plain maps: random commands, some of them refused, some repeated
// after a crash; answers, view and shards are the model's at every point.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "meta/command_codec.h"
#include "meta/commands.h"
#include "meta/state_machine.h"
#include "runtime/random.h"
#include "storage/memory_files.h"

namespace stele::meta {
namespace {

constexpr std::uint32_t kShards = 4;
constexpr std::uint32_t kNodes = 2;

std::unexpected<Error> refuse(ErrorCode code) {
  return error(code, "");
}

// What the commands mean, said once more and as plainly as can be.
struct Model {
  std::map<TenantId, std::string> tenants{{TenantId(0), "default"}};
  std::map<NodeId, Node> nodes;
  std::map<NodeId, Incarnation> incarnations;  // of removed ones, too
  std::map<TopicId, Topic> topics;
  std::map<ShardId, Shard> shards;
  std::uint32_t next_tenant = 1;
  std::uint64_t next_topic = 1;
  std::uint64_t next_segment = 1;
  std::int64_t next_producer = 0;
  std::map<std::string, User> users;
  std::map<AclId, AclRule> rules;
  std::map<std::pair<UserId, std::string>, Token> tokens;
  std::string decoy_secret;
  std::uint64_t next_user = 1;
  std::uint64_t next_rule = 1;

  Topic* find(TenantId tenant, const std::string& name) {
    for (auto& [id, topic] : topics) {
      if (topic.tenant == tenant && topic.name == name) return &topic;
    }
    return nullptr;
  }
  static std::string plain(std::string name) {
    std::ranges::replace(name, '.', '_');
    return name;
  }

  Result<Answer> operator()(const CreateCluster&) { return refuse(ErrorCode::kAlreadyExists); }
  Result<Answer> operator()(const RegisterNode& command) {
    if (command.roles == 0) return refuse(ErrorCode::kInvalidArgument);
    const bool draining = nodes.contains(command.node) && nodes[command.node].draining;
    const bool leaving = nodes.contains(command.node) && nodes[command.node].leaving;
    if (!command.directory.is_zero()) {
      if (!nodes.contains(command.node)) return refuse(ErrorCode::kNotFound);
      if (nodes[command.node].directory != command.directory) return refuse(ErrorCode::kAlreadyExists);
    }
    const Uuid directory = nodes.contains(command.node) ? nodes[command.node].directory : Uuid();
    Node& node = nodes[command.node];
    node = {.id = command.node,
            .incarnation = ++incarnations[command.node],
            .addresses = command.addresses,
            .roles = command.roles,
            .zone = command.zone,
            .disk = command.disk,
            .product = command.product,
            .draining = draining,
            .leaving = leaving,
            .directory = directory};
    return node;
  }
  Result<Answer> operator()(const AdmitNode& command) {
    if (command.directory.is_zero()) return refuse(ErrorCode::kInvalidArgument);
    const bool there = nodes.contains(command.node);
    Node& node = nodes[command.node];
    if (there && !node.directory.is_zero() && node.directory != command.directory)
      return refuse(ErrorCode::kAlreadyExists);
    if (!there) {
      node = {.id = command.node,
              .incarnation = incarnations[command.node],
              .addresses = {},
              .roles = command.roles,
              .zone = command.zone,
              .product = command.product,
              .lives = false};
    }
    node.directory = command.directory;
    std::erase_if(node.addresses, [](const NodeAddress& one) { return one.listener == "rpc"; });
    node.addresses.push_back(command.addresses.front());
    return node;
  }
  Result<Answer> operator()(const EndIncarnation& command) {
    if (!nodes.contains(command.node)) return refuse(ErrorCode::kNotFound);
    Node& node = nodes[command.node];
    if (node.incarnation != command.incarnation) return refuse(ErrorCode::kFenced);
    node.lives = false;
    return node;
  }
  Result<Answer> operator()(const DrainNode& command) {
    if (!nodes.contains(command.node)) return refuse(ErrorCode::kNotFound);
    nodes[command.node].draining = command.draining || command.leaving;
    nodes[command.node].leaving = command.leaving;
    return nodes[command.node];
  }
  Result<Answer> operator()(const RemoveNode& command) {
    if (!nodes.contains(command.node)) return refuse(ErrorCode::kNotFound);
    bool needed = nodes[command.node].lives;
    for (const auto& [id, shard] : shards) {
      needed = needed || shard.assigned == command.node;
      for (const Segment& segment : shard.chain) {
        for (const Replica& replica : segment.replicas) needed = needed || replica.node == command.node;
      }
    }
    if (needed) return refuse(ErrorCode::kInvalidArgument);
    const Node removed = nodes[command.node];
    nodes.erase(command.node);
    return removed;
  }
  Result<Answer> operator()(const AssignShards& command) {
    std::vector<Shard> assigned;
    for (const AssignShards::Item& item : command.items) {
      if (!shards.contains(item.shard) || !nodes.contains(item.to)) return refuse(ErrorCode::kNotFound);
      if (shards[item.shard].assigned != item.before) return refuse(ErrorCode::kFenced);
    }
    for (const AssignShards::Item& item : command.items) {
      shards[item.shard].assigned = item.to;
      assigned.push_back(shards[item.shard]);
      assigned.back().chain.clear();
    }
    return assigned;
  }
  Result<Answer> operator()(const TakeShards& command) {
    if (!nodes.contains(command.node)) return refuse(ErrorCode::kNotFound);
    const Node& node = nodes[command.node];
    if (node.incarnation != command.incarnation || !node.lives) return refuse(ErrorCode::kFenced);
    for (ShardId id : command.shards) {
      if (!shards.contains(id)) return refuse(ErrorCode::kNotFound);
      const auto& assigned = shards[id].assigned;
      if (assigned && assigned != command.node) return refuse(ErrorCode::kFenced);
    }
    std::vector<Shard> taken;
    for (ShardId id : command.shards) {
      Shard& shard = shards[id];
      shard.owner = command.node;
      shard.owner_incarnation = command.incarnation;
      ++shard.epoch;
      taken.push_back(shard);
    }
    return taken;
  }
  Result<SealAndOpenResult> seal(const SealAndOpenItem& item) {
    Shard& shard = shards[item.shard];
    auto& chain = shard.chain;
    if (shard.epoch != item.epoch || item.epoch == Epoch(0)) return refuse(ErrorCode::kFenced);
    const auto last = chain.empty() ? std::nullopt : std::optional(chain.back().id);
    if (item.last != last) return refuse(ErrorCode::kFenced);
    if (item.end < (chain.empty() ? Lsn(0) : chain.back().base)) return refuse(ErrorCode::kInvalidArgument);
    if (chain.empty() && item.end != Lsn(0)) return refuse(ErrorCode::kInvalidArgument);
    if (shard.snapshot && item.end < shard.snapshot->lsn) return refuse(ErrorCode::kInvalidArgument);
    SealAndOpenResult result;
    if (last) {
      chain.back().end = item.end;
      if (chain.back().base == item.end) {
        result.dropped = last;
        chain.pop_back();
      }
    }
    result.opened = Segment{SegmentId(next_segment++), item.end, std::nullopt, item.epoch, item.replicas};
    chain.push_back(result.opened);
    return result;
  }
  Result<Answer> operator()(const SealAndOpen& command) {
    SealAndOpen::Answer answer;
    for (const auto& item : command.items) answer.push_back(seal(item));
    return answer;
  }
  Result<Answer> operator()(const TrimChain& command) {
    TrimChain::Answer answer;
    for (const auto& item : command.items) {
      Shard& shard = shards[item.shard];
      if (shard.epoch != item.epoch || item.epoch == Epoch(0)) {
        answer.push_back(refuse(ErrorCode::kFenced));
      } else if (item.below > (shard.snapshot ? shard.snapshot->lsn : Lsn(0))) {
        answer.push_back(refuse(ErrorCode::kInvalidArgument));
      } else {
        std::vector<SegmentId> dropped;
        while (shard.chain.size() > 1 && *shard.chain.front().end <= item.below) {
          dropped.push_back(shard.chain.front().id);
          shard.chain.erase(shard.chain.begin());
        }
        answer.push_back(dropped);
      }
    }
    return answer;
  }
  Result<Answer> operator()(const ReleaseShard& command) {
    Shard& shard = shards[command.shard];
    if (shard.epoch != command.epoch || command.epoch == Epoch(0)) return refuse(ErrorCode::kFenced);
    shard.owner_incarnation = Incarnation(0);
    Shard head = shard;
    head.chain.clear();
    return std::vector{head};
  }
  Result<Answer> operator()(const MoveSegment& command) {
    Shard& shard = shards[command.shard];
    if (shard.epoch != command.epoch || command.epoch == Epoch(0)) return refuse(ErrorCode::kFenced);
    if (command.after.empty()) return refuse(ErrorCode::kInvalidArgument);
    for (Segment& segment : shard.chain) {
      if (segment.id != command.segment) continue;
      if (!segment.end) return refuse(ErrorCode::kInvalidArgument);
      if (segment.replicas != command.before) return refuse(ErrorCode::kFenced);
      segment.replicas = command.after;
      Shard head = shard;
      head.chain.clear();
      return std::vector{head};
    }
    return refuse(ErrorCode::kNotFound);
  }
  Result<Answer> operator()(const SetSnapshot& command) {
    Shard& shard = shards[command.shard];
    if (shard.epoch != command.epoch || command.epoch == Epoch(0)) return refuse(ErrorCode::kFenced);
    if (shard.snapshot && command.snapshot.lsn < shard.snapshot->lsn) {
      return refuse(ErrorCode::kInvalidArgument);
    }
    if (shard.chain.empty() && command.snapshot.lsn > Lsn(0)) return refuse(ErrorCode::kInvalidArgument);
    return std::exchange(shard.snapshot, command.snapshot);
  }
  Result<Answer> operator()(const CreateTopic& command) {
    if (!tenants.contains(command.tenant)) return refuse(ErrorCode::kNotFound);
    if (command.name.empty()) return refuse(ErrorCode::kInvalidArgument);
    for (const auto& [id, topic] : topics) {
      if (topic.tenant != command.tenant || plain(topic.name) != plain(command.name)) continue;
      return refuse(topic.name == command.name ? ErrorCode::kAlreadyExists : ErrorCode::kInvalidArgument);
    }
    if (command.partitions < 1) return refuse(ErrorCode::kInvalidArgument);
    Topic topic{.id = TopicId(next_topic++),
                .uuid = {},
                .tenant = command.tenant,
                .name = command.name,
                .shards = std::vector<ShardId>(static_cast<std::size_t>(command.partitions)),
                .config = command.config,
                .created_ms = 0};
    topics[topic.id] = topic;
    return topic;
  }
  Result<Answer> operator()(const DeleteTopic& command) {
    Topic* topic = find(command.tenant, command.name);
    if (!topic) return refuse(ErrorCode::kNotFound);
    Topic deleted = *topic;
    topics.erase(deleted.id);
    return deleted;
  }
  Result<Answer> operator()(const CreatePartitions& command) {
    Topic* topic = find(command.tenant, command.name);
    if (!topic) return refuse(ErrorCode::kNotFound);
    if (command.count <= topic->partition_count()) return refuse(ErrorCode::kInvalidArgument);
    if (topic->config.capture_partitions == 0) topic->config.capture_partitions = topic->partition_count();
    topic->shards.resize(static_cast<std::size_t>(command.count));
    return *topic;
  }
  Result<Answer> operator()(const AlterTopicConfig& command) {
    Topic* topic = find(command.tenant, command.name);
    if (!topic) return refuse(ErrorCode::kNotFound);
    topic->config.retention_ms = std::stoll(command.changes.front().value);
    return *topic;
  }
  Result<Answer> operator()(const AllocateProducerIds& command) {
    return ProducerIds{std::exchange(next_producer, next_producer + command.count), command.count};
  }
  Result<Answer> operator()(const CreateTenant& command) {
    for (const auto& [id, name] : tenants) {
      if (name == command.name) return refuse(ErrorCode::kAlreadyExists);
    }
    const Tenant tenant{TenantId(next_tenant++), command.name};
    tenants[tenant.id] = tenant.name;
    return tenant;
  }
  Result<Answer> operator()(const DeleteTenant& command) {
    for (const auto& [id, name] : tenants) {
      if (name != command.name) continue;
      const Tenant tenant{id, name};
      const bool used =
          std::ranges::any_of(topics, [&](const auto& t) { return t.second.tenant == tenant.id; }) ||
          std::ranges::any_of(users, [&](const auto& u) { return u.second.tenant == tenant.id; });
      if (id == TenantId(0) || used) return refuse(ErrorCode::kInvalidArgument);
      tenants.erase(id);
      std::erase_if(rules, [&](const auto& rule) { return rule.second.tenant == tenant.id; });
      return tenant;
    }
    return refuse(ErrorCode::kNotFound);
  }

  std::size_t administrators() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        users, [](const auto& u) { return u.second.super_user && u.second.tenant == TenantId(0); }));
  }
  bool is_last_administrator(const User& user) const {
    return user.super_user && user.tenant == TenantId(0) && administrators() == 1;
  }
  bool is_meant(const std::string& name, UserId id) const {
    const auto found = users.find(name);
    return found != users.end() && (id == UserId(0) || found->second.id == id);
  }
  void note_password(const std::vector<scram::Credential>& credentials) {
    if (!decoy_secret.empty() || credentials.empty()) return;
    decoy_secret = scram::digest(scram::Hash::kSha256, "decoy" + credentials.front().stored_key);
  }
  Result<Answer> operator()(const CreateUser& command) {
    if (command.name.empty()) return refuse(ErrorCode::kInvalidArgument);
    if (!tenants.contains(command.tenant)) return refuse(ErrorCode::kNotFound);
    if (users.contains(command.name)) return refuse(ErrorCode::kAlreadyExists);
    if (users.empty() && !(command.super_user && command.tenant == TenantId(0))) {
      return refuse(ErrorCode::kInvalidArgument);
    }
    note_password(command.credentials);
    return users[command.name] = User{.id = UserId(next_user++),
                                      .tenant = command.tenant,
                                      .name = command.name,
                                      .super_user = command.super_user,
                                      .credentials = command.credentials,
                                      .created_ms = 0};
  }
  Result<Answer> operator()(const AlterUser& command) {
    if (!is_meant(command.name, command.id)) return refuse(ErrorCode::kNotFound);
    User& user = users[command.name];
    if (command.super_user == false && is_last_administrator(user)) {
      return refuse(ErrorCode::kInvalidArgument);
    }
    if (command.super_user) user.super_user = *command.super_user;
    if (command.credentials) {
      note_password(*command.credentials);
      user.credentials = *command.credentials;
    }
    return user;
  }
  Result<Answer> operator()(const DeleteUser& command) {
    if (!is_meant(command.name, command.id)) return refuse(ErrorCode::kNotFound);
    User user = users[command.name];
    if (is_last_administrator(user)) return refuse(ErrorCode::kInvalidArgument);
    users.erase(command.name);
    std::erase_if(rules, [&](const auto& rule) { return rule.second.user == user.id; });
    std::erase_if(tokens, [&](const auto& token) { return token.first.first == user.id; });
    return user;
  }
  User* find(UserId id) {
    for (auto& [name, user] : users) {
      if (user.id == id) return &user;
    }
    return nullptr;
  }
  Result<Answer> operator()(const CreateAcl& command) {
    AclRule rule = command.rule;
    if (rule.operations == 0) return refuse(ErrorCode::kInvalidArgument);
    if (!tenants.contains(rule.tenant)) return refuse(ErrorCode::kNotFound);
    if (rule.user != UserId(0) && (!find(rule.user) || find(rule.user)->tenant != rule.tenant)) {
      return refuse(ErrorCode::kNotFound);
    }
    for (auto& [id, other] : rules) {
      rule.id = id;
      if (rule == other) return refuse(ErrorCode::kAlreadyExists);
    }
    rule.id = AclId(next_rule++);
    return rules[rule.id] = rule;
  }
  Result<Answer> operator()(const DeleteAcl& command) {
    if (!rules.contains(command.id) || rules[command.id].tenant != command.tenant) {
      return refuse(ErrorCode::kNotFound);
    }
    const AclRule rule = rules[command.id];
    rules.erase(command.id);
    return rule;
  }
  Result<Answer> operator()(const CreateToken& command) {
    const Token& token = command.token;
    if (token.hash.size() != 32) return refuse(ErrorCode::kInvalidArgument);
    if (!find(token.user)) return refuse(ErrorCode::kNotFound);
    for (const auto& [key, other] : tokens) {
      if (key == std::pair(token.user, token.name) || other.hash == token.hash) {
        return refuse(ErrorCode::kAlreadyExists);
      }
    }
    return tokens[{token.user, token.name}] = token;
  }
  Result<Answer> operator()(const DeleteToken& command) {
    const auto found = tokens.find({command.user, command.name});
    if (found == tokens.end()) return refuse(ErrorCode::kNotFound);
    const Token token = found->second;
    tokens.erase(found);
    return token;
  }
};

scram::Credential draw_credential(runtime::Random& random, scram::Hash hash) {
  const auto bytes = [&](std::size_t size) {
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random.next());
    return out;
  };
  return {hash, bytes(16), 4096, bytes(scram::digest_bytes(hash)), bytes(scram::digest_bytes(hash))};
}

Command draw_about_identities(runtime::Random& random, TenantId tenant) {
  static const char* kUsers[] = {"root", "alice", "bob", ""};
  const std::string user = kUsers[random.below(4)];
  const UserId id(random.below(6));
  switch (random.below(9)) {
    case 0:
    case 1: {
      CreateUser create{.tenant = random.chance(1, 2) ? TenantId(0) : tenant,
                        .name = user,
                        .super_user = random.chance(1, 2),
                        .credentials = {}};
      if (random.chance(1, 2)) create.credentials.push_back(draw_credential(random, scram::Hash::kSha256));
      if (random.chance(1, 2)) create.credentials.push_back(draw_credential(random, scram::Hash::kSha512));
      return create;
    }
    case 2: {
      AlterUser alter{.name = user, .super_user = std::nullopt, .credentials = std::nullopt};
      if (random.chance(1, 3)) alter.id = id;
      if (random.chance(1, 2)) alter.super_user = random.chance(1, 2);
      if (random.chance(1, 2)) alter.credentials = {draw_credential(random, scram::Hash::kSha512)};
      return alter;
    }
    case 3:
      return DeleteUser{.name = user, .id = random.chance(1, 3) ? id : UserId(0)};
    case 4:
    case 5:
      return CreateAcl{.rule = {.id = {},
                                .tenant = random.chance(1, 2) ? TenantId(0) : tenant,
                                .user = id,
                                .allow = random.chance(1, 2),
                                .resource = ResourceKind::kTopic,
                                .pattern_kind = PatternKind::kPrefix,
                                .pattern = random.chance(1, 2) ? "a" : "b",
                                .operations = static_cast<Operations>(random.below(3)) << 2}};
    case 6:
      return DeleteAcl{.tenant = random.chance(1, 2) ? TenantId(0) : tenant, .id = AclId(random.below(6))};
    case 7:
      return CreateToken{
          .token = {.user = id,
                    .name = random.chance(1, 2) ? "t" : "u",
                    .hash = std::string(random.chance(1, 8) ? 31 : 32, static_cast<char>(random.below(4))),
                    .created_ms = 0,
                    .expires_ms = static_cast<std::int64_t>(random.below(3))}};
    default:
      return DeleteToken{.user = id, .name = random.chance(1, 2) ? "t" : "u"};
  }
}

// Draws commands that meet what is there, often enough.
Command draw(runtime::Random& random, Model& model) {
  const TenantId tenant(static_cast<std::uint32_t>(random.below(3)));
  static const char* kNames[] = {"a", "b.c", "b_c", "d", ""};
  const std::string name = kNames[random.below(5)];
  const ShardId shard(static_cast<std::uint32_t>(random.below(kShards)));
  const Shard& present = model.shards[shard];
  const Epoch epoch = random.chance(1, 8) ? Epoch(random.below(4)) : present.epoch;
  const NodeId node(static_cast<std::uint32_t>(random.below(kNodes)));
  const Lsn end = present.chain.empty() ? Lsn(0) : present.chain.back().base;
  const Incarnation incarnation =
      random.chance(1, 4) ? Incarnation(random.below(5)) : model.incarnations[node];
  switch (random.below(27)) {
    case 0:
      return RegisterNode{.node = node,
                          .addresses = {{"kafka", "h", static_cast<std::uint16_t>(random.below(3))}},
                          .roles = static_cast<std::uint32_t>(random.below(8)),
                          .zone = random.chance(1, 2) ? "z" : "",
                          .disk = random.next(),
                          .product = "p",
                          .directory = {random.below(3), 0}};
    case 1:
      return TakeShards{
          node, incarnation, {shard, ShardId(static_cast<std::uint32_t>((shard.value + 1) % (kShards + 1)))}};
    case 20:
      return EndIncarnation{node, incarnation};
    case 24:
      return AdmitNode{.node = node,
                       .directory = {random.below(3), 0},
                       .addresses = {{"rpc", "h", static_cast<std::uint16_t>(random.below(3))}}};
    case 26:
      return ReleaseShard{shard, epoch};
    case 25: {
      MoveSegment move{.shard = shard, .epoch = epoch, .segment = {}, .before = {}, .after = {}};
      if (!present.chain.empty()) {
        const Segment& any = present.chain[random.below(present.chain.size())];
        move.segment = any.id;
        move.before = any.replicas;
      }
      if (random.chance(1, 8)) move.before = {{node, 9}};
      if (!random.chance(1, 8)) move.after = {{node, random.below(3)}};
      return move;
    }
    case 21:
      return DrainNode{node, random.chance(1, 2), random.chance(1, 3)};
    case 22:
      return RemoveNode{node};
    case 23: {
      AssignShards assign{{{shard, random.chance(1, 4) ? std::optional(node) : present.assigned, node}}};
      if (random.chance(1, 2)) {
        const ShardId other((shard.value + 1) % kShards);
        assign.items.push_back({other, model.shards[other].assigned, node});
      }
      return assign;
    }
    case 2:
    case 3:
    case 4: {
      auto last = present.chain.empty() ? std::nullopt : std::optional(present.chain.back().id);
      if (random.chance(1, 8)) last = SegmentId(random.below(20));
      return SealAndOpen{{{shard, epoch, last, end + random.below(3), {{node, random.below(3)}}}}};
    }
    case 5:
      return TrimChain{{{shard, epoch, Lsn(random.below(end.value + 2))}}};
    case 6:
      return SetSnapshot{
          shard, epoch, {Lsn(random.below(end.value + 2)), "s" + std::to_string(random.below(9))}};
    case 7:
    case 8:
      return CreateTopic{tenant, name, static_cast<std::int32_t>(random.below(4)), {}, false};
    case 9:
      return DeleteTopic{tenant, name, std::nullopt};
    case 10:
      return CreatePartitions{tenant, name, static_cast<std::int32_t>(1 + random.below(6)), false};
    case 11:
      return AlterTopicConfig{
          tenant, name, {{"retention.ms", ConfigOp::kSet, std::to_string(random.below(9))}}, false, false};
    case 12:
      return random.chance(1, 2) ? Command(AllocateProducerIds{7}) : Command(CreateCluster{});
    case 13:
    case 14:
    case 15:
    case 16:
    case 17:
    case 18:
      return draw_about_identities(random, tenant);
    default:
      return random.chance(1, 2) ? Command(CreateTenant{random.chance(1, 2) ? "x" : "y"})
                                 : Command(DeleteTenant{random.chance(1, 2) ? "x" : "default"});
  }
}

// The model draws no ids and places nothing: these come from the state machine.
void take_over_ids(const Topic& from, Model& model) {
  Topic& topic = model.topics[from.id];
  topic.uuid = from.uuid;
  topic.shards = from.shards;
}

void check_same(const Result<Answer>& answer, Result<Answer> expected, Model& model) {
  RC_ASSERT(answer.has_value() == expected.has_value());
  if (!answer) {
    RC_ASSERT(answer.error().code == expected.error().code);
    return;
  }
  RC_ASSERT(answer->index() == expected->index());
  if (const auto* topic = std::get_if<Topic>(&*answer)) {
    Topic& mine = std::get<Topic>(*expected);
    RC_ASSERT(topic->shards.size() == mine.shards.size());
    mine.uuid = topic->uuid;
    mine.shards = topic->shards;
    RC_ASSERT(mine == *topic);
    if (model.topics.contains(mine.id)) take_over_ids(*topic, model);
  } else if (const auto* sealed = std::get_if<SealAndOpen::Answer>(&*answer)) {
    for (std::size_t i = 0; i < sealed->size(); ++i) {
      const auto& mine = std::get<SealAndOpen::Answer>(*expected)[i];
      RC_ASSERT((*sealed)[i].has_value() == mine.has_value());
      RC_ASSERT((mine ? *(*sealed)[i] == *mine : (*sealed)[i].error().code == mine.error().code));
    }
  } else if (const auto* trimmed = std::get_if<TrimChain::Answer>(&*answer)) {
    for (std::size_t i = 0; i < trimmed->size(); ++i) {
      const auto& mine = std::get<TrimChain::Answer>(*expected)[i];
      RC_ASSERT((*trimmed)[i].has_value() == mine.has_value());
      RC_ASSERT((mine ? *(*trimmed)[i] == *mine : (*trimmed)[i].error().code == mine.error().code));
    }
  } else {
    RC_ASSERT(encode_answer(answer) == encode_answer(expected));
  }
}

void check_identities(const Identities& identities, const Model& model) {
  RC_ASSERT(identities.users.size() == model.users.size());
  RC_ASSERT(identities.by_name.size() == model.users.size());
  for (const auto& [name, user] : model.users) {
    RC_ASSERT(identities.find(name) && *identities.find(name) == user);
    RC_ASSERT(*identities.find(user.id) == user);
  }
  RC_ASSERT(identities.decoy_secret == model.decoy_secret);
  RC_ASSERT(identities.rules == model.rules);
  RC_ASSERT(identities.tokens.size() == model.tokens.size());
  for (const auto& [key, token] : model.tokens) RC_ASSERT(identities.tokens.at(token.hash) == token);
}

void check_state(storage::MemoryFiles& files, StateMachine& machine, const Model& model) {
  const MetaView& view = *machine.view();
  RC_ASSERT(view.topics().size() == model.topics.size());
  RC_ASSERT(view.topics_by_name().size() == model.topics.size());
  for (const auto& [id, topic] : model.topics) {
    const Topic* found = view.find_topic(topic.tenant, topic.name);
    RC_ASSERT(found && *found == topic);
    RC_ASSERT(view.find_topic(topic.uuid) == found);
  }
  check_identities(*view.identities(), model);
  RC_ASSERT(view.tenants().size() == model.tenants.size());
  for (const auto& [id, name] : model.tenants) RC_ASSERT(view.find_tenant(name)->id == id);
  RC_ASSERT(view.nodes() == model.nodes);
  RC_ASSERT(view.shards().size() == model.shards.size());
  for (const auto& [id, shard] : model.shards) {
    const ShardPlace place{shard.assigned, shard.owner, shard.owner_incarnation, shard.epoch};
    RC_ASSERT(view.shards()[id.value] == place);
    const ShardId ids[] = {id};
    RC_ASSERT(machine.read_shards(files, ids, {})->front() == shard);
  }
}

RC_GTEST_PROP(StateMachineModel, DoesWhatPlainMapsDo, (std::uint64_t seed)) {
  runtime::Random random(seed);
  storage::MemoryFiles files;
  auto machine = *StateMachine::open(files, "meta.db", {});
  const Proposal cluster{.command =
                             encode_command({}, CreateCluster{.shard_count = kShards, .id = Uuid{1, 1}})};
  RC_ASSERT(machine->apply(files, 1, std::span(&cluster, 1), {}).has_value());
  Model model;
  for (std::uint32_t id = 0; id < kShards; ++id) model.shards[ShardId(id)].id = ShardId(id);

  for (int round = 0; round < 12; ++round) {
    // A batch, decided by the model command by command.
    Model after = model;
    std::vector<Proposal> commands;
    std::vector<Result<Answer>> expected;
    for (std::uint64_t n = 1 + random.below(8); n > 0; --n) {
      const Command command = draw(random, after);
      commands.push_back({.command = encode_command({.time = {}, .random = Uuid{random.next(), 0}}, command),
                          .id = random.chance(1, 2) ? Uuid{random.next(), 1} : Uuid{},
                          .seen = machine->applied()});
      expected.push_back(std::visit(after, command));
    }
    const std::uint64_t first = machine->applied() + 1;
    if (random.chance(1, 4)) files.crash_at_call = files.calls() + 1 + random.below(30);
    auto answers = machine->apply(files, first, commands, {.now = {}, .random_seed = random.next()});
    files.crash_at_call.reset();
    if (files.crashed()) {
      // The batch is applied or not. Its commands come again, as from a log, and are skipped if they were.
      machine.reset();
      files.restart(random);
      machine = *StateMachine::open(files, "meta.db", {});
      RC_ASSERT(machine->applied() == first - 1 || machine->applied() == first - 1 + commands.size());
      answers = machine->apply(files, first, commands, {});
    }
    RC_ASSERT(answers.has_value());
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (!(*answers)[i].empty()) check_same(decode_answer((*answers)[i]), std::move(expected[i]), after);
    }
    // Of what was applied before the crash no answer tells the ids.
    for (auto& [id, topic] : after.topics) {
      if (const Topic* found = machine->view()->find_topic(id)) take_over_ids(*found, after);
    }
    model = std::move(after);
    check_state(files, *machine, model);
    RC_ASSERT(machine->check(files, {})->empty());
  }
}

}  // namespace
}  // namespace stele::meta
