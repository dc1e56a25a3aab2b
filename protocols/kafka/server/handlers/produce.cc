// Produce: checks each batch and hands it to its partition's shard; answers when all are committed. acks=1 is
// treated as all, acks=0 is not answered.
#include "protocols/kafka/messages/produce.h"

#include <coroutine>
#include <memory>
#include <utility>
#include <vector>

#include "model/record_batch.h"
#include "protocols/kafka/server/handlers/common.h"

namespace stele::kafka {
namespace {

// All batches of one request. The broker's answers may come after the connection, and with it the waiting
// frame, is gone.
struct Round {
  ProduceResponse response;
  std::size_t left = 0;
  std::coroutine_handle<> waiter;
};

struct Wait {
  std::shared_ptr<Round> round;
  bool await_ready() const { return round->left == 0; }
  void await_suspend(std::coroutine_handle<> waiter) { round->waiter = waiter; }
  void await_resume() const {}
  ~Wait() { round->waiter = {}; }
};

KafkaError produce_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnsupported:
      return KafkaError::kUnsupportedForMessageFormat;
    case ErrorCode::kInvalidArgument:
      return KafkaError::kInvalidRecord;
    case ErrorCode::kOutOfOrder:
      return KafkaError::kOutOfOrderSequenceNumber;
    case ErrorCode::kFenced:
      return KafkaError::kInvalidProducerEpoch;
    default:
      return kafka_error(error);
  }
}

Result<std::string_view> check(const meta::Topic& topic, std::optional<std::string_view> records) {
  if (!records) return error(ErrorCode::kMalformed, "a partition without records");
  STELE_TRY(const RecordBatchView batch, single_produced_batch(*records));
  if (batch.bytes.size() > static_cast<std::size_t>(topic.config.max_message_bytes)) {
    return error(ErrorCode::kNoSpace, "the batch of " + std::to_string(batch.bytes.size()) +
                                          " bytes is larger than max.message.bytes, " +
                                          std::to_string(topic.config.max_message_bytes));
  }
  if (batch.header.transactional()) {
    return error(ErrorCode::kInvalidArgument, "transactions are not supported");
  }
  thread_local std::string scratch;
  STELE_CHECK(check_produced_batch(batch, {}, scratch));
  if (scratch.capacity() > (1 << 20)) scratch = {};
  return batch.bytes;
}

// Hands one partition's batch over. The answer goes to `place` of the round's response. `name`: as it was
// asked for.
void produce_one(HandlerContext& context, const Bytes& frame, std::string_view name, const meta::Topic* topic,
                 const ProduceRequest::Partition& asked, const std::shared_ptr<Round>& round,
                 std::pair<std::size_t, std::size_t> place) {
  auto& out = round->response.topics[place.first].partitions[place.second];
  out.index = asked.index;
  if (!topic) {
    out.error = no_such_topic(context, broker::Action::kProduce, name);
    return;
  }
  // Before anything that depends on the topic is said, or costs much.
  if (!context.broker.authorizer().allowed(context.principal, broker::Action::kProduce, topic->name)) {
    out.error = KafkaError::kTopicAuthorizationFailed;
    return;
  }
  auto batch = check(*topic, asked.records);
  if (!batch) {
    out.error = batch.error().code == ErrorCode::kNoSpace ? KafkaError::kMessageTooLarge
                                                          : produce_error(batch.error());
    out.error_message = batch.error().message;
    return;
  }
  ++round->left;
  const StreamId stream{topic->id, PartitionId(asked.index)};
  context.broker.produce(context.principal, stream, frame.slice(*batch),
                         [round, place](Result<broker::ProduceOk> done) {
                           auto& answered = round->response.topics[place.first].partitions[place.second];
                           if (done) {
                             answered.base_offset = done->base_offset.value;
                             answered.log_append_time_ms = done->append_time_ms;
                             answered.log_start_offset = done->log_start.value;
                           } else {
                             answered.error = produce_error(done.error());
                             answered.error_message = done.error().message;
                           }
                           if (--round->left == 0 && round->waiter) std::exchange(round->waiter, {}).resume();
                         });
}

}  // namespace

runtime::Task<Result<ResponseBytes>> handle_produce(HandlerContext& context, IncomingRequest request) {
  STELE_CO_TRY(auto body, decode_body<ProduceRequest>(request));
  if (body.acks < -1 || body.acks > 1) {
    ProduceResponse refused;
    for (const auto& topic : body.topics) {
      auto& out = refused.topics.emplace_back();
      out.name = topic.name;
      out.topic_id = topic.topic_id;
      for (const auto& partition : topic.partitions) {
        auto& one = out.partitions.emplace_back();
        one.index = partition.index;
        one.error = KafkaError::kInvalidRequiredAcks;
      }
    }
    co_return encode_response(request, refused);
  }
  const auto view = context.broker.meta();
  auto round = std::make_shared<Round>();
  // All places first: answers may come at once.
  for (const auto& topic : body.topics) {
    auto& out = round->response.topics.emplace_back();
    out.name = topic.name;
    out.topic_id = topic.topic_id;
    out.partitions.resize(topic.partitions.size());
  }
  ++round->left;  // until all are handed over
  for (std::size_t t = 0; t < body.topics.size(); ++t) {
    const auto& topic = body.topics[t];
    const meta::Topic* found = find_topic(*view, context.principal.tenant, topic.name, topic.topic_id);
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      produce_one(context, request.frame, topic.name, found, topic.partitions[p], round, {t, p});
    }
  }
  --round->left;
  if (body.acks == 0) co_return ResponseBytes();
  co_await Wait{round};
  co_return encode_response(request, round->response);
}

}  // namespace stele::kafka
