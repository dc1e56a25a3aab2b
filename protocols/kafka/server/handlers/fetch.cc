// Fetch: reads committed batches of several partitions, waiting for `min_bytes` up to `max_wait_ms`.
//
// Fetch sessions (KIP-227) are not kept yet: a request for one is answered with session id 0, which clients
// take for "send everything each time".
#include "protocols/kafka/messages/fetch.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

KafkaError fetch_error(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument ? KafkaError::kOffsetOutOfRange : kafka_error(error);
}

struct Place {
  std::size_t topic;
  std::size_t partition;
};

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_fetch(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<FetchRequest>(request));
  FetchResponse response;
  if (body.session_id != 0) {
    response.error = KafkaError::kFetchSessionIdNotFound;
    co_return encode_response(request, response);
  }
  const auto view = context.broker.meta();
  std::vector<broker::FetchRead> reads;
  std::vector<Place> places;
  bool answered = false;  // an error is there already: no waiting
  for (const auto& topic : body.topics) {
    auto& out = response.topics.emplace_back();
    out.topic = topic.topic;
    out.topic_id = topic.topic_id;
    const meta::Topic* found = find_topic(*view, context.principal.tenant, topic.topic, topic.topic_id);
    for (const auto& partition : topic.partitions) {
      auto& one = out.partitions.emplace_back();
      one.partition_index = partition.partition;
      one.records = Records(std::vector<Bytes>());
      if (!found) {
        one.error = no_such_topic(context, broker::Action::kFetch, topic.topic);
        answered = true;
        continue;
      }
      places.push_back({response.topics.size() - 1, out.partitions.size() - 1});
      reads.push_back({StreamId{found->id, PartitionId(partition.partition)}, Offset(partition.fetch_offset),
                       static_cast<std::size_t>(std::max(partition.partition_max_bytes, 0))});
    }
  }
  auto& runtime = context.broker.runtime();
  const auto wait = std::chrono::milliseconds(answered ? 0 : std::max(body.max_wait_ms, 0));
  auto results = co_await context.broker.fetch(
      context.principal, std::move(reads), static_cast<std::size_t>(std::max(body.min_bytes, 0)),
      static_cast<std::size_t>(std::max(body.max_bytes, 0)), runtime.now() + wait, context.stop);
  for (std::size_t i = 0; i < results.size(); ++i) {
    auto& out = response.topics[places[i].topic].partitions[places[i].partition];
    if (!results[i]) {
      out.error = fetch_error(results[i].error());
      continue;
    }
    out.high_watermark = results[i]->high_watermark.value;
    out.last_stable_offset = results[i]->high_watermark.value;
    out.log_start_offset = results[i]->log_start.value;
    if (body.isolation_level == 1) out.aborted_transactions.emplace();
    out.records = Records(std::move(results[i]->batches));
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
