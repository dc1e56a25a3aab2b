// Each kind of violation is reported, and what a damaged disk excuses is not.
#include "sim/workloads/storage_ledger.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "sim/workloads/ledger_testing.h"

namespace stele::sim {
namespace {

using storage::SegmentInfo;

constexpr SegmentId kOne(1), kTwo(2);
constexpr DamageDone kSound, kSpoilt{.spoilt = true, .commits = UINT64_MAX},
    kVanished{.vanished = true, .commits = UINT64_MAX}, kErrors{.errors = true};
const Error kCorrupt{ErrorCode::kCorrupt, "bad bytes"};

SegmentInfo holds(SegmentId id, std::uint64_t begin, std::uint64_t end, bool certain = true) {
  return {.id = id, .begin = begin, .stored = end, .end = end, .fence = Epoch(0), .certain = certain};
}

class StorageLedgerTest : public ::testing::Test {
 protected:
  // Entries [from, to) of the segment, appended and acknowledged one by one.
  void store(SegmentId segment, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t i = from; i < to; ++i) {
      bytes[{segment, i}] = ledger.append(segment, i);
      ledger.acknowledged(segment, i + 1);
    }
  }
  std::string why() { return testing::failure_of(world); }

  World world{1};
  StorageLedger ledger{world};
  std::map<std::pair<SegmentId, std::uint64_t>, std::string> bytes;
};

TEST_F(StorageLedgerTest, WhatWasAppendedIsRead) {
  store(kOne, 0, 3);
  EXPECT_NE((bytes[{kOne, 0}]), (bytes[{kOne, 1}]));
  ledger.opened({holds(kOne, 0, 3)}, kSound);
  for (std::uint64_t i = 0; i < 3; ++i) ledger.read(kOne, i, bytes[{kOne, i}]);
  EXPECT_EQ(why(), "");
  EXPECT_EQ(ledger.acknowledged_count(), 3u);
  EXPECT_EQ(ledger.read_count(), 3u);
}

TEST_F(StorageLedgerTest, WhatWasTrimmedNeedNotBeFound) {
  store(kOne, 0, 3);
  ledger.trimmed(kOne, 2);
  ledger.read_failed(kOne, 1, {ErrorCode::kNotFound, "trimmed"}, kSound);
  EXPECT_EQ(why(), "");
  ledger.read_failed(kOne, 2, {ErrorCode::kNotFound, "trimmed"}, kSound);
  EXPECT_NE(why().find("cannot be read"), std::string::npos);
}

TEST_F(StorageLedgerTest, AnotherOwnerHasWhatWasAcknowledged) {
  store(kOne, 0, 3);
  ledger.append(kOne, 3);
  ledger.append(kOne, 4);
  ledger.taken_over(kOne, 4);
  EXPECT_EQ(ledger.acknowledged_count(), 4u) << "what it finds it has for good";
  EXPECT_EQ(why(), "");
  ledger.taken_over(kOne, 3);
  EXPECT_NE(why().find("the next owner does not have it"), std::string::npos);
}

TEST_F(StorageLedgerTest, AnotherOwnerHasNothingElse) {
  store(kOne, 0, 3);
  ledger.taken_over(kOne, 4);
  EXPECT_NE(why().find("never appended"), std::string::npos);
}

TEST_F(StorageLedgerTest, AnotherEntrysBytesAreReported) {
  store(kOne, 0, 2);
  ledger.read(kOne, 0, bytes[{kOne, 1}]);
  EXPECT_NE(why().find("read as something else"), std::string::npos);
}

TEST_F(StorageLedgerTest, WhatNobodyAppendedIsReported) {
  store(kOne, 0, 2);
  ledger.opened({holds(kOne, 0, 3)}, kVanished);
  EXPECT_NE(why().find("2 were appended"), std::string::npos);
}

TEST_F(StorageLedgerTest, ASegmentThatNobodyMadeIsReported) {
  ledger.fencing(kOne);
  ledger.opened({holds(kOne, 0, 0)}, kSound);
  EXPECT_EQ(why(), "") << "its fence may have been stored";
  ledger.opened({holds(kTwo, 0, 0)}, kSound);
  EXPECT_NE(why().find("nobody made it"), std::string::npos);
}

TEST_F(StorageLedgerTest, AnEarlierBeginIsFineALaterOneIsNot) {
  store(kOne, 0, 5);
  ledger.trimmed(kOne, 2);
  ledger.opened({holds(kOne, 0, 5)}, kSound);
  EXPECT_EQ(why(), "");
  ledger.opened({holds(kOne, 3, 5)}, kVanished);
  EXPECT_NE(why().find("was trimmed below 2"), std::string::npos);
}

TEST_F(StorageLedgerTest, WithoutDamageNothingIsLost) {
  store(kOne, 0, 2);
  ledger.append(kOne, 2);
  ledger.opened({holds(kOne, 0, 2)}, kSound);
  EXPECT_EQ(why(), "") << "it was not acknowledged";
  ledger.opened({holds(kOne, 0, 1, false)}, kErrors);
  EXPECT_NE(why().find("nothing was damaged"), std::string::npos);
}

TEST_F(StorageLedgerTest, WhatIsThereAtAStartStaysThere) {
  store(kOne, 0, 2);
  ledger.append(kOne, 2);
  ledger.opened({holds(kOne, 0, 3)}, kSound);
  ledger.opened({holds(kOne, 0, 2)}, kSound);
  EXPECT_NE(why().find("nothing was damaged"), std::string::npos);
}

TEST_F(StorageLedgerTest, WhatVanishedMayEndAllSegmentsEarlier) {
  store(kOne, 0, 2);
  store(kTwo, 0, 2);
  ledger.opened({holds(kOne, 0, 1)}, kVanished);
  EXPECT_EQ(why(), "");
  EXPECT_EQ(ledger.vanished(), 1u);
  EXPECT_EQ(ledger.noticed(), 1u) << "a segment that is not known is uncertain";
}

TEST_F(StorageLedgerTest, WhatCameAfterItMustNotBeThere) {
  store(kOne, 0, 2);
  store(kTwo, 0, 2);
  ledger.opened({holds(kOne, 0, 1, false), holds(kTwo, 0, 1)}, kVanished);
  EXPECT_NE(why().find("appended later is there"), std::string::npos);
}

TEST_F(StorageLedgerTest, SpoiltBytesAreNoSilentEnd) {
  store(kOne, 0, 2);
  ledger.opened({holds(kOne, 0, 1, false)}, kSpoilt);
  EXPECT_EQ(why(), "");
  EXPECT_EQ(ledger.noticed(), 1u);
  store(kOne, 1, 2);
  ledger.opened({holds(kOne, 0, 1, true)}, kSpoilt);
  EXPECT_NE(why().find("does not say so"), std::string::npos);
}

TEST_F(StorageLedgerTest, ADamageTakesNoMoreThanItHit) {
  const DamageDone one{.spoilt = true, .commits = 1};
  store(kOne, 0, 1);
  world.run_for(std::chrono::seconds(1));
  store(kOne, 1, 2);
  store(kTwo, 0, 1);
  ledger.opened({holds(kOne, 0, 1, false), holds(kTwo, 0, 0, false)}, one);
  EXPECT_EQ(why(), "") << "one group commit";
  world.run_for(std::chrono::seconds(1));
  store(kOne, 1, 2);
  ledger.opened({holds(kOne, 0, 0, false), holds(kTwo, 0, 0, false)}, one);
  EXPECT_NE(why().find("2 group commits are gone"), std::string::npos);
}

// (Seed 191 of `store`.)
TEST_F(StorageLedgerTest, AcknowledgementsOfOneSyncMayComeApart) {
  const DamageDone one{.spoilt = true, .commits = 1};
  ledger.set_acknowledged_later();
  ledger.append(kOne, 0);
  ledger.append(kTwo, 0);
  ledger.acknowledged(kOne, 1);
  world.run_for(std::chrono::seconds(1));
  ledger.acknowledged(kTwo, 1);
  ledger.opened({holds(kOne, 0, 0, false), holds(kTwo, 0, 0, false)}, one);
  EXPECT_EQ(why(), "") << "one sync may have been behind both appends and before both acknowledgements";
  store(kOne, 0, 1);
  store(kTwo, 0, 1);
  ledger.opened({holds(kOne, 0, 0, false), holds(kTwo, 0, 0, false)}, one);
  EXPECT_NE(why().find("2 group commits are gone"), std::string::npos);
}

TEST_F(StorageLedgerTest, AForgottenFenceIsReported) {
  ledger.fencing(kOne);
  ledger.fenced(kOne, Epoch(3));
  ledger.opened({holds(kOne, 0, 0)}, kSpoilt);
  EXPECT_NE(why().find("forgotten a fence"), std::string::npos);
}

TEST_F(StorageLedgerTest, ARefusalNeedsAReason) {
  ledger.refused(kCorrupt, kSpoilt);
  ledger.refused(kCorrupt, kVanished);
  ledger.refused(kCorrupt, kErrors);
  ledger.read_failed(kOne, 0, kCorrupt, kSpoilt);
  ledger.write_failed(kCorrupt, kErrors);
  ledger.write_failed({ErrorCode::kNoSpace, "full"}, kSound);
  EXPECT_EQ(why(), "");
  EXPECT_EQ(ledger.noticed(), 4u);
  ledger.refused(kCorrupt, kSound);
  EXPECT_NE(why().find("does not open"), std::string::npos);
}

TEST_F(StorageLedgerTest, AFailedReadNeedsAReason) {
  store(kOne, 0, 1);
  ledger.read_failed(kOne, 0, kCorrupt, kSound);
  EXPECT_NE(why().find("cannot be read"), std::string::npos);
}

TEST_F(StorageLedgerTest, AFailedWriteNeedsAReason) {
  ledger.write_failed({ErrorCode::kIo, "failed"}, kSound);
  EXPECT_NE(why().find("takes nothing"), std::string::npos);
}

}  // namespace
}  // namespace stele::sim
