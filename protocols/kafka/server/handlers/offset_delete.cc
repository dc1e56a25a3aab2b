// OffsetDelete (KIP-496): forgets offsets of partitions that no member of the group reads.
#include "protocols/kafka/messages/offset_delete.h"

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

struct Place {
  std::size_t topic;
  std::size_t partition;
};

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_offset_delete(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<OffsetDeleteRequest>(request));
  const auto view = context.broker.meta();
  auto& authorizer = context.broker.authorizer();
  broker::DeleteOffsets ask;
  ask.group = std::move(body.group_id);
  OffsetDeleteResponse response;
  std::vector<Place> places;
  for (const auto& topic : body.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    const meta::Topic* found = find_topic(*view, context.principal.tenant, topic.name, {});
    const bool allowed = authorizer.allowed(context.principal, broker::Action::kFetch, topic.name);
    for (const auto& partition : topic.partitions) {
      auto& one = out.partitions.emplace_back();
      one.partition_index = partition.partition_index;
      const bool there =
          found && partition.partition_index >= 0 && partition.partition_index < found->partition_count();
      if (!allowed) {
        one.error = KafkaError::kTopicAuthorizationFailed;
      } else if (!there) {
        one.error = KafkaError::kUnknownTopicOrPartition;
      } else {
        places.push_back({response.topics.size() - 1, out.partitions.size() - 1});
        ask.partitions.push_back({StreamId{found->id, PartitionId(partition.partition_index)}, topic.name});
      }
    }
  }
  const broker::OffsetsAnswer answer =
      co_await context.broker.delete_offsets(context.principal, std::move(ask));
  response.error = group_error(answer.error);
  if (answer.error != broker::GroupError::kNone) response.topics.clear();
  for (std::size_t i = 0; i < answer.partitions.size(); ++i) {
    response.topics[places[i].topic].partitions[places[i].partition].error =
        group_error(answer.partitions[i]);
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
