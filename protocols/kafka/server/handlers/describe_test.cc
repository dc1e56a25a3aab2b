// DescribeConfigs and DescribeCluster.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "protocols/kafka/messages/describe_cluster.h"
#include "protocols/kafka/messages/describe_configs.h"
#include "protocols/kafka/server/testing/fake_broker.h"

namespace stele::kafka {
namespace {

using testing::FakeBroker;
using testing::FakeClient;

constexpr std::int8_t kTopic = 2, kBroker = 4;

DescribeConfigsRequest ask_for(std::int8_t type, std::string name) {
  DescribeConfigsRequest request;
  request.resources.push_back({type, std::move(name), std::nullopt});
  request.include_synonyms = true;
  return request;
}

DescribeConfigsResponse::Config config(const DescribeConfigsResponse& response, std::string_view name) {
  for (const auto& one : response.resources.at(0).configs) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << name;
  return {};
}

TEST(DescribeConfigs, OfATopic) {
  FakeBroker broker;
  meta::TopicConfig changed;
  changed.retention_ms = 5000;
  broker.add_topic("orders", changed);
  FakeClient client(broker);
  for (std::int16_t version = 1; version <= 4; ++version) {
    const auto response = client.ask<DescribeConfigsResponse>(version, ask_for(kTopic, "orders"));
    ASSERT_EQ(response.resources.size(), 1U);
    EXPECT_EQ(response.resources[0].error, KafkaError::kNone);
    EXPECT_EQ(response.resources[0].resource_name, "orders");
    EXPECT_TRUE(
        std::ranges::is_sorted(response.resources[0].configs, {}, &DescribeConfigsResponse::Config::name));
    const auto retention = config(response, "retention.ms");
    EXPECT_EQ(retention.value, "5000");
    EXPECT_EQ(retention.config_source, 1);  // DYNAMIC_TOPIC_CONFIG
    EXPECT_FALSE(retention.read_only);
    EXPECT_EQ(retention.config_type, version >= 3 ? 5 : 0);  // LONG
    ASSERT_EQ(retention.synonyms.size(), 2U);
    EXPECT_EQ(retention.synonyms[0].name, "retention.ms");
    EXPECT_EQ(retention.synonyms[1].name, "log.retention.ms");
    EXPECT_EQ(retention.synonyms[1].value, "604800000");
    const auto bytes = config(response, "retention.bytes");
    EXPECT_EQ(bytes.value, "-1");
    EXPECT_EQ(bytes.config_source, 5);  // DEFAULT_CONFIG
    ASSERT_EQ(bytes.synonyms.size(), 1U);
    EXPECT_EQ(config(response, "cleanup.policy").value, "delete");
    EXPECT_TRUE(config(response, "cleanup.policy").read_only);
    EXPECT_EQ(config(response, "compression.type").value, "producer");
    EXPECT_EQ(config(response, "min.insync.replicas").value, "1");
    EXPECT_EQ(config(response, "max.message.bytes").value, "1048588");
    EXPECT_EQ(config(response, "message.timestamp.type").value, "CreateTime");
  }
}

TEST(DescribeConfigs, OnlyWhatIsAskedFor) {
  FakeBroker broker;
  broker.add_topic("orders");
  FakeClient client(broker);
  auto request = ask_for(kTopic, "orders");
  request.include_synonyms = false;
  request.include_documentation = true;
  request.resources[0].configuration_keys = {"retention.ms", "no.such.setting"};
  auto response = client.ask<DescribeConfigsResponse>(4, request);
  ASSERT_EQ(response.resources[0].configs.size(), 1U);
  EXPECT_EQ(response.resources[0].configs[0].name, "retention.ms");
  EXPECT_TRUE(response.resources[0].configs[0].synonyms.empty());
  EXPECT_TRUE(response.resources[0].configs[0].documentation.has_value());
  // Named twice, answered once; no keys are all keys.
  request.resources[0].configuration_keys = std::vector<std::string>();
  request.resources.push_back(request.resources[0]);
  response = client.ask<DescribeConfigsResponse>(4, request);
  ASSERT_EQ(response.resources.size(), 1U);
  EXPECT_GT(response.resources[0].configs.size(), 5U);
}

TEST(DescribeConfigs, OfTheBroker) {
  FakeBroker broker;
  broker.partitions = 3;
  FakeClient client(broker);
  const auto response = client.ask<DescribeConfigsResponse>(4, ask_for(kBroker, "1"));
  EXPECT_EQ(response.resources.at(0).error, KafkaError::kNone);
  const auto partitions = config(response, "num.partitions");
  EXPECT_EQ(partitions.value, "3");
  EXPECT_EQ(partitions.config_source, 4);  // STATIC_BROKER_CONFIG
  EXPECT_TRUE(partitions.read_only);
  ASSERT_EQ(partitions.synonyms.size(), 2U);
  EXPECT_EQ(partitions.synonyms[1].value, "1");
  EXPECT_EQ(config(response, "auto.create.topics.enable").config_source, 5);
  EXPECT_EQ(config(response, "auto.create.topics.enable").config_type, 1);  // BOOLEAN
  EXPECT_EQ(config(response, "advertised.listeners").value, "PLAINTEXT://broker.example:9092");
  EXPECT_EQ(config(response, "log.retention.ms").value, "604800000");
  EXPECT_EQ(config(response, "message.max.bytes").value, "1048588");
  for (const auto& one : response.resources[0].configs) EXPECT_FALSE(one.name.starts_with("stele."));
}

TEST(DescribeConfigs, WhatCannotBeDescribed) {
  FakeBroker broker;
  broker.add_topic("secret");
  broker.forbidden = {{broker::Action::kDescribe, "secret"}};
  FakeClient client(broker);
  const auto error_of = [&](std::int8_t type, std::string name) {
    const auto response = client.ask<DescribeConfigsResponse>(4, ask_for(type, std::move(name)));
    EXPECT_TRUE(response.resources.at(0).configs.empty());
    return response.resources.at(0).error;
  };
  EXPECT_EQ(error_of(kTopic, "never"), KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(error_of(kTopic, "no/slash"), KafkaError::kInvalidTopicException);
  EXPECT_EQ(error_of(kTopic, "secret"), KafkaError::kTopicAuthorizationFailed);
  EXPECT_EQ(error_of(kBroker, "2"), KafkaError::kInvalidRequest);
  EXPECT_EQ(error_of(kBroker, "one"), KafkaError::kInvalidRequest);
  EXPECT_EQ(error_of(kBroker, ""), KafkaError::kNone);  // nothing is set for all brokers
  EXPECT_EQ(error_of(8, "1"), KafkaError::kInvalidRequest);
  broker.forbidden.emplace(broker::Action::kDescribe, "");
  EXPECT_EQ(error_of(kBroker, "1"), KafkaError::kClusterAuthorizationFailed);
}

TEST(DescribeCluster, OneBroker) {
  FakeBroker broker;
  FakeClient client(broker);
  for (std::int16_t version = 0; version <= 2; ++version) {
    const auto response = client.ask<DescribeClusterResponse>(version, DescribeClusterRequest());
    EXPECT_EQ(response.error, KafkaError::kNone);
    EXPECT_EQ(response.cluster_id, "cluster-of-the-test");
    EXPECT_EQ(response.controller_id, 1);
    ASSERT_EQ(response.brokers.size(), 1U);
    EXPECT_EQ(response.brokers[0].broker_id, 1);
    EXPECT_EQ(response.brokers[0].host, "broker.example");
    EXPECT_EQ(response.brokers[0].port, 9092);
    EXPECT_EQ(response.cluster_authorized_operations, kOperationsNotAsked);
  }
}

TEST(DescribeCluster, AuthorizedOperations) {
  FakeBroker broker;
  broker.forbidden = {{broker::Action::kCreateTopic, ""}};
  FakeClient client(broker);
  DescribeClusterRequest request;
  request.include_cluster_authorized_operations = true;
  // DESCRIBE, DESCRIBE_CONFIGS and IDEMPOTENT_WRITE.
  EXPECT_EQ(client.ask<DescribeClusterResponse>(2, request).cluster_authorized_operations,
            1 << 8 | 1 << 10 | 1 << 12);
}

TEST(DescribeCluster, OtherEndpoints) {
  FakeBroker broker;
  FakeClient client(broker);
  DescribeClusterRequest request;
  request.endpoint_type = 2;
  EXPECT_EQ(client.ask<DescribeClusterResponse>(1, request).error, KafkaError::kMismatchedEndpointType);
  request.endpoint_type = 3;
  const auto response = client.ask<DescribeClusterResponse>(1, request);
  EXPECT_EQ(response.error, KafkaError::kUnsupportedEndpointType);
  EXPECT_TRUE(response.brokers.empty());
}

}  // namespace
}  // namespace stele::kafka
