#include "meta/command_codec.h"

#include <flatbuffers/flatbuffers.h>

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "meta/commands_generated.h"

namespace stele::meta {
namespace {

constexpr flatbuffers::uoffset_t kMaxDepth = 32;
constexpr flatbuffers::uoffset_t kMaxTables = 100'000'000;

std::unexpected<Error> malformed(std::string_view what) {
  return error(ErrorCode::kMalformed, "a record of the meta service is damaged: " + std::string(what));
}

template <class To, class From>
std::vector<std::unique_ptr<To>> pack_all(const std::vector<From>& from);
template <class To, class From>
std::vector<To> unpack_all(const std::vector<std::unique_ptr<From>>& from);

template <class Id>
std::vector<typename Id::Value> values_of(const std::vector<Id>& ids) {
  std::vector<typename Id::Value> values;
  for (Id id : ids) values.push_back(id.value);
  return values;
}
template <class Id>
std::vector<Id> ids_of(const std::vector<typename Id::Value>& values) {
  return std::vector<Id>(values.begin(), values.end());
}

std::unique_ptr<fbs::Uuid> pack(const Uuid& uuid) {
  return std::make_unique<fbs::Uuid>(uuid.high, uuid.low);
}
Uuid unpack(const std::unique_ptr<fbs::Uuid>& uuid) {
  return uuid ? Uuid{uuid->high(), uuid->low()} : Uuid{};
}

// ---- values --------------------------------------------------------------------------------------------
// For each kind: pack(value, table) and unpack(table, value).

void pack(const NodeAddress& from, fbs::NodeAddressT& to) {
  to.listener = from.listener;
  to.host = from.host;
  to.port = from.port;
}
void unpack(const fbs::NodeAddressT& from, NodeAddress& to) {
  to = {.listener = from.listener, .host = from.host, .port = from.port};
}

void pack(const Replica& from, fbs::ReplicaT& to) {
  to.node = from.node.value;
  to.disk = from.disk;
}
void unpack(const fbs::ReplicaT& from, Replica& to) {
  to = {.node = NodeId(from.node), .disk = from.disk};
}

void pack(const ConfigPair& from, fbs::SettingT& to) {
  to.name = from.first;
  to.value = from.second;
}
void unpack(const fbs::SettingT& from, ConfigPair& to) {
  to = {from.name, from.value};
}

void pack(const ConfigChange& from, fbs::ConfigChangeT& to) {
  to.name = from.name;
  to.op = static_cast<fbs::ConfigOp>(from.op);
  to.value = from.value;
}
void unpack(const fbs::ConfigChangeT& from, ConfigChange& to) {
  to = {.name = from.name, .op = static_cast<ConfigOp>(from.op), .value = from.value};
}

void pack(const Segment& from, fbs::SegmentT& to) {
  to.id = from.id.value;
  to.base = from.base.value;
  to.sealed = from.end.has_value();
  to.end = from.end ? from.end->value : 0;
  to.epoch = from.epoch.value;
  to.replicas = pack_all<fbs::ReplicaT>(from.replicas);
}
void unpack(const fbs::SegmentT& from, Segment& to) {
  to = {.id = SegmentId(from.id),
        .base = Lsn(from.base),
        .end = from.sealed ? std::optional(Lsn(from.end)) : std::nullopt,
        .epoch = Epoch(from.epoch),
        .replicas = unpack_all<Replica>(from.replicas)};
}

void pack(const Snapshot& from, fbs::SnapshotT& to) {
  to.lsn = from.lsn.value;
  to.file = from.file;
}
std::unique_ptr<fbs::SnapshotT> pack(const std::optional<Snapshot>& from) {
  if (!from) return nullptr;
  auto to = std::make_unique<fbs::SnapshotT>();
  pack(*from, *to);
  return to;
}
std::optional<Snapshot> unpack(const std::unique_ptr<fbs::SnapshotT>& from) {
  if (!from) return std::nullopt;
  return Snapshot{.lsn = Lsn(from->lsn), .file = from->file};
}

void pack(const Shard& from, fbs::ShardT& to) {
  to.id = from.id.value;
  to.owner = from.owner.value;
  to.owner_incarnation = from.owner_incarnation.value;
  to.epoch = from.epoch.value;
  to.chain = pack_all<fbs::SegmentT>(from.chain);
  to.snapshot = pack(from.snapshot);
}
void unpack(const fbs::ShardT& from, Shard& to) {
  to = {.id = ShardId(from.id),
        .owner = NodeId(from.owner),
        .owner_incarnation = Incarnation(from.owner_incarnation),
        .epoch = Epoch(from.epoch),
        .chain = unpack_all<Segment>(from.chain),
        .snapshot = unpack(from.snapshot)};
}

void pack(const SealAndOpenItem& from, fbs::SealAndOpenItemT& to) {
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  to.has_last = from.last.has_value();
  to.last = from.last ? from.last->value : 0;
  to.end = from.end.value;
  to.replicas = pack_all<fbs::ReplicaT>(from.replicas);
}
void unpack(const fbs::SealAndOpenItemT& from, SealAndOpenItem& to) {
  to = {.shard = ShardId(from.shard),
        .epoch = Epoch(from.epoch),
        .last = from.has_last ? std::optional(SegmentId(from.last)) : std::nullopt,
        .end = Lsn(from.end),
        .replicas = unpack_all<Replica>(from.replicas)};
}

void pack(const TrimChainItem& from, fbs::TrimChainItemT& to) {
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  to.below = from.below.value;
}
void unpack(const fbs::TrimChainItemT& from, TrimChainItem& to) {
  to = {.shard = ShardId(from.shard), .epoch = Epoch(from.epoch), .below = Lsn(from.below)};
}

void pack(const scram::Credential& from, fbs::CredentialT& to) {
  to.hash = static_cast<std::uint8_t>(from.hash);
  to.salt = from.salt;
  to.iterations = from.iterations;
  to.stored_key = from.stored_key;
  to.server_key = from.server_key;
}
void unpack(const fbs::CredentialT& from, scram::Credential& to) {
  to = {.hash = static_cast<scram::Hash>(from.hash),
        .salt = from.salt,
        .iterations = from.iterations,
        .stored_key = from.stored_key,
        .server_key = from.server_key};
}

void pack(const AclRule& from, fbs::AclRuleT& to) {
  to.id = from.id.value;
  to.tenant = from.tenant.value;
  to.user = from.user.value;
  to.deny = !from.allow;
  to.resource = static_cast<std::uint8_t>(from.resource);
  to.pattern_kind = static_cast<std::uint8_t>(from.pattern_kind);
  to.pattern = from.pattern;
  to.operations = from.operations;
}
void unpack(const fbs::AclRuleT& from, AclRule& to) {
  to = {.id = AclId(from.id),
        .tenant = TenantId(from.tenant),
        .user = UserId(from.user),
        .allow = !from.deny,
        .resource = static_cast<ResourceKind>(from.resource),
        .pattern_kind = static_cast<PatternKind>(from.pattern_kind),
        .pattern = from.pattern,
        .operations = from.operations};
}

void pack(const Token& from, fbs::TokenStateT& to) {
  to.user = from.user.value;
  to.name = from.name;
  to.hash = from.hash;
  to.created_ms = from.created_ms;
  to.expires_ms = from.expires_ms;
}
void unpack(const fbs::TokenStateT& from, Token& to) {
  to = {.user = UserId(from.user),
        .name = from.name,
        .hash = from.hash,
        .created_ms = from.created_ms,
        .expires_ms = from.expires_ms};
}

template <class To, class From>
std::vector<std::unique_ptr<To>> pack_all(const std::vector<From>& from) {
  std::vector<std::unique_ptr<To>> to;
  to.reserve(from.size());
  for (const From& item : from) pack(item, *to.emplace_back(std::make_unique<To>()));
  return to;
}
template <class To, class From>
std::vector<To> unpack_all(const std::vector<std::unique_ptr<From>>& from) {
  std::vector<To> to;
  to.reserve(from.size());
  for (const auto& item : from) unpack(*item, to.emplace_back());
  return to;
}

// ---- commands ------------------------------------------------------------------------------------------

fbs::CreateClusterT pack(const CreateCluster& from) {
  fbs::CreateClusterT to;
  to.shard_count = from.shard_count;
  to.id = pack(from.id);
  return to;
}
Result<Command> unpack(const fbs::CreateClusterT& from) {
  return CreateCluster{.shard_count = from.shard_count, .id = unpack(from.id)};
}

fbs::RegisterNodeT pack(const RegisterNode& from) {
  fbs::RegisterNodeT to;
  to.node = from.node.value;
  to.addresses = pack_all<fbs::NodeAddressT>(from.addresses);
  return to;
}
Result<Command> unpack(const fbs::RegisterNodeT& from) {
  return RegisterNode{.node = NodeId(from.node), .addresses = unpack_all<NodeAddress>(from.addresses)};
}

fbs::TakeShardsT pack(const TakeShards& from) {
  fbs::TakeShardsT to;
  to.node = from.node.value;
  to.incarnation = from.incarnation.value;
  to.shards = values_of(from.shards);
  return to;
}
Result<Command> unpack(const fbs::TakeShardsT& from) {
  return TakeShards{.node = NodeId(from.node),
                    .incarnation = Incarnation(from.incarnation),
                    .shards = ids_of<ShardId>(from.shards)};
}

fbs::SealAndOpenT pack(const SealAndOpen& from) {
  fbs::SealAndOpenT to;
  to.items = pack_all<fbs::SealAndOpenItemT>(from.items);
  return to;
}
Result<Command> unpack(const fbs::SealAndOpenT& from) {
  return SealAndOpen{.items = unpack_all<SealAndOpenItem>(from.items)};
}

fbs::TrimChainT pack(const TrimChain& from) {
  fbs::TrimChainT to;
  to.items = pack_all<fbs::TrimChainItemT>(from.items);
  return to;
}
Result<Command> unpack(const fbs::TrimChainT& from) {
  return TrimChain{.items = unpack_all<TrimChainItem>(from.items)};
}

fbs::SetSnapshotT pack(const SetSnapshot& from) {
  fbs::SetSnapshotT to;
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  to.lsn = from.snapshot.lsn.value;
  to.file = from.snapshot.file;
  return to;
}
Result<Command> unpack(const fbs::SetSnapshotT& from) {
  return SetSnapshot{.shard = ShardId(from.shard),
                     .epoch = Epoch(from.epoch),
                     .snapshot = {.lsn = Lsn(from.lsn), .file = from.file}};
}

fbs::CreateTopicT pack(const CreateTopic& from) {
  fbs::CreateTopicT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.partitions = from.partitions;
  to.config = pack_all<fbs::SettingT>(non_defaults(from.config));
  to.validate_only = from.validate_only;
  return to;
}
Result<Command> unpack(const fbs::CreateTopicT& from) {
  auto config = parse_topic_config(unpack_all<ConfigPair>(from.config));
  if (!config) return malformed(config.error().message);
  return CreateTopic{.tenant = TenantId(from.tenant),
                     .name = from.name,
                     .partitions = from.partitions,
                     .config = *std::move(config),
                     .validate_only = from.validate_only};
}

fbs::DeleteTopicT pack(const DeleteTopic& from) {
  fbs::DeleteTopicT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.id = from.id ? from.id->value : 0;
  return to;
}
Result<Command> unpack(const fbs::DeleteTopicT& from) {
  return DeleteTopic{.tenant = TenantId(from.tenant),
                     .name = from.name,
                     .id = from.id ? std::optional(TopicId(from.id)) : std::nullopt};
}

fbs::CreatePartitionsT pack(const CreatePartitions& from) {
  fbs::CreatePartitionsT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.count = from.count;
  to.validate_only = from.validate_only;
  return to;
}
Result<Command> unpack(const fbs::CreatePartitionsT& from) {
  return CreatePartitions{.tenant = TenantId(from.tenant),
                          .name = from.name,
                          .count = from.count,
                          .validate_only = from.validate_only};
}

fbs::AlterTopicConfigT pack(const AlterTopicConfig& from) {
  fbs::AlterTopicConfigT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.changes = pack_all<fbs::ConfigChangeT>(from.changes);
  to.reset_others = from.reset_others;
  to.validate_only = from.validate_only;
  return to;
}
Result<Command> unpack(const fbs::AlterTopicConfigT& from) {
  for (const auto& change : from.changes) {
    if (change->op > fbs::ConfigOp::MAX) {
      return error(ErrorCode::kUnsupported,
                   "a change of a configuration of a newer version; upgrade this node");
    }
  }
  return AlterTopicConfig{.tenant = TenantId(from.tenant),
                          .name = from.name,
                          .changes = unpack_all<ConfigChange>(from.changes),
                          .reset_others = from.reset_others,
                          .validate_only = from.validate_only};
}

fbs::AllocateProducerIdsT pack(const AllocateProducerIds& from) {
  fbs::AllocateProducerIdsT to;
  to.count = from.count;
  return to;
}
Result<Command> unpack(const fbs::AllocateProducerIdsT& from) {
  return AllocateProducerIds{.count = from.count};
}

fbs::CreateTenantT pack(const CreateTenant& from) {
  fbs::CreateTenantT to;
  to.name = from.name;
  return to;
}
Result<Command> unpack(const fbs::CreateTenantT& from) {
  return CreateTenant{.name = from.name};
}

fbs::DeleteTenantT pack(const DeleteTenant& from) {
  fbs::DeleteTenantT to;
  to.name = from.name;
  return to;
}
Result<Command> unpack(const fbs::DeleteTenantT& from) {
  return DeleteTenant{.name = from.name};
}

fbs::CreateUserT pack(const CreateUser& from) {
  fbs::CreateUserT to;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.super_user = from.super_user;
  to.credentials = pack_all<fbs::CredentialT>(from.credentials);
  return to;
}
Result<Command> unpack(const fbs::CreateUserT& from) {
  return CreateUser{.tenant = TenantId(from.tenant),
                    .name = from.name,
                    .super_user = from.super_user,
                    .credentials = unpack_all<scram::Credential>(from.credentials)};
}

fbs::AlterUserT pack(const AlterUser& from) {
  fbs::AlterUserT to;
  to.name = from.name;
  to.sets_super_user = from.super_user.has_value();
  to.super_user = from.super_user.value_or(false);
  to.sets_credentials = from.credentials.has_value();
  if (from.credentials) to.credentials = pack_all<fbs::CredentialT>(*from.credentials);
  to.id = from.id.value;
  return to;
}
Result<Command> unpack(const fbs::AlterUserT& from) {
  AlterUser to{
      .name = from.name, .super_user = std::nullopt, .credentials = std::nullopt, .id = UserId(from.id)};
  if (from.sets_super_user) to.super_user = from.super_user;
  if (from.sets_credentials) to.credentials = unpack_all<scram::Credential>(from.credentials);
  return to;
}

fbs::DeleteUserT pack(const DeleteUser& from) {
  fbs::DeleteUserT to;
  to.name = from.name;
  to.id = from.id.value;
  return to;
}
Result<Command> unpack(const fbs::DeleteUserT& from) {
  return DeleteUser{.name = from.name, .id = UserId(from.id)};
}

fbs::CreateAclT pack(const CreateAcl& from) {
  fbs::CreateAclT to;
  to.rule = std::make_unique<fbs::AclRuleT>();
  pack(from.rule, *to.rule);
  return to;
}
Result<Command> unpack(const fbs::CreateAclT& from) {
  if (!from.rule) return malformed("no rule");
  CreateAcl to;
  unpack(*from.rule, to.rule);
  return to;
}

fbs::DeleteAclT pack(const DeleteAcl& from) {
  fbs::DeleteAclT to;
  to.tenant = from.tenant.value;
  to.id = from.id.value;
  return to;
}
Result<Command> unpack(const fbs::DeleteAclT& from) {
  return DeleteAcl{.tenant = TenantId(from.tenant), .id = AclId(from.id)};
}

fbs::CreateTokenT pack(const CreateToken& from) {
  fbs::CreateTokenT to;
  to.token = std::make_unique<fbs::TokenStateT>();
  pack(from.token, *to.token);
  return to;
}
Result<Command> unpack(const fbs::CreateTokenT& from) {
  if (!from.token) return malformed("no token");
  CreateToken to;
  unpack(*from.token, to.token);
  return to;
}

fbs::DeleteTokenT pack(const DeleteToken& from) {
  fbs::DeleteTokenT to;
  to.user = from.user.value;
  to.name = from.name;
  return to;
}
Result<Command> unpack(const fbs::DeleteTokenT& from) {
  return DeleteToken{.user = UserId(from.user), .name = from.name};
}

Result<Command> unpack(const fbs::CommandUnion& from) {
  switch (from.type) {
    case fbs::Command::CreateCluster:
      return unpack(*from.AsCreateCluster());
    case fbs::Command::RegisterNode:
      return unpack(*from.AsRegisterNode());
    case fbs::Command::TakeShards:
      return unpack(*from.AsTakeShards());
    case fbs::Command::SealAndOpen:
      return unpack(*from.AsSealAndOpen());
    case fbs::Command::TrimChain:
      return unpack(*from.AsTrimChain());
    case fbs::Command::SetSnapshot:
      return unpack(*from.AsSetSnapshot());
    case fbs::Command::CreateTopic:
      return unpack(*from.AsCreateTopic());
    case fbs::Command::DeleteTopic:
      return unpack(*from.AsDeleteTopic());
    case fbs::Command::CreatePartitions:
      return unpack(*from.AsCreatePartitions());
    case fbs::Command::AlterTopicConfig:
      return unpack(*from.AsAlterTopicConfig());
    case fbs::Command::AllocateProducerIds:
      return unpack(*from.AsAllocateProducerIds());
    case fbs::Command::CreateTenant:
      return unpack(*from.AsCreateTenant());
    case fbs::Command::DeleteTenant:
      return unpack(*from.AsDeleteTenant());
    case fbs::Command::CreateUser:
      return unpack(*from.AsCreateUser());
    case fbs::Command::AlterUser:
      return unpack(*from.AsAlterUser());
    case fbs::Command::DeleteUser:
      return unpack(*from.AsDeleteUser());
    case fbs::Command::CreateAcl:
      return unpack(*from.AsCreateAcl());
    case fbs::Command::DeleteAcl:
      return unpack(*from.AsDeleteAcl());
    case fbs::Command::CreateToken:
      return unpack(*from.AsCreateToken());
    case fbs::Command::DeleteToken:
      return unpack(*from.AsDeleteToken());
    case fbs::Command::NONE:
      break;
  }
  return malformed("no command");
}

// ---- answers -------------------------------------------------------------------------------------------

fbs::ErrorKind kind_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return fbs::ErrorKind::InvalidArgument;
    case ErrorCode::kNotFound:
      return fbs::ErrorKind::NotFound;
    case ErrorCode::kAlreadyExists:
      return fbs::ErrorKind::AlreadyExists;
    case ErrorCode::kFenced:
      return fbs::ErrorKind::Fenced;
    case ErrorCode::kNoSpace:
      return fbs::ErrorKind::NoSpace;
    default:
      return fbs::ErrorKind::Internal;
  }
}
ErrorCode code_of(fbs::ErrorKind kind) {
  switch (kind) {
    case fbs::ErrorKind::InvalidArgument:
      return ErrorCode::kInvalidArgument;
    case fbs::ErrorKind::NotFound:
      return ErrorCode::kNotFound;
    case fbs::ErrorKind::AlreadyExists:
      return ErrorCode::kAlreadyExists;
    case fbs::ErrorKind::Fenced:
      return ErrorCode::kFenced;
    case fbs::ErrorKind::NoSpace:
      return ErrorCode::kNoSpace;
    case fbs::ErrorKind::None:
    case fbs::ErrorKind::Internal:
      break;
  }
  return ErrorCode::kInternal;
}
std::unique_ptr<fbs::FailureT> pack(const Error& from) {
  auto to = std::make_unique<fbs::FailureT>();
  to->kind = kind_of(from.code);
  to->message = from.message;
  return to;
}
Error unpack(const fbs::FailureT& from) {
  return Error{code_of(from.kind), from.message};
}

