// x-death as RabbitMQ writes it, and the rule that ends cycles.
#include "broker/queue/dead_letter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stele::broker::queue {
namespace {

Dying dying(std::string_view queue, Why why, std::int64_t now_ms = 5'999) {
  Dying one;
  one.queue = queue;
  one.why = why;
  one.now = WallTime{now_ms};
  one.exchange = "x";
  one.routing_key = "key";
  return one;
}
Death entry(std::string queue, std::string reason, std::optional<std::int64_t> count = 1) {
  Death death;
  death.queue = std::move(queue);
  death.reason = std::move(reason);
  death.exchange = "x";
  death.routing_keys = {"key"};
  death.time_s = 5;
  death.count = count;
  return death;
}
Death foreign() {
  Death death;
  death.foreign = true;
  death.rest = "S hello";
  return death;
}
DeathHeaders with(std::vector<Death> deaths) {
  DeathHeaders headers;
  headers.x_death = DeathHeaders::XDeath::kArray;
  headers.deaths = std::move(deaths);
  return headers;
}

TEST(DeadLetter, TheFirstDeathIsWrittenDown) {
  const Burial burial = bury({}, dying("q", Why::kExpired), {});
  EXPECT_EQ(burial.headers.x_death, DeathHeaders::XDeath::kArray);
  EXPECT_EQ(burial.headers.deaths, std::vector{entry("q", "expired")});
  const DeathMark mark{"expired", "q", "x"};
  EXPECT_EQ(burial.headers.first, mark);
  EXPECT_EQ(burial.headers.last, mark);
}

TEST(DeadLetter, ReasonsHaveTheirNames) {
  EXPECT_EQ(reason_text(Why::kExpired), "expired");
  EXPECT_EQ(reason_text(Why::kRejected), "rejected");
  EXPECT_EQ(reason_text(Why::kMaxLength), "maxlen");
  EXPECT_EQ(reason_text(Why::kDeliveryLimit), "delivery_limit");
}

TEST(DeadLetter, AnotherDeathGoesInFront) {
  DeathHeaders headers = bury({}, dying("q", Why::kExpired), {}).headers;
  headers = bury(headers, dying("q", Why::kRejected), {}).headers;
  headers = bury(headers, dying("r", Why::kExpired), {}).headers;
  EXPECT_EQ(headers.deaths,
            (std::vector{entry("r", "expired"), entry("q", "rejected"), entry("q", "expired")}));
  EXPECT_EQ(headers.first, (DeathMark{"expired", "q", "x"}));
  EXPECT_EQ(headers.last, (DeathMark{"expired", "r", "x"}));
}

TEST(DeadLetter, TheSameDeathAgainIsCountedAndComesFirst) {
  DeathHeaders headers = with({entry("r", "expired", 4), entry("q", "rejected", 2)});
  headers.deaths[1].rest = "kept";
  Dying again = dying("q", Why::kRejected, 999'000);
  again.exchange = "y";
  headers = bury(headers, again, {}).headers;
  Death counted = entry("q", "rejected", 3);  // all else is of the first time
  counted.rest = "kept";
  EXPECT_EQ(headers.deaths, (std::vector{counted, entry("r", "expired", 4)}));
  EXPECT_FALSE(headers.first);  // it had x-death already, and none of these
}

TEST(DeadLetter, EntriesOfOldVersionsAreCountedTogether) {  // rabbitmq-server issue 78
  const std::optional<std::int64_t> none;
  const DeathHeaders before = with(
      {entry("q", "expired", none), entry("r", "expired", none), entry("q", "expired", none), foreign()});
  const DeathHeaders after = bury(before, dying("q", Why::kExpired), {}).headers;
  EXPECT_EQ(after.deaths, (std::vector{entry("q", "expired", 3), entry("r", "expired", 1), foreign()}));
}

TEST(DeadLetter, AHeaderOfAnotherTypeIsReplaced) {  // rabbitmq-server issue 767
  DeathHeaders before;
  before.x_death = DeathHeaders::XDeath::kOther;
  const DeathHeaders after = bury(before, dying("q", Why::kExpired), {}).headers;
  EXPECT_EQ(after.deaths, std::vector{entry("q", "expired")});
  EXPECT_FALSE(after.first);
}

TEST(DeadLetter, ItsKeysAreThoseOfTheMessageOrThatOfTheQueue) {
  const std::vector<std::string> cc = {"cc1", "cc2"}, bcc = {"hidden"};
  Dying one = dying("q", Why::kRejected);
  one.cc = cc;
  one.bcc = bcc;
  Burial burial = bury({}, one, {});
  EXPECT_EQ(burial.headers.deaths[0].routing_keys, (std::vector<std::string>{"key", "cc1", "cc2"}));
  EXPECT_EQ(burial.routing_keys, (std::vector<std::string>{"key", "cc1", "cc2", "hidden"}));
  EXPECT_FALSE(burial.drop_cc);
  burial = bury({}, one, "dead");
  EXPECT_EQ(burial.headers.deaths[0].routing_keys, (std::vector<std::string>{"key", "cc1", "cc2"}));
  EXPECT_EQ(burial.routing_keys, (std::vector<std::string>{"dead"}));
  EXPECT_TRUE(burial.drop_cc);
  burial = bury({}, one, "");
  EXPECT_EQ(burial.routing_keys, (std::vector<std::string>{""}));
}

TEST(DeadLetter, RemembersTheTtlThatItLoses) {
  Dying one = dying("q", Why::kExpired);
  one.expiration = "60000";
  EXPECT_EQ(bury({}, one, {}).headers.deaths[0].original_expiration, "60000");
}

TEST(DeadLetter, ACycleWithoutARejectionEnds) {
  const std::vector<Death> deaths = {entry("b", "maxlen"), entry("a", "expired")};
  EXPECT_TRUE(is_death_cycle(deaths, Why::kMaxLength, "a"));
  EXPECT_TRUE(is_death_cycle(deaths, Why::kMaxLength, "b"));
  EXPECT_FALSE(is_death_cycle(deaths, Why::kMaxLength, "c"));
  EXPECT_FALSE(is_death_cycle(deaths, Why::kRejected, "a"));
  EXPECT_FALSE(is_death_cycle({}, Why::kExpired, "a"));
}

TEST(DeadLetter, ACycleWithARejectionGoesOn) {
  // Somebody saw it on the way round.
  EXPECT_FALSE(
      is_death_cycle(std::vector{entry("b", "expired"), entry("a", "rejected")}, Why::kExpired, "a"));
  EXPECT_FALSE(
      is_death_cycle(std::vector{entry("b", "rejected"), entry("a", "expired")}, Why::kExpired, "a"));
  // A rejection before the latest time there is none of this way round.
  EXPECT_TRUE(is_death_cycle(
      std::vector{entry("b", "expired"), entry("a", "expired"), entry("a", "rejected")}, Why::kExpired, "a"));
  // Nor is it automatic if a client wrote the header.
  EXPECT_FALSE(is_death_cycle(std::vector{foreign(), entry("a", "expired")}, Why::kExpired, "a"));
  EXPECT_TRUE(is_death_cycle(std::vector{entry("a", "expired"), foreign()}, Why::kExpired, "a"));
}

TEST(DeadLetter, AWholeWayRound) {  // queue "wait" with a TTL dead-letters to "work", which rejects to "wait"
  DeathHeaders headers;
  for (std::int64_t round = 1; round <= 3; ++round) {
    headers = bury(headers, dying("work", Why::kRejected), {}).headers;
    EXPECT_FALSE(is_death_cycle(headers.deaths, Why::kRejected, "wait"));
    headers = bury(headers, dying("wait", Why::kExpired), {}).headers;
    EXPECT_FALSE(is_death_cycle(headers.deaths, Why::kExpired, "work"));
    EXPECT_EQ(headers.deaths.size(), 2u);
    EXPECT_EQ(headers.deaths[0].count, round);
    EXPECT_EQ(headers.deaths[1].count, round);
  }
  EXPECT_EQ(headers.first, (DeathMark{"rejected", "work", "x"}));
}

}  // namespace
}  // namespace stele::broker::queue
