#include "sim/workloads/group_ledger.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "sim/workloads/ledger_testing.h"
#include "sim/workloads/world_judge.h"

namespace stele::sim {
namespace {

using Commit = GroupLedger::Commit;
using Moment = GroupLedger::Moment;
using Outcome = GroupLedger::Outcome;

constexpr std::int32_t kPartition = 3, kOther = 4;

class GroupLedgerTest : public ::testing::Test {
 protected:
  GroupLedgerTest() {
    for (const std::int64_t offset : {10, 20, 30}) {
      group_.logged(kPartition, offset);
      group_.logged(kOther, offset);
    }
  }
  std::string failure() { return testing::failure_of(world_); }
  void accept(std::int64_t offset, std::int32_t generation = 1, std::int32_t partition = kPartition) {
    group_.committed(group_.committing(generation, partition, offset), Outcome::kAccepted);
  }
  void give_out(std::int32_t generation) {
    group_.joined(group_.generation(), generation, "leader", "range");
  }

  World world_{1};
  WorldJudge judge_{world_};
  GroupLedger group_{judge_};
};

// ---- generations ----------------------------------------------------------------------------------------

TEST_F(GroupLedgerTest, AGenerationIsTheSameForEachMember) {
  group_.joined(0, 1, "a", "range");
  group_.joined(1, 1, "a", "range");
  group_.joined(1, 2, "b", "sticky");
  group_.joined(1, 1, "a", "range");  // asked before generation 2 was given out
  EXPECT_EQ(group_.generation(), 2);
  EXPECT_EQ(failure(), "");
}

TEST_F(GroupLedgerTest, TwoLeadersOfAGenerationAreFound) {
  group_.joined(0, 1, "a", "range");
  group_.joined(1, 1, "b", "range");
  EXPECT_EQ(failure(), "generation 1 of the group has leader a for one member and b for another");
}

TEST_F(GroupLedgerTest, TwoProtocolsOfAGenerationAreFound) {
  group_.joined(0, 1, "a", "range");
  group_.joined(1, 1, "a", "sticky");
  EXPECT_TRUE(failure().starts_with("generation 1 of the group has leader")) << failure();
}

TEST_F(GroupLedgerTest, AnOlderGenerationThatIsGivenOutIsFound) {
  give_out(2);
  group_.joined(2, 1, "a", "range");
  EXPECT_EQ(failure(), "generation 1 of the group was given out after 2");
}

TEST_F(GroupLedgerTest, AHeartbeatOfAnOlderGenerationIsAcceptedOnlyIfItWasOnItsWay) {
  give_out(1);
  give_out(2);
  group_.alive(1, 1);
  group_.alive(2, 2);
  EXPECT_EQ(failure(), "");
  group_.alive(2, 1);
  EXPECT_EQ(failure(), "a heartbeat of generation 1 was accepted after 2 had been given out");
}

TEST_F(GroupLedgerTest, APartitionHasOneOwnerInAGeneration) {
  group_.assigned(1, kPartition, "a");
  group_.assigned(1, kPartition, "a");
  group_.assigned(1, kOther, "b");
  group_.assigned(2, kPartition, "b");
  EXPECT_EQ(failure(), "");
  group_.assigned(1, kPartition, "b");
  EXPECT_EQ(failure(), "partition 3 has two owners in generation 1: a and b");
}

// ---- commits --------------------------------------------------------------------------------------------

TEST_F(GroupLedgerTest, NothingIsCommittedForAGenerationThatANewerOneHasFenced) {
  give_out(1);
  const Commit on_its_way = group_.committing(1, kPartition, 10);
  give_out(2);
  group_.committed(on_its_way, Outcome::kAccepted);
  accept(20, -1);  // by nobody of the group: an administrator
  group_.committed(group_.committing(1, kPartition, 30), Outcome::kRefused);
  group_.committed(group_.committing(1, kPartition, 30), Outcome::kUnknown);
  EXPECT_EQ(group_.commits(), 2u);
  EXPECT_EQ(failure(), "");
  accept(30, 1);
  EXPECT_EQ(failure(), "an offset was committed for generation 1 after generation 2 had been given out");
}

// ---- what fetches of committed offsets say --------------------------------------------------------------

TEST_F(GroupLedgerTest, WhatIsToldIsInTheLog) {
  const Commit commit = group_.committing(1, kPartition, 11);
  group_.fetched(group_.now(), kPartition, 11);
  EXPECT_EQ(failure(), "offset 11 of partition 3 was told as the group's before that was committed");
  group_.committed(commit, Outcome::kAccepted);
}

TEST_F(GroupLedgerTest, NoneIsToldAsLongAsNoneIsThere) {
  group_.fetched(group_.now(), kPartition, -1);
  accept(10, 1, kOther);
  group_.committed(group_.committing(1, kPartition, 10), Outcome::kRefused);
  group_.fetched(group_.now(), kPartition, -1);
  EXPECT_EQ(failure(), "");
}

// Regression: seed 26.
TEST_F(GroupLedgerTest, AFetchSentBeforeTheFirstCommitWasAnsweredMaySayThatThereIsNone) {
  const Commit commit = group_.committing(1, kPartition, 10);
  const Moment before = group_.now();
  group_.committed(commit, Outcome::kAccepted);
  group_.fetched(before, kPartition, -1);
  group_.fetched(before, kPartition, 10);
  EXPECT_EQ(failure(), "");
}

TEST_F(GroupLedgerTest, AFetchSentAfterTheFirstCommitWasAnsweredMayNotSayThatThereIsNone) {
  accept(10);
  group_.fetched(group_.now(), kPartition, -1);
  EXPECT_EQ(failure(), "the committed offset of partition 3 is -1, where it could only be one of 10");
}

TEST_F(GroupLedgerTest, NoneIsNotToldOnceThereWasOneThoughTheNextIsOnItsWay) {
  accept(10);
  group_.committing(1, kPartition, 20);
  const Moment sent = group_.now();
  group_.fetched(sent, kPartition, 10);
  group_.fetched(sent, kPartition, 20);
  EXPECT_EQ(failure(), "");
  group_.fetched(sent, kPartition, -1);
  EXPECT_EQ(failure(), "the committed offset of partition 3 is -1, where it could only be one of 10 20");
}

TEST_F(GroupLedgerTest, ACommitOfUnknownOutcomeMayBeThereOrNot) {
  group_.committed(group_.committing(1, kPartition, 10), Outcome::kUnknown);
  group_.fetched(group_.now(), kPartition, -1);
  group_.fetched(group_.now(), kPartition, 10);
  accept(20);
  group_.fetched(group_.now(), kPartition, 20);
  group_.fetched(group_.now(), kPartition, 10);  // it was carried out behind the other
  EXPECT_EQ(failure(), "");
}

TEST_F(GroupLedgerTest, ARefusedCommitIsNotThere) {
  accept(10);
  group_.committed(group_.committing(1, kPartition, 20), Outcome::kRefused);
  group_.fetched(group_.now(), kPartition, 20);
  EXPECT_EQ(failure(), "the committed offset of partition 3 is 20, where it could only be one of 10");
}

TEST_F(GroupLedgerTest, AnotherPartitionsOffsetIsNotThere) {
  accept(10);
  accept(20, 1, kOther);
  group_.fetched(group_.now(), kPartition, 20);
  EXPECT_EQ(failure(), "the committed offset of partition 3 is 20, where it could only be one of 10");
}

TEST_F(GroupLedgerTest, AnOffsetThatWasOverwrittenIsToldOnlyByAFetchThatWasUnderWay) {
  accept(10);
  const Commit next = group_.committing(1, kPartition, 20);
  const Moment under_way = group_.now();
  group_.committed(next, Outcome::kAccepted);
  group_.fetched(under_way, kPartition, 10);
  group_.fetched(group_.now(), kPartition, 20);
  EXPECT_EQ(failure(), "");
  group_.fetched(group_.now(), kPartition, 10);
  EXPECT_EQ(failure(), "the committed offset of partition 3 is 10, where it could only be one of 20");
}

TEST_F(GroupLedgerTest, OfTwoCommitsUnderWayTogetherEitherMayBeTheLast) {
  const Commit one = group_.committing(1, kPartition, 10);
  const Commit two = group_.committing(1, kPartition, 20);
  group_.committed(one, Outcome::kAccepted);
  group_.committed(two, Outcome::kAccepted);
  group_.fetched(group_.now(), kPartition, 10);
  group_.fetched(group_.now(), kPartition, 20);
  EXPECT_EQ(failure(), "");
}

TEST_F(GroupLedgerTest, WhatOnlyAnOlderGenerationCouldCommitIsGoneOnceANewerHasCommitted) {
  give_out(1);
  group_.committed(group_.committing(1, kPartition, 10), Outcome::kUnknown);
  give_out(2);
  accept(20, 2);
  group_.fetched(group_.now(), kPartition, 20);
  EXPECT_EQ(failure(), "");
  group_.fetched(group_.now(), kPartition, 10);
  EXPECT_EQ(failure(), "the committed offset of partition 3 is 10, where it could only be one of 20");
}

}  // namespace
}  // namespace stele::sim