fbs::ClusterInfoT pack(const ClusterInfo& from) {
  fbs::ClusterInfoT to;
  to.id = from.id;
  to.shard_count = from.shard_count;
  return to;
}
Result<Answer> unpack(const fbs::ClusterInfoT& from) {
  return ClusterInfo{.id = from.id, .shard_count = from.shard_count};
}

fbs::NodeT pack(const Node& from) {
  fbs::NodeT to;
  to.id = from.id.value;
  to.incarnation = from.incarnation.value;
  to.addresses = pack_all<fbs::NodeAddressT>(from.addresses);
  return to;
}
Result<Answer> unpack(const fbs::NodeT& from) {
  return Node{.id = NodeId(from.id),
              .incarnation = Incarnation(from.incarnation),
              .addresses = unpack_all<NodeAddress>(from.addresses)};
}

fbs::ShardsT pack(const std::vector<Shard>& from) {
  fbs::ShardsT to;
  to.shards = pack_all<fbs::ShardT>(from);
  return to;
}
Result<Answer> unpack(const fbs::ShardsT& from) {
  return unpack_all<Shard>(from.shards);
}

fbs::SealAndOpenResultsT pack(const SealAndOpen::Answer& from) {
  fbs::SealAndOpenResultsT to;
  for (const auto& result : from) {
    auto& item = to.items.emplace_back(std::make_unique<fbs::SealAndOpenResultT>());
    if (!result) {
      item->failure = pack(result.error());
      continue;
    }
    item->opened = std::make_unique<fbs::SegmentT>();
    pack(result->opened, *item->opened);
    item->dropped = result->dropped ? result->dropped->value : 0;
  }
  return to;
}
Result<Answer> unpack(const fbs::SealAndOpenResultsT& from) {
  SealAndOpen::Answer to;
  for (const auto& item : from.items) {
    if (item->failure) {
      to.push_back(std::unexpected(unpack(*item->failure)));
      continue;
    }
    if (!item->opened) return malformed("no segment was opened");
    SealAndOpenResult result;
    unpack(*item->opened, result.opened);
    if (item->dropped) result.dropped = SegmentId(item->dropped);
    to.push_back(std::move(result));
  }
  return to;
}

