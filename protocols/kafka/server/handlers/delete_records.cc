// DeleteRecords (KIP-107): what is below the given offsets goes, for good.
#include "protocols/kafka/messages/delete_records.h"

#include <utility>
#include <vector>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

struct Place {
  std::size_t topic;
  std::size_t partition;
};

KafkaError deletion_error(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument ? KafkaError::kOffsetOutOfRange : kafka_error(error);
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_delete_records(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<DeleteRecordsRequest>(request));
  const auto view = context.broker.meta();
  DeleteRecordsResponse response;
  std::vector<std::pair<StreamId, Offset>> asked;
  std::vector<Place> places;
  for (const auto& topic : body.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    const meta::Topic* found = view->find_topic(context.principal.tenant, topic.name);
    for (const auto& partition : topic.partitions) {
      auto& one = out.partitions.emplace_back();
      one.partition_index = partition.partition_index;
      if (!found) {
        one.error = no_such_topic(context, broker::Action::kDeleteTopic, topic.name);
        continue;
      }
      places.push_back({response.topics.size() - 1, out.partitions.size() - 1});
      asked.emplace_back(StreamId{found->id, PartitionId(partition.partition_index)},
                         Offset(partition.offset));
    }
  }
  const auto starts = co_await context.broker.delete_records(context.principal, std::move(asked));
  for (std::size_t i = 0; i < starts.size(); ++i) {
    auto& out = response.topics[places[i].topic].partitions[places[i].partition];
    if (starts[i]) {
      out.low_watermark = starts[i]->value;
    } else {
      out.error = deletion_error(starts[i].error());
    }
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
