// Each kind of violation is seen, and what may be is not taken for one.
#include "sim/workloads/journal_ledger.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/workloads/ledger_testing.h"
#include "sim/workloads/world_judge.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

constexpr ShardId kShard(0);

struct JournalLedgerTest : ::testing::Test {
  // The owner of that epoch appends so many.
  void append(std::uint64_t epoch, std::uint64_t from, std::uint64_t count) {
    for (std::uint64_t at = from; at < from + count; ++at) ledger.appended(kShard, Epoch(epoch), Lsn(at));
  }
  bool failed(const std::string& with) { return testing::failure_of(world).find(with) != std::string::npos; }

  World world{1};
  WorldJudge judge{world};
  JournalLedger ledger{judge, 1, 100};
};

TEST_F(JournalLedgerTest, OwnersFollowEachOther) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 10);
  ledger.committed(kShard, Epoch(1), Lsn(4));
  ledger.taken(kShard, Epoch(2), Lsn(0), Lsn(6));
  ledger.appended(kShard, Epoch(1), Lsn(10));  // it does not know yet
  ledger.committed(kShard, Epoch(1), Lsn(6));  // nor has it heard of what the other found
  append(2, 6, 3);
  for (std::uint64_t at = 0; at < 9; ++at)
    ledger.read(kShard, Lsn(at), ledger.content(kShard, Epoch(at < 6 ? 1 : 2), Lsn(at)));
  ledger.taken(kShard, Epoch(3), Lsn(0), Lsn(9));
  ledger.taken(kShard, Epoch(4), Lsn(0), Lsn(9));
  ledger.trimmed(kShard, Lsn(5));
  ledger.taken(kShard, Epoch(7), Lsn(3), Lsn(9));
  EXPECT_EQ(testing::failure_of(world), "");
  EXPECT_EQ(ledger.commits(), 4u);
}

TEST_F(JournalLedgerTest, WhatWasAcknowledgedIsLost) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 5);
  ledger.committed(kShard, Epoch(1), Lsn(5));
  ledger.taken(kShard, Epoch(2), Lsn(0), Lsn(4));
  EXPECT_TRUE(failed("lost what was acknowledged"));
}

TEST_F(JournalLedgerTest, WhatNobodyAppendedIsThere) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 5);
  ledger.taken(kShard, Epoch(2), Lsn(0), Lsn(6));
  EXPECT_TRUE(failed("nobody appended"));
}

TEST_F(JournalLedgerTest, WhatNobodyTrimmedIsGone) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 5);
  ledger.trimmed(kShard, Lsn(2));
  ledger.taken(kShard, Epoch(2), Lsn(3), Lsn(5));
  EXPECT_TRUE(failed("nobody trimmed beyond 2"));
}

TEST_F(JournalLedgerTest, AReplacedOwnerCommitsWhatTheNextDoesNotHave) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 5);
  ledger.taken(kShard, Epoch(2), Lsn(0), Lsn(3));
  ledger.committed(kShard, Epoch(1), Lsn(4));
  EXPECT_TRUE(failed("that was replaced commits"));
}

TEST_F(JournalLedgerTest, AnotherEntryIsRead) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 5);
  ledger.read(kShard, Lsn(3), ledger.content(kShard, Epoch(1), Lsn(2)));
  EXPECT_TRUE(failed("another entry than was appended, at 3"));
}

TEST_F(JournalLedgerTest, AnEntryOfAReplacedOwnerIsRead) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 5);
  ledger.taken(kShard, Epoch(2), Lsn(0), Lsn(3));
  append(2, 3, 2);
  ledger.read(kShard, Lsn(3), ledger.content(kShard, Epoch(1), Lsn(3)));
  EXPECT_TRUE(failed("another entry than was appended, at 3"));
}

TEST_F(JournalLedgerTest, AnEpochIsTakenTwice) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  EXPECT_TRUE(failed("taken twice"));
}

TEST_F(JournalLedgerTest, AnLsnIsNotTheNext) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 2);
  append(1, 1, 1);
  EXPECT_TRUE(failed("not the next"));
}

TEST_F(JournalLedgerTest, WhatNobodyAppendedIsCommitted) {
  ledger.taken(kShard, Epoch(1), Lsn(0), Lsn(0));
  append(1, 0, 2);
  ledger.committed(kShard, Epoch(1), Lsn(3));
  EXPECT_TRUE(failed("what nobody appended is committed"));
}

// ---- chains ---------------------------------------------------------------------------------------------

meta::Segment segment(std::uint64_t id, std::uint64_t base, std::optional<std::uint64_t> end,
                      std::uint64_t epoch = 1) {
  return {.id = SegmentId(id),
          .base = Lsn(base),
          .end = end ? std::optional(Lsn(*end)) : std::nullopt,
          .epoch = Epoch(epoch),
          .replicas = {{.node = NodeId(1), .disk = 1}}};
}

struct ChainLedgerTest : JournalLedgerTest {
  void see(std::uint64_t applied, std::vector<meta::Segment> segments) {
    meta::Shard shard;
    shard.id = kShard;
    shard.chain = std::move(segments);
    chains.seen(applied, {shard});
  }
  ChainLedger chains{judge};
};

TEST_F(ChainLedgerTest, ChainsGrow) {
  see(1, {segment(1, 0, std::nullopt)});
  see(5, {segment(1, 0, 7), segment(2, 7, 9), segment(3, 9, std::nullopt)});
  see(3, {segment(1, 0, 7), segment(2, 7, std::nullopt)});  // of a node that is behind
  see(6, {segment(2, 7, 9), segment(3, 9, std::nullopt)});
  EXPECT_EQ(testing::failure_of(world), "");
  EXPECT_EQ(chains.latest(kShard)->chain.size(), 2u);
  EXPECT_EQ(chains.latest(ShardId(1)), nullptr);
}

TEST_F(ChainLedgerTest, ASegmentIsSealedTwice) {
  see(1, {segment(1, 0, 7), segment(2, 7, std::nullopt)});
  see(2, {segment(1, 0, 6), segment(2, 6, std::nullopt)});
  EXPECT_TRUE(failed("sealed twice"));
}

TEST_F(ChainLedgerTest, AGap) {
  see(1, {segment(1, 0, 7), segment(2, 8, std::nullopt)});
  EXPECT_TRUE(failed("does not end where the next begins"));
}

TEST_F(ChainLedgerTest, OneThatIsOpenInTheMiddle) {
  see(1, {segment(1, 0, std::nullopt), segment(2, 7, std::nullopt)});
  EXPECT_TRUE(failed("is open"));
}

TEST_F(ChainLedgerTest, OneThatIsSealedAtTheEnd) {
  see(1, {segment(1, 0, 7)});
  EXPECT_TRUE(failed("is sealed, and the last"));
}

TEST_F(ChainLedgerTest, AnotherWriter) {
  see(1, {segment(1, 0, std::nullopt)});
  see(2, {segment(1, 0, std::nullopt, 2)});
  EXPECT_TRUE(failed("is another than it was"));
}

}  // namespace
}  // namespace stele::sim
