// Fetching from a whole node: fetch sessions (KIP-227), leader epochs (KIP-320) and deleted records (KIP-107)
// across restarts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/record_batch_builder.h"
#include "protocols/kafka/client.h"
#include "tests/node/one_node.h"

namespace stele {
namespace {

using kafka::FetchRequest;
using kafka::FetchResponse;
using kafka::KafkaError;
using runtime::Task;
using testing::OneNode;
using namespace std::chrono_literals;

constexpr std::int16_t kByName = 12, kById = 18;

Bytes batch_of(int records) {
  std::string out;
  RecordBatchBuilder builder(out, {});
  for (int i = 0; i < records; ++i) builder.append(1000 + i, std::nullopt, "v");
  EXPECT_TRUE(builder.finish());
  return Bytes::copy(out);
}

Task<void> produce(kafka::Client& client, std::int32_t partition, int records, std::int64_t expected) {
  const auto produced = co_await client.produce("t", partition, batch_of(records));
  EXPECT_TRUE(produced && produced->error == KafkaError::kNone);
  if (produced) EXPECT_EQ(produced->base_offset, expected);
}

// What a fetch is answered with.
struct Told {
  KafkaError error = KafkaError::kUnknownServerError;
  std::int32_t session = -1;
  std::vector<std::pair<std::int32_t, std::int64_t>> partitions;  // with the bytes of their records
  std::vector<KafkaError> errors;                                 // of the partitions
  std::vector<std::int32_t> numbers() const {
    std::vector<std::int32_t> out;
    for (const auto& [partition, bytes] : partitions) out.push_back(partition);
    return out;
  }
};

FetchRequest asking(std::int32_t session, std::int32_t epoch, std::int32_t max_wait_ms = 10) {
  FetchRequest request;
  request.session_id = session;
  request.session_epoch = epoch;
  request.max_wait_ms = max_wait_ms;
  request.min_bytes = 1;
  return request;
}
void add(FetchRequest& request, kafka::Uuid id, std::int32_t partition, std::int64_t offset,
         std::int32_t leader_epoch = -1) {
  if (request.topics.empty()) {
    request.topics.emplace_back().topic = "t";
    request.topics[0].topic_id = id;
  }
  auto& asked = request.topics[0].partitions.emplace_back();
  asked.partition = partition;
  asked.fetch_offset = offset;
  asked.partition_max_bytes = 1 << 20;
  asked.current_leader_epoch = leader_epoch;
}

Task<Told> fetch(kafka::Client& client, FetchRequest request, std::int16_t version) {
  Told told;
  const auto response = co_await client.call(std::move(request), version);
  EXPECT_TRUE(response);
  if (!response) co_return told;
  told.error = response->error;
  told.session = response->session_id;
  for (const auto& topic : response->topics) {
    EXPECT_EQ(topic.topic, version >= 13 ? "" : "t");
    for (const auto& one : topic.partitions) {
      told.partitions.emplace_back(one.partition_index, one.records.size());
      told.errors.push_back(one.error);
    }
  }
  co_return told;
}

Task<kafka::Uuid> topic_id(kafka::Client& client) {
  const auto metadata = co_await client.metadata({"t"}, false);
  EXPECT_TRUE(metadata);
  co_return metadata->topics.at(0).topic_id;
}

Task<void> session(OneNode& node, std::int16_t version) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 3));
  const kafka::Uuid id = co_await topic_id(*client);
  co_await produce(*client, 0, 2, 0);
  FetchRequest first = asking(0, 0);
  for (std::int32_t partition = 0; partition < 3; ++partition) add(first, id, partition, 0);
  Told told = co_await fetch(*client, std::move(first), version);
  EXPECT_EQ(told.error, KafkaError::kNone);
  EXPECT_EQ(told.numbers(), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_GT(told.partitions.at(0).second, 0);
  const std::int32_t session = told.session;
  EXPECT_GT(session, 0);
  // It got on in partition 0; nothing is new.
  FetchRequest second = asking(session, 1);
  add(second, id, 0, 2);
  told = co_await fetch(*client, std::move(second), version);
  EXPECT_EQ(told.error, KafkaError::kNone);
  EXPECT_EQ(told.session, session);
  EXPECT_TRUE(told.partitions.empty());
  // What comes is told, as long as it is not read.
  co_await produce(*client, 2, 1, 0);
  for (std::int32_t epoch : {2, 3}) {
    told = co_await fetch(*client, asking(session, epoch), version);
    EXPECT_EQ(told.numbers(), std::vector<std::int32_t>{2});
    EXPECT_GT(told.partitions.at(0).second, 0);
  }
  // Not what it does not want to hear of any more.
  FetchRequest fourth = asking(session, 4);
  fourth.forgotten_topics.push_back({"t", id, {2}});
  told = co_await fetch(*client, std::move(fourth), version);
  EXPECT_TRUE(told.partitions.empty());
  // On another connection of the same core, too.
  client->close();
  client = co_await node.connect();
  co_await produce(*client, 1, 1, 0);
  told = co_await fetch(*client, asking(session, 5), version);
  EXPECT_EQ(told.numbers(), std::vector<std::int32_t>{1});
  // Once.
  told = co_await fetch(*client, asking(session, 5), version);
  EXPECT_EQ(told.error, KafkaError::kInvalidFetchSessionEpoch);
  EXPECT_EQ(told.session, 0);
  EXPECT_TRUE(told.partitions.empty());
  // Nobody knows it after a restart.
  client->close();
  co_await node.restart(sim::CrashMode::kKill);
  client = co_await node.connect();
  told = co_await fetch(*client, asking(session, 6), version);
  EXPECT_EQ(told.error, KafkaError::kFetchSessionIdNotFound);
}