fbs::TrimChainResultsT pack(const TrimChain::Answer& from) {
  fbs::TrimChainResultsT to;
  for (const auto& result : from) {
    auto& item = to.items.emplace_back(std::make_unique<fbs::TrimChainResultT>());
    if (result) {
      item->dropped = values_of(*result);
    } else {
      item->failure = pack(result.error());
    }
  }
  return to;
}
Result<Answer> unpack(const fbs::TrimChainResultsT& from) {
  TrimChain::Answer to;
  for (const auto& item : from.items) {
    if (item->failure) {
      to.push_back(std::unexpected(unpack(*item->failure)));
    } else {
      to.push_back(ids_of<SegmentId>(item->dropped));
    }
  }
  return to;
}

fbs::PreviousSnapshotT pack_answer(const std::optional<Snapshot>& from) {
  fbs::PreviousSnapshotT to;
  to.snapshot = pack(from);
  return to;
}
Result<Answer> unpack(const fbs::PreviousSnapshotT& from) {
  return unpack(from.snapshot);
}

fbs::TopicStateT pack(const Topic& from) {
  fbs::TopicStateT to;
  to.id = from.id.value;
  to.uuid = pack(from.uuid);
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.shards = values_of(from.shards);
  to.config = pack_all<fbs::SettingT>(non_defaults(from.config));
  to.created_ms = from.created_ms;
  return to;
}
Result<Answer> unpack(const fbs::TopicStateT& from) {
  auto config = parse_topic_config(unpack_all<ConfigPair>(from.config));
  if (!config) return malformed(config.error().message);
  return Topic{.id = TopicId(from.id),
               .uuid = unpack(from.uuid),
               .tenant = TenantId(from.tenant),
               .name = from.name,
               .shards = ids_of<ShardId>(from.shards),
               .config = *std::move(config),
               .created_ms = from.created_ms};
}

