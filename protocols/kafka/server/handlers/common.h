// Shared by the handlers: decoding the body, encoding the response, errors, topics by name or id.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/kafka/codec.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/server/connection.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

template <class Message>
Result<Message> decode_body(const IncomingRequest& request) {
  return decode<Message>(request.request.body, request.request.header.version);
}

template <class Message>
Result<ResponseBytes> encode_response(const IncomingRequest& request, const Message& message) {
  return response_slices(request.request.header.correlation_id, request.request.header.version, message);
}

// What a client is told of one of our errors.
KafkaError kafka_error(const Error& error);
// Likewise, where a topic was to be made or changed. `wrong`: what was asked for makes no sense.
KafkaError command_error(const Error& error, KafkaError wrong);

inline Uuid uuid_of(const meta::Topic& topic) {
  return {topic.uuid.high, topic.uuid.low};
}

// What a client is told by the coordinator of a group. `unavailable`: what it takes for "not now" in this
// API.
KafkaError group_error(broker::GroupError error,
                       KafkaError unavailable = KafkaError::kCoordinatorLoadInProgress);

// As DescribeGroups and ListGroups name it.
std::string_view group_state_name(broker::GroupPhase phase);

// By name where the version has names, else by id. Null if it is not one of the principal's.
const meta::Topic* find_topic(const meta::MetaView& view, TenantId tenant, std::string_view name,
                              const Uuid& id);

// What is said of a topic that find_topic does not find. Who may not do `action` with a topic of that name is
// not told whether there is one.
KafkaError no_such_topic(HandlerContext& context, broker::Action action, std::string_view name);

// The Kafka name of our epochs: 31 bits. -1: nobody leads yet.
inline std::int32_t leader_epoch(Epoch epoch) {
  return epoch == Epoch() ? -1 : static_cast<std::int32_t>(epoch.value & 0x7fffffff);
}
// Of a partition that the topic has.
inline std::int32_t leader_epoch(const broker::Broker& broker, const meta::Topic& topic,
                                 std::int32_t partition) {
  return leader_epoch(broker.epoch_of(topic.shards[static_cast<std::size_t>(partition)]));
}

// A broker, as clients of this connection's listener reach it.
struct BrokerAddress {
  std::int32_t id = -1;
  std::string host;
  std::uint16_t port = 0;
};
// All that are there, this one first.
std::vector<BrokerAddress> brokers_of(const HandlerContext& context);
// The one with that number, if it is there.
std::optional<BrokerAddress> broker_of(const HandlerContext& context, std::optional<NodeId> node);
// Who leads a partition that the topic has; -1: nobody at the moment.
std::int32_t leader_of(const HandlerContext& context, const meta::Topic& topic, std::int32_t partition);

// Whether a client that wants to do `action` knows who leads the partition (KIP-320). `epoch` is what it
// says; -1: nothing.
KafkaError check_leader_epoch(HandlerContext& context, broker::Action action, const meta::Topic& topic,
                              std::int32_t partition, std::int32_t epoch);

// One per API.
runtime::Task<Result<ResponseBytes>> handle_api_versions(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_sasl_handshake(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_sasl_authenticate(HandlerContext& context,
                                                              IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_metadata(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_create_topics(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_create_partitions(HandlerContext& context,
                                                              IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_alter_configs(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_incremental_alter_configs(HandlerContext& context,
                                                                      IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_delete_topics(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_delete_records(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_describe_configs(HandlerContext& context,
                                                             IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_describe_cluster(HandlerContext& context,
                                                             IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_init_producer_id(HandlerContext& context,
                                                             IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_produce(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_fetch(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_list_offsets(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_offset_commit(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_offset_fetch(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_find_coordinator(HandlerContext& context,
                                                             IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_join_group(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_heartbeat(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_leave_group(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_sync_group(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_describe_groups(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_list_groups(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_delete_groups(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_offset_delete(HandlerContext& context, IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_offset_for_leader_epoch(HandlerContext& context,
                                                                    IncomingRequest request);
runtime::Task<Result<ResponseBytes>> handle_describe_log_dirs(HandlerContext& context,
                                                              IncomingRequest request);

}  // namespace stele::kafka
