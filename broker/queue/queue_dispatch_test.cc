// What is given, and what becomes of it: order, settling, expiry, overflow. The rules are AMQP 0-9-1's and
// RabbitMQ's (rabbit_fifo.erl; rabbit_amqqueue_process.erl for reject-publish and x-expires).
#include "broker/queue/queue_dispatch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "broker/queue/queue_testing.h"

namespace stele::broker::queue {
namespace {

// ---- order

TEST(QueueDispatch, GivesInTheOrderOfArrival) {
  Owner owner;
  publish(owner, 3);
  consume(owner, consumer(1));
  publish(owner, 1);
  const auto deliveries = owner.deliver();
  EXPECT_EQ(numbers(deliveries), (Numbers{0, 1, 2, 3}));
  EXPECT_FALSE(deliveries[0].message.redelivered);
  EXPECT_EQ(owner.dispatch().ready(), 0u);
  EXPECT_EQ(owner.dispatch().unsettled(), 4u);
  EXPECT_TRUE(owner.deliver().empty());
}

TEST(QueueDispatch, HigherLevelsFirst) {
  QueueOptions options;
  options.max_priority = 10;
  Owner owner(options);
  for (const std::uint8_t priority : {1, 5, 0, 5, 200}) owner.publish(10, priority);
  consume(owner, consumer(1));
  std::vector<int> levels;
  for (const Delivery& one : owner.deliver()) levels.push_back(one.message.key.level);
  EXPECT_EQ(levels, (std::vector{10, 5, 5, 1, 0}));
}

TEST(QueueDispatch, WhatIsReturnedIsGivenFirstInTheOrderOfReturn) {  // rabbit_fifo: `returns`
  Owner owner;
  publish(owner, 6);
  consume(owner, consumer(1, 4));
  const auto first = owner.deliver();
  owner.settle(first[2], Outcome::kRequeue);
  owner.settle(first[0], Outcome::kRequeue);
  const auto again = owner.deliver();
  EXPECT_EQ(numbers(again), (Numbers{2, 0}));
  EXPECT_TRUE(again[0].message.redelivered);
  EXPECT_EQ(again[0].message.deliveries, 1u);
  owner.settle(again[1], Outcome::kRequeue);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{0}));
  owner.settle(again[0]);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{4}));
}

TEST(QueueDispatch, AClosedChannelGivesBackWhatItHadInOrder) {
  Owner owner;
  publish(owner, 5);
  consume(owner, consumer(1, 3));
  EXPECT_EQ(owner.deliver().size(), 3u);
  owner.close(kChannel);
  EXPECT_EQ(owner.dispatch().consumers(), 0u);
  EXPECT_EQ(owner.dispatch().ready(), 5u);
  consume(owner, consumer(2, 0, kOther));
  const auto again = owner.deliver();
  EXPECT_EQ(numbers(again), (Numbers{0, 1, 2, 3, 4}));
  EXPECT_EQ(again[2].message.deliveries, 1u);
  EXPECT_FALSE(again[3].message.redelivered);
}

TEST(QueueDispatch, WhatCouldNotBeDeliveredComesBackUncounted) {
  Owner owner;
  publish(owner, 1);
  consume(owner, consumer(1));
  const auto first = owner.deliver();
  owner.decide([&](QueueDispatch& d, QueueFacts& f) { d.take_back(kChannel, first[0].acquisition, f); });
  const auto again = owner.deliver();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].message.deliveries, 0u);
  EXPECT_FALSE(again[0].message.redelivered);
  owner.settle(again[0], Outcome::kRequeue);
  EXPECT_EQ(owner.deliver()[0].message.deliveries, 1u);
}

// ---- basic.get

TEST(QueueDispatch, GetTakesTheFirstAndCountsForNoPrefetch) {
  Owner owner;
  publish(owner, 3);
  std::optional<Delivery> got;
  EXPECT_EQ(owner.get(kChannel, got), QueueDispatch::Get::kGot);
  EXPECT_EQ(got->message.key.number, 0u);
  EXPECT_EQ(owner.dispatch().ready(), 2u);
  consume(owner, consumer(1, 2));
  owner.dispatch().set_channel_limit(kChannel, 2);
  EXPECT_EQ(owner.deliver().size(), 2u);
  EXPECT_EQ(owner.settle(*got, Outcome::kRequeue), 1u);
  std::optional<Delivery> again;
  EXPECT_EQ(owner.get(kOther, again, true), QueueDispatch::Get::kGot);
  EXPECT_TRUE(again->message.redelivered);
  EXPECT_EQ(owner.state().size(), 2u);
  EXPECT_EQ(owner.get(kOther, again), QueueDispatch::Get::kEmpty);
}

