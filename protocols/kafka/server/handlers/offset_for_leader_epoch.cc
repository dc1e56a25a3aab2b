// OffsetForLeaderEpoch (KIP-320): where the records of an ownership of a partition end.
#include "protocols/kafka/messages/offset_for_leader_epoch.h"

#include <string>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

runtime::Task<OffsetForLeaderEpochResponse::Partition> look_up(HandlerContext& context,
                                                               const meta::Topic* topic,
                                                               const std::string& name,
                                                               OffsetForLeaderEpochRequest::Partition asked) {
  constexpr broker::Action kAction = broker::Action::kDescribe;
  OffsetForLeaderEpochResponse::Partition out;
  out.partition = asked.partition;
  out.error = topic
                  ? check_leader_epoch(context, kAction, *topic, asked.partition, asked.current_leader_epoch)
                  : no_such_topic(context, kAction, name);
  if (out.error != KafkaError::kNone) co_return out;
  const StreamId stream{topic->id, PartitionId(asked.partition)};
  const auto found = co_await context.broker.epoch_end(context.principal, stream, asked.leader_epoch);
  if (!found) {
    out.error = kafka_error(found.error());
    co_return out;
  }
  out.leader_epoch = found->leader_epoch;
  out.end_offset = found->end.value;
  co_return out;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_offset_for_leader_epoch(HandlerContext& context,
                                                                    IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<OffsetForLeaderEpochRequest>(request));
  const auto view = context.broker.meta();
  OffsetForLeaderEpochResponse response;
  for (const auto& topic : body.topics) {
    auto& out = response.topics.emplace_back();
    out.topic = topic.topic;
    const meta::Topic* found = view->find_topic(context.principal.tenant, topic.topic);
    for (const auto& partition : topic.partitions) {
      out.partitions.push_back(co_await look_up(context, found, topic.topic, partition));
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
