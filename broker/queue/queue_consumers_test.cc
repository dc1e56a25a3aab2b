// Who is given messages: turns, priorities, prefetch, consumers that come and go, and the single active one.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "broker/queue/queue_dispatch.h"
#include "broker/queue/queue_testing.h"

namespace stele::broker::queue {
namespace {

// ---- turns and room

TEST(QueueConsumers, ConsumersTakeTurns) {
  Owner owner;
  publish(owner, 7);
  consume(owner, consumer(1, 2));
  consume(owner, consumer(2, 4));
  consume(owner, consumer(3, 1));
  EXPECT_EQ(takers(owner.deliver()), (Numbers{1, 2, 3, 1, 2, 2, 2}));
}

TEST(QueueConsumers, HigherPriorityConsumersFirstWhileTheyHaveRoom) {  // x-priority
  Owner owner;
  publish(owner, 5);
  ConsumerSpec low = consumer(1, 2), high = consumer(2, 2), negative = consumer(3, 2);
  high.priority = 10;
  negative.priority = -1;
  consume(owner, negative);
  consume(owner, low);
  consume(owner, high);
  auto deliveries = owner.deliver();
  EXPECT_EQ(takers(deliveries), (Numbers{2, 2, 1, 1, 3}));
  owner.settle(deliveries[0]);
  publish(owner, 2);
  EXPECT_EQ(takers(owner.deliver()), (Numbers{2, 3}));
}

TEST(QueueConsumers, PrefetchIsWhatAConsumerHasNotSettled) {
  Owner owner;
  publish(owner, 5);
  consume(owner, consumer(1, 2));
  auto deliveries = owner.deliver();
  EXPECT_EQ(deliveries.size(), 2u);
  EXPECT_EQ(owner.settle(deliveries[1]), 1u);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{2}));
  EXPECT_EQ(owner.settle(deliveries[0], Outcome::kReject), 1u);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{3}));
}

TEST(QueueConsumers, WithoutAPrefetchThereIsStillALimit) {
  DispatchLimits limits;
  limits.prefetch = 3;
  Owner owner({}, limits);
  publish(owner, 5);
  consume(owner, consumer(1, 0));
  consume(owner, consumer(2, 100));
  EXPECT_EQ(takers(owner.deliver()), (Numbers{1, 2, 1, 2, 1}));
  EXPECT_EQ(owner.dispatch().unsettled(), 5u);
}

TEST(QueueConsumers, AChannelsLimitIsForAllItsConsumers) {  // basic.qos global
  Owner owner;
  consume(owner, consumer(1));
  consume(owner, consumer(2));
  consume(owner, consumer(3, 0, kOther));
  owner.dispatch().set_channel_limit(kChannel, 2);
  publish(owner, 6);
  EXPECT_EQ(owner.deliver().size(), 6u);
  EXPECT_EQ(owner.dispatch().unsettled_of(kChannel), 2u);
  EXPECT_EQ(owner.dispatch().unsettled_of(kOther), 4u);
  owner.close(kOther);
  EXPECT_TRUE(owner.deliver().empty());
  owner.dispatch().set_channel_limit(kChannel, 0);
  EXPECT_EQ(owner.deliver().size(), 4u);
}

TEST(QueueConsumers, OneConsumerOfAFullChannelDoesNotStarveTheOthers) {
  Owner owner;
  for (const std::uint64_t id : {1, 2, 3}) consume(owner, consumer(id));
  owner.dispatch().set_channel_limit(kChannel, 1);
  publish(owner, 7);
  Numbers turns;
  for (auto next = owner.deliver(); !next.empty(); next = owner.deliver()) {
    ASSERT_EQ(next.size(), 1u);
    turns.push_back(next[0].consumer.value);
    owner.settle(next[0]);
  }
  EXPECT_EQ(turns, (Numbers{1, 2, 3, 1, 2, 3, 1}));
}

TEST(QueueConsumers, WhatAChannelSettlesIsRoomForItsOtherConsumers) {
  Owner owner;
  consume(owner, consumer(1));
  consume(owner, consumer(2));
  owner.dispatch().set_channel_limit(kChannel, 1);
  publish(owner, 2);
  const auto deliveries = owner.deliver();
  EXPECT_EQ(takers(deliveries), (Numbers{1}));
  owner.dispatch().cancel(ConsumerId(1), owner.now());
  EXPECT_TRUE(owner.deliver().empty());
  owner.settle(deliveries[0]);
  EXPECT_EQ(takers(owner.deliver()), (Numbers{2}));
}

TEST(QueueConsumers, RaisingAChannelsLimitGivesMore) {
  Owner owner;
  consume(owner, consumer(1));
  owner.dispatch().set_channel_limit(kChannel, 1);
  publish(owner, 3);
  EXPECT_EQ(owner.deliver().size(), 1u);
  owner.dispatch().set_channel_limit(kChannel, 2);
  EXPECT_EQ(owner.deliver().size(), 1u);
}

TEST(QueueConsumers, GivesNoMoreAtOnceThanAsked) {
  Owner owner;
  publish(owner, 5);
  consume(owner, consumer(1));
  EXPECT_EQ(owner.deliver(2).size(), 2u);
  EXPECT_TRUE(owner.more());
  EXPECT_EQ(owner.deliver(SIZE_MAX, 15).size(), 1u);
  EXPECT_TRUE(owner.more());
  EXPECT_EQ(owner.deliver(SIZE_MAX, 5).size(), 1u);  // one goes, however large
  EXPECT_EQ(owner.deliver().size(), 1u);
  EXPECT_FALSE(owner.more());
}

