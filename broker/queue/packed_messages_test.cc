// Messages in a few bytes each: against a map, and what a backlog of millions takes.
#include "broker/queue/packed_messages.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <map>
#include <optional>
#include <vector>

namespace stele::broker::queue {
namespace {

using Model = std::map<std::uint64_t, StoredMessage>;

template <class T>
T between(T first, T end) {  // even, whatever the case
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(first, end));
}

StoredMessage any_after(std::uint64_t number, Lsn lsn) {
  StoredMessage message;
  message.number = number + *rc::gen::weightedElement<std::uint64_t>({{60, 0}, {3, 1}, {1, 300}});
  message.lsn = Lsn(lsn.value + *rc::gen::weightedElement<std::uint64_t>({{5, 1}, {1, 0}, {1, 1000}}));
  message.index = *rc::gen::weightedElement<std::uint32_t>({{5, 0}, {1, 3}, {1, UINT32_MAX}});
  message.bytes = *rc::gen::weightedElement<std::uint32_t>({{5, 100}, {1, 0}, {1, UINT32_MAX}});
  message.time_ms = *rc::gen::weightedElement<std::int64_t>({{3, kNever}, {1, 5}, {1, -5}, {1, INT64_MIN}});
  message.tag = *rc::gen::weightedElement<std::uint32_t>({{5, 0}, {1, 9}, {1, UINT32_MAX}});
  return message;
}

void expect_same(const PackedMessages& packed, const Model& model) {
  RC_ASSERT(packed.size() == model.size());
  std::uint64_t bytes = 0;
  std::vector<StoredMessage> expected, found;
  std::optional<Lsn> lowest;
  for (const auto& [number, message] : model) {
    bytes += message.bytes;
    expected.push_back(message);
    lowest = std::min(lowest.value_or(message.lsn), message.lsn);
  }
  packed.for_each([&](const StoredMessage& message) { found.push_back(message); });
  RC_ASSERT(found == expected);
  RC_ASSERT(packed.bytes() == bytes);
  RC_ASSERT(packed.lowest_lsn().has_value() == lowest.has_value());
  if (lowest) RC_ASSERT(*packed.lowest_lsn() <= *lowest);
}

RC_GTEST_PROP(PackedMessages, AreThoseOfAMap, ()) {
  PackedMessages packed;
  Model model;
  std::uint64_t next = between<std::uint64_t>(0, 2);
  Lsn lsn;
  const int steps = between(1, 40);
  for (int step = 0; step < steps; ++step) {
    const int what = between(0, 10);
    if (what < 4) {
      for (int left = between(1, 200); left > 0; --left) {
        const StoredMessage message = any_after(next, lsn);
        packed.push_back(message);
        model.emplace(message.number, message);
        next = message.number + 1;
        lsn = message.lsn;
      }
    } else if (what < 7) {
      // One here and there, or most of a stretch: runs get thin, and go.
      std::uint64_t at = between<std::uint64_t>(0, next + 2);
      const int count = between(1, 400);
      for (int i = 0; i < count; ++i, at += between(1, 3)) {
        const auto found = model.find(at);
        const std::optional<StoredMessage> was = packed.erase(at);
        RC_ASSERT(was.has_value() == (found != model.end()));
        if (!was) continue;
        RC_ASSERT(*was == found->second);
        model.erase(found);
      }
    } else if (what < 8) {
      const auto first = between<std::uint64_t>(0, next + 2);
      const auto end = first + between<std::uint64_t>(0, 1500);
      const auto from = model.lower_bound(first), to = model.lower_bound(end);
      const auto expected = static_cast<std::uint64_t>(std::distance(from, to));
      model.erase(from, to);
      RC_ASSERT(packed.erase_range(first, end) == expected);
    } else {
      const auto number = between<std::uint64_t>(0, next + 2);
      const auto expected = model.lower_bound(number);
      const std::optional<StoredMessage> found = packed.at_or_above(number);
      RC_ASSERT(found.has_value() == (expected != model.end()));
      if (found) RC_ASSERT(*found == expected->second);
      RC_ASSERT(packed.find(number).has_value() == model.contains(number));
    }
    expect_same(packed, model);
  }
}

std::size_t in_use() {
  return mallinfo2().uordblks + mallinfo2().hblkhd;
}

// Sanitizers have an allocator of their own, which does not tell.
bool can_measure() {
  const std::size_t before = in_use();
  PackedMessages some;
  for (StoredMessage one; one.number < 10'000; ++one.number) some.push_back(one);
  return in_use() > before;
}

struct Backlog {
  const char* name;
  double bytes_at_most;  // of memory, for a message
  bool mixed;            // sizes, and places in a log that others write to as well
  bool expires;
};

TEST(PackedMessages, TenMillionTakeSomeBytesEach) {
  if (!can_measure()) GTEST_SKIP() << "the allocator does not say what is in use";
  constexpr std::uint64_t kMessages = 10'000'000;
  for (const Backlog& backlog : {Backlog{"alike", 3, false, false}, Backlog{"mixed", 6, true, false},
                                 Backlog{"mixed, with a TTL", 8, true, true}}) {
    SCOPED_TRACE(backlog.name);
    const std::size_t before = in_use();
    PackedMessages packed;
    std::uint64_t state = 1;
    StoredMessage message;
    message.bytes = 1000;
    std::int64_t now_ms = 1'700'000'000'000;
    for (std::uint64_t i = 0; i < kMessages; ++i) {
      message.number = i;
      if (backlog.mixed) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        message.lsn += 1 + (state >> 60);
        message.bytes = 100 + static_cast<std::uint32_t>(state >> 52);
        now_ms += static_cast<std::int64_t>(state >> 50 & 3);
      } else {
        ++message.lsn;
      }
      if (backlog.expires) message.time_ms = now_ms + 60'000;
      packed.push_back(message);
    }
    const double each = static_cast<double>(in_use() - before) / kMessages;
    const double said = static_cast<double>(packed.memory_bytes()) / kMessages;
    std::printf("%s: %.2f bytes a message, said to be %.2f\n", backlog.name, each, said);
    EXPECT_LE(each, backlog.bytes_at_most);
    EXPECT_GT(said, each * 0.8);
    EXPECT_LT(said, each * 1.3);
    EXPECT_EQ(packed.erase_range(1, kMessages - 1), kMessages - 2);
    EXPECT_LT(in_use() - before, 5 * PackedMessages::kRun * sizeof message);
  }
}

TEST(PackedMessages, OneLeftOfEachRunTakesLessThan200Bytes) {
  if (!can_measure()) GTEST_SKIP() << "the allocator does not say what is in use";
  constexpr std::uint64_t kRuns = 10'000;
  for (const bool at_once : {false, true}) {
    const std::size_t before = in_use();
    PackedMessages packed;
    StoredMessage message;
    for (std::uint64_t i = 0; i < kRuns * PackedMessages::kRun; ++i) {
      message.number = i;
      message.lsn += 2;
      message.bytes = static_cast<std::uint32_t>(i % 1000);
      packed.push_back(message);
      if (at_once && i % PackedMessages::kRun != 0) packed.erase(i);
    }
    for (std::uint64_t i = 0; i < kRuns * PackedMessages::kRun; ++i) {
      if (i % PackedMessages::kRun != 0) packed.erase(i);
    }
    ASSERT_EQ(packed.size(), kRuns);
    const double each = static_cast<double>(in_use() - before) / static_cast<double>(packed.size());
    std::printf("alone: %.0f bytes a message\n", each);
    EXPECT_LE(each, 200);
  }
}

TEST(PackedMessages, EmptyTakesNothing) {
  if (!can_measure()) GTEST_SKIP() << "the allocator does not say what is in use";
  PackedMessages packed;
  const std::size_t before = in_use();
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < 1000; ++i) {
      StoredMessage message;
      message.number = round * 1000 + i;
      packed.push_back(message);
    }
    for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_TRUE(packed.erase(round * 1000 + i));
  }
  EXPECT_TRUE(packed.empty());
  EXPECT_LE(in_use(), before + (4 << 10));  // malloc keeps a few small blocks back
  EXPECT_LE(packed.memory_bytes(), 2 * sizeof packed);
}

}  // namespace
}  // namespace stele::broker::queue