TEST(KafkaFetchSession, TellsWhatIsNew) {
  OneNode(1).run([](OneNode& node) { return session(node, kByName); });
  OneNode(2).run([](OneNode& node) { return session(node, kById); });
}

Task<void> fetch_into(kafka::Client* client, FetchRequest request, Told* told) {
  *told = co_await fetch(*client, std::move(request), kByName);
}

Task<void> who_does_not_wait(OneNode& node) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 1));
  FetchRequest first = asking(0, 0);
  add(first, {}, 0, 0);
  const Told opened = co_await fetch(*client, std::move(first), kByName);
  Told early, late;
  runtime::Scope scope;
  const runtime::Instant begun = node.runtime().now();
  scope.spawn(fetch_into(client.get(), asking(opened.session, 1, 5000), &early));
  scope.spawn(fetch_into(client.get(), asking(opened.session, 2, 10'000), &late));
  co_await node.sleep(1s);
  // Another client's records end the waiting.
  auto other = co_await node.connect();
  co_await produce(*other, 0, 1, 0);
  co_await scope.join();
  EXPECT_LT(node.runtime().now() - begun, 3s);
  EXPECT_EQ(early.error, KafkaError::kInvalidFetchSessionEpoch);
  EXPECT_EQ(late.error, KafkaError::kNone);
  EXPECT_EQ(late.numbers(), std::vector<std::int32_t>{0});
}

TEST(KafkaFetchSession, OnlyTheLatestFetchOfASessionIsAnswered) {
  OneNode(3).run([](OneNode& node) { return who_does_not_wait(node); });
}

Task<void> no_room(OneNode& node) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 1));
  std::vector<std::int32_t> sessions;
  for (int i = 0; i < 3; ++i) {
    FetchRequest request = asking(0, 0);
    add(request, {}, 0, 0);
    const Told told = co_await fetch(*client, std::move(request), kByName);
    EXPECT_EQ(told.error, KafkaError::kNone);
    EXPECT_EQ(told.numbers(), std::vector<std::int32_t>{0});
    sessions.push_back(told.session);
  }
  EXPECT_GT(sessions[0], 0);
  EXPECT_GT(sessions[1], 0);
  EXPECT_EQ(sessions[2], 0);
  // With its topic it does not end: its client is told.
  (void)co_await client->delete_topic("t");
  const Told gone = co_await fetch(*client, asking(sessions[0], 1), kByName);
  EXPECT_EQ(gone.error, KafkaError::kNone);
  EXPECT_EQ(gone.errors, std::vector<KafkaError>{KafkaError::kUnknownTopicOrPartition});
}

TEST(KafkaFetchSession, WhoGetsNoneFetchesInFull) {
  OneNode node(4);
  node.configure = [](server::NodeConfig& config) { config.kafka_options.fetch_sessions.sessions = 2; };
  node.run([](OneNode& there) { return no_room(there); });
}

// ---- leader epochs --------------------------------------------------------------------------------------

Task<std::int32_t> epoch_told(kafka::Client& client) {
  const auto metadata = co_await client.metadata({"t"}, false);
  EXPECT_TRUE(metadata);
  co_return metadata->topics.at(0).partitions.at(0).leader_epoch;
}

