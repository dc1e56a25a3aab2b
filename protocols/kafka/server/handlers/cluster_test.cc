// What clients are told of the brokers of a cluster: who leads what, and where it is reached.
#include <gtest/gtest.h>

#include "protocols/kafka/all_messages.h"
#include "protocols/kafka/server/testing/fake_broker.h"

namespace stele::kafka {
namespace {

using testing::FakeBroker;
using testing::FakeClient;

meta::Node node(std::uint32_t id, std::string listener, std::string host) {
  meta::Node node;
  node.id = NodeId(id);
  node.addresses = {{"rpc", "10.0.0.1", 7000}, {std::move(listener), std::move(host), 9092}};
  return node;
}

struct KafkaCluster : ::testing::Test {
  FakeBroker broker;
  FakeClient client{broker};

  MetadataResponse metadata() {
    MetadataRequest request;
    request.topics.emplace().push_back({.topic_id = {}, .name = "t"});
    return client.ask<MetadataResponse>(12, request);
  }
  FindCoordinatorResponse::Coordinator coordinator() {
    FindCoordinatorRequest request;
    request.keys = {"g"};
    return client.ask<FindCoordinatorResponse>(4, request).coordinators.at(0);
  }
};

TEST_F(KafkaCluster, whoever_owns_the_shard_leads_and_coordinates) {
  broker.add_topic("t");
  broker.nodes = {node(2, "kafka", "two.example")};
  broker.owner = NodeId(2);
  const auto told = metadata();
  ASSERT_EQ(told.brokers.size(), 2U);
  EXPECT_EQ(told.brokers[1].node_id, 2);
  EXPECT_EQ(told.brokers[1].host, "two.example");
  const auto& partition = told.topics.at(0).partitions.at(0);
  EXPECT_EQ(partition.error, KafkaError::kNone);
  EXPECT_EQ(partition.leader_id, 2);
  EXPECT_EQ(partition.leader_epoch, 5);
  EXPECT_EQ(partition.isr_nodes, std::vector<std::int32_t>{2});
  EXPECT_EQ(coordinator().node_id, 2);
  EXPECT_EQ(coordinator().host, "two.example");
  EXPECT_EQ(client.ask<DescribeClusterResponse>(1, DescribeClusterRequest()).brokers.size(), 2U);
}

TEST_F(KafkaCluster, where_nobody_leads_the_client_asks_again) {
  broker.add_topic("t");
  broker.owner = std::nullopt;
  const auto partition = metadata().topics.at(0).partitions.at(0);
  EXPECT_EQ(partition.error, KafkaError::kLeaderNotAvailable);
  EXPECT_EQ(partition.leader_id, -1);
  EXPECT_EQ(coordinator().error, KafkaError::kCoordinatorNotAvailable);
}

TEST_F(KafkaCluster, nobody_is_sent_to_a_node_that_clients_like_him_do_not_reach) {
  broker.add_topic("t");
  meta::Node ended = node(3, "kafka", "three.example");
  ended.lives = false;
  meta::Node journal = node(4, "kafka", "four.example");
  journal.roles = meta::kJournalRole;
  broker.nodes = {node(2, "kafka-tls", "two.example"), ended, journal};
  for (const std::uint32_t owner : {2u, 3u, 4u, 5u}) {
    broker.owner = NodeId(owner);
    const auto told = metadata();
    EXPECT_EQ(told.brokers.size(), 1U);
    EXPECT_EQ(told.topics.at(0).partitions.at(0).leader_id, -1) << owner;
    EXPECT_EQ(coordinator().error, KafkaError::kCoordinatorNotAvailable) << owner;
  }
}

TEST_F(KafkaCluster, a_topic_may_ask_for_as_many_replicas_as_there_are_brokers) {
  broker.nodes = {node(2, "kafka", "two.example")};
  const auto error_with = [&](std::int16_t replicas) {
    CreateTopicsRequest request;
    CreateTopicsRequest::Topic& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.num_partitions = 1;
    topic.replication_factor = replicas;
    request.validate_only = true;
    return client.ask<CreateTopicsResponse>(5, request).topics.at(0).error;
  };
  EXPECT_EQ(error_with(3), KafkaError::kInvalidReplicationFactor);
  EXPECT_EQ(error_with(0), KafkaError::kInvalidReplicationFactor);
}

}  // namespace
}  // namespace stele::kafka