fbs::ProducerIdsT pack(const ProducerIds& from) {
  fbs::ProducerIdsT to;
  to.first = from.first;
  to.count = from.count;
  return to;
}
Result<Answer> unpack(const fbs::ProducerIdsT& from) {
  return ProducerIds{.first = from.first, .count = from.count};
}

fbs::TenantStateT pack(const Tenant& from) {
  fbs::TenantStateT to;
  to.id = from.id.value;
  to.name = from.name;
  return to;
}
Result<Answer> unpack(const fbs::TenantStateT& from) {
  return Tenant{.id = TenantId(from.id), .name = from.name};
}

fbs::UserStateT pack(const User& from) {
  fbs::UserStateT to;
  to.id = from.id.value;
  to.tenant = from.tenant.value;
  to.name = from.name;
  to.super_user = from.super_user;
  to.credentials = pack_all<fbs::CredentialT>(from.credentials);
  to.created_ms = from.created_ms;
  return to;
}
Result<Answer> unpack(const fbs::UserStateT& from) {
  return User{.id = UserId(from.id),
              .tenant = TenantId(from.tenant),
              .name = from.name,
              .super_user = from.super_user,
              .credentials = unpack_all<scram::Credential>(from.credentials),
              .created_ms = from.created_ms};
}

fbs::AclRuleT pack(const AclRule& from) {
  fbs::AclRuleT to;
  pack(from, to);
  return to;
}
Result<Answer> unpack(const fbs::AclRuleT& from) {
  AclRule to;
  unpack(from, to);
  return to;
}

