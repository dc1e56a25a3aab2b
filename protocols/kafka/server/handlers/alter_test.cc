// CreatePartitions, IncrementalAlterConfigs, AlterConfigs.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "protocols/kafka/messages/alter_configs.h"
#include "protocols/kafka/messages/create_partitions.h"
#include "protocols/kafka/messages/incremental_alter_configs.h"
#include "protocols/kafka/server/testing/fake_broker.h"

namespace stele::kafka {
namespace {

using meta::ConfigOp;
using testing::FakeBroker;
using testing::FakeClient;

class Altering : public ::testing::Test {
 protected:
  Altering() { broker.add_topic("orders").shards.assign(3, ShardId(0)); }

  using Assignments = std::optional<std::vector<CreatePartitionsRequest::Assignment>>;
  KafkaError grow(std::string topic, std::int32_t count, Assignments assignments = std::nullopt,
                  std::int16_t version = 3) {
    CreatePartitionsRequest request;
    request.topics.push_back({topic, count, std::move(assignments)});
    const auto response = client.ask<CreatePartitionsResponse>(version, request);
    EXPECT_EQ(response.results.at(0).name, topic);
    EXPECT_EQ(response.results[0].error_message.has_value(), response.results[0].error != KafkaError::kNone);
    return response.results[0].error;
  }

  using Config = IncrementalAlterConfigsRequest::Config;
  KafkaError alter(std::vector<Config> configs, std::int8_t type = 2, std::string name = "orders",
                   std::int16_t version = 1) {
    IncrementalAlterConfigsRequest request;
    request.resources.push_back({type, name, std::move(configs)});
    const auto response = client.ask<IncrementalAlterConfigsResponse>(version, request);
    EXPECT_EQ(response.responses.at(0).resource_type, type);
    EXPECT_EQ(response.responses[0].resource_name, name);
    return response.responses[0].error;
  }