TEST(QueueDispatch, GetDoesNotGiveWhatHasExpired) {
  Owner owner;
  owner.publish(10, 0, 5);
  owner.publish();
  owner.pass(5);
  std::optional<Delivery> got;
  EXPECT_EQ(owner.get(kChannel, got), QueueDispatch::Get::kExpired);
  owner.expire();
  EXPECT_EQ(owner.get(kChannel, got), QueueDispatch::Get::kGot);
  EXPECT_EQ(got->message.key.number, 1u);
}

// ---- settling

TEST(QueueDispatch, AStaleSettleDoesNothing) {
  Owner owner;
  publish(owner, 2);
  consume(owner, consumer(1));
  const auto deliveries = owner.deliver();
  EXPECT_EQ(owner.settle(deliveries[0], Outcome::kRequeue), 1u);
  EXPECT_EQ(owner.settle(deliveries[0]), 0u);
  EXPECT_EQ(owner.settle(deliveries[0], Outcome::kReject), 0u);
  EXPECT_EQ(owner.settle(kOther, {deliveries[1].acquisition}), 0u);  // somebody else's
  EXPECT_EQ(owner.state().size(), 2u);
  const auto again = owner.deliver();
  EXPECT_EQ(owner.settle(kChannel, {again[0].acquisition, again[0].acquisition}), 1u);
  EXPECT_EQ(owner.state().size(), 1u);
}

TEST(QueueDispatch, ManyAreSettledByOneFact) {
  Owner owner;
  publish(owner, 50);
  consume(owner, consumer(1));
  std::vector<Acquisition> all;
  for (const Delivery& one : owner.deliver()) all.push_back(one.acquisition);
  const Lsn before = owner.end();
  EXPECT_EQ(owner.settle(kChannel, all), 50u);
  EXPECT_EQ(owner.end(), before + 1);
}

TEST(QueueDispatch, NoFactIsLarge) {
  Owner owner;
  publish(owner, 10'000);
  consume(owner, consumer(1));
  EXPECT_EQ(owner.deliver().size(), 10'000u);
  const Lsn before = owner.end();
  owner.close(kChannel);
  EXPECT_EQ(owner.end(), before + 3);
  consume(owner, consumer(2, 0, kOther));
  std::vector<Acquisition> every_second;
  const auto again = owner.deliver();
  for (std::size_t i = 0; i < again.size(); i += 2) {
    EXPECT_EQ(again[i].message.key.number, i);
    every_second.push_back(again[i].acquisition);
  }
  EXPECT_EQ(owner.settle(kOther, every_second), 5000u);
  EXPECT_EQ(owner.end(), before + 5);
  EXPECT_EQ(owner.state().size(), 5000u);
}

TEST(QueueDispatch, AnEarlierOwnersDeliveryCanOnlyBeAcknowledged) {  // design, section 8
  Owner owner;
  publish(owner, 4);
  consume(owner, consumer(1));
  const auto before = owner.deliver();
  owner.settle(before[3]);
  owner.fail_over();
  EXPECT_EQ(owner.dispatch().ready(), 3u);
  EXPECT_EQ(owner.settle(before[3]), 0u);                     // it was settled
  EXPECT_EQ(owner.settle(before[0], Outcome::kRequeue), 0u);  // it has come back already
  EXPECT_EQ(owner.settle(before[0], Outcome::kReject), 0u);
  EXPECT_EQ(owner.settle(before[0]), 1u);
  EXPECT_EQ(owner.dispatch().ready(), 2u);
  consume(owner, consumer(2, 2, kOther));
  const auto after = owner.deliver();
  EXPECT_EQ(numbers(after), (Numbers{1, 2}));
  EXPECT_TRUE(after[0].message.redelivered);
  // It is with somebody else by now, who still has it to settle and no room meanwhile.
  publish(owner, 1);
  EXPECT_EQ(owner.settle(kChannel, {before[1].acquisition, before[1].acquisition}), 1u);
  EXPECT_EQ(owner.state().size(), 2u);
  EXPECT_EQ(owner.dispatch().unsettled(), 1u);
  EXPECT_TRUE(owner.deliver().empty());
  EXPECT_EQ(owner.settle(after[0], Outcome::kRequeue), 0u);
  EXPECT_EQ(owner.state().size(), 2u);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{4}));
}