Task<std::pair<std::int32_t, std::int64_t>> end_of(kafka::Client& client, std::int32_t epoch,
                                                   std::int32_t current = -1,
                                                   KafkaError expected = KafkaError::kNone) {
  kafka::OffsetForLeaderEpochRequest request;
  request.topics.push_back({"t", {{0, current, epoch}}});
  const auto response = co_await client.call(std::move(request));
  EXPECT_TRUE(response);
  const auto& answer = response->topics.at(0).partitions.at(0);
  EXPECT_EQ(answer.error, expected);
  co_return std::pair(answer.leader_epoch, answer.end_offset);
}

Task<KafkaError> fetch_error(kafka::Client& client, std::int32_t leader_epoch) {
  FetchRequest request = asking(0, -1);
  add(request, {}, 0, 0, leader_epoch);
  const Told told = co_await fetch(client, std::move(request), kByName);
  EXPECT_EQ(told.errors.size(), 1U);
  co_return told.errors.at(0);
}

using End = std::pair<std::int32_t, std::int64_t>;
constexpr End kNotKnown{-1, -1};

Task<void> leader_epochs(OneNode& node) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 1));
  const std::int32_t first = co_await epoch_told(*client);
  EXPECT_GT(first, 0);
  EXPECT_EQ(co_await end_of(*client, first), (End{first, 0}));
  EXPECT_EQ((co_await client->list_offset("t", 0, kafka::kLatestTimestamp))->leader_epoch, -1);
  co_await produce(*client, 0, 4, 0);
  EXPECT_EQ(co_await end_of(*client, first), (End{first, 4}));
  const std::vector<std::optional<sim::CrashMode>> ends{std::nullopt, sim::CrashMode::kPowerLoss};
  for (const auto& end : ends) {
    client->close();
    co_await node.restart(end);
    client = co_await node.connect();
  }
  const std::int32_t second = co_await epoch_told(*client);
  EXPECT_GT(second, first + 1);
  // Nothing was written since, or by the one between.
  EXPECT_EQ(co_await end_of(*client, first), (End{first, 4}));
  EXPECT_EQ(co_await end_of(*client, first + 1), (End{first, 4}));
  EXPECT_EQ(co_await end_of(*client, second), (End{second, 4}));
  co_await produce(*client, 0, 3, 4);
  EXPECT_EQ(co_await end_of(*client, first), (End{first, 4}));
  EXPECT_EQ(co_await end_of(*client, first + 1), (End{first, 4}));
  EXPECT_EQ(co_await end_of(*client, second), (End{second, 7}));
  EXPECT_EQ(co_await end_of(*client, second + 1), kNotKnown);
  EXPECT_EQ(co_await end_of(*client, -1), kNotKnown);
  // Earlier than anything.
  EXPECT_EQ(co_await end_of(*client, 0), (End{0, 0}));

  EXPECT_EQ((co_await client->list_offset("t", 0, kafka::kEarliestTimestamp))->leader_epoch, first);
  EXPECT_EQ((co_await client->list_offset("t", 0, kafka::kLatestTimestamp))->leader_epoch, second);
  const auto by_time = co_await client->list_offset("t", 0, 1003);
  EXPECT_EQ(by_time->offset, 3);
  EXPECT_EQ(by_time->leader_epoch, first);

  EXPECT_EQ(co_await end_of(*client, first, first, KafkaError::kFencedLeaderEpoch), kNotKnown);
  EXPECT_EQ(co_await end_of(*client, first, second + 1, KafkaError::kUnknownLeaderEpoch), kNotKnown);
  EXPECT_EQ(co_await end_of(*client, first, second), (End{first, 4}));
  EXPECT_EQ(co_await fetch_error(*client, first), KafkaError::kFencedLeaderEpoch);
  EXPECT_EQ(co_await fetch_error(*client, second), KafkaError::kNone);
  EXPECT_EQ(co_await fetch_error(*client, second + 1), KafkaError::kUnknownLeaderEpoch);
}

TEST(KafkaLeaderEpoch, GoesUpWithEveryOwnerAndItsRecordsAreKnown) {
  for (std::uint32_t cores = 1; cores <= 3; ++cores) {
    OneNode(cores, cores).run([](OneNode& node) { return leader_epochs(node); });
  }
}

// ---- deleted records ------------------------------------------------------------------------------------