  FakeBroker broker;
  FakeClient client{broker};
};

// KIP-195.
TEST_F(Altering, MorePartitions) {
  for (std::int16_t version = 0; version <= 3; ++version) {
    EXPECT_EQ(grow("orders", 5, std::nullopt, version), KafkaError::kNone);
    EXPECT_EQ(broker.altered.back().name, "orders");
    EXPECT_EQ(broker.altered.back().count, 5);
    EXPECT_FALSE(broker.altered.back().validate_only);
  }
  EXPECT_EQ(grow("orders", 5, {{{{1}}, {{1}}}}), KafkaError::kNone);
  EXPECT_EQ(broker.altered.size(), 5U);
}

TEST_F(Altering, PartitionsThatCannotBe) {
  EXPECT_EQ(grow("never", 5), KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(grow("orders", 10'001), KafkaError::kInvalidPartitions);
  EXPECT_EQ(grow("orders", 5, {{{{1}}}}), KafkaError::kInvalidReplicaAssignment);
  EXPECT_EQ(grow("orders", 5, {{{{1}}, {{2}}}}), KafkaError::kInvalidReplicaAssignment);
  EXPECT_EQ(grow("orders", 5, {{{{1}}, {{1, 1}}}}), KafkaError::kInvalidReplicaAssignment);
  EXPECT_TRUE(broker.altered.empty());
  broker.altering_fails = Error{ErrorCode::kInvalidArgument, "it has as many"};
  EXPECT_EQ(grow("orders", 3), KafkaError::kInvalidPartitions);
  broker.altering_fails = Error{ErrorCode::kNoSpace, "too many"};
  EXPECT_EQ(grow("orders", 5), KafkaError::kPolicyViolation);
  broker.forbidden = {{broker::Action::kAlterTopic, "orders"}, {broker::Action::kAlterTopic, "never"}};
  EXPECT_EQ(grow("orders", 5), KafkaError::kTopicAuthorizationFailed);
  EXPECT_EQ(grow("never", 5), KafkaError::kTopicAuthorizationFailed);
}

TEST_F(Altering, ATopicIsNamedOnce) {
  broker.add_topic("other");
  CreatePartitionsRequest request;
  request.topics = {{"orders", 5, {}}, {"other", 2, {}}, {"orders", 6, {}}};
  request.validate_only = true;
  const auto response = client.ask<CreatePartitionsResponse>(3, request);
  ASSERT_EQ(response.results.size(), 2U);
  EXPECT_EQ(response.results[0].error, KafkaError::kInvalidRequest);
  EXPECT_EQ(response.results[1].error, KafkaError::kNone);
  ASSERT_EQ(broker.altered.size(), 1U);
  EXPECT_EQ(broker.altered[0].name, "other");
  EXPECT_TRUE(broker.altered[0].validate_only);
}

// KIP-339.
TEST_F(Altering, Settings) {
  for (std::int16_t version = 0; version <= 1; ++version) {
    EXPECT_EQ(alter({{"retention.ms", 0, "5"},
                     {"retention.bytes", 1, std::nullopt},
                     {"stele.capture", 2, "a/#"},
                     {"cleanup.policy", 3, "delete"}},
                    2, "orders", version),
              KafkaError::kNone);
    EXPECT_EQ(broker.altered.back().name, "orders");
    EXPECT_EQ(broker.altered.back().changes,
              (std::vector<meta::ConfigChange>{{"retention.ms", ConfigOp::kSet, "5"},
                                               {"retention.bytes", ConfigOp::kDelete, ""},
                                               {"stele.capture", ConfigOp::kAppend, "a/#"},
                                               {"cleanup.policy", ConfigOp::kSubtract, "delete"}}));
  }
}

TEST_F(Altering, SettingsThatCannotBe) {
  EXPECT_EQ(alter({{"retention.ms", 0, std::nullopt}}), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter({{"retention.ms", 4, "5"}}), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter({{"retention.ms", -1, "5"}}), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter({{"retention.ms", 0, "5"}, {"retention.ms", 0, "6"}}), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter({{"retention.ms", 0, "5"}}, 32), KafkaError::kInvalidRequest);
  EXPECT_EQ(alter({{"num.partitions", 0, "5"}}, 4, "1"), KafkaError::kInvalidConfig);
  EXPECT_TRUE(broker.altered.empty());
  const std::pair<ErrorCode, KafkaError> kErrors[] = {
      {ErrorCode::kInvalidArgument, KafkaError::kInvalidConfig},
      {ErrorCode::kNotFound, KafkaError::kUnknownTopicOrPartition},
      {ErrorCode::kUnauthorized, KafkaError::kTopicAuthorizationFailed},
      {ErrorCode::kUnavailable, KafkaError::kRequestTimedOut}};
  for (const auto& [code, expected] : kErrors) {
    broker.altering_fails = Error{code, "why"};
    EXPECT_EQ(alter({{"retention.ms", 0, "5"}}), expected);
  }
  broker.forbidden = {{broker::Action::kAdminister, ""}};
  EXPECT_EQ(alter({{"num.partitions", 0, "5"}}, 4, "1"), KafkaError::kClusterAuthorizationFailed);
}

TEST_F(Altering, AResourceIsNamedOnce) {
  IncrementalAlterConfigsRequest request;
  request.resources.push_back({2, "orders", {{"retention.ms", 0, "5"}}});
  request.resources.push_back({2, "other", {{"retention.ms", 0, "5"}}});
  request.resources.push_back(request.resources[0]);
  request.validate_only = true;
  const auto response = client.ask<IncrementalAlterConfigsResponse>(1, request);
  ASSERT_EQ(response.responses.size(), 3U);
  EXPECT_EQ(response.responses[0].error, KafkaError::kInvalidRequest);
  EXPECT_EQ(response.responses[1].error, KafkaError::kNone);
  EXPECT_EQ(response.responses[2].error, KafkaError::kInvalidRequest);
  ASSERT_EQ(broker.altered.size(), 1U);
  EXPECT_EQ(broker.altered[0].name, "other");
  EXPECT_TRUE(broker.altered[0].validate_only);
}

// KIP-133.
TEST_F(Altering, WhatIsNotNamedGetsItsDefault) {
  const auto replace = [&](std::vector<AlterConfigsRequest::Config> configs, std::int16_t version = 2,
                           std::int8_t type = 2, std::string name = "orders") {
    AlterConfigsRequest request;
    request.resources.push_back({type, name, std::move(configs)});
    const auto response = client.ask<AlterConfigsResponse>(version, request);
    EXPECT_EQ(response.responses.at(0).resource_type, type);
    EXPECT_EQ(response.responses[0].resource_name, name);
    return response.responses[0].error;
  };
  for (std::int16_t version = 0; version <= 2; ++version) {
    EXPECT_EQ(replace({{"retention.ms", "5"}, {"stele.capture", "a/#,b"}}, version), KafkaError::kNone);
    EXPECT_EQ(broker.altered.back().changes,
              (std::vector<meta::ConfigChange>{{"retention.ms", ConfigOp::kSet, "5"},
                                               {"stele.capture", ConfigOp::kSet, "a/#,b"}}));
    EXPECT_TRUE(broker.altered.back().reset_others);
  }
  EXPECT_EQ(replace({}), KafkaError::kNone);
  EXPECT_TRUE(broker.altered.back().changes.empty() && broker.altered.back().reset_others);
  EXPECT_EQ(alter({{"retention.ms", 0, "5"}}), KafkaError::kNone);
  EXPECT_FALSE(broker.altered.back().reset_others);
  const std::size_t before = broker.altered.size();
  EXPECT_EQ(replace({{"retention.ms", std::nullopt}}), KafkaError::kInvalidRequest);
  EXPECT_EQ(replace({{"retention.ms", "5"}, {"retention.ms", "5"}}), KafkaError::kInvalidRequest);
  EXPECT_EQ(replace({{"num.partitions", "5"}}, 2, 4, "1"), KafkaError::kInvalidConfig);
  EXPECT_EQ(broker.altered.size(), before);
  broker.altering_fails = Error{ErrorCode::kInvalidArgument, "why"};
  EXPECT_EQ(replace({{"retention.ms", "soon"}}), KafkaError::kInvalidConfig);
  // No limit is in the way of a change: the disk is full, and the client may try again.
  broker.altering_fails = Error{ErrorCode::kNoSpace, "why"};
  EXPECT_EQ(replace({{"retention.ms", "5"}}), KafkaError::kKafkaStorageError);
  EXPECT_EQ(alter({{"retention.ms", 0, "5"}}), KafkaError::kKafkaStorageError);
}

}  // namespace
}  // namespace stele::kafka