TEST(QueueDispatch, TheOrderOfReturnOutlivesTheOwner) {
  Owner owner;
  publish(owner, 4);
  consume(owner, consumer(1, 3));
  const auto deliveries = owner.deliver();
  owner.settle(deliveries[2], Outcome::kRequeue);
  owner.settle(deliveries[1], Outcome::kRequeue);
  owner.fail_over();
  consume(owner, consumer(2));
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{2, 1, 0, 3}));
}

TEST(QueueDispatch, RecoverGivesAllBackAndKeepsTheConsumers) {  // basic.recover with requeue
  Owner owner;
  publish(owner, 3);
  consume(owner, consumer(1, 2));
  owner.deliver();
  owner.recover(kChannel);
  EXPECT_EQ(owner.dispatch().ready(), 3u);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{0, 1}));
}

TEST(QueueDispatch, TheDeliveryLimitEndsAPoisonMessage) {
  QueueOptions options;
  options.delivery_limit = 1;
  options.dead_letter_exchange = "dlx";
  Owner owner(options);
  publish(owner, 1);
  consume(owner, consumer(1));
  owner.settle(owner.deliver()[0], Outcome::kRequeue);
  owner.settle(owner.deliver()[0], Outcome::kRequeue);
  EXPECT_TRUE(owner.deliver().empty());
  ASSERT_EQ(owner.dead_letters().size(), 1u);
  EXPECT_EQ(owner.dead_letters()[0].why, Why::kDeliveryLimit);
  EXPECT_EQ(owner.dead_letters()[0].deliveries, 2u);
}

TEST(QueueDispatch, ARejectedMessageIsADeadLetter) {
  QueueOptions options;
  options.dead_letter_exchange = "dlx";
  Owner owner(options);
  publish(owner, 1);
  consume(owner, consumer(1));
  owner.settle(owner.deliver()[0], Outcome::kReject);
  ASSERT_EQ(owner.dead_letters().size(), 1u);
  EXPECT_EQ(owner.dead_letters()[0].why, Why::kRejected);
}

