// StateMachine::check: whether the database says nothing that contradicts itself.
#include <string>
#include <utility>
#include <vector>

#include "meta/state_machine.h"
#include "meta/tables.h"

namespace stele::meta {
namespace {

using Problems = std::vector<std::string>;

void check_shard(const Shard& shard, std::uint64_t next_segment, Problems& problems) {
  const auto say = [&](const std::string& what) {
    problems.push_back("shard " + std::to_string(shard.id.value) + ": " + what);
  };
  const Lsn replayed_from = shard.snapshot ? shard.snapshot->lsn : Lsn(0);
  if (!shard.chain.empty() && shard.chain.front().base > replayed_from) {
    say("entries from " + std::to_string(replayed_from.value) + " on are missing");
  }
  if (shard.chain.empty() && replayed_from > Lsn(0)) say("there is a snapshot but no segment");
  const Segment* before = nullptr;
  for (const Segment& segment : shard.chain) {
    const std::string name = "segment " + std::to_string(segment.id.value);
    if (before && before->end != segment.base) say(name + " does not begin where the one before it ends");
    if (before && before->epoch > segment.epoch) say(name + " is of an earlier epoch than the one before it");
    if (segment.epoch > shard.epoch) say(name + " is of a later epoch than the shard");
    if (segment.end && *segment.end <= segment.base) say(name + " ends before it begins");
    if (segment.replicas.empty()) say(name + " lies nowhere");
    if (segment.id.value >= next_segment) say(name + " has an id that was never given");
    before = &segment;
  }
  if (before && before->end) say("the last segment is sealed");
}

void check_topic(const Topic& topic, const MetaView& view, std::uint64_t next_topic, Problems& problems) {
  const auto say = [&](const std::string& what) {
    problems.push_back("topic '" + topic.name + "': " + what);
  };
  if (!view.tenants().contains(topic.tenant)) say("there is no such tenant");
  if (topic.shards.empty()) say("it has no partition");
  if (topic.id.value >= next_topic) say("it has an id that was never given");
  for (ShardId shard : topic.shards) {
    if (shard.value < view.cluster().shard_count) continue;
    say("a partition lies in shard " + std::to_string(shard.value) + ", which there is not");
    break;
  }
}

void check_identities(const MetaView& view, Tables& tables, Problems& problems) {
  const Identities& identities = *view.identities();
  const std::uint64_t next_user = tables.peek(Tables::Counter::kUser);
  const std::uint64_t next_rule = tables.peek(Tables::Counter::kRule);
  for (const auto& [id, user] : identities.users) {
    const std::string name = "user '" + user->name + "': ";
    if (!view.tenants().contains(user->tenant)) problems.push_back(name + "there is no such tenant");
    if (id.value >= next_user) problems.push_back(name + "it has an id that was never given");
    for (const scram::Credential& one : user->credentials) {
      if (auto good = scram::check_credential(one); !good) problems.push_back(name + good.error().message);
    }
  }
  for (const auto& [id, rule] : identities.rules) {
    const std::string name = "rule " + std::to_string(id.value) + ": ";
    const User* user = identities.find(rule.user);
    if (rule.user != UserId(0) && (!user || user->tenant != rule.tenant)) {
      problems.push_back(name + "its tenant has no such user");
    }
    if (!view.tenants().contains(rule.tenant)) problems.push_back(name + "there is no such tenant");
    if (id.value >= next_rule) problems.push_back(name + "it has an id that was never given");
    if (auto good = check_rule(rule); !good) problems.push_back(name + good.error().message);
  }
  for (const auto& [hash, token] : identities.tokens) {
    if (!identities.find(token.user)) problems.push_back("token '" + token.name + "': there is no such user");
  }
  if (!identities.users.empty() && tables.administrator_count() == 0) {
    problems.emplace_back("there are users, and no administrator");
  }
}

}  // namespace

Result<std::vector<std::string>> StateMachine::check(runtime::BlockingFiles& files, Inputs inputs) {
  const storage::SqliteVfs::Job job(vfs_, files, inputs);
  Problems problems;
  {
    auto query = database_->query("PRAGMA integrity_check(100)");
    while (query.next()) {
      if (query.text(0) != "ok") problems.emplace_back(query.text(0));
    }
  }
  Tables tables(*database_);
  const std::uint64_t next_segment = tables.peek(Tables::Counter::kSegment);
  const std::uint64_t next_topic = tables.peek(Tables::Counter::kTopic);
  for (std::uint32_t id = 0; id < view_->cluster().shard_count && !database_->failure(); ++id) {
    if (const auto shard = tables.shard(ShardId(id))) {
      check_shard(*shard, next_segment, problems);
    } else {
      problems.push_back("shard " + std::to_string(id) + " is missing");
    }
  }
  std::size_t partitions = 0;
  for (const auto& [id, topic] : view_->topics()) {
    check_topic(*topic, *view_, next_topic, problems);
    partitions += topic->shards.size();
  }
  for (std::size_t id = 0; id < view_->shards().size(); ++id) {
    const auto& assigned = view_->shards()[id].assigned;
    if (assigned && !view_->nodes().contains(*assigned))
      problems.push_back("shard " + std::to_string(id) + " is assigned to a node that there is not");
  }
  check_identities(*view_, tables, problems);
  if (partitions != tables.partition_count()) problems.emplace_back("the number of partitions is wrong");
  if (database_->failure()) return std::unexpected(*database_->failure());
  return problems;
}

}  // namespace stele::meta