fbs::TokenStateT pack(const Token& from) {
  fbs::TokenStateT to;
  pack(from, to);
  return to;
}
Result<Answer> unpack(const fbs::TokenStateT& from) {
  Token to;
  unpack(from, to);
  return to;
}

Result<Answer> unpack(const fbs::AnswerUnion& from) {
  switch (from.type) {
    case fbs::Answer::ClusterInfo:
      return unpack(*from.AsClusterInfo());
    case fbs::Answer::Node:
      return unpack(*from.AsNode());
    case fbs::Answer::Shards:
      return unpack(*from.AsShards());
    case fbs::Answer::SealAndOpenResults:
      return unpack(*from.AsSealAndOpenResults());
    case fbs::Answer::TrimChainResults:
      return unpack(*from.AsTrimChainResults());
    case fbs::Answer::PreviousSnapshot:
      return unpack(*from.AsPreviousSnapshot());
    case fbs::Answer::TopicState:
      return unpack(*from.AsTopicState());
    case fbs::Answer::ProducerIds:
      return unpack(*from.AsProducerIds());
    case fbs::Answer::TenantState:
      return unpack(*from.AsTenantState());
    case fbs::Answer::UserState:
      return unpack(*from.AsUserState());
    case fbs::Answer::AclRule:
      return unpack(*from.AsAclRule());
    case fbs::Answer::TokenState:
      return unpack(*from.AsTokenState());
    case fbs::Answer::NONE:
      break;
  }
  return malformed("no answer");
}

