// What each command does, one overload per kind. Internal to the state machine.
//
// A handler checks everything, then writes. An error undoes what it wrote. Answers and changes depend on the
// tables, the command and its envelope alone. Whatever a handler read after a failure of the database is
// discarded with the whole transaction, so it only has to get through without asserting on it.
#pragma once

#include "base/result.h"
#include "meta/commands.h"
#include "meta/tables.h"

namespace stele::meta {

struct Context {
  Tables& tables;
  const Envelope& envelope;
  const ClusterInfo& cluster;  // no id: there is none yet
  ViewChange& change;
};

Result<ClusterInfo> handle(Context context, const CreateCluster& command);
Result<Node> handle(Context context, const RegisterNode& command);
Result<Node> handle(Context context, const EndIncarnation& command);
Result<Node> handle(Context context, const DrainNode& command);
Result<Node> handle(Context context, const RemoveNode& command);
Result<Node> handle(Context context, const AdmitNode& command);
Result<std::vector<Shard>> handle(Context context, const AssignShards& command);
Result<std::vector<Shard>> handle(Context context, const TakeShards& command);
Result<SealAndOpen::Answer> handle(Context context, const SealAndOpen& command);
Result<TrimChain::Answer> handle(Context context, const TrimChain& command);
Result<std::vector<Shard>> handle(Context context, const MoveSegment& command);
Result<std::vector<Shard>> handle(Context context, const ReleaseShard& command);
Result<std::optional<Snapshot>> handle(Context context, const SetSnapshot& command);
Result<Topic> handle(Context context, const CreateTopic& command);
Result<Topic> handle(Context context, const DeleteTopic& command);
Result<Topic> handle(Context context, const CreatePartitions& command);
Result<Topic> handle(Context context, const AlterTopicConfig& command);
Result<ProducerIds> handle(Context context, const AllocateProducerIds& command);
Result<Tenant> handle(Context context, const CreateTenant& command);
Result<Tenant> handle(Context context, const DeleteTenant& command);
Result<User> handle(Context context, const CreateUser& command);
Result<User> handle(Context context, const AlterUser& command);
Result<User> handle(Context context, const DeleteUser& command);
Result<AclRule> handle(Context context, const CreateAcl& command);
Result<AclRule> handle(Context context, const DeleteAcl& command);
Result<Token> handle(Context context, const CreateToken& command);
Result<Token> handle(Context context, const DeleteToken& command);

// 1 to 255 bytes of UTF-8 without control characters.
bool is_printable_name(std::string_view name);

// The shard of a topic's partition: partitions of one topic lie in a row of shards, from a place that depends
// on its name, so that they are spread as evenly as can be.
ShardId place_partition(TenantId tenant, std::string_view topic, std::size_t partition,
                        std::uint32_t shard_count);

}  // namespace stele::meta
