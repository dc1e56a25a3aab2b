// What is asked of streams: OffsetForLeaderEpoch, ListOffsets, DeleteRecords, DescribeLogDirs, and the leader
// epochs that clients name and are told.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "protocols/kafka/messages/delete_records.h"
#include "protocols/kafka/messages/describe_log_dirs.h"
#include "protocols/kafka/messages/list_offsets.h"
#include "protocols/kafka/messages/metadata.h"
#include "protocols/kafka/messages/offset_for_leader_epoch.h"
#include "protocols/kafka/server/testing/fake_broker.h"

namespace stele::kafka {
namespace {

using testing::FakeBroker;
using testing::FakeClient;

class Streams : public ::testing::Test {
 protected:
  Streams() {
    stream = {broker.add_topic("orders").id, PartitionId(0)};
    broker.epoch = Epoch(7);
  }
  OffsetForLeaderEpochResponse::Partition end_of(std::int32_t epoch, std::int32_t current = -1,
                                                 const std::string& topic = "orders",
                                                 std::int16_t version = 4) {
    OffsetForLeaderEpochRequest request;
    request.topics.push_back({topic, {{0, current, epoch}}});
    auto response = client.ask<OffsetForLeaderEpochResponse>(version, request);
    EXPECT_EQ(response.topics.at(0).topic, topic);
    return response.topics.at(0).partitions.at(0);
  }
  ListOffsetsResponse::Partition earliest(std::int32_t current) {
    ListOffsetsRequest request;
    request.topics.push_back({"orders", {{0, current, kEarliestTimestamp}}});
    return client.ask<ListOffsetsResponse>(7, request).topics.at(0).partitions.at(0);
  }