template <class Root>
std::string finish(const typename Root::NativeTableType& table) {
  flatbuffers::FlatBufferBuilder builder(512);
  builder.Finish(Root::Pack(builder, &table));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

// Verified, or null. FlatBuffers wants its input aligned; a copy on the heap is.
template <class Root>
const Root* verified(const std::string& bytes) {
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), kMaxDepth,
                                 kMaxTables);
  if (!verifier.VerifyBuffer<Root>(nullptr)) return nullptr;
  return flatbuffers::GetRoot<Root>(bytes.data());
}

}  // namespace

std::string_view name_of(const Command& command) {
  static constexpr std::string_view kNames[] = {
      "CreateCluster",       "RegisterNode", "TakeShards",   "SealAndOpen",      "TrimChain",
      "SetSnapshot",         "CreateTopic",  "DeleteTopic",  "CreatePartitions", "AlterTopicConfig",
      "AllocateProducerIds", "CreateTenant", "DeleteTenant", "CreateUser",       "AlterUser",
      "DeleteUser",          "CreateAcl",    "DeleteAcl",    "CreateToken",      "DeleteToken"};
  static_assert(std::size(kNames) == std::variant_size_v<Command>);
  return kNames[command.index()];
}

std::string encode_command(const Envelope& envelope, const Command& command) {
  fbs::EntryT entry;
  entry.wall_ms = envelope.time.ms;
  entry.random = pack(envelope.random);
  std::visit([&](const auto& typed) { entry.command.Set(pack(typed)); }, command);
  return finish<fbs::Entry>(entry);
}