// (low watermark, error) of partition 0 of the topic.
Task<std::pair<std::int64_t, KafkaError>> delete_below(kafka::Client& client, std::int64_t offset) {
  kafka::DeleteRecordsRequest request;
  request.topics.push_back({"t", {{0, offset}}});
  const auto response = co_await client.call(std::move(request));
  EXPECT_TRUE(response);
  const auto& answer = response->topics.at(0).partitions.at(0);
  co_return std::pair(answer.low_watermark, answer.error);
}

Task<void> begins_at(kafka::Client& client, std::int64_t start, std::int64_t end) {
  const auto earliest = co_await client.list_offset("t", 0, kafka::kEarliestTimestamp);
  EXPECT_TRUE(earliest);
  EXPECT_EQ(earliest->offset, start);
  const auto latest = co_await client.list_offset("t", 0, kafka::kLatestTimestamp);
  EXPECT_EQ(latest->offset, end);
  const auto below = co_await client.fetch("t", 0, Offset(start - 1), {});
  EXPECT_EQ(below->error, KafkaError::kOffsetOutOfRange);
  kafka::FetchOptions options;
  options.max_wait_ms = 1;
  const auto there = co_await client.fetch("t", 0, Offset(start), options);
  EXPECT_EQ(there->error, KafkaError::kNone);
  EXPECT_EQ(there->log_start_offset, start);
  std::int64_t next = start;
  EXPECT_TRUE(kafka::each_record(there->records.flatten(), Offset(start),
                                 [&](const RecordView& record) { EXPECT_EQ(record.offset.value, next++); }));
  EXPECT_EQ(next, end);
  // By time: nothing that is gone.
  const auto by_time = co_await client.list_offset("t", 0, 1000);
  EXPECT_EQ(by_time->offset, start < end ? start : -1);
}

using Deleted = std::pair<std::int64_t, KafkaError>;

Task<void> deleted_records(OneNode& node) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 1));
  co_await produce(*client, 0, 4, 0);
  co_await produce(*client, 0, 6, 4);
  EXPECT_EQ(co_await delete_below(*client, 11), (Deleted{-1, KafkaError::kOffsetOutOfRange}));
  EXPECT_EQ(co_await delete_below(*client, -2), (Deleted{-1, KafkaError::kOffsetOutOfRange}));
  // In the middle of a batch, and at the beginning of one; never back.
  const std::vector<std::optional<sim::CrashMode>> ends{sim::CrashMode::kKill, std::nullopt,
                                                        sim::CrashMode::kPowerLoss};
  std::int64_t start = 0;
  for (const std::int64_t offset : std::vector<std::int64_t>{3, 4, 2, 7, -1}) {
    const std::int64_t expected = offset < 0 ? 10 : std::max(start, offset);
    EXPECT_EQ(co_await delete_below(*client, offset), (Deleted{expected, KafkaError::kNone})) << offset;
    start = expected;
    co_await begins_at(*client, start, 10);
    client->close();
    co_await node.restart(ends[static_cast<std::size_t>(start) % ends.size()]);
    client = co_await node.connect();
    co_await begins_at(*client, start, 10);
  }
  // What comes goes on from there.
  co_await produce(*client, 0, 2, 10);
  co_await begins_at(*client, 10, 12);
}

TEST(KafkaDeleteRecords, AreGoneForGood) {
  for (std::uint32_t cores = 1; cores <= 2; ++cores) {
    OneNode(cores + 10, cores).run([](OneNode& node) { return deleted_records(node); });
  }
}

Task<void> deletions_at_once(OneNode& node) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 5));
  for (std::int32_t partition = 0; partition < 5; ++partition) co_await produce(*client, partition, 3, 0);
  kafka::DeleteRecordsRequest request;
  request.topics.push_back({"t", {{0, 1}, {9, 1}, {1, -1}, {2, 0}, {3, 4}, {4, 2}}});
  request.topics.push_back({"never", {{0, 1}}});
  const auto response = co_await client->call(std::move(request));
  EXPECT_TRUE(response);
  std::vector<Deleted> answers;
  for (const auto& topic : response->topics) {
    for (const auto& one : topic.partitions) answers.emplace_back(one.low_watermark, one.error);
  }
  EXPECT_EQ(answers, (std::vector<Deleted>{{1, KafkaError::kNone},
                                           {-1, KafkaError::kUnknownTopicOrPartition},
                                           {3, KafkaError::kNone},
                                           {0, KafkaError::kNone},
                                           {-1, KafkaError::kOffsetOutOfRange},
                                           {2, KafkaError::kNone},
                                           {-1, KafkaError::kUnknownTopicOrPartition}}));
}

