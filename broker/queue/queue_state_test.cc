// What the facts in the log make of a queue, one at a time.
#include "broker/queue/queue_state.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "broker/queue/queue_testing.h"

namespace stele::broker::queue {
namespace {

constexpr WallTime kNow{5000};

Arrival arrival(std::uint64_t lsn, std::uint32_t bytes = 10, std::uint8_t priority = 0) {
  return {{Lsn(lsn), 0}, bytes, priority, {}};
}
QueueFact removed(Why why, std::vector<KeyRange> what) {
  return Removed{why, std::move(what)};
}
QueueFact returned(std::vector<MessageKey> what, bool counts = true) {
  return Returned{std::move(what), counts};
}
QueueOptions with_exchange() {
  QueueOptions options;
  options.dead_letter_exchange = "dlx";
  return options;
}
std::vector<DeadLetter> dead_letters(const QueueState& state) {
  std::vector<DeadLetter> all;
  for (auto next = state.dead_letter_from(0); next; next = state.dead_letter_from(next->number + 1)) {
    all.push_back(*next);
  }
  return all;
}

TEST(QueueState, KeepsWhereMessagesAreAndHowManyBytes) {
  QueueState state;
  EXPECT_FALSE(state.lsn_needed());
  const MessageKey first = state.enqueue({{Lsn(7), 3}, 100, 0, {}}, kNow);
  const MessageKey second = state.enqueue(arrival(9, 50), kNow);
  EXPECT_LT(first, second);
  EXPECT_EQ(state.size(), 2u);
  EXPECT_EQ(state.bytes(), 150u);
  EXPECT_EQ(state.find(first)->place, (Place{Lsn(7), 3}));
  EXPECT_EQ(state.find(first)->expires_at_ms, kNever);
  EXPECT_FALSE(state.find(first)->redelivered);
  EXPECT_EQ(state.lsn_needed(), Lsn(7));
  state.apply(removed(Why::kSettled, {{0, first.number, 1}}), kNow);
  EXPECT_FALSE(state.has(first));
  EXPECT_EQ(state.bytes(), 50u);
  EXPECT_EQ(state.lsn_needed(), Lsn(9));
}

TEST(QueueState, WhatIsGoneIsNotSettledAgain) {
  QueueState state(with_exchange());
  for (std::uint64_t i = 0; i < 5; ++i) state.enqueue(arrival(i), kNow);
  state.apply(removed(Why::kSettled, {{0, 1, 2}}), kNow);
  state.apply(removed(Why::kSettled, {{0, 0, 100}, {3, 0, 1}}), kNow);
  state.apply(removed(Why::kRejected, {{0, 0, UINT64_MAX}}), kNow);
  state.apply(returned({{0, 2}, {9, 9}}), kNow);
  EXPECT_EQ(state.counts().left[0], 5u);
  EXPECT_EQ(state.size(), 0u);
  EXPECT_EQ(state.bytes(), 0u);
  EXPECT_EQ(state.dead_letters(), 0u);
}

TEST(QueueState, TheShorterTtlCountsAndZeroIsTheSameMillisecond) {
  QueueOptions options;
  options.message_ttl_ms = 1000;
  QueueState state(options);
  const auto expiry = [&](std::optional<std::int64_t> ttl_ms) {
    return state.find(state.enqueue({{Lsn(1), 0}, 1, 0, ttl_ms}, kNow))->expires_at_ms;
  };
  EXPECT_EQ(expiry({}), 6000);
  EXPECT_EQ(expiry(10), 5010);
  EXPECT_EQ(expiry(2000), 6000);
  EXPECT_EQ(expiry(0), 5001);
  state.set_options({});  // a policy that goes changes nothing for what is here
  EXPECT_EQ(state.find({0, 0})->expires_at_ms, 6000);
  EXPECT_EQ(expiry({}), kNever);
  EXPECT_EQ(expiry(INT64_MAX), kNever);
}

TEST(QueueState, PrioritiesAboveTheHighestLevelAreIt) {
  QueueOptions options;
  options.max_priority = 3;
  QueueState state(options);
  EXPECT_EQ(state.enqueue(arrival(0, 1, 2), kNow), (MessageKey{2, 0}));
  EXPECT_EQ(state.enqueue(arrival(1, 1, 255), kNow), (MessageKey{3, 0}));
  EXPECT_EQ(state.enqueue(arrival(2, 1, 3), kNow), (MessageKey{3, 1}));
  options.max_priority = 9;  // no policy can say that
  state.set_options(options);
  EXPECT_EQ(state.enqueue(arrival(3, 1, 7), kNow), (MessageKey{3, 2}));
  QueueState without;
  EXPECT_EQ(without.enqueue(arrival(0, 1, 9), kNow), (MessageKey{0, 0}));
}

TEST(QueueState, DeliveriesCountUntilTheLimit) {  // quorum-queues: poison message handling
  QueueOptions options = with_exchange();
  options.delivery_limit = 2;
  QueueState state(options);
  const MessageKey key = state.enqueue(arrival(4), kNow);
  state.apply(returned({key}), kNow);
  state.apply(returned({key}, false), kNow);
  EXPECT_EQ(state.find(key)->deliveries, 1u);
  EXPECT_TRUE(state.find(key)->redelivered);
  state.apply(returned({key}), kNow);
  EXPECT_EQ(state.find(key)->deliveries, 2u);
  EXPECT_EQ(state.dead_letters(), 0u);
  state.apply(returned({key}), WallTime{6000});
  EXPECT_FALSE(state.has(key));
  const DeadLetter expected{0, {Lsn(4), 0}, 10, Why::kDeliveryLimit, 6000, 3};
  EXPECT_EQ(dead_letters(state), std::vector{expected});
}

TEST(QueueState, ReturnedMessagesStandInTheOrderOfReturn) {
  QueueState state;
  for (std::uint64_t i = 0; i < 4; ++i) state.enqueue(arrival(i), kNow);
  state.apply(returned({{0, 2}, {0, 0}}), kNow);
  state.apply(returned({{0, 2}}), kNow);
  const QueueLevel& level = state.levels().at(0);
  const auto first = level.returned_from(0);
  EXPECT_EQ(first->number, 0u);
  EXPECT_EQ(level.returned_from(first->turn + 1)->number, 2u);
  EXPECT_EQ(level.fresh_from(0, 0)->key.number, 1u);
  EXPECT_EQ(level.fresh_from(0, 2)->key.number, 3u);
}

TEST(QueueState, WhatIsGoneHasNoTurnAnyMore) {
  QueueState state;
  for (std::uint64_t i = 0; i < 6; ++i) state.enqueue(arrival(i), kNow);
  state.apply(returned({{0, 1}, {0, 2}, {0, 3}, {0, 5}}), kNow);
  state.apply(removed(Why::kSettled, {{0, 1, 2}}), kNow);
  state.apply(removed(Why::kSettled, {{0, 5, 1}}), kNow);
  const QueueLevel& level = state.levels().at(0);
  const auto left = level.returned_from(0);
  ASSERT_TRUE(left);
  EXPECT_EQ(left->number, 3u);
  EXPECT_FALSE(level.returned_from(left->turn + 1));
  EXPECT_EQ(level.marks(), 1u);
}

TEST(QueueState, OnlyDeathsAreDeadLettersAndOnlyWithAnExchange) {
  for (const bool exchange : {false, true}) {
    QueueState state(exchange ? with_exchange() : QueueOptions());
    for (std::uint64_t i = 0; i < 5; ++i) state.enqueue(arrival(i), kNow);
    state.apply(removed(Why::kSettled, {{0, 0, 1}}), kNow);
    state.apply(removed(Why::kExpired, {{0, 1, 1}}), kNow);
    state.apply(removed(Why::kRejected, {{0, 2, 1}}), kNow);
    state.apply(removed(Why::kMaxLength, {{0, 3, 1}}), kNow);
    state.apply(removed(Why::kPurged, {{0, 4, 1}}), kNow);
    EXPECT_EQ(state.size(), 0u);
    std::vector<Why> whys;
    for (const DeadLetter& dead : dead_letters(state)) whys.push_back(dead.why);
    EXPECT_EQ(whys,
              exchange ? (std::vector{Why::kExpired, Why::kRejected, Why::kMaxLength}) : std::vector<Why>());
    EXPECT_EQ(state.lsn_needed(), exchange ? std::optional(Lsn(1)) : std::nullopt);
  }
}

TEST(QueueState, DeadLettersGoWhenTheyAreForwarded) {
  QueueOptions options = with_exchange();
  options.dead_letter_strategy = DeadLetterStrategy::kAtLeastOnce;
  options.overflow = Overflow::kRejectPublish;
  QueueState state(options);
  for (std::uint64_t i = 0; i < 5; ++i) state.enqueue(arrival(i), kNow);
  state.apply(removed(Why::kExpired, {{0, 0, 4}}), kNow);
  EXPECT_EQ(state.counted_dead(), 4u);
  EXPECT_EQ(state.counted_dead_bytes(), 40u);
  state.forwarded(1, 2);
  state.forwarded(1, 2);
  EXPECT_EQ(state.counts().forwarded, 2u);
  EXPECT_EQ(dead_letters(state).size(), 2u);
  EXPECT_EQ(dead_letters(state).back().number, 3u);
  // Their exchange is taken away: they have nowhere to go.
  state.set_options({});
  EXPECT_EQ(state.dead_letters(), 0u);
  EXPECT_EQ(state.counts().lost, 2u);
}

TEST(QueueState, AtLeastOnceNeedsRejectPublish) {
  QueueOptions options = with_exchange();
  options.dead_letter_strategy = DeadLetterStrategy::kAtLeastOnce;
  for (const Overflow overflow :
       {Overflow::kDropHead, Overflow::kRejectPublish, Overflow::kRejectPublishDlx}) {
    options.overflow = overflow;
    EXPECT_EQ(options.at_least_once(), overflow == Overflow::kRejectPublish);
  }
}

TEST(QueueState, AtMostOnceKeepsNoMoreDeadLettersThanItMay) {
  QueueOptions options = with_exchange();
  options.dead_letters_max = 3;
  QueueState state(options);
  for (std::uint64_t i = 0; i < 5; ++i) state.enqueue(arrival(i), kNow);
  state.apply(removed(Why::kExpired, {{0, 0, 5}}), kNow);
  EXPECT_EQ(state.counts().lost, 2u);
  EXPECT_EQ(dead_letters(state).front().place.lsn, Lsn(2));
}

TEST(QueueState, ARefusedMessageIsADeadLetterOnlyIfAskedFor) {
  for (const Overflow overflow : {Overflow::kRejectPublish, Overflow::kRejectPublishDlx}) {
    QueueOptions options = with_exchange();
    options.overflow = overflow;
    QueueState state(options);
    state.refuse(arrival(8), kNow);
    EXPECT_EQ(state.size(), 0u);
    EXPECT_EQ(state.counts().refused, 1u);
    EXPECT_EQ(state.counts().arrived, 0u);
    ASSERT_EQ(state.dead_letters(), overflow == Overflow::kRejectPublishDlx ? 1u : 0u);
    if (state.dead_letters() == 1) EXPECT_EQ(dead_letters(state)[0].why, Why::kMaxLength);
  }
}

TEST(QueueState, AfterATakeOverEverythingMayHaveBeenDelivered) {
  QueueState state;
  const MessageKey before = state.enqueue(arrival(0), kNow);
  state.take_over(Epoch(3));
  const MessageKey after = state.enqueue(arrival(1), kNow);
  EXPECT_TRUE(state.find(before)->redelivered);
  EXPECT_EQ(state.find(before)->deliveries, 0u);  // a lower bound
  EXPECT_FALSE(state.find(after)->redelivered);
}

// ---- snapshots

QueueState rich_state() {
  QueueOptions options = with_exchange();
  options.max_priority = 4;
  options.message_ttl_ms = 100;
  options.max_length = 10;
  options.max_length_bytes = 11;
  options.delivery_limit = 12;
  options.expires_ms = 13;
  options.consumer_timeout_ms = 14;
  options.dead_letter_key = "key";
  options.single_active_consumer = true;
  options.type = QueueType::kQuorum;
  QueueState state(options);
  for (std::uint64_t i = 0; i < 3000; ++i) {
    state.enqueue({{Lsn(i * 2), static_cast<std::uint32_t>(i % 3)},
                   static_cast<std::uint32_t>(i % 100),
                   static_cast<std::uint8_t>(i % 2 * 3),
                   i % 7 == 0 ? std::optional<std::int64_t>(7) : std::nullopt},
                  WallTime{static_cast<std::int64_t>(i)});
  }
  std::vector<MessageKey> some;
  for (std::uint64_t i = 0; i < 1200; ++i) some.push_back({0, 1499 - i});
  state.apply(returned(some), kNow);
  state.apply(removed(Why::kSettled, {{3, 5, 10}, {0, 1400, 20}}), kNow);
  state.apply(removed(Why::kExpired, {{3, 20, 1100}}), kNow);
  state.forwarded(3, 4);
  state.take_over(Epoch(2));
  state.refuse(arrival(9000), kNow);
  for (std::uint64_t i = 0; i < 10; ++i) state.enqueue(arrival(9100 + i, 7, 3), kNow);
  return state;
}

TEST(QueueState, ASnapshotIsTheState) {
  const QueueState state = rich_state();
  const std::vector<std::string> records = records_of(state);
  for (const std::string& record : records) EXPECT_LT(record.size(), 32u << 10);
  const std::optional<QueueState> loaded = state_of(records, Lsn(10'000));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->hash(), state.hash());
  EXPECT_EQ(records_of(*loaded), records);
  EXPECT_EQ(loaded->options(), state.options());
  EXPECT_EQ(loaded->counts(), state.counts());
  EXPECT_EQ(loaded->size(), state.size());
  EXPECT_EQ(loaded->bytes(), state.bytes());
  EXPECT_EQ(loaded->lsn_needed(), state.lsn_needed());
  EXPECT_EQ(dead_letters(*loaded), dead_letters(state));
  for (const auto& [id, level] : state.levels()) {
    const QueueLevel& other = loaded->levels().at(id);
    EXPECT_EQ(other.next(), level.next());
    for (std::uint64_t number = 0; number < level.next(); ++number) {
      EXPECT_EQ(other.find(id, number), level.find(id, number));
    }
    std::uint64_t turn = 0;
    for (auto next = level.returned_from(turn); next; next = level.returned_from(turn)) {
      EXPECT_EQ(other.returned_from(turn)->number, next->number);
      turn = next->turn + 1;
    }
    EXPECT_FALSE(other.returned_from(turn));
  }
}

TEST(QueueState, TheHashIsOfWhatIsThereAndNotOfHowItCameToBe) {
  QueueState a, b;
  for (std::uint64_t i = 0; i < 1000; ++i) a.enqueue(arrival(i), kNow), b.enqueue(arrival(i), kNow);
  for (std::uint64_t i = 0; i < 1000; i += 2) a.apply(removed(Why::kSettled, {{0, i, 1}}), kNow);
  EXPECT_NE(a.hash(), b.hash());
  for (std::uint64_t i = 998; i < 1000; i -= 2) b.apply(removed(Why::kSettled, {{0, i, 1}}), kNow);
  EXPECT_EQ(a.hash(), b.hash());
}

TEST(QueueState, WhatIsDamagedIsNoState) {
  const std::vector<std::string> records = records_of(rich_state());
  const Lsn end(10'000);
  EXPECT_FALSE(state_of(records, Lsn(5000)));  // of a longer log
  for (std::size_t i = 0; i < records.size(); ++i) {
    std::vector<std::string> without = records;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    const auto state = state_of(without, end);
    if (state) EXPECT_NE(state->hash(), rich_state().hash());
    for (std::size_t length = 0; length < records[i].size(); length += 1 + records[i].size() / 50) {
      std::vector<std::string> cut = records;
      cut[i].resize(length);
      EXPECT_FALSE(state_of(cut, end));
    }
    // Any byte: an error, or some state; nothing else.
    for (std::size_t at = 0; at < records[i].size(); at += 1 + records[i].size() / 200) {
      std::vector<std::string> changed = records;
      changed[i][at] = static_cast<char>(changed[i][at] ^ 0x81);
      if (const auto other = state_of(changed, end)) EXPECT_EQ(records_of(*other).front().front(), '\1');
    }
  }
  std::vector<std::string> twice = records;
  twice.insert(twice.begin(), records.front());
  EXPECT_FALSE(state_of(twice, end));
}

}  // namespace
}  // namespace stele::broker::queue