Result<LogEntry> decode_command(std::string_view bytes) {
  const std::string aligned(bytes);
  const auto* root = verified<fbs::Entry>(aligned);
  if (!root) return malformed("no FlatBuffer of a command");
  if (root->command_type() > fbs::Command::MAX) {
    return error(ErrorCode::kUnsupported, "the log holds a command of a newer version; upgrade this node");
  }
  if (!root->command()) return malformed("no command");
  const std::unique_ptr<fbs::EntryT> entry(root->UnPack());
  STELE_TRY(Command command, unpack(entry->command));
  return LogEntry{.envelope = {.time = WallTime{entry->wall_ms}, .random = unpack(entry->random)},
                  .command = std::move(command)};
}

std::string encode_answer(const Result<Answer>& answer) {
  fbs::ReplyT reply;
  if (!answer) {
    reply.failure = pack(answer.error());
  } else {
    std::visit(
        [&]<class T>(const T& typed) {
          if constexpr (std::is_same_v<T, std::optional<Snapshot>>) {
            reply.answer.Set(pack_answer(typed));
          } else {
            reply.answer.Set(pack(typed));
          }
        },
        *answer);
  }
  return finish<fbs::Reply>(reply);
}

Result<Answer> decode_answer(std::string_view bytes) {
  const std::string aligned(bytes);
  const auto* root = verified<fbs::Reply>(aligned);
  if (!root) return malformed("no FlatBuffer of an answer");
  const std::unique_ptr<fbs::ReplyT> reply(root->UnPack());
  if (reply->failure) return std::unexpected(unpack(*reply->failure));
  if (!root->answer()) return malformed("no answer");
  return unpack(reply->answer);
}

}  // namespace stele::meta
