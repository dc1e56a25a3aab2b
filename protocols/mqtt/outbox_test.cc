#include "protocols/mqtt/outbox.h"

#include <gtest/gtest.h>

#include <string>

namespace stele::mqtt {
namespace {

broker::SettleToken durable(std::uint64_t lsn) {
  return {Lsn(lsn), 0, true};
}

Outbox::Waiting waiting(std::string text, broker::SettleToken token = {}) {
  Outbox::Waiting out;
  out.packet = std::move(text);
  out.token = token;
  return out;
}

// [MQTT-2.2.1-3], [MQTT-2.2.1-4]: not 0, and none that is in use.
TEST(Outbox, PacketIdentifiersInUseAreSkipped) {
  Outbox outbox(Outbox::Limits{});
  EXPECT_EQ(outbox.send({}, false), 1);
  for (int id = 2; id <= 65534; ++id) {
    ASSERT_EQ(outbox.send({}, false), id);
    if (id != 5) {
      ASSERT_TRUE(outbox.acknowledge(static_cast<std::uint16_t>(id)));
    }
  }
  EXPECT_EQ(outbox.send({}, false), 65535);
  EXPECT_EQ(outbox.send({}, false), 2);  // 0 is none, 1 is in flight
  EXPECT_EQ(outbox.send({}, false), 3);
  EXPECT_EQ(outbox.send({}, false), 4);
  EXPECT_EQ(outbox.send({}, false), 6);
}

TEST(Outbox, WindowOfAllIdentifiers) {
  Outbox outbox(Outbox::Limits{});
  for (int i = 0; i < 65535; ++i) {
    ASSERT_TRUE(outbox.has_room());
    outbox.send({}, false);
  }
  EXPECT_FALSE(outbox.has_room());
  EXPECT_TRUE(outbox.acknowledge(77));
  EXPECT_FALSE(outbox.acknowledge(77));
  EXPECT_EQ(outbox.send({}, false), 77);
}

TEST(Outbox, QoS2IsInFlightUntilItIsComplete) {
  Outbox outbox(Outbox::Limits{.in_flight = 3, .highest_id = 2});
  EXPECT_EQ(outbox.send({}, false), 1);
  EXPECT_EQ(outbox.send({Lsn(5), 0, true, 32768}, true), 32768);  // the session's own
  EXPECT_EQ(outbox.find_exactly_once(1), nullptr);
  EXPECT_FALSE(outbox.acknowledge(32768));
  EXPECT_EQ(outbox.find_exactly_once(32768)->token.lsn, Lsn(5));
  outbox.release(32768);
  EXPECT_EQ(outbox.find_exactly_once(32768)->stage, Outbox::Stage::kReleased);
  outbox.release(40000);  // sent on an earlier connection
  EXPECT_FALSE(outbox.has_room());
  EXPECT_TRUE(outbox.find_exactly_once(40000)->token.durable);
  outbox.erase(32768);
  EXPECT_EQ(outbox.send({}, true), 2);
  EXPECT_TRUE(outbox.acknowledge(1));
  EXPECT_EQ(outbox.send({}, false), 1);  // round and round
}

TEST(Outbox, AcknowledgementGivesTheToken) {
  Outbox outbox(Outbox::Limits{.in_flight = 2});
  const std::uint16_t first = outbox.send(durable(10), false);
  const std::uint16_t second = outbox.send({}, false);
  EXPECT_FALSE(outbox.has_room());
  EXPECT_EQ(outbox.acknowledge(first)->lsn, Lsn(10));
  EXPECT_TRUE(outbox.has_room());
  EXPECT_FALSE(outbox.acknowledge(second)->durable);
}

TEST(Outbox, OldestLiveCopyGivesWay) {
  Outbox outbox(Outbox::Limits{.in_flight = 1, .messages = 2, .bytes = 100});
  EXPECT_EQ(outbox.push(waiting("kept", durable(1))).size(), 0u);
  EXPECT_EQ(outbox.push(waiting("a")).size(), 0u);
  EXPECT_EQ(outbox.push(waiting("b")).size(), 0u);
  EXPECT_EQ(outbox.push(waiting("kept too", durable(2))).size(), 0u);
  EXPECT_EQ(outbox.push(waiting("c")).size(), 1u);
  EXPECT_EQ(outbox.push(waiting(std::string(100, 'x'))).size(), 2u);
  EXPECT_EQ(outbox.waiting(), 3u);
  EXPECT_EQ(outbox.waiting_bytes(), 112u);
  // Too large by itself.
  EXPECT_EQ(outbox.push(waiting(std::string(101, 'y'))).size(), 2u);
  EXPECT_EQ(outbox.pop().packet, "kept");
  EXPECT_EQ(outbox.pop().packet, "kept too");
  EXPECT_FALSE(outbox.anything_waits());
  EXPECT_EQ(outbox.waiting_bytes(), 0u);
}

}  // namespace
}  // namespace stele::mqtt
