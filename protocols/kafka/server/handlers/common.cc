#include "protocols/kafka/server/handlers/common.h"

#include <algorithm>

namespace stele::kafka {

Handler find_handler(ApiKey api) {
  switch (api) {
    case ApiKey::kApiVersions:
      return handle_api_versions;
    case ApiKey::kSaslHandshake:
      return handle_sasl_handshake;
    case ApiKey::kSaslAuthenticate:
      return handle_sasl_authenticate;
    case ApiKey::kMetadata:
      return handle_metadata;
    case ApiKey::kCreateTopics:
      return handle_create_topics;
    case ApiKey::kCreatePartitions:
      return handle_create_partitions;
    case ApiKey::kAlterConfigs:
      return handle_alter_configs;
    case ApiKey::kIncrementalAlterConfigs:
      return handle_incremental_alter_configs;
    case ApiKey::kDeleteTopics:
      return handle_delete_topics;
    case ApiKey::kDeleteRecords:
      return handle_delete_records;
    case ApiKey::kInitProducerId:
      return handle_init_producer_id;
    case ApiKey::kDescribeConfigs:
      return handle_describe_configs;
    case ApiKey::kDescribeCluster:
      return handle_describe_cluster;
    case ApiKey::kProduce:
      return handle_produce;
    case ApiKey::kFetch:
      return handle_fetch;
    case ApiKey::kListOffsets:
      return handle_list_offsets;
    case ApiKey::kOffsetCommit:
      return handle_offset_commit;
    case ApiKey::kOffsetFetch:
      return handle_offset_fetch;
    case ApiKey::kFindCoordinator:
      return handle_find_coordinator;
    case ApiKey::kJoinGroup:
      return handle_join_group;
    case ApiKey::kHeartbeat:
      return handle_heartbeat;
    case ApiKey::kLeaveGroup:
      return handle_leave_group;
    case ApiKey::kSyncGroup:
      return handle_sync_group;
    case ApiKey::kDescribeGroups:
      return handle_describe_groups;
    case ApiKey::kListGroups:
      return handle_list_groups;
    case ApiKey::kDeleteGroups:
      return handle_delete_groups;
    case ApiKey::kOffsetDelete:
      return handle_offset_delete;
    case ApiKey::kOffsetForLeaderEpoch:
      return handle_offset_for_leader_epoch;
    case ApiKey::kDescribeLogDirs:
      return handle_describe_log_dirs;
    default:
      return nullptr;
  }
}

KafkaError kafka_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return KafkaError::kInvalidRequest;
    case ErrorCode::kMalformed:
    case ErrorCode::kCorrupt:
      return KafkaError::kCorruptMessage;
    case ErrorCode::kNotFound:
      return KafkaError::kUnknownTopicOrPartition;
    case ErrorCode::kAlreadyExists:
      return KafkaError::kTopicAlreadyExists;
    case ErrorCode::kUnauthorized:
      return KafkaError::kTopicAuthorizationFailed;
    case ErrorCode::kUnavailable:
    case ErrorCode::kClosed:
    case ErrorCode::kFenced:
      return KafkaError::kNotLeaderOrFollower;
    case ErrorCode::kTimedOut:
      return KafkaError::kRequestTimedOut;
    case ErrorCode::kIo:
    case ErrorCode::kNoSpace:
      return KafkaError::kKafkaStorageError;
    case ErrorCode::kUnsupported:
      return KafkaError::kUnsupportedForMessageFormat;
    default:
      return KafkaError::kUnknownServerError;
  }
}

KafkaError command_error(const Error& error, KafkaError wrong) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return wrong;
    case ErrorCode::kNoSpace:
      return KafkaError::kPolicyViolation;
    case ErrorCode::kUnavailable:
    case ErrorCode::kClosed:
      return KafkaError::kRequestTimedOut;
    default:
      return kafka_error(error);
  }
}

