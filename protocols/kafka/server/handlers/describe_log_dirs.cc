// DescribeLogDirs (KIP-113): what the topics take on this node's disk. There is one log directory. Sizes are
// those of what is retained, to the grain of a stream's index; how large the disk is nobody knows here.
#include "protocols/kafka/messages/describe_log_dirs.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

// Streams in the order of their answers.
struct Asking {
  std::vector<StreamId> streams;
  std::vector<std::pair<std::size_t, std::int32_t>> places;  // topic of the answer, partition
};

void add(Asking& asking, DescribeLogDirsResponse::Result& directory, const meta::Topic& topic,
         const std::vector<std::int32_t>* partitions) {
  directory.topics.emplace_back().name = topic.name;
  const auto add_one = [&](std::int32_t partition) {
    asking.streams.push_back({topic.id, PartitionId(partition)});
    asking.places.emplace_back(directory.topics.size() - 1, partition);
  };
  if (partitions) {
    std::ranges::for_each(*partitions, add_one);
    return;
  }
  for (std::int32_t partition = 0; partition < topic.partition_count(); ++partition) add_one(partition);
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_describe_log_dirs(HandlerContext& context,
                                                              IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<DescribeLogDirsRequest>(request));
  DescribeLogDirsResponse response;
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kDescribe, {})) {
    response.error = KafkaError::kClusterAuthorizationFailed;
    co_return encode_response(request, response);
  }
  const auto view = context.broker.meta();
  const TenantId tenant = context.principal.tenant;
  auto& directory = response.results.emplace_back();
  directory.log_dir = context.options.log_directory;
  Asking asking;
  if (body.topics) {
    for (const auto& topic : *body.topics) {
      const meta::Topic* found = view->find_topic(tenant, topic.topic);
      if (found) add(asking, directory, *found, &topic.partitions);
    }
  } else {
    for (const auto& [id, topic] : view->topics()) {
      if (topic->tenant == tenant) add(asking, directory, *topic, nullptr);
    }
  }
  const auto statuses = co_await context.broker.stream_statuses(context.principal, std::move(asking.streams));
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    // What is not here, now, or not for this client's eyes, is left out, as it is by Kafka.
    if (!statuses[i]) continue;
    const auto [topic, partition] = asking.places[i];
    auto& out = directory.topics[topic].partitions.emplace_back();
    out.partition_index = partition;
    out.partition_size = static_cast<std::int64_t>(statuses[i]->bytes);
  }
  std::erase_if(directory.topics, [](const auto& topic) { return topic.partitions.empty(); });
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