  FakeBroker broker;
  StreamId stream;
  FakeClient client{broker};
};

TEST_F(Streams, WhereTheRecordsOfALeaderEnd) {
  broker.epoch_ends[{stream, 5}] = {3, Offset(40)};
  for (std::int16_t version = 2; version <= 4; ++version) {
    const auto answer = end_of(5, 7, "orders", version);
    EXPECT_EQ(answer.error, KafkaError::kNone);
    EXPECT_EQ(answer.partition, 0);
    EXPECT_EQ(answer.leader_epoch, 3);
    EXPECT_EQ(answer.end_offset, 40);
  }
}

TEST_F(Streams, NoEndOfWhatIsNotThere) {
  for (const auto& answer : {end_of(5, -1, "never"), end_of(5, -1, "orders")}) {
    EXPECT_EQ(answer.error, KafkaError::kUnknownTopicOrPartition);
    EXPECT_EQ(answer.leader_epoch, -1);
    EXPECT_EQ(answer.end_offset, -1);
  }
}

// KIP-320: a client that knows another leader first has to hear of this one.
TEST_F(Streams, TheLeaderThatTheClientKnows) {
  broker.epoch_ends[{stream, 5}] = {5, Offset(1)};
  broker.offsets[stream] = {Offset(3), -1, 5};
  EXPECT_EQ(end_of(5, 6).error, KafkaError::kFencedLeaderEpoch);
  EXPECT_EQ(end_of(5, 7).error, KafkaError::kNone);
  EXPECT_EQ(end_of(5, 8).error, KafkaError::kUnknownLeaderEpoch);
  EXPECT_EQ(end_of(5, -1).error, KafkaError::kNone);
  EXPECT_EQ(earliest(6).error, KafkaError::kFencedLeaderEpoch);
  EXPECT_EQ(earliest(6).offset, -1);
  EXPECT_EQ(earliest(8).error, KafkaError::kUnknownLeaderEpoch);
  EXPECT_EQ(earliest(7).error, KafkaError::kNone);
  EXPECT_EQ(earliest(7).offset, 3);
  EXPECT_EQ(earliest(7).leader_epoch, 5);
  // Who may not know of the topic does not learn who leads it.
  broker.forbidden = {{broker::Action::kDescribe, "orders"}, {broker::Action::kDescribe, "never"}};
  EXPECT_EQ(end_of(5, 6).error, KafkaError::kTopicAuthorizationFailed);
  EXPECT_EQ(end_of(5, 6, "never").error, KafkaError::kTopicAuthorizationFailed);
  EXPECT_EQ(earliest(8).error, KafkaError::kTopicAuthorizationFailed);
  broker.forbidden.clear();
  // Nobody leads yet.
  broker.epoch = Epoch();
  EXPECT_EQ(end_of(5, 6).error, KafkaError::kNone);
}

TEST_F(Streams, MetadataTellsTheLeaderEpoch) {
  const auto epoch = [&] {
    MetadataRequest request;
    request.topics.emplace().push_back({.topic_id = {}, .name = "orders"});
    return client.ask<MetadataResponse>(7, request).topics.at(0).partitions.at(0).leader_epoch;
  };
  EXPECT_EQ(epoch(), 7);
  broker.epoch = Epoch((1ULL << 31) + 9);  // Kafka's have 31 bits
  EXPECT_EQ(epoch(), 9);
  broker.epoch = Epoch();
  EXPECT_EQ(epoch(), -1);
}

// KIP-107.
TEST_F(Streams, DeletedRecords) {
  broker.deletions.emplace(std::pair(stream, Offset(7)), Offset(7));
  broker.deletions.emplace(std::pair(stream, Offset(-1)), Offset(9));
  broker.deletions.emplace(std::pair(stream, Offset(99)), error(ErrorCode::kInvalidArgument, "too far"));
  broker.deletions.emplace(std::pair(stream, Offset(1)), error(ErrorCode::kUnauthorized, "not for you"));
  broker.deletions.emplace(std::pair(stream, Offset(2)), error(ErrorCode::kNoSpace, "full"));
  DeleteRecordsRequest request;
  request.topics.push_back({"orders", {{0, 7}, {0, -1}, {0, 99}, {0, 1}, {0, 2}, {5, 7}}});
  request.topics.push_back({"never", {{0, 0}}});
  for (std::int16_t version = 0; version <= 2; ++version) {
    const auto response = client.ask<DeleteRecordsResponse>(version, request);
    ASSERT_EQ(response.topics.size(), 2U);
    EXPECT_EQ(response.topics[0].name, "orders");
    std::vector<std::pair<std::int64_t, KafkaError>> answers;
    for (const auto& one : response.topics[0].partitions) answers.emplace_back(one.low_watermark, one.error);
    EXPECT_EQ(answers,
              (std::vector<std::pair<std::int64_t, KafkaError>>{{7, KafkaError::kNone},
                                                                {9, KafkaError::kNone},
                                                                {-1, KafkaError::kOffsetOutOfRange},
                                                                {-1, KafkaError::kTopicAuthorizationFailed},
                                                                {-1, KafkaError::kKafkaStorageError},
                                                                {-1, KafkaError::kUnknownTopicOrPartition}}));
    EXPECT_EQ(response.topics[1].partitions.at(0).error, KafkaError::kUnknownTopicOrPartition);
  }
}

// ---- log directories ------------------------------------------------------------------------------------

broker::StreamStatus of_size(std::uint64_t bytes) {
  broker::StreamStatus status;
  status.bytes = bytes;
  return status;
}

TEST_F(Streams, SizesOfAllTopics) {
  client.options.log_directory = "/var/lib/stele";
  meta::Topic& other = broker.add_topic("wide");
  other.shards = {ShardId(0), ShardId(0), ShardId(0)};
  broker.statuses[stream] = of_size(1000);
  for (std::int32_t i : {0, 2}) broker.statuses[{other.id, PartitionId(i)}] = of_size(10 + i);
  for (std::int16_t version = 1; version <= 4; ++version) {
    const auto response = client.ask<DescribeLogDirsResponse>(version, DescribeLogDirsRequest());
    EXPECT_EQ(response.error, KafkaError::kNone);
    ASSERT_EQ(response.results.size(), 1U);
    const auto& directory = response.results[0];
    EXPECT_EQ(directory.error, KafkaError::kNone);
    EXPECT_EQ(directory.log_dir, "/var/lib/stele");
    EXPECT_EQ(directory.total_bytes, -1);
    EXPECT_EQ(directory.usable_bytes, -1);
    ASSERT_EQ(directory.topics.size(), 2U);
    EXPECT_EQ(directory.topics[0].name, "orders");
    ASSERT_EQ(directory.topics[0].partitions.size(), 1U);
    EXPECT_EQ(directory.topics[0].partitions[0].partition_size, 1000);
    EXPECT_EQ(directory.topics[0].partitions[0].offset_lag, 0);
    EXPECT_FALSE(directory.topics[0].partitions[0].is_future_key);
    // One of its shards does not serve.
    ASSERT_EQ(directory.topics[1].partitions.size(), 2U);
    EXPECT_EQ(directory.topics[1].partitions[1].partition_index, 2);
    EXPECT_EQ(directory.topics[1].partitions[1].partition_size, 12);
  }
}

TEST_F(Streams, SizesOfSomeTopics) {
  meta::Topic& other = broker.add_topic("wide");
  other.shards = {ShardId(0), ShardId(0)};
  broker.statuses[stream] = of_size(1);
  for (std::int32_t i : {0, 1}) broker.statuses[{other.id, PartitionId(i)}] = of_size(2);
  DescribeLogDirsRequest request;
  request.topics = {{"wide", {1, 7}}, {"never", {0}}};
  const auto response = client.ask<DescribeLogDirsResponse>(4, request);
  ASSERT_EQ(response.results.at(0).topics.size(), 1U);
  EXPECT_EQ(response.results[0].topics[0].name, "wide");
  ASSERT_EQ(response.results[0].topics[0].partitions.size(), 1U);
  EXPECT_EQ(response.results[0].topics[0].partitions[0].partition_index, 1);
  request.topics->clear();
  EXPECT_TRUE(client.ask<DescribeLogDirsResponse>(4, request).results.at(0).topics.empty());
}

TEST_F(Streams, SizesAreNotForEverybody) {
  broker.statuses[stream] = of_size(1);
  broker.forbidden = {{broker::Action::kDescribe, ""}};
  const auto response = client.ask<DescribeLogDirsResponse>(3, DescribeLogDirsRequest());
  EXPECT_EQ(response.error, KafkaError::kClusterAuthorizationFailed);
  EXPECT_TRUE(response.results.empty());
  EXPECT_TRUE(client.ask<DescribeLogDirsResponse>(1, DescribeLogDirsRequest()).results.empty());
}

}  // namespace
}  // namespace stele::kafka
