// The parts of the codec of commands: each kind of value, command and answer as its FlatBuffers table and
// back. Private to command_codec*.cc.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "meta/command_codec.h"
#include "meta/commands_generated.h"

namespace stele::meta::codec {

inline std::unexpected<Error> malformed(std::string_view what) {
  return error(ErrorCode::kMalformed, "a record of the meta service is damaged: " + std::string(what));
}

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

inline std::unique_ptr<fbs::Uuid> pack(const Uuid& uuid) {
  return std::make_unique<fbs::Uuid>(uuid.high, uuid.low);
}
inline Uuid unpack(const std::unique_ptr<fbs::Uuid>& uuid) {
  return uuid ? Uuid{uuid->high(), uuid->low()} : Uuid{};
}

// Within an answer: what became of one item.
std::unique_ptr<fbs::FailureT> pack(const Error& from);
Error unpack(const fbs::FailureT& from);

// ---- values ----------------------------------------------------------------------------------------------

void pack(const NodeAddress& from, fbs::NodeAddressT& to);
void unpack(const fbs::NodeAddressT& from, NodeAddress& to);
void pack(const Replica& from, fbs::ReplicaT& to);
void unpack(const fbs::ReplicaT& from, Replica& to);
void pack(const Segment& from, fbs::SegmentT& to);
void unpack(const fbs::SegmentT& from, Segment& to);
void pack(const Snapshot& from, fbs::SnapshotT& to);
std::unique_ptr<fbs::SnapshotT> pack(const std::optional<Snapshot>& from);
std::optional<Snapshot> unpack(const std::unique_ptr<fbs::SnapshotT>& from);
void pack(const Shard& from, fbs::ShardT& to);
void unpack(const fbs::ShardT& from, Shard& to);
void pack(const SealAndOpenItem& from, fbs::SealAndOpenItemT& to);
void unpack(const fbs::SealAndOpenItemT& from, SealAndOpenItem& to);
void pack(const AssignShards::Item& from, fbs::AssignShardsItemT& to);
void unpack(const fbs::AssignShardsItemT& from, AssignShards::Item& to);
void pack(const TrimChainItem& from, fbs::TrimChainItemT& to);
void unpack(const fbs::TrimChainItemT& from, TrimChainItem& to);
void pack(const ConfigPair& from, fbs::SettingT& to);
void unpack(const fbs::SettingT& from, ConfigPair& to);
void pack(const ConfigChange& from, fbs::ConfigChangeT& to);
void unpack(const fbs::ConfigChangeT& from, ConfigChange& to);
void pack(const scram::Credential& from, fbs::CredentialT& to);
void unpack(const fbs::CredentialT& from, scram::Credential& to);
void pack(const AclRule& from, fbs::AclRuleT& to);
void unpack(const fbs::AclRuleT& from, AclRule& to);
void pack(const Token& from, fbs::TokenStateT& to);
void unpack(const fbs::TokenStateT& from, Token& to);

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

// ---- commands and answers --------------------------------------------------------------------------------

// command_codec_shards.cc
fbs::CreateClusterT pack(const CreateCluster& from);
Result<Command> unpack(const fbs::CreateClusterT& from);
fbs::RegisterNodeT pack(const RegisterNode& from);
Result<Command> unpack(const fbs::RegisterNodeT& from);
fbs::EndIncarnationT pack(const EndIncarnation& from);
Result<Command> unpack(const fbs::EndIncarnationT& from);
fbs::DrainNodeT pack(const DrainNode& from);
Result<Command> unpack(const fbs::DrainNodeT& from);
fbs::RemoveNodeT pack(const RemoveNode& from);
Result<Command> unpack(const fbs::RemoveNodeT& from);
fbs::AdmitNodeT pack(const AdmitNode& from);
Result<Command> unpack(const fbs::AdmitNodeT& from);
fbs::AssignShardsT pack(const AssignShards& from);
Result<Command> unpack(const fbs::AssignShardsT& from);
fbs::MoveSegmentT pack(const MoveSegment& from);
Result<Command> unpack(const fbs::MoveSegmentT& from);
fbs::ReleaseShardT pack(const ReleaseShard& from);
Result<Command> unpack(const fbs::ReleaseShardT& from);
fbs::TakeShardsT pack(const TakeShards& from);
Result<Command> unpack(const fbs::TakeShardsT& from);
fbs::SealAndOpenT pack(const SealAndOpen& from);
Result<Command> unpack(const fbs::SealAndOpenT& from);
fbs::TrimChainT pack(const TrimChain& from);
Result<Command> unpack(const fbs::TrimChainT& from);
fbs::SetSnapshotT pack(const SetSnapshot& from);
Result<Command> unpack(const fbs::SetSnapshotT& from);
fbs::ClusterInfoT pack(const ClusterInfo& from);
Result<Answer> unpack(const fbs::ClusterInfoT& from);
fbs::NodeT pack(const Node& from);
Result<Answer> unpack(const fbs::NodeT& from);
fbs::ShardsT pack(const std::vector<Shard>& from);
Result<Answer> unpack(const fbs::ShardsT& from);
fbs::SealAndOpenResultsT pack(const SealAndOpen::Answer& from);
Result<Answer> unpack(const fbs::SealAndOpenResultsT& from);
fbs::TrimChainResultsT pack(const TrimChain::Answer& from);
Result<Answer> unpack(const fbs::TrimChainResultsT& from);
fbs::PreviousSnapshotT pack_answer(const std::optional<Snapshot>& from);
Result<Answer> unpack(const fbs::PreviousSnapshotT& from);

// command_codec_topics.cc
fbs::CreateTopicT pack(const CreateTopic& from);
Result<Command> unpack(const fbs::CreateTopicT& from);
fbs::DeleteTopicT pack(const DeleteTopic& from);
Result<Command> unpack(const fbs::DeleteTopicT& from);
fbs::CreatePartitionsT pack(const CreatePartitions& from);
Result<Command> unpack(const fbs::CreatePartitionsT& from);
fbs::AlterTopicConfigT pack(const AlterTopicConfig& from);
Result<Command> unpack(const fbs::AlterTopicConfigT& from);
fbs::AllocateProducerIdsT pack(const AllocateProducerIds& from);
Result<Command> unpack(const fbs::AllocateProducerIdsT& from);
fbs::TopicStateT pack(const Topic& from);
Result<Answer> unpack(const fbs::TopicStateT& from);
fbs::ProducerIdsT pack(const ProducerIds& from);
Result<Answer> unpack(const fbs::ProducerIdsT& from);

// command_codec_identities.cc
fbs::CreateTenantT pack(const CreateTenant& from);
Result<Command> unpack(const fbs::CreateTenantT& from);
fbs::DeleteTenantT pack(const DeleteTenant& from);
Result<Command> unpack(const fbs::DeleteTenantT& from);
fbs::CreateUserT pack(const CreateUser& from);
Result<Command> unpack(const fbs::CreateUserT& from);
fbs::AlterUserT pack(const AlterUser& from);
Result<Command> unpack(const fbs::AlterUserT& from);
fbs::DeleteUserT pack(const DeleteUser& from);
Result<Command> unpack(const fbs::DeleteUserT& from);
fbs::CreateAclT pack(const CreateAcl& from);
Result<Command> unpack(const fbs::CreateAclT& from);
fbs::DeleteAclT pack(const DeleteAcl& from);
Result<Command> unpack(const fbs::DeleteAclT& from);
fbs::CreateTokenT pack(const CreateToken& from);
Result<Command> unpack(const fbs::CreateTokenT& from);
fbs::DeleteTokenT pack(const DeleteToken& from);
Result<Command> unpack(const fbs::DeleteTokenT& from);
fbs::TenantStateT pack(const Tenant& from);
Result<Answer> unpack(const fbs::TenantStateT& from);
fbs::UserStateT pack(const User& from);
Result<Answer> unpack(const fbs::UserStateT& from);
fbs::AclRuleT pack(const AclRule& from);
Result<Answer> unpack(const fbs::AclRuleT& from);
fbs::TokenStateT pack(const Token& from);
Result<Answer> unpack(const fbs::TokenStateT& from);

}  // namespace stele::meta::codec
