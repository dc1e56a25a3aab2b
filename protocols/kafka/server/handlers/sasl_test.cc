#include "protocols/kafka/server/sasl.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "protocols/kafka/messages/sasl_authenticate.h"
#include "protocols/kafka/messages/sasl_handshake.h"
#include "protocols/kafka/server/testing/fake_broker.h"

namespace stele::kafka {
namespace {

using namespace std::string_literals;
using testing::FakeBroker;
using testing::FakeClient;

class SaslTest : public ::testing::Test {
 protected:
  SaslTest() { broker.anybody.passwords = {{"alice", "secret"}}; }
  KafkaError choose(const std::string& mechanism) {
    return client.ask<SaslHandshakeResponse>(1, SaslHandshakeRequest{mechanism}).error;
  }
  SaslAuthenticateResponse say(const std::string& message, std::int16_t version = 2) {
    return client.ask<SaslAuthenticateResponse>(version, SaslAuthenticateRequest{message});
  }
  FakeBroker broker;
  FakeClient client{broker};
};

TEST_F(SaslTest, Plain) {
  EXPECT_EQ(choose("PLAIN"), KafkaError::kNone);
  const auto answer = say("\0alice\0secret"s);
  EXPECT_EQ(answer.error, KafkaError::kNone);
  EXPECT_EQ(answer.session_lifetime_ms, 0);
  EXPECT_TRUE(client.sasl().may_act);
  EXPECT_FALSE(client.sasl().failed);
  EXPECT_EQ(client.sasl().principal.name, "alice");
  // Once is enough.
  EXPECT_EQ(choose("PLAIN"), KafkaError::kIllegalSaslState);
  EXPECT_TRUE(client.sasl().failed);
}

TEST_F(SaslTest, WhateverIsWrongIsSaidInOneText) {
  for (const std::string& message : {"\0alice\0wrong"s, "\0bob\0secret"s, "bob\0alice\0secret"s, ""s,
                                     "alice"s, "\0alice\0"s, "\0\0secret"s, "\0alice\0secret\0"s}) {
    FakeClient other(broker);
    ASSERT_EQ(other.ask<SaslHandshakeResponse>(1, SaslHandshakeRequest{"PLAIN"}).error, KafkaError::kNone);
    const auto answer = other.ask<SaslAuthenticateResponse>(2, SaslAuthenticateRequest{message});
    EXPECT_EQ(answer.error, KafkaError::kSaslAuthenticationFailed);
    EXPECT_EQ(answer.error_message, "wrong user name or password");
    EXPECT_TRUE(other.sasl().failed);
    EXPECT_FALSE(other.sasl().may_act);
  }
}

TEST_F(SaslTest, MechanismsThatThereAreNot) {
  const auto answer = client.ask<SaslHandshakeResponse>(1, SaslHandshakeRequest{"GSSAPI"});
  EXPECT_EQ(answer.error, KafkaError::kUnsupportedSaslMechanism);
  EXPECT_EQ(answer.mechanisms, (std::vector<std::string>{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}));
  EXPECT_TRUE(client.sasl().failed);
}

TEST_F(SaslTest, NoMessageBeforeTheMechanism) {
  EXPECT_EQ(say("\0alice\0secret"s).error, KafkaError::kIllegalSaslState);
  EXPECT_TRUE(client.sasl().failed);
}

TEST_F(SaslTest, AFailedScramIsAFailure) {
  EXPECT_EQ(choose("SCRAM-SHA-512"), KafkaError::kNone);
  EXPECT_EQ(say("n,,n=alice,r=x", 0).error, KafkaError::kSaslAuthenticationFailed);
}

RC_GTEST_PROP(SaslPlain, AnyBytesGetThrough, (const std::string& message)) {
  if (const auto login = parse_plain(message)) {
    RC_ASSERT(!login->user.empty());
    RC_ASSERT(message.ends_with("\0"s + login->user + "\0"s + login->password));
  }
}

}  // namespace
}  // namespace stele::kafka
