#include "protocols/mqtt/topic_aliases.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace stele::mqtt {
namespace {

TEST(ReceivedAliases, StandForTheLastTopic) {
  ReceivedAliases aliases(3);
  EXPECT_FALSE(aliases.is_valid(0));
  EXPECT_TRUE(aliases.is_valid(3));
  EXPECT_FALSE(aliases.is_valid(4));
  EXPECT_EQ(aliases.resolve(2, ""), std::nullopt);
  EXPECT_EQ(aliases.resolve(2, "a"), "a");
  EXPECT_EQ(aliases.resolve(2, ""), "a");
  EXPECT_EQ(aliases.resolve(1, ""), std::nullopt);
  EXPECT_EQ(aliases.resolve(3, ""), std::nullopt);
  EXPECT_EQ(aliases.resolve(2, "b"), "b");
  EXPECT_EQ(aliases.resolve(2, ""), "b");
}

TEST(SentAliases, TheOneUsedLongestAgoIsGivenAway) {
  SentAliases aliases(2);
  const auto send = [&](std::string_view topic) {
    const SentAliases::Choice choice = aliases.choose(topic);
    aliases.sent(choice, topic);
    return std::pair(choice.alias, choice.known);
  };
  using Sent = std::pair<std::uint16_t, bool>;
  EXPECT_EQ(send("short"), Sent(1, false));
  EXPECT_EQ(send("abc"), Sent(0, false));  // not worth it
  EXPECT_EQ(send("topic/1"), Sent(2, false));
  EXPECT_EQ(send("short"), Sent(1, true));
  EXPECT_EQ(send("topic/2"), Sent(2, false));
  EXPECT_EQ(send("topic/2"), Sent(2, true));
  EXPECT_EQ(send("topic/1"), Sent(1, false));
  EXPECT_EQ(SentAliases(0).choose("topic").alias, 0);
}

TEST(SentAliases, WhatWasNotSentIsNotKnown) {
  SentAliases aliases(1);
  EXPECT_FALSE(aliases.choose("topic").known);
  EXPECT_FALSE(aliases.choose("topic").known);
}

// Whatever is sent, the other side knows what is meant.
RC_GTEST_PROP(Aliases, ComeOutAsTheyWentIn, ()) {
  const auto max = *rc::gen::inRange<std::uint16_t>(1, 6);
  SentAliases sent(max);
  ReceivedAliases received(max);
  const auto topics = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12));
  for (const int number : topics) {
    const std::string topic = "topic/" + std::to_string(number);
    const SentAliases::Choice choice = sent.choose(topic);
    if (*rc::gen::inRange(0, 5) == 0) continue;  // it was too large, perhaps
    sent.sent(choice, topic);
    RC_ASSERT(received.is_valid(choice.alias));
    RC_ASSERT(received.resolve(choice.alias, choice.known ? "" : topic) == topic);
  }
}

}  // namespace
}  // namespace stele::mqtt
