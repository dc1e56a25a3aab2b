#include "broker/share_group.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <set>

namespace stele::broker {
namespace {

ShareGroup::Member member(std::uint64_t attachment, std::uint32_t window = 100) {
  return {.attachment = attachment,
          .client_id = "c" + std::to_string(attachment),
          .started = true,
          .qos = 1,
          .window = window,
          .window_bytes = 1000};
}

// Who gets what stands at each position from `from` to `to`.
std::vector<std::uint64_t> give(ShareGroup& group, QueuePosition to, bool final = false) {
  std::vector<std::uint64_t> who;
  while (group.next(0) < to) {
    const ShareGroup::Member* chosen = group.choose();
    if (!chosen) break;
    who.push_back(chosen->attachment);
    group.give(Lsn(group.next(0)), 0, 10, final);
  }
  return who;
}

using Who = std::vector<std::uint64_t>;

TEST(ShareGroup, TakesTurns) {
  ShareGroup group;
  EXPECT_EQ(give(group, 1), Who{});
  for (std::uint64_t id : {1, 2, 3}) group.join(member(id));
  EXPECT_EQ(give(group, 7), (Who{1, 2, 3, 1, 2, 3, 1}));
  group.leave(1);
  EXPECT_EQ(group.next(0), 0u);  // what it had comes first
  EXPECT_EQ(give(group, 7), (Who{2, 3, 2}));
  EXPECT_EQ(give(group, 9), (Who{3, 2}));
}

TEST(ShareGroup, OneThatIsNotStartedGetsNothing) {
  ShareGroup group;
  ShareGroup::Member waiting = member(1);
  waiting.started = false;
  group.join(waiting);
  EXPECT_EQ(give(group, 1), Who{});
  group.start(1);
  group.join(waiting);  // other options: it stays started
  EXPECT_EQ(give(group, 1), Who{1});
}

TEST(ShareGroup, AFullWindowLosesItsTurn) {
  ShareGroup group;
  group.join(member(1, 1));
  group.join(member(2));
  EXPECT_EQ(give(group, 4), (Who{1, 2, 2, 2}));
  EXPECT_EQ(group.settle(1, Lsn(0), 0), ShareGroup::Settled::kQueued);
  EXPECT_EQ(group.settle(1, Lsn(0), 0), ShareGroup::Settled::kUnknown);
  EXPECT_EQ(group.settle(1, Lsn(1), 0), ShareGroup::Settled::kUnknown);  // the other's
  EXPECT_EQ(give(group, 6), (Who{1, 2}));
}

TEST(ShareGroup, BytesAreAWindowToo) {
  ShareGroup group;
  group.join(member(1));
  group.next(0);
  ASSERT_TRUE(group.choose());
  group.give(Lsn(0), 0, 5000, false);  // one is always given
  EXPECT_FALSE(group.choose());
  group.settle(1, Lsn(0), 0);
  EXPECT_TRUE(group.choose());
}

// [MQTT-4.8.2-5]
TEST(ShareGroup, WithQos2AMessageIsNobodyElses) {
  ShareGroup group;
  group.join(member(1));
  EXPECT_EQ(give(group, 2, true), (Who{1, 1}));
  EXPECT_EQ(group.settle(1, Lsn(0), 0), ShareGroup::Settled::kGone);
  EXPECT_EQ(group.leave(1), 0u);
  group.join(member(2));
  EXPECT_EQ(give(group, 2), Who{});
}

TEST(ShareGroup, WhatTheQueueDroppedIsNotGivenAgain) {
  ShareGroup group;
  group.join(member(1));
  give(group, 5);
  group.leave(1);
  EXPECT_EQ(group.next(3), 3u);
  EXPECT_EQ(group.next(10), 10u);
}

// Members come, go, and settle what they like: everything is given; at each time to one member at most; and
// settled once.
RC_GTEST_PROP(ShareGroup, NothingIsLostOrGivenTwice, ()) {
  ShareGroup group;
  std::map<std::uint64_t, std::set<QueuePosition>> held;
  std::set<QueuePosition> settled;
  std::uint64_t next_member = 1;
  QueuePosition end = 0;
  const auto hold_more = [&] {
    while (true) {
      const QueuePosition at = group.next(0);
      if (at >= end) break;
      if (settled.contains(at)) {
        group.skip();
        continue;
      }
      const ShareGroup::Member* to = group.choose();
      if (!to) break;
      for (const auto& [id, positions] : held) RC_ASSERT(!positions.contains(at));
      RC_ASSERT(held.at(to->attachment).insert(at).second);
      RC_ASSERT(held.at(to->attachment).size() <= to->window);
      group.give(Lsn(at), 0, 10, false);
    }
  };
  const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 10));
  for (const int step : steps) {
    if (step < 4) {
      end += 3;
    } else if (step < 6) {
      held[next_member];
      group.join(member(next_member++, *rc::gen::inRange<std::uint32_t>(1, 5)));
    } else if (!held.empty()) {
      auto who = std::next(held.begin(), *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(held)));
      if (step < 9) {
        if (who->second.empty()) continue;
        const QueuePosition at =
            *std::next(who->second.begin(), *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(who->second)));
        RC_ASSERT(group.settle(who->first, Lsn(at), 0) == ShareGroup::Settled::kQueued);
        RC_ASSERT(settled.insert(at).second);
        who->second.erase(at);
      } else {
        RC_ASSERT(group.leave(who->first) == who->second.size());
        held.erase(who);
      }
    }
    hold_more();
  }
  // A member that takes everything gets all that is left.
  held[next_member];
  group.join(member(next_member, UINT32_MAX));
  hold_more();
  std::set<QueuePosition> all = settled;
  for (const auto& [id, positions] : held) all.insert(positions.begin(), positions.end());
  RC_ASSERT(all.size() == end);
}

}  // namespace
}  // namespace stele::broker
