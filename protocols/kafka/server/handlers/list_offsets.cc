// ListOffsets: the first, the last, or the first offset at or after a time.
#include "protocols/kafka/messages/list_offsets.h"

#include <algorithm>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

runtime::Task<ListOffsetsResponse::Partition> look_up(HandlerContext& context, const meta::Topic* topic,
                                                      const std::string& name,
                                                      ListOffsetsRequest::Partition asked) {
  ListOffsetsResponse::Partition out;
  out.partition_index = asked.partition_index;
  if (!topic) {
    out.error = no_such_topic(context, broker::Action::kDescribe, name);
    co_return out;
  }
  out.error = check_leader_epoch(context, broker::Action::kDescribe, *topic, asked.partition_index,
                                 asked.current_leader_epoch);
  if (out.error != KafkaError::kNone) co_return out;
  const StreamId stream{topic->id, PartitionId(asked.partition_index)};
  std::int64_t timestamp = asked.timestamp;
  // Nothing is tiered: what is local is everything, and there is no offset in a remote tier.
  if (timestamp == kEarliestLocalTimestamp) timestamp = kEarliestTimestamp;
  if (timestamp == kLatestTieredTimestamp || timestamp == kEarliestPendingUploadTimestamp) co_return out;
  if (timestamp < kMaxTimestamp) {
    out.error = KafkaError::kInvalidRequest;
    co_return out;
  }
  auto found = co_await context.broker.list_offset(context.principal, stream, timestamp);
  if (!found) {
    out.error = kafka_error(found.error());
    co_return out;
  }
  out.offset = found->offset.value;
  out.timestamp = found->timestamp_ms;
  out.leader_epoch = found->leader_epoch;
  co_return out;
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_list_offsets(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<ListOffsetsRequest>(request));
  const auto view = context.broker.meta();
  ListOffsetsResponse response;
  for (const auto& topic : body.topics) {
    ListOffsetsResponse::Topic& out = response.topics.emplace_back();
    out.name = topic.name;
    const meta::Topic* found = view->find_topic(context.principal.tenant, topic.name);
    for (const auto& partition : topic.partitions) {
      out.partitions.push_back(co_await look_up(context, found, topic.name, partition));
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
