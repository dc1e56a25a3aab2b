// An administrator: makes topics, changes them, deletes them and records of theirs, and holds the broker to
// what it was told.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocols/kafka/client.h"
#include "runtime/scope.h"
#include "sim/workloads/clients.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// So many partitions topics that grow have at most.
constexpr std::int32_t kMostOrders = 4, kMostSensors = 6;

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
    workload.judge.fail("the earliest offset of topic trimmed is " + std::to_string(first.offset) +
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
    workload.judge.fail("a new topic " + name + " begins at offset " + std::to_string(produced.base_offset));
  }
  STELE_CO_TRY(const auto gone, co_await client.delete_topic(name));
  (void)gone;
  co_return Result<void>();
}

// ---- topics that are used while they are made ----------------------------------------------------------

// Metadata, and what is produced right behind it on the same connection.
struct Behind {
  bool told = false;  // that the topic is there
};

Task<void> ask_whether_there(kafka::Client& client, std::string topic, std::shared_ptr<Behind> pair) {
  const auto metadata = co_await client.metadata({std::move(topic)}, false);
  pair->told =
      metadata && metadata->topics.size() == 1 && metadata->topics[0].error == kafka::KafkaError::kNone;
}

// To all its partitions, whose owners may not have heard of it yet.
Task<void> produce_behind(Workload& workload, kafka::Client& client, std::string topic,
                          std::int32_t partitions, Bytes batch, std::shared_ptr<Behind> pair) {
  kafka::ProduceRequest request;
  request.timeout_ms = 30'000;
  auto& named = request.topics.emplace_back();
  named.name = topic;
  for (std::int32_t partition = 0; partition < partitions; ++partition)
    named.partitions.push_back({.index = partition, .records = batch.view()});
  const auto produced = co_await client.call(std::move(request), kafka::kLastNamedProduce);
  if (!produced || !pair->told) co_return;
  for (const auto& partition : produced->topics.at(0).partitions) {
    if (partition.error != kafka::KafkaError::kUnknownTopicOrPartition) continue;
    workload.judge.fail("topic " + topic + " was seen, and its partition " + std::to_string(partition.index) +
                        " is unknown to what was produced behind that");
  }
}

Task<void> make(kafka::Client& client, std::string topic, std::int32_t partitions, bool& answered) {
  (void)co_await client.create_topic(std::move(topic), partitions);
  answered = true;
}

// Whoever is told of a topic finds it, also at owners that have not heard of it when they are asked. Its name
// is nobody else's, at any time.
Task<Result<void>> use_while_made(runtime::Runtime& runtime, Workload& workload, kafka::Client& client,
                                  std::uint32_t number) {
  constexpr std::int32_t kPartitions = 4;
  constexpr int kPairs = 150;
  kafka::ClientOptions options = kafka_options(workload);
  options.max_in_flight = 2 * kPairs;
  STELE_CO_TRY(auto other, co_await kafka::Client::connect(runtime, workload.kafka, std::move(options)));
  const std::string topic = "sudden-" + std::to_string(number);
  bool made = false;
  runtime::Scope scope;
  scope.spawn(make(client, topic, kPartitions, made));
  for (int i = 0; i < kPairs && !made && !other->closed(); ++i) {
    auto pair = std::make_shared<Behind>();
    scope.spawn(ask_whether_there(*other, topic, pair));
    scope.spawn(produce_behind(workload, *other, topic, kPartitions,
                               batch_of({{9999, 1, 0}}, runtime.wall_now().ms, Compression::kNone, 0), pair));
    co_await runtime::sleep(runtime, std::chrono::microseconds(runtime.random().between(20, 20 + 4 * i)));
  }
  co_await scope.join();
  other->close();
  workload.ledger.operation();
  STELE_CO_TRY(const auto gone, co_await client.delete_topic(topic));
  (void)gone;
  co_return Result<void>();
}

// ---- topics that are there for everybody at once --------------------------------------------------------

Task<void> expect_there(Workload& workload, kafka::Client& client, const std::string& topic) {
  const auto metadata = co_await client.metadata({topic}, false);
  if (!metadata || metadata->topics.size() != 1) co_return;
  workload.ledger.operation();
  if (metadata->topics[0].error != kafka::KafkaError::kUnknownTopicOrPartition) co_return;
  workload.judge.fail("topic " + topic + " was made, and is unknown on another connection");
}

// Connections that were there before a topic is made, most of them on other cores, know of it as soon as its
// maker does. Nobody else knows its name.
Task<Result<void>> make_for_everybody(runtime::Runtime& runtime, Workload& workload, kafka::Client& client,
                                      std::uint32_t number) {
  constexpr int kOthers = 4;
  std::vector<std::unique_ptr<kafka::Client>> others;
  for (int i = 0; i < kOthers; ++i) {
    STELE_CO_TRY(auto other,
                 co_await kafka::Client::connect(runtime, workload.kafka, kafka_options(workload)));
    others.push_back(std::move(other));
  }
  for (int topics = 0; topics < 4; ++topics) {
    const std::string topic = "fresh-" + std::to_string(number) + "-" + std::to_string(topics);
    STELE_CO_TRY(const auto made, co_await client.create_topic(topic, 1));
    if (made.error == kafka::KafkaError::kNone) {
      runtime::Scope scope;
      for (auto& other : others) scope.spawn(expect_there(workload, *other, topic));
      co_await scope.join();
    }
    STELE_CO_TRY(const auto gone, co_await client.delete_topic(topic));
    (void)gone;
  }
  co_return Result<void>();
}

// ---- topics that are changed ----------------------------------------------------------------------------

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
    workload.judge.fail("topic " + topic + " has " + std::to_string(known) + " partitions, and " +
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
    workload.judge.fail("retention.bytes of topic trimmed is " + value + ", as nobody has set it last");
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
  if (!may_be_done(error)) workload.judge.fail("retention.bytes cannot be set to " + bytes);
  if (error == kafka::KafkaError::kNone) changing.retention = {bytes};
  kafka::IncrementalAlterConfigsRequest captures;
  captures.resources.push_back(
      {2, "states", {{"stele.capture", 0, captured_states(runtime.random().chance(1, 2))}}});
  STELE_CO_TRY(const auto changed, co_await client.call(std::move(captures)));
  (void)changed;
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
      workload.judge.fail("records below " + std::to_string(deleting.start) +
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
    workload.judge.fail("topic deleted begins at " + std::to_string(first.offset) +
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
    workload.judge.fail("deleting records of topic deleted up to " + std::to_string(wanted) +
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

std::string captured_states(bool sometimes_too) {
  std::string captured = "state/" + std::to_string(kCapturedState);
  if (sometimes_too) captured += ",state/" + std::to_string(kSometimesCapturedState);
  return captured;
}

Task<void> run_admin(runtime::Runtime& runtime, Workload& workload, std::uint32_t publisher) {
  workload.running.insert("admin");
  ++workload.producing;
  std::uint64_t sequence = 0;
  Deleting deleting;
  std::uint32_t sudden = 0, fresh = 0;
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
      if (runtime.random().chance(1, 5) && !co_await use_while_made(runtime, workload, **client, sudden++))
        break;
      if (runtime.random().chance(1, 4) && !co_await make_for_everybody(runtime, workload, **client, fresh++))
        break;
      co_await runtime::sleep(runtime, short_pause(runtime, 500));
    }
    (*client)->close();
  }
  --workload.producing;
  workload.running.erase("admin");
}

}  // namespace stele::sim
