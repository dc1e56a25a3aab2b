#include "protocols/kafka/messages/init_producer_id.h"

#include <gtest/gtest.h>

#include "protocols/kafka/server/testing/fake_broker.h"

namespace stele::kafka {
namespace {

using testing::FakeBroker;
using testing::FakeClient;

TEST(InitProducerId, EachGetsAnIdOfItsOwn) {
  FakeBroker broker;
  FakeClient client(broker);
  for (std::int16_t version = 0; version <= 5; ++version) {
    const auto response = client.ask<InitProducerIdResponse>(version, InitProducerIdRequest());
    EXPECT_EQ(response.error, KafkaError::kNone);
    EXPECT_EQ(response.producer_id, 1000 + version);
    EXPECT_EQ(response.producer_epoch, 0);
  }
}

TEST(InitProducerId, WhoHasAnIdGetsAnother) {
  FakeBroker broker;
  FakeClient client(broker);
  InitProducerIdRequest request;
  request.producer_id = 7;
  request.producer_epoch = 3;
  const auto response = client.ask<InitProducerIdResponse>(3, request);
  EXPECT_EQ(response.producer_id, 1000);
  EXPECT_EQ(response.producer_epoch, 0);
  request.producer_epoch = -1;
  EXPECT_EQ(client.ask<InitProducerIdResponse>(3, request).error, KafkaError::kInvalidRequest);
}

TEST(InitProducerId, TransactionsAreRefused) {
  FakeBroker broker;
  FakeClient client(broker);
  InitProducerIdRequest request;
  request.transactional_id = "t";
  const auto response = client.ask<InitProducerIdResponse>(5, request);
  EXPECT_EQ(response.error, KafkaError::kUnsupportedVersion);
  EXPECT_EQ(response.producer_id, -1);
  EXPECT_EQ(response.producer_epoch, -1);
  request.transactional_id = "";
  EXPECT_EQ(client.ask<InitProducerIdResponse>(5, request).error, KafkaError::kInvalidRequest);
}

TEST(InitProducerId, WhatTheBrokerSays) {
  FakeBroker broker;
  FakeClient client(broker);
  const auto error_of = [&](ErrorCode code) {
    broker.producer_ids_fail = Error{code, "no"};
    return client.ask<InitProducerIdResponse>(4, InitProducerIdRequest()).error;
  };
  EXPECT_EQ(error_of(ErrorCode::kUnauthorized), KafkaError::kClusterAuthorizationFailed);
  EXPECT_EQ(error_of(ErrorCode::kUnavailable), KafkaError::kCoordinatorLoadInProgress);
  EXPECT_EQ(error_of(ErrorCode::kNoSpace), KafkaError::kKafkaStorageError);
}

}  // namespace
}  // namespace stele::kafka