TEST(QueueConsumers, ConsumersThatComeAndGoLeaveNothing) {
  Owner owner;
  const std::size_t before = owner.dispatch().memory_bytes();
  for (std::uint64_t i = 1; i < 1000; ++i) {
    consume(owner, consumer(i, 0, ChannelId(i)));
    if (i % 2) {
      EXPECT_TRUE(owner.dispatch().cancel(ConsumerId(i), owner.now()));
    } else {
      owner.close(ChannelId(i));
    }
  }
  EXPECT_EQ(owner.dispatch().memory_bytes(), before);
  EXPECT_FALSE(owner.dispatch().cancel(ConsumerId(1), owner.now()));
}

TEST(QueueConsumers, ACancelledConsumersMessagesAreItsChannels) {  // basic.cancel
  Owner owner;
  publish(owner, 2);
  consume(owner, consumer(1));
  const auto deliveries = owner.deliver();
  EXPECT_TRUE(owner.dispatch().cancel(ConsumerId(1), owner.now()));
  EXPECT_EQ(owner.dispatch().unsettled(), 2u);
  EXPECT_EQ(owner.settle(deliveries[0]), 1u);
  owner.close(kChannel);
  EXPECT_EQ(owner.dispatch().ready(), 1u);
}

TEST(QueueConsumers, IsAbandonedWhenTheLastConsumerHasGone) {  // auto-delete
  Owner owner;
  EXPECT_FALSE(owner.dispatch().abandoned());
  consume(owner, consumer(1));
  consume(owner, consumer(2, 0, kOther));
  EXPECT_EQ(owner.dispatch().all_consumers().size(), 2u);
  owner.close(kOther);
  EXPECT_FALSE(owner.dispatch().abandoned());
  owner.dispatch().cancel(ConsumerId(1), owner.now());
  EXPECT_TRUE(owner.dispatch().abandoned());
}

TEST(QueueConsumers, AnExclusiveConsumerIsAlone) {
  Owner owner;
  ConsumerSpec exclusive = consumer(1);
  exclusive.exclusive = true;
  consume(owner, exclusive);
  EXPECT_EQ(owner.dispatch().consume(consumer(2)), QueueDispatch::Consume::kExclusive);
  owner.dispatch().cancel(ConsumerId(1), owner.now());
  consume(owner, consumer(2));
  EXPECT_EQ(owner.dispatch().consume(exclusive), QueueDispatch::Consume::kExclusive);
}

// ---- who does not acknowledge

TEST(QueueConsumers, WithoutAcknowledgementsADeliveryIsTheEnd) {
  DispatchLimits limits;
  limits.unsent = 2;
  Owner owner({}, limits);
  publish(owner, 5);
  consume(owner, auto_ack(1));
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{0, 1}));
  EXPECT_EQ(owner.state().size(), 3u);
  EXPECT_EQ(owner.log().back().what.index(), 1u);
  EXPECT_TRUE(owner.deliver().empty());  // until they have left
  owner.dispatch().sent(ConsumerId(1), 2);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{2, 3}));
  owner.close(kChannel);
  EXPECT_EQ(owner.state().size(), 1u);
}

TEST(QueueConsumers, ItSettlesManyDeliveriesByOneFact) {
  Owner owner;
  publish(owner, 100);
  consume(owner, auto_ack(1));
  owner.deliver();
  const auto& fact = std::get<Removed>(std::get<QueueFact>(owner.log().back().what));
  EXPECT_EQ(fact.messages, (std::vector<KeyRange>{{0, 0, 100}}));
}

// ---- single active consumer

TEST(QueueConsumers, OneConsumerAtATime) {
  QueueOptions options;
  options.single_active_consumer = true;
  Owner owner(options);
  publish(owner, 5);
  consume(owner, consumer(1, 2));
  consume(owner, consumer(2, 2, kOther));
  const auto deliveries = owner.deliver();
  EXPECT_EQ(takers(deliveries), (Numbers{1, 1}));
  std::optional<Delivery> got;
  EXPECT_EQ(owner.get(kOther, got), QueueDispatch::Get::kSingleActive);
  // The next one does not wait for what the last one has not settled.
  owner.dispatch().cancel(ConsumerId(1), owner.now());
  EXPECT_EQ(owner.dispatch().active(), ConsumerId(2));
  EXPECT_EQ(takers(owner.deliver()), (Numbers{2, 2}));
  owner.close(kOther);
  EXPECT_FALSE(owner.dispatch().active());
}

TEST(QueueConsumers, AHigherPriorityTakesOverOnceAllIsSettled) {  // rabbit_fifo: quiescing
  QueueOptions options;
  options.single_active_consumer = true;
  Owner owner(options);
  publish(owner, 4);
  consume(owner, consumer(1, 1));
  const auto first = owner.deliver();
  ConsumerSpec high = consumer(2, 1, kOther);
  high.priority = 1;
  consume(owner, high);
  EXPECT_EQ(owner.dispatch().active(), ConsumerId(1));
  EXPECT_TRUE(owner.deliver().empty());
  owner.settle(first[0]);
  EXPECT_EQ(owner.dispatch().active(), ConsumerId(2));
  EXPECT_EQ(takers(owner.deliver()), (Numbers{2}));
  // One that waits and goes has changed nothing.
  high = consumer(3, 1, ChannelId(9));
  high.priority = 2;
  consume(owner, high);
  owner.close(ChannelId(9));
  owner.close(kOther);
  EXPECT_EQ(owner.dispatch().active(), ConsumerId(1));
  EXPECT_EQ(takers(owner.deliver()), (Numbers{1}));
}

}  // namespace
}  // namespace stele::broker::queue