TEST(KafkaDeleteRecords, OfPartitionsOnAllCores) {
  for (std::uint32_t cores = 1; cores <= 3; ++cores) {
    OneNode(cores + 20, cores).run([](OneNode& node) { return deletions_at_once(node); });
  }
}

// ---- topics that change ---------------------------------------------------------------------------------

Task<KafkaError> grow(kafka::Client& client, std::int32_t count) {
  kafka::CreatePartitionsRequest request;
  request.topics.push_back({"t", count, {}});
  const auto response = co_await client.call(std::move(request));
  EXPECT_TRUE(response);
  co_return response->results.at(0).error;
}

Task<KafkaError> alter(kafka::Client& client, std::string name, std::string value) {
  kafka::IncrementalAlterConfigsRequest request;
  request.resources.push_back({2, "t", {{std::move(name), 0, std::move(value)}}});
  const auto response = co_await client.call(std::move(request));
  EXPECT_TRUE(response);
  co_return response->responses.at(0).error;
}

Task<void> changing(OneNode& node) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 1));
  co_await produce(*client, 0, 3, 0);
  EXPECT_EQ(co_await grow(*client, 1), KafkaError::kInvalidPartitions);
  EXPECT_EQ(co_await grow(*client, 4), KafkaError::kNone);
  for (std::int32_t partition = 1; partition < 4; ++partition) co_await produce(*client, partition, 2, 0);
  co_await produce(*client, 0, 1, 3);
  EXPECT_EQ(co_await alter(*client, "no.such.setting", "1"), KafkaError::kInvalidConfig);
  EXPECT_EQ(co_await alter(*client, "retention.ms", "soon"), KafkaError::kInvalidConfig);
  EXPECT_EQ(co_await alter(*client, "stele.key", "none"), KafkaError::kInvalidConfig);
  EXPECT_EQ(co_await alter(*client, "max.message.bytes", "10"), KafkaError::kNone);
  const auto too_large = co_await client->produce("t", 0, batch_of(1));
  EXPECT_EQ(too_large->error, KafkaError::kMessageTooLarge);
  client->close();
  co_await node.restart(sim::CrashMode::kPowerLoss);
  client = co_await node.connect();
  const auto metadata = co_await client->metadata({"t"}, false);
  EXPECT_EQ(metadata->topics.at(0).partitions.size(), 4U);
  EXPECT_EQ(co_await alter(*client, "max.message.bytes", "1000000"), KafkaError::kNone);
  for (std::int32_t partition = 1; partition < 4; ++partition) co_await produce(*client, partition, 2, 2);
  // The records are from 1970.
  EXPECT_EQ(co_await alter(*client, "retention.ms", "1000"), KafkaError::kNone);
  co_await node.sleep(5s);
  for (std::int32_t partition = 0; partition < 4; ++partition) {
    const auto earliest = co_await client->list_offset("t", partition, kafka::kEarliestTimestamp);
    EXPECT_EQ(earliest->offset, 4) << partition;
  }
}

TEST(KafkaTopics, GrowAndChange) {
  for (std::uint32_t cores = 1; cores <= 3; ++cores) {
    OneNode(cores + 30, cores).run([](OneNode& node) { return changing(node); });
  }
}

// ---- sizes ----------------------------------------------------------------------------------------------

Task<void> sizes(OneNode& node) {
  auto client = co_await node.connect();
  EXPECT_TRUE(co_await client->create_topic("t", 4));
  co_await produce(*client, 2, 10, 0);
  const auto response = co_await client->call(kafka::DescribeLogDirsRequest());
  EXPECT_TRUE(response && response->error == KafkaError::kNone);
  EXPECT_EQ(response->results.size(), 1U);
  EXPECT_EQ(response->results.at(0).log_dir, "/data");
  EXPECT_EQ(response->results.at(0).topics.size(), 1U);
  const auto& partitions = response->results.at(0).topics.at(0).partitions;
  EXPECT_EQ(partitions.size(), 4U);
  for (const auto& one : partitions) EXPECT_EQ(one.partition_size > 0, one.partition_index == 2);
}

TEST(KafkaLogDirs, SizesOfPartitionsOnAllCores) {
  for (std::uint32_t cores = 1; cores <= 3; ++cores) {
    OneNode(cores, cores).run([](OneNode& node) { return sizes(node); });
  }
}

}  // namespace
}  // namespace stele
