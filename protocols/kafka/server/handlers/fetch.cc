// Fetch: reads committed batches of several partitions, waiting for `min_bytes` up to `max_wait_ms`. In a
// fetch session (fetch_sessions.h) it reads those of the session and answers with what is new.
#include "protocols/kafka/messages/fetch.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "protocols/kafka/server/fetch_sessions.h"
#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

KafkaError fetch_error(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument ? KafkaError::kOffsetOutOfRange : kafka_error(error);
}

// What is asked of the broker, and the answers in the order of the partitions.
struct Reading {
  std::vector<broker::FetchRead> reads;
  std::vector<std::size_t> places;  // of the reads' answers
  std::vector<FetchResponse::Partition> answers;
  bool answered = false;  // an error is there already: no waiting
};

void add(Reading& reading, HandlerContext& context, const meta::MetaView& view, std::string_view topic,
         const Uuid& topic_id, const FetchRequest::Partition& asked) {
  FetchResponse::Partition& answer = reading.answers.emplace_back();
  answer.partition_index = asked.partition;
  answer.records = Records(std::vector<Bytes>());
  const meta::Topic* found = find_topic(view, context.principal.tenant, topic, topic_id);
  if (!found) {
    answer.error = no_such_topic(context, broker::Action::kFetch, topic);
  } else {
    answer.error = check_leader_epoch(context, broker::Action::kFetch, *found, asked.partition,
                                      asked.current_leader_epoch);
  }
  if (answer.error != KafkaError::kNone) {
    reading.answered = true;
    return;
  }
  reading.places.push_back(reading.answers.size() - 1);
  reading.reads.push_back({StreamId{found->id, PartitionId(asked.partition)}, Offset(asked.fetch_offset),
                           static_cast<std::size_t>(std::max(asked.partition_max_bytes, 0))});
}

Reading reading_of(HandlerContext& context, const FetchRequest& request, const FetchSession* session) {
  const auto view = context.broker.meta();
  Reading reading;
  if (session) {
    for (const FetchSession::Partition& one : session->partitions()) {
      add(reading, context, *view, one.topic, one.topic_id, one.asked);
    }
    return reading;
  }
  for (const auto& topic : request.topics) {
    for (const auto& partition : topic.partitions) {
      add(reading, context, *view, topic.topic, topic.topic_id, partition);
    }
  }
  return reading;
}

void fill(Reading& reading, std::vector<Result<broker::FetchOk>> results, bool read_committed) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    FetchResponse::Partition& answer = reading.answers[reading.places[i]];
    if (!results[i]) {
      answer.error = fetch_error(results[i].error());
      continue;
    }
    answer.high_watermark = results[i]->high_watermark.value;
    answer.last_stable_offset = results[i]->high_watermark.value;
    answer.log_start_offset = results[i]->log_start.value;
    if (read_committed) answer.aborted_transactions.emplace();
    answer.records = Records(std::move(results[i]->batches));
  }
}

void answer_all(const FetchRequest& request, std::vector<FetchResponse::Partition> answers,
                FetchResponse& response) {
  auto next = answers.begin();
  for (const auto& topic : request.topics) {
    FetchResponse::Topic& out = response.topics.emplace_back();
    out.topic = topic.topic;
    out.topic_id = topic.topic_id;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) out.partitions.push_back(std::move(*next++));
  }
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_fetch(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(const auto body, decode_body<FetchRequest>(request));
  const std::int16_t version = request.request.header.version;
  auto& runtime = context.broker.runtime();
  FetchSessions& sessions = context.fetch_sessions;
  FetchResponse response;
  const FetchSessions::Begun begun = sessions.begin(body, version, context.principal, runtime.now());
  if (begun.error != KafkaError::kNone) {
    response.error = begun.error;
    co_return encode_response(request, response);
  }
  Reading reading = reading_of(context, body, begun.session.get());
  const auto wait = std::chrono::milliseconds(reading.answered ? 0 : std::max(body.max_wait_ms, 0));
  auto results = co_await context.broker.fetch(
      context.principal, std::move(reading.reads), static_cast<std::size_t>(std::max(body.min_bytes, 0)),
      static_cast<std::size_t>(std::max(body.max_bytes, 0)), runtime.now() + wait, context.stop);
  fill(reading, std::move(results), body.isolation_level == 1);
  if (!begun.session) {
    answer_all(body, std::move(reading.answers), response);
    if (const auto opened =
            sessions.open(body, version, context.principal, runtime.now(), runtime.random())) {
      opened->told(response);
      response.session_id = opened->id();
    }
  } else if (begun.session->epoch() == begun.epoch) {
    response.session_id = begun.session->id();
    begun.session->tell(std::move(reading.answers), response);
  } else {
    // The client has not waited for this answer.
    response.error = KafkaError::kInvalidFetchSessionEpoch;
  }
  co_return encode_response(request, response);
}

}  // namespace stele::kafka