TEST(QueueDispatch, TellsWhoKeepsADeliveryForTooLong) {
  QueueOptions options;
  options.consumer_timeout_ms = 100;
  Owner owner(options);
  publish(owner, 2);
  consume(owner, consumer(1, 1));
  consume(owner, consumer(2, 1, kOther));
  const auto deliveries = owner.deliver(1);
  owner.pass(50);
  owner.deliver();
  owner.pass(49);
  EXPECT_TRUE(owner.dispatch().overdue(owner.now()).empty());
  owner.pass(1);
  EXPECT_EQ(owner.dispatch().overdue(owner.now()), std::vector{kChannel});
  publish(owner, 1);
  std::optional<Delivery> later;
  owner.get(kChannel, later);
  EXPECT_EQ(owner.dispatch().overdue(owner.now()), std::vector{kChannel});
  owner.settle(*later);
  owner.settle(deliveries[0]);
  EXPECT_TRUE(owner.dispatch().overdue(owner.now()).empty());
  options.consumer_timeout_ms = 0;
  owner.append(options);
  owner.pass(1'000'000'000);
  EXPECT_TRUE(owner.dispatch().overdue(owner.now()).empty());
  options.consumer_timeout_ms.reset();  // the node's
  owner.append(options);
  EXPECT_EQ(owner.dispatch().overdue(owner.now()), std::vector{kOther});
}

// ---- expiry

TEST(QueueDispatch, ExpiresInFrontAndNotWhatIsOut) {
  QueueOptions options;
  options.dead_letter_exchange = "dlx";
  Owner owner(options);
  owner.publish(10, 0, 5);  // will be out
  owner.publish(10, 0, 5);
  owner.publish();
  owner.publish(10, 0, 5);  // behind one that does not expire
  consume(owner, consumer(1, 1));
  const auto deliveries = owner.deliver();
  EXPECT_EQ(owner.dispatch().next_expiry_ms(), owner.now().ms + 5);
  owner.pass(4);
  owner.expire();
  EXPECT_EQ(owner.dispatch().ready(), 3u);
  owner.pass(1);
  owner.expire();
  EXPECT_EQ(owner.dispatch().ready(), 2u);
  EXPECT_EQ(owner.dispatch().next_expiry_ms(), kNever);
  ASSERT_EQ(owner.dead_letters().size(), 1u);
  EXPECT_EQ(owner.dead_letters()[0].died_at_ms, owner.now().ms);
  // It is not delivered either; and what comes back expires then.
  owner.settle(deliveries[0], Outcome::kRequeue);
  EXPECT_EQ(numbers(owner.deliver()), (Numbers{2}));
  EXPECT_EQ(owner.dead_letters().size(), 2u);
  owner.expire();
  EXPECT_EQ(owner.state().size(), 1u);
}

TEST(QueueDispatch, EveryLevelHasItsFront) {
  QueueOptions options;
  options.max_priority = 2;
  Owner owner(options);
  owner.publish(10, 2);
  owner.publish(10, 1, 5);
  EXPECT_EQ(owner.dispatch().next_expiry_ms(), owner.now().ms + 5);
  owner.pass(10);
  EXPECT_FALSE(owner.expire());
  EXPECT_EQ(owner.state().size(), 1u);
}

TEST(QueueDispatch, ExpiresNoMoreAtOnceThanAsked) {
  QueueOptions options;
  options.message_ttl_ms = 1;
  Owner owner(options);
  publish(owner, 300);
  owner.pass(1);
  EXPECT_TRUE(owner.expire(200));
  EXPECT_EQ(owner.state().size(), 100u);
  EXPECT_FALSE(owner.expire(200));
  EXPECT_EQ(owner.state().size(), 0u);
}

// ---- limits

TEST(QueueDispatch, DropHeadKeepsTheLatest) {
  QueueOptions options;
  options.max_length = 2;
  options.dead_letter_exchange = "dlx";
  Owner owner(options);
  publish(owner, 4);
  EXPECT_TRUE(owner.overflow(1));
  EXPECT_FALSE(owner.overflow());
  EXPECT_EQ(owner.dispatch().ready(), 2u);
  EXPECT_EQ(owner.dead_letters()[1].place.lsn, Lsn(2));
  EXPECT_EQ(owner.dead_letters()[1].why, Why::kMaxLength);
  // What is out does not count, and is not dropped.
  consume(owner, consumer(1, 2));
  const auto deliveries = owner.deliver();
  publish(owner, 2);
  EXPECT_FALSE(owner.overflow());
  EXPECT_EQ(owner.state().size(), 4u);
  // What comes back does, and is first to go.
  owner.dispatch().cancel(ConsumerId(1), owner.now());
  owner.settle(deliveries[1], Outcome::kRequeue);
  owner.overflow();
  EXPECT_EQ(owner.dead_letters().back().deliveries, 1u);
}

TEST(QueueDispatch, LimitsOfBytes) {
  QueueOptions options;
  options.max_length_bytes = 25;
  Owner owner(options);
  for (const std::uint32_t bytes : {10, 10, 10}) owner.publish(bytes);
  owner.overflow();
  EXPECT_EQ(owner.dispatch().ready_bytes(), 20u);
  owner.publish(26);
  owner.overflow();
  EXPECT_EQ(owner.dispatch().ready(), 0u);  // too large to stay, it took the others along
  options.overflow = Overflow::kRejectPublish;
  owner.append(options);
  EXPECT_FALSE(owner.publish(26));
  EXPECT_TRUE(owner.publish(25));
  EXPECT_FALSE(owner.publish(1));
  EXPECT_TRUE(owner.publish(0));
}

TEST(QueueDispatch, RejectPublishRefusesAndDropsNothing) {
  QueueOptions options;
  options.max_length = 2;
  options.overflow = Overflow::kRejectPublish;
  Owner owner(options);
  publish(owner, 2);
  EXPECT_FALSE(owner.publish());
  EXPECT_FALSE(owner.overflow());
  consume(owner, consumer(1, 1));
  owner.deliver();
  EXPECT_TRUE(owner.publish());
  EXPECT_FALSE(owner.publish());
}

TEST(QueueDispatch, AtLeastOnceADeadLetterTakesRoomUntilItIsForwarded) {
  QueueOptions options;
  options.max_length = 2;
  options.overflow = Overflow::kRejectPublish;
  options.dead_letter_exchange = "dlx";
  options.dead_letter_strategy = DeadLetterStrategy::kAtLeastOnce;
  options.message_ttl_ms = 5;
  Owner owner(options);
  publish(owner, 2);
  owner.pass(5);
  owner.expire();
  EXPECT_EQ(owner.dispatch().ready(), 0u);
  EXPECT_FALSE(owner.publish());
  options.max_length.reset();
  options.max_length_bytes = 25;
  owner.append(options);
  EXPECT_FALSE(owner.publish(6));
  EXPECT_TRUE(owner.publish(5));
  options.max_length = 2;
  owner.append(options);
  EXPECT_FALSE(owner.publish(0));
  owner.append(Logged::Forwarded{0, 1});
  EXPECT_FALSE(owner.publish(11));
  EXPECT_FALSE(owner.publish(0));
  owner.append(Logged::Forwarded{1, 1});
  EXPECT_TRUE(owner.publish(20));
}

TEST(QueueDispatch, PurgeTakesWhatIsReady) {
  QueueOptions options;
  options.max_priority = 1;
  Owner owner(options);
  for (int i = 0; i < 6; ++i) owner.publish(10, static_cast<std::uint8_t>(i % 2));
  consume(owner, consumer(1, 3));
  const auto deliveries = owner.deliver();
  owner.settle(deliveries[1], Outcome::kRequeue);
  EXPECT_EQ(owner.purge(), 4u);
  EXPECT_EQ(owner.dispatch().ready(), 0u);
  EXPECT_EQ(owner.state().size(), 2u);
  EXPECT_EQ(owner.purge(), 0u);
  owner.publish();
  EXPECT_EQ(owner.dispatch().ready(), 1u);
  EXPECT_EQ(owner.settle(deliveries[0]), 1u);
}

TEST(QueueDispatch, PurgeLeavesWhatWasReturnedToAnEarlierOwnerAndIsOutAgain) {
  Owner owner;
  publish(owner, 5);
  consume(owner, consumer(1, 3));
  owner.settle(owner.deliver()[2], Outcome::kRequeue);
  owner.fail_over();
  consume(owner, consumer(2, 1, kOther));
  const auto out = owner.deliver();
  EXPECT_EQ(numbers(out), (Numbers{2}));
  EXPECT_EQ(owner.purge(), 4u);
  EXPECT_EQ(owner.state().size(), 1u);
  EXPECT_EQ(owner.settle(out[0]), 1u);
}

// ---- x-expires

TEST(QueueDispatch, AnUnusedQueueExpires) {
  QueueOptions options;
  options.expires_ms = 100;
  Owner owner(options);
  EXPECT_EQ(owner.dispatch().expires_at_ms(), owner.now().ms + 100);
  owner.pass(10);
  std::optional<Delivery> got;
  owner.get(kChannel, got);
  EXPECT_EQ(owner.dispatch().expires_at_ms(), owner.now().ms + 100);
  consume(owner, consumer(1));
  EXPECT_EQ(owner.dispatch().expires_at_ms(), kNever);
  owner.pass(1000);
  owner.close(kChannel);
  EXPECT_EQ(owner.dispatch().expires_at_ms(), owner.now().ms + 100);
  owner.pass(5);
  owner.dispatch().use(owner.now());  // declared again
  EXPECT_EQ(owner.dispatch().expires_at_ms(), owner.now().ms + 100);
  owner.pass(5);
  owner.fail_over();  // nobody knows who used it
  EXPECT_EQ(owner.dispatch().expires_at_ms(), owner.now().ms + 100);
  EXPECT_EQ(Owner().dispatch().expires_at_ms(), kNever);
}

}  // namespace
}  // namespace stele::broker::queue