KafkaError group_error(broker::GroupError error, KafkaError unavailable) {
  using broker::GroupError;
  switch (error) {
    case GroupError::kNone:
      return KafkaError::kNone;
    case GroupError::kUnavailable:
      return unavailable;
    case GroupError::kNotHere:
      return KafkaError::kNotCoordinator;
    case GroupError::kUnauthorized:
      return KafkaError::kGroupAuthorizationFailed;
    case GroupError::kInvalidGroup:
      return KafkaError::kInvalidGroupId;
    case GroupError::kInvalidSessionTimeout:
      return KafkaError::kInvalidSessionTimeout;
    case GroupError::kInconsistentProtocol:
      return KafkaError::kInconsistentGroupProtocol;
    case GroupError::kMemberIdRequired:
      return KafkaError::kMemberIdRequired;
    case GroupError::kTooLarge:
      return KafkaError::kGroupMaxSizeReached;
    case GroupError::kUnknownMember:
      return KafkaError::kUnknownMemberId;
    case GroupError::kFencedInstance:
      return KafkaError::kFencedInstanceId;
    case GroupError::kIllegalGeneration:
      return KafkaError::kIllegalGeneration;
    case GroupError::kRebalancing:
      return KafkaError::kRebalanceInProgress;
    case GroupError::kNotFound:
      return KafkaError::kGroupIdNotFound;
    case GroupError::kNotEmpty:
      return KafkaError::kNonEmptyGroup;
    case GroupError::kSubscribed:
      return KafkaError::kGroupSubscribedToTopic;
    case GroupError::kUnknownPartition:
      return KafkaError::kUnknownTopicOrPartition;
    case GroupError::kPartitionUnauthorized:
      return KafkaError::kTopicAuthorizationFailed;
    case GroupError::kMetadataTooLarge:
      return KafkaError::kOffsetMetadataTooLarge;
    case GroupError::kTooManyOffsets:
      return KafkaError::kInvalidCommitOffsetSize;
  }
  return KafkaError::kUnknownServerError;
}

std::string_view group_state_name(broker::GroupPhase phase) {
  switch (phase) {
    case broker::GroupPhase::kEmpty:
      return "Empty";
    case broker::GroupPhase::kRebalancing:
      return "PreparingRebalance";
    case broker::GroupPhase::kAssigning:
      return "CompletingRebalance";
    case broker::GroupPhase::kStable:
      return "Stable";
  }
  return "Unknown";
}

const meta::Topic* find_topic(const meta::MetaView& view, TenantId tenant, std::string_view name,
                              const Uuid& id) {
  const meta::Topic* topic =
      name.empty() ? view.find_topic(stele::Uuid{id.high, id.low}) : view.find_topic(tenant, name);
  return topic && topic->tenant == tenant ? topic : nullptr;
}

KafkaError no_such_topic(HandlerContext& context, broker::Action action, std::string_view name) {
  if (name.empty()) return KafkaError::kUnknownTopicId;
  return context.broker.authorizer().allowed(context.principal, action, name)
             ? KafkaError::kUnknownTopicOrPartition
             : KafkaError::kTopicAuthorizationFailed;
}

namespace {
std::optional<BrokerAddress> address_of(const HandlerContext& context, const meta::Node& node) {
  if (!node.lives || (node.roles & meta::kBrokerRole) == 0) return std::nullopt;
  const auto at = std::ranges::find(node.addresses, context.options.listener, &meta::NodeAddress::listener);
  if (at == node.addresses.end()) return std::nullopt;
  return BrokerAddress{static_cast<std::int32_t>(node.id.value), at->host, at->port};
}
BrokerAddress this_broker(const HandlerContext& context) {
  return {static_cast<std::int32_t>(context.broker.node_id().value), context.options.advertised.host,
          context.options.advertised.port};
}
}  // namespace

std::vector<BrokerAddress> brokers_of(const HandlerContext& context) {
  std::vector<BrokerAddress> brokers{this_broker(context)};
  const auto view = context.broker.meta();
  for (const auto& [id, node] : view->nodes()) {
    if (id == context.broker.node_id()) continue;
    if (auto at = address_of(context, node)) brokers.push_back(*std::move(at));
  }
  return brokers;
}

std::optional<BrokerAddress> broker_of(const HandlerContext& context, std::optional<NodeId> node) {
  if (!node) return std::nullopt;
  if (*node == context.broker.node_id()) return this_broker(context);
  const auto view = context.broker.meta();
  const auto found = view->nodes().find(*node);
  return found == view->nodes().end() ? std::nullopt : address_of(context, found->second);
}

std::int32_t leader_of(const HandlerContext& context, const meta::Topic& topic, std::int32_t partition) {
  const ShardId shard = topic.shards[static_cast<std::size_t>(partition)];
  const auto leader = broker_of(context, context.broker.owner_of(shard));
  return leader ? leader->id : -1;
}

KafkaError check_leader_epoch(HandlerContext& context, broker::Action action, const meta::Topic& topic,
                              std::int32_t partition, std::int32_t epoch) {
  // Whether there is such a partition others find out.
  if (epoch < 0 || partition < 0 || partition >= topic.partition_count()) return KafkaError::kNone;
  const std::int32_t current = leader_epoch(context.broker, topic, partition);
  if (current < 0 || epoch == current) return KafkaError::kNone;
  if (!context.broker.authorizer().allowed(context.principal, action, topic.name))
    return KafkaError::kTopicAuthorizationFailed;
  return epoch < current ? KafkaError::kFencedLeaderEpoch : KafkaError::kUnknownLeaderEpoch;
}

}  // namespace stele::kafka
