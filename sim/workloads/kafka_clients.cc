#include <algorithm>

#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
// So many partitions sensors has when it is made.
constexpr std::int32_t kCapturing = 3;
}  // namespace

Bytes batch_of(const std::vector<MessageId>& ids, std::int64_t now_ms, Compression compression,
               std::size_t padding, RecordBatchOptions options) {
  std::string out;
  options.compression = compression;
  RecordBatchBuilder builder(out, options);
  for (const MessageId& id : ids) {
    std::string text = id.text();
    if (padding > 0) text.append(" ").append(padding, 'z');
    builder.append(now_ms, "key", text);
  }
  (void)builder.finish();
  return Bytes::copy(out);
}

bool note_record(Workload& workload, const std::string& topic, std::int32_t partition,
                 const RecordView& record, const std::string& who) {
  const std::string value(record.value.value_or(""));
  const auto place = std::tuple(topic, partition, record.offset.value);
  auto [at, added] = workload.records.emplace(place, value);
  if (!added && at->second != value) {
    workload.judge.fail(who + ": offset " + std::to_string(record.offset.value) + " of " + topic + "-" +
                        std::to_string(partition) + " holds another record than before");
    return false;
  }
  const auto id = MessageId::parse(value);
  if (added && id && workload.kafka_producers.contains(id->publisher)) {
    const auto [first, once] = workload.places.emplace(*id, place);
    if (!once) {
      workload.judge.fail("message " + id->text() +
                          " of an idempotent producer is stored twice, at offsets " +
                          std::to_string(std::get<2>(first->second)) + " and " +
                          std::to_string(record.offset.value) + " of " + topic);
      return false;
    }
  }
  if (id && topic == "sensors" && partition >= kCapturing) {
    workload.judge.fail("message " + id->text() + " was captured into partition " +
                        std::to_string(partition) + " of sensors, which that topic was not made with");
    return false;
  }
  if (id) workload.ledger.received(who + "-" + topic, *id, true, topic != "sensors");
  return true;
}

Task<std::optional<kafka::MetadataResponse::Topic>> ask_for_topic(Workload& workload, kafka::Client& client,
                                                                  std::string topic) {
  auto metadata = co_await client.metadata({topic}, true);
  if (!metadata || metadata->topics.empty()) co_return std::nullopt;
  auto& answer = metadata->topics.front();
  if (answer.error != kafka::KafkaError::kNone) co_return std::nullopt;
  std::int32_t& known = workload.partitions[topic];
  known = std::max(known, static_cast<std::int32_t>(answer.partitions.size()));
  co_return std::move(answer);
}

namespace {

// An idempotent producer (KIP-98): it has an id for its life, numbers what it sends to each partition, and
// sends a batch again, the same one, until it is told where it is.
struct Sending {
  std::int32_t partition = 0;
  std::vector<MessageId> ids;
  Bytes batch;
};
struct Producing {
  std::uint32_t publisher = 0;
  std::int64_t id = kNoProducerId;
  std::int32_t partitions = 0;                    // that it knows
  std::map<std::int32_t, std::int32_t> sequence;  // of the next batch
  std::map<std::int32_t, std::uint64_t> next;     // message
  std::optional<Sending> sending;                 // nobody knows where it is
};

Sending next_batch(runtime::Runtime& runtime, Workload& workload, Producing& producing) {
  Sending sending;
  sending.partition =
      static_cast<std::int32_t>(runtime.random().below(static_cast<std::uint64_t>(producing.partitions)));
  for (std::uint64_t left = 1 + runtime.random().below(5); left > 0; --left) {
    sending.ids.push_back({producing.publisher, static_cast<std::uint32_t>(sending.partition),
                           producing.next[sending.partition]++});
    workload.ledger.sent(sending.ids.back());
  }
  constexpr Compression kCodecs[] = {Compression::kNone, Compression::kNone, Compression::kLz4,
                                     Compression::kZstd, Compression::kGzip};
  const Compression codec = kCodecs[runtime.random().below(5)];
  const std::size_t padding = runtime.random().chance(1, 20) ? 3000 : 0;
  RecordBatchOptions options;
  options.producer_id = producing.id;
  options.producer_epoch = 0;
  options.base_sequence = producing.sequence[sending.partition];
  producing.sequence[sending.partition] += static_cast<std::int32_t>(sending.ids.size());
  sending.batch = batch_of(sending.ids, runtime.wall_now().ms, codec, padding, options);
  return sending;
}

// False when the connection is of no use any more.
Task<bool> send_batch(runtime::Runtime& runtime, Workload& workload, kafka::Client& client,
                      Producing& producing) {
  const Sending& sending = *producing.sending;
  auto produced = co_await client.produce("orders.eu", sending.partition, sending.batch);
  workload.ledger.operation();
  if (!produced) co_return false;
  if (produced->error == kafka::KafkaError::kOutOfOrderSequenceNumber ||
      produced->error == kafka::KafkaError::kInvalidProducerEpoch) {
    workload.judge.fail("producer " + std::to_string(producing.publisher) + " is refused with " +
                        std::string(kafka::to_string(produced->error)) + ", though it sends in order");
    co_return false;
  }
  if (produced->error != kafka::KafkaError::kNone) {
    co_await runtime::sleep(runtime, short_pause(runtime, 300));
    if (produced->error == kafka::KafkaError::kUnknownTopicOrPartition) {
      (void)co_await client.metadata({"orders.eu"}, true);
    }
    co_return true;
  }
  std::int64_t offset = produced->base_offset;
  for (const MessageId& id : sending.ids) {
    workload.ledger.acknowledged(id);
    workload.produced[{"orders.eu", sending.partition, offset++}] = id;
  }
  producing.sending.reset();
  co_return true;
}

}  // namespace

Task<void> run_kafka_producer(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher) {
  workload.running.insert("producer-" + std::to_string(publisher));
  ++workload.producing;
  Producing producing{.publisher = publisher, .sequence = {}, .next = {}, .sending = {}};
  while (!workload.stopping || producing.sending) {
    if (!producing.sending) co_await wait_while_quiet(runtime, workload);
    auto client = co_await kafka::Client::connect(runtime, workload.kafka, kafka_options(workload));
    if (!client) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    if (const auto topic = co_await ask_for_topic(workload, **client, "orders.eu"))
      producing.partitions = static_cast<std::int32_t>(topic->partitions.size());
    // Another life, now and then.
    if (!producing.sending && runtime.random().chance(1, 8)) producing.id = kNoProducerId;
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 20'000));
    while (!(*client)->closed() && producing.partitions > 0 && runtime.now() < until &&
           (workload.busy() || producing.sending)) {
      if (producing.id == kNoProducerId) {
        auto given = co_await (*client)->call(kafka::InitProducerIdRequest());
        if (!given || given->error != kafka::KafkaError::kNone) break;
        producing.id = given->producer_id;
        producing.sequence.clear();
      }
      if (!producing.sending) producing.sending = next_batch(runtime, workload, producing);
      if (!co_await send_batch(runtime, workload, **client, producing)) break;
      if (!producing.sending) co_await runtime::sleep(runtime, short_pause(runtime, 200));
    }
    (*client)->close();
    if (producing.sending) co_await runtime::sleep(runtime, short_pause(runtime, 200));
  }
  --workload.producing;
  workload.running.erase("producer-" + std::to_string(publisher));
}

}  // namespace stele::sim
