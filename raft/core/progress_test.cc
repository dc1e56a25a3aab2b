// What a leader knows of a member: the three states, and that no order of answers breaks match < next.
#include "raft/core/progress.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace stele::raft {
namespace {

constexpr WindowLimits kLimits{.messages_max = 3, .bytes_max = 100};

TEST(Progress, ProbesOneMessageAtATimeUntilOneIsStored) {
  Progress progress(LogIndex(6), kLimits);
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
  progress.sent(LogIndex(9), 10);
  EXPECT_TRUE(progress.paused());
  EXPECT_EQ(progress.next(), LogIndex(6));
  EXPECT_TRUE(progress.rejected(LogIndex(5), LogIndex(2)));
  EXPECT_EQ(progress.next(), LogIndex(3));
  EXPECT_FALSE(progress.paused());
  progress.sent(LogIndex(9), 10);
  EXPECT_FALSE(progress.rejected(LogIndex(5), LogIndex(0)));  // answered before
  EXPECT_TRUE(progress.stored(LogIndex(9)));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  EXPECT_EQ(progress.match(), LogIndex(9));
  EXPECT_EQ(progress.next(), LogIndex(10));
}

TEST(Progress, AHeartbeatUnsticksAProbe) {
  Progress progress(LogIndex(6), kLimits);
  progress.sent_probe();
  EXPECT_TRUE(progress.paused());
  progress.heard();
  EXPECT_FALSE(progress.paused());
}

TEST(Progress, TheWindowCountsMessagesAndBytes) {
  Progress progress(LogIndex(1), kLimits);
  progress.stored(LogIndex(0));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  progress.sent(LogIndex(1), 10);
  progress.sent(LogIndex(2), 10);
  EXPECT_FALSE(progress.paused());
  progress.sent(LogIndex(3), 10);
  EXPECT_TRUE(progress.paused());
  progress.stored(LogIndex(2));
  EXPECT_FALSE(progress.paused());
  progress.sent(LogIndex(4), 95);
  EXPECT_TRUE(progress.paused());
  progress.heard();  // one of them may be lost
  EXPECT_TRUE(progress.nudge);
  EXPECT_EQ(progress.window().messages(), 1U);
}

TEST(Progress, ASnapshotThatIsStoredGoesOnAfterIt) {
  Progress progress(LogIndex(1), kLimits);
  progress.start_snapshot(LogIndex(20));
  EXPECT_TRUE(progress.paused());
  EXPECT_FALSE(progress.rejected(LogIndex(0), LogIndex(0)));
  progress.snapshot_ended(false);
  EXPECT_EQ(progress.next(), LogIndex(1));
  progress.start_snapshot(LogIndex(20));
  EXPECT_TRUE(progress.stored(LogIndex(20)));
  EXPECT_EQ(progress.next(), LogIndex(21));
  EXPECT_FALSE(progress.paused());
}

TEST(Progress, WhatIsLostIsSentAgain) {
  Progress progress(LogIndex(1), kLimits);
  progress.stored(LogIndex(9));
  progress.uncertain(LogIndex(4));
  EXPECT_EQ(progress.match(), LogIndex(4));
  EXPECT_EQ(progress.next(), LogIndex(5));
}

TEST(Progress, MatchOnlyGrowsByWhatIsStored) {
  EXPECT_TRUE(rc::check([] {
    Progress progress(LogIndex(*rc::gen::inRange<std::uint64_t>(1, 20)), kLimits);
    LogIndex stored;
    for (int step = 0; step < 60; ++step) {
      const LogIndex index(*rc::gen::inRange<std::uint64_t>(0, 30));
      switch (*rc::gen::inRange(0, 6)) {
        case 0:
          progress.stored(index);
          stored = std::max(stored, index);
          break;
        case 1:
          progress.rejected(index, LogIndex(*rc::gen::inRange<std::uint64_t>(0, 30)));
          break;
        case 2:
          progress.heard();
          break;
        case 3:
          if (!progress.paused()) progress.sent(progress.next() + index.value, 30);
          break;
        case 4:
          progress.start_snapshot(index);
          break;
        default:
          progress.snapshot_ended(index.value % 2 == 0);
      }
      RC_ASSERT(progress.match() == stored);
      RC_ASSERT(progress.match() < progress.next());
      RC_ASSERT(progress.window().messages() <= kLimits.messages_max);
    }
  }));
}

}  // namespace
}  // namespace stele::raft
