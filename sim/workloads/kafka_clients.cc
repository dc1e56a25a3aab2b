#include <algorithm>

#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// So many partitions topics that grow have at most, and sensors has when it is made.
constexpr std::int32_t kMostOrders = 4, kMostSensors = 6, kCapturing = 3;

runtime::Duration short_pause(runtime::Runtime& runtime, std::int64_t max_ms) {
  return std::chrono::microseconds(runtime.random().between(100, max_ms * 1000));
}

Bytes batch_of(const std::vector<MessageId>& ids, std::int64_t now_ms, Compression compression,
               std::size_t padding, RecordBatchOptions options = {}) {
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

}  // namespace

bool note_record(Workload& workload, const std::string& topic, std::int32_t partition,
                 const RecordView& record, const std::string& who) {
  const std::string value(record.value.value_or(""));
  const auto place = std::tuple(topic, partition, record.offset.value);
  auto [at, added] = workload.records.emplace(place, value);
  if (!added && at->second != value) {
    workload.world.fail(who + ": offset " + std::to_string(record.offset.value) + " of " + topic + "-" +
                        std::to_string(partition) + " holds another record than before");
    return false;
  }
  const auto id = MessageId::parse(value);
  if (added && id && workload.kafka_producers.contains(id->publisher)) {
    const auto [first, once] = workload.places.emplace(*id, place);
    if (!once) {
      workload.world.fail("message " + id->text() +
                          " of an idempotent producer is stored twice, at offsets " +
                          std::to_string(std::get<2>(first->second)) + " and " +
                          std::to_string(record.offset.value) + " of " + topic);
      return false;
    }
  }
  if (id && topic == "sensors" && partition >= kCapturing) {
    workload.world.fail("message " + id->text() + " was captured into partition " +
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
    workload.world.fail("producer " + std::to_string(producing.publisher) + " is refused with " +
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

// ---- administration -------------------------------------------------------------------------------------

namespace {

// The earliest offset of a topic that is being trimmed can be fetched, unless it moved meanwhile.
Task<Result<void>> check_earliest(Workload& workload, kafka::Client& client) {
  STELE_CO_TRY(const auto first, co_await client.list_offset("trimmed", 0, kafka::kEarliestTimestamp));
  if (first.error != kafka::KafkaError::kNone) co_return Result<void>();
  kafka::FetchOptions options;
  options.max_wait_ms = 1;
  STELE_CO_TRY(const auto fetched, co_await client.fetch("trimmed", 0, Offset(first.offset), options));
  workload.ledger.operation();
  if (fetched.error != kafka::KafkaError::kOffsetOutOfRange) co_return Result<void>();
  STELE_CO_TRY(const auto again, co_await client.list_offset("trimmed", 0, kafka::kEarliestTimestamp));
  if (again.error == kafka::KafkaError::kNone && again.offset == first.offset) {
    workload.world.fail("the earliest offset of topic trimmed is " + std::to_string(first.offset) +
                        ", and out of range when it is fetched");
  }
  co_return Result<void>();
}

Task<Result<void>> come_and_go(runtime::Runtime& runtime, Workload& workload, kafka::Client& client) {
  const std::string name = "passing-" + std::to_string(runtime.random().below(3));
  STELE_CO_TRY(const auto made,
               co_await client.create_topic(name, static_cast<std::int32_t>(1 + runtime.random().below(4))));
  workload.ledger.operation();
  if (made.error != kafka::KafkaError::kNone && made.error != kafka::KafkaError::kTopicAlreadyExists)
    co_return Result<void>();
  const Bytes batch = batch_of({MessageId{9999, 0, 0}}, runtime.wall_now().ms, Compression::kNone, 0);
  STELE_CO_TRY(const auto produced, co_await client.produce(name, 0, batch));
  if (made.error == kafka::KafkaError::kNone && produced.error == kafka::KafkaError::kNone &&
      produced.base_offset != 0) {
    workload.world.fail("a new topic " + name + " begins at offset " + std::to_string(produced.base_offset));
  }
  STELE_CO_TRY(const auto gone, co_await client.delete_topic(name));
  (void)gone;
  co_return Result<void>();
}

// Settings and numbers of partitions, as they may be: what was acknowledged last, and what was asked since
// and perhaps done. Nobody else changes them.
struct Changing {
  std::map<std::string, std::int32_t> asked;  // the most partitions
  std::set<std::string> retention;            // `retention.bytes` of topic `trimmed`
};

// What became of a change is unknown.
bool may_be_done(kafka::KafkaError error) {
  return error != kafka::KafkaError::kInvalidConfig && error != kafka::KafkaError::kInvalidPartitions;
}

Task<Result<void>> grow(runtime::Runtime& runtime, Workload& workload, kafka::Client& client,
                        Changing& changing, const std::string& topic, std::int32_t most) {
  const std::int32_t known = workload.partitions.at(topic);
  std::int32_t& asked = changing.asked.try_emplace(topic, known).first->second;
  const std::int32_t count = std::min(known + static_cast<std::int32_t>(runtime.random().below(3)), most);
  const bool possible = count > std::max(known, asked);
  asked = std::max(asked, count);
  kafka::CreatePartitionsRequest more;
  more.topics.push_back({topic, count, {}});
  STELE_CO_TRY(const auto grown, co_await client.call(std::move(more)));
  workload.ledger.operation();
  const kafka::KafkaError error = grown.results.at(0).error;
  if (count <= known ? error == kafka::KafkaError::kNone : possible && !may_be_done(error)) {
    workload.world.fail("topic " + topic + " has " + std::to_string(known) + " partitions, and " +
                        std::to_string(count) + " are answered with " + std::string(kafka::to_string(error)));
  }
  if (error == kafka::KafkaError::kNone)
    workload.partitions[topic] = std::max(workload.partitions[topic], count);
  co_return Result<void>();
}

Task<Result<void>> check_retention(Workload& workload, kafka::Client& client, const Changing& changing) {
  kafka::DescribeConfigsRequest ask;
  ask.resources.push_back({2, "trimmed", {{"retention.bytes"}}});
  STELE_CO_TRY(const auto told, co_await client.call(std::move(ask)));
  workload.ledger.operation();
  if (told.resources.at(0).error != kafka::KafkaError::kNone) co_return Result<void>();
  const std::string value = told.resources[0].configs.at(0).value.value_or("");
  if (!changing.retention.contains(value))
    workload.world.fail("retention.bytes of topic trimmed is " + value + ", as nobody has set it last");
  co_return Result<void>();
}

Task<Result<void>> change_topics(runtime::Runtime& runtime, Workload& workload, kafka::Client& client,
                                 Changing& changing) {
  STELE_CO_CHECK(co_await grow(runtime, workload, client, changing, "sensors", kMostSensors));
  STELE_CO_CHECK(co_await grow(runtime, workload, client, changing, "orders.eu", kMostOrders));
  STELE_CO_CHECK(co_await check_retention(workload, client, changing));
  const std::string bytes = std::to_string(runtime.random().between(20'000, 60'000));
  changing.retention.insert(bytes);
  kafka::IncrementalAlterConfigsRequest alter;
  alter.resources.push_back({2, "trimmed", {{"retention.bytes", 0, bytes}}});
  STELE_CO_TRY(const auto altered, co_await client.call(std::move(alter)));
  workload.ledger.operation();
  const kafka::KafkaError error = altered.responses.at(0).error;
  if (!may_be_done(error)) workload.world.fail("retention.bytes cannot be set to " + bytes);
  if (error == kafka::KafkaError::kNone) changing.retention = {bytes};
  co_return co_await check_retention(workload, client, changing);
}

// Of topic `deleted`, from which nothing goes but by DeleteRecords, and that by one client alone.
struct Deleting {
  std::uint64_t sequence = 0;
  std::int64_t start = 0;      // it begins there at least
  std::int64_t start_max = 0;  // and no further
};

Task<Result<void>> check_deleted(Workload& workload, kafka::Client& client, const Deleting& deleting) {
  if (deleting.start != deleting.start_max) co_return Result<void>();
  for (std::int64_t offset = std::max<std::int64_t>(deleting.start - 1, 0); offset <= deleting.start;
       ++offset) {
    kafka::FetchOptions options;
    options.max_wait_ms = 1;
    STELE_CO_TRY(const auto fetched, co_await client.fetch("deleted", 0, Offset(offset), options));
    workload.ledger.operation();
    const bool gone = fetched.error == kafka::KafkaError::kOffsetOutOfRange;
    const bool there = fetched.error == kafka::KafkaError::kNone;
    if (offset < deleting.start ? there : gone) {
      workload.world.fail("records below " + std::to_string(deleting.start) +
                          " of topic deleted were deleted, and offset " + std::to_string(offset) +
                          (gone ? " is out of range" : " can be fetched"));
    }
  }
  co_return Result<void>();
}

Task<Result<void>> delete_records(runtime::Runtime& runtime, Workload& workload, kafka::Client& client,
                                  Deleting& deleting, std::uint32_t publisher) {
  std::vector<MessageId> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back({publisher, 1, deleting.sequence++});
    workload.ledger.sent(ids.back());
  }
  STELE_CO_TRY(
      const auto produced,
      co_await client.produce("deleted", 0, batch_of(ids, runtime.wall_now().ms, Compression::kNone, 1000)));
  (void)produced;
  STELE_CO_TRY(const auto first, co_await client.list_offset("deleted", 0, kafka::kEarliestTimestamp));
  STELE_CO_TRY(const auto end, co_await client.list_offset("deleted", 0, kafka::kLatestTimestamp));
  if (first.error != kafka::KafkaError::kNone || end.error != kafka::KafkaError::kNone)
    co_return Result<void>();
  if (first.offset < deleting.start || first.offset > deleting.start_max) {
    workload.world.fail("topic deleted begins at " + std::to_string(first.offset) +
                        ", though records were deleted up to " + std::to_string(deleting.start) +
                        " at least and " + std::to_string(deleting.start_max) + " at most");
  }
  if (!runtime.random().chance(1, 2)) co_return co_await check_deleted(workload, client, deleting);
  // All that are there, sometimes; nobody else writes.
  const bool all = runtime.random().chance(1, 8);
  const std::int64_t wanted = all ? end.offset : runtime.random().between(first.offset, end.offset);
  const std::int64_t before =
      std::exchange(deleting.start_max, all ? INT64_MAX : std::max(deleting.start_max, wanted));
  kafka::DeleteRecordsRequest request;
  request.topics.push_back({"deleted", {{0, all ? -1 : wanted}}});
  STELE_CO_TRY(const auto response, co_await client.call(std::move(request)));
  workload.ledger.operation();
  const auto& answer = response.topics.at(0).partitions.at(0);
  if (answer.error == kafka::KafkaError::kOffsetOutOfRange ||
      (answer.error == kafka::KafkaError::kNone && answer.low_watermark < wanted)) {
    workload.world.fail("deleting records of topic deleted up to " + std::to_string(wanted) +
                        ", where it ends at " + std::to_string(end.offset) + ", is answered with " +
                        std::string(kafka::to_string(answer.error)) + " and offset " +
                        std::to_string(answer.low_watermark));
  }
  if (answer.error != kafka::KafkaError::kNone) co_return Result<void>();
  deleting.start = answer.low_watermark;
  if (all) deleting.start_max = std::max(before, answer.low_watermark);
  co_return co_await check_deleted(workload, client, deleting);
}

}  // namespace

Task<void> run_admin(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher) {
  workload.running.insert("admin");
  ++workload.producing;
  std::uint64_t sequence = 0;
  Deleting deleting;
  Changing changing{.asked = {}, .retention = {"40000"}};
  while (!workload.stopping) {
    co_await wait_while_quiet(runtime, workload);
    auto client = co_await kafka::Client::connect(runtime, workload.kafka, kafka_options(workload));
    if (!client) {
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
      continue;
    }
    std::vector<kafka::CreateTopicsRequest::Config> configs;
    configs.push_back({"retention.bytes", "40000"});
    (void)co_await (*client)->create_topic("trimmed", 1, configs);
    (void)co_await (*client)->create_topic("deleted", 1, {{"retention.ms", "-1"}});
    const runtime::Instant until =
        runtime.now() + std::chrono::milliseconds(runtime.random().between(50, 20'000));
    while (!(*client)->closed() && runtime.now() < until && workload.busy()) {
      std::vector<MessageId> ids;
      for (int i = 0; i < 10; ++i) {
        ids.push_back({publisher, 0, sequence++});
        workload.ledger.sent(ids.back());
      }
      auto produced = co_await (*client)->produce(
          "trimmed", 0, batch_of(ids, runtime.wall_now().ms, Compression::kNone, 1000));
      if (!produced) break;
      if (!co_await check_earliest(workload, **client)) break;
      if (runtime.random().chance(1, 2) &&
          !co_await delete_records(runtime, workload, **client, deleting, publisher))
        break;
      if (runtime.random().chance(1, 6) && !co_await change_topics(runtime, workload, **client, changing))
        break;
      if (runtime.random().chance(1, 3) && !co_await come_and_go(runtime, workload, **client)) break;
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
    }
    (*client)->close();
  }
  --workload.producing;
  workload.running.erase("admin");
}

}  // namespace stele::sim
