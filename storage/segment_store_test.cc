#include "storage/segment_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/scope.h"
#include "storage/block.h"
#include "storage/testing/memory_disk.h"

namespace stele::storage {
namespace {

using testing::MemoryDisk;
using testing::MemoryRuntime;

constexpr SegmentId kS{7}, kT{9};
constexpr Epoch kE{3};

LogEntry entry(std::string_view head, std::string_view body = {}) {
  return {.head = Bytes::copy(head), .body = Bytes::copy(body)};
}
std::vector<LogEntry> one(std::string_view head, std::string_view body = {}) {
  std::vector<LogEntry> entries;
  entries.push_back(entry(head, body));
  return entries;
}
std::string text(const LogEntry& e) {
  return std::string(e.head.view()) + std::string(e.body.view());
}

class SegmentStoreTest : public ::testing::Test {
 protected:
  SegmentStoreTest() {
    options_.directory = "/log";
    options_.file_bytes = 64 << 10;
    options_.max_block_bytes = 4 << 10;
    options_.index_own_bytes = 4 << 10;
    options_.index_span_bytes = 16 << 10;
    options_.tail_cache_bytes = 16 << 10;
    options_.read_bytes = 4 << 10;
  }
  ~SegmentStoreTest() override { store_.reset(); }

  Result<void> open() {
    auto opened = runtime_.run(SegmentStore::open(runtime_, options_));
    if (!opened) return std::unexpected(opened.error());
    store_ = *std::move(opened);
    return {};
  }
  void reopen() {
    ASSERT_TRUE(runtime_.run(store_->close()));
    store_.reset();
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
  void crash() {
    store_.reset();
    disk_.crash();
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
  std::uint64_t end(SegmentId segment) {
    const auto info = store_->info(segment);
    return info ? info->end : 0;
  }
  Result<void> append(SegmentId segment, Epoch epoch, std::uint64_t first, std::vector<LogEntry> entries) {
    std::optional<Result<void>> result;
    store_->append(segment, epoch, first, std::move(entries), [&](Result<void> r) { result = std::move(r); });
    EXPECT_FALSE(result) << "completed within the call";
    while (!result) STELE_ASSERT(runtime_.turn());
    return *result;
  }
  Result<void> append(SegmentId segment, std::string_view what) {
    return append(segment, kE, end(segment), one(what));
  }
  std::vector<std::string> read(SegmentId segment, std::uint64_t from, std::size_t max = SIZE_MAX) {
    std::vector<std::string> all;
    while (true) {
      auto entries = runtime_.run(store_->read(segment, from, max));
      if (!entries) {
        all.push_back(entries.error().to_string());
        return all;
      }
      if (entries->empty()) return all;
      for (const LogEntry& e : *entries) all.push_back(text(e));
      from += entries->size();
    }
  }
  using Texts = std::vector<std::string>;

  MemoryDisk disk_{1};
  MemoryRuntime runtime_{disk_, 2};
  SegmentStoreOptions options_;
  std::unique_ptr<SegmentStore> store_;
};

TEST_F(SegmentStoreTest, ManySegmentsInSmallFilesDoNotMakeTheLogWriteTheirStatesAllTheTime) {
  options_.file_bytes = 16 << 10;
  ASSERT_TRUE(open());
  for (std::uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(append(SegmentId(100 + i), "here"));
  const SegmentStoreStats before = store_->stats();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(append(kS, std::string(200, 'x')));
  const SegmentStoreStats after = store_->stats();
  const std::uint64_t batches = after.batches - before.batches;
  EXPECT_LE(after.rolls - before.rolls, batches / 25);
  EXPECT_LE(after.written_bytes - before.written_bytes, 2 * 1024 * batches);
  reopen();
  EXPECT_EQ(end(kS), 300u);
  EXPECT_EQ(read(SegmentId(1099), 0), (Texts{"here"}));
}

TEST_F(SegmentStoreTest, KeepsEntriesOfSegmentsApartAndInOrder) {
  ASSERT_TRUE(open());
  EXPECT_TRUE(append(kS, kE, 0, one("a", "A")));
  EXPECT_TRUE(append(kT, kE, 0, one("x")));
  std::vector<LogEntry> two;
  two.push_back(entry("b"));
  two.push_back(entry(""));
  EXPECT_TRUE(append(kS, kE, 1, std::move(two)));
  EXPECT_EQ(read(kS, 0), (Texts{"aA", "b", ""}));
  EXPECT_EQ(read(kT, 0), (Texts{"x"}));
  EXPECT_EQ(read(kS, 3), Texts{});
  reopen();
  EXPECT_EQ(read(kS, 0), (Texts{"aA", "b", ""}));
  EXPECT_EQ(read(kS, 1, 1), (Texts{"b", ""}));
  EXPECT_EQ(read(kT, 0), (Texts{"x"}));
  EXPECT_EQ(store_->segments().size(), 2u);
}

TEST_F(SegmentStoreTest, RefusesGapsLowerEpochsAndNothing) {
  ASSERT_TRUE(open());
  EXPECT_EQ(append(kS, kE, 1, one("a")).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(append(kS, kE, 0, one("a")));
  EXPECT_EQ(append(kS, kE, 0, one("a")).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(append(kS, kE, 1, {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(append(kS, Epoch(2), 1, one("b")).error().code, ErrorCode::kFenced);
  EXPECT_TRUE(append(kS, Epoch(4), 1, one("b")));
  EXPECT_EQ(append(kS, kE, 2, one("c")).error().code, ErrorCode::kFenced);
  EXPECT_EQ(runtime_.run(store_->read(SegmentId(99), 0, 1)).error().code, ErrorCode::kNotFound);
}

TEST_F(SegmentStoreTest, DoesNotMoveWhatIsNotWorthMoving) {
  options_.move_below_percent = 51;
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(opened.error().to_string().find("51 %"), std::string::npos) << opened.error().to_string();
  options_.move_below_percent = 50;
  EXPECT_TRUE(open());
}

TEST_F(SegmentStoreTest, AFenceSurvivesAndTellsWhatIsThere) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(append(kS, "a"));
  ASSERT_TRUE(append(kS, "b"));
  const auto answer = runtime_.run(store_->fence(kS, Epoch(8)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->begin, 0u);
  EXPECT_EQ(answer->end, 2u);
  EXPECT_TRUE(answer->certain);
  EXPECT_EQ(runtime_.run(store_->fence(kS, Epoch(7))).error().code, ErrorCode::kFenced);
  EXPECT_EQ(append(kS, Epoch(7), 2, one("c")).error().code, ErrorCode::kFenced);
  crash();
  EXPECT_EQ(append(kS, Epoch(7), 2, one("c")).error().code, ErrorCode::kFenced);
  EXPECT_TRUE(append(kS, Epoch(8), 2, one("c")));
}

TEST_F(SegmentStoreTest, AnUnknownSegmentIsFencedButNeverCertain) {
  ASSERT_TRUE(open());
  const auto answers =
      runtime_.run(store_->fence_many({{.segment = kS, .epoch = kE}, {.segment = kT, .epoch = kE}}));
  ASSERT_EQ(answers.size(), 2u);
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->end, 0u);
    EXPECT_FALSE(answer->certain);
  }
  crash();
  const auto again = runtime_.run(store_->fence(kS, kE));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->certain);
}

TEST_F(SegmentStoreTest, OneSyncForAllThatCameMeanwhile) {
  ASSERT_TRUE(open());
  runtime_.turns(100);
  const std::uint64_t before = store_->stats().syncs;
  std::string order;
  for (int i = 0; i < 100; ++i) {
    store_->append(SegmentId(std::uint64_t(i % 10) + 1), kE, std::uint64_t(i / 10), one("entry"),
                   [&order](Result<void> r) { order += r ? 'k' : 'e'; });
  }
  while (order.size() < 100) ASSERT_TRUE(runtime_.turn());
  EXPECT_EQ(order, std::string(100, 'k'));
  EXPECT_EQ(store_->stats().syncs, before + 1);
}

TEST_F(SegmentStoreTest, ReadsOldEntriesFromTheDiskAcrossFiles) {
  ASSERT_TRUE(open());
  Texts expected;
  for (int i = 0; i < 600; ++i) {
    expected.push_back("entry " + std::to_string(i) + std::string(std::size_t(i) % 900, 'x'));
    ASSERT_TRUE(append(kS, expected.back()));
    ASSERT_TRUE(append(kT, "other"));
  }
  EXPECT_GT(store_->stats().rolls, 3u);
  EXPECT_LE(store_->stats().cache_bytes, options_.tail_cache_bytes);
  EXPECT_EQ(read(kS, 0, 1000), expected);
  EXPECT_EQ(read(kS, 0), expected);
  reopen();
  EXPECT_EQ(read(kS, 0, 5000), expected);
  EXPECT_EQ(read(kS, 599), (Texts{expected.back()}));
  EXPECT_GT(store_->stats().disk_reads, 0u);
}

TEST_F(SegmentStoreTest, ReadersThatStopAnywhereFindTheNextEntry) {
  ASSERT_TRUE(open());
  Texts expected;
  for (std::size_t i = 0; i < 400; ++i) {
    std::vector<LogEntry> entries;
    for (std::size_t k = 0; k <= i % 4; ++k) {
      expected.push_back("entry " + std::to_string(expected.size()) + std::string(i * 7 % 500, 'x'));
      entries.push_back(entry(expected.back()));
    }
    ASSERT_TRUE(append(kS, kE, end(kS), std::move(entries)));
    ASSERT_TRUE(append(kT, std::string(i * 11 % 700, 'o')));
  }
  runtime::Random random(7);
  std::vector<std::uint64_t> readers(5);
  for (int i = 0; i < 3000; ++i) {
    std::uint64_t& at = readers[random.below(readers.size())];
    if (at == expected.size() || random.chance(1, 20)) at = random.below(expected.size());
    const auto entries = runtime_.run(store_->read(kS, at, random.below(3000)));
    ASSERT_TRUE(entries) << entries.error().to_string();
    ASSERT_FALSE(entries->empty());
    for (const LogEntry& e : *entries) ASSERT_EQ(text(e), expected[at++]);
  }
}

TEST_F(SegmentStoreTest, AReaderThatStoppedInsideAPlaceDoesNotBeginWithItAgain) {
  options_.read_bytes = 1 << 10;
  options_.tail_cache_bytes = 1 << 10;
  ASSERT_TRUE(open());
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(append(kS, std::string(20, 's')));
    ASSERT_TRUE(append(kT, std::string(200, 't')));
  }
  ASSERT_EQ(store_->stats().rolls, 0u);
  const auto read_one = [&](std::uint64_t index) {
    const std::uint64_t before = disk_.read_bytes();
    const auto entries = runtime_.run(store_->read(kS, index, 1));
    EXPECT_TRUE(entries && entries->size() == 1);
    return disk_.read_bytes() - before;
  };
  EXPECT_GE(read_one(20), 5u << 10);
  EXPECT_LE(read_one(21), 2u << 10);  // where it stopped
  EXPECT_LE(read_one(23), 3u << 10);  // not exactly there
  EXPECT_GE(read_one(19), 5u << 10);
}

TEST_F(SegmentStoreTest, AnEntryLargerThanAFile) {
  ASSERT_TRUE(open());
  const std::string large(200 << 10, 'L');
  ASSERT_TRUE(append(kS, "small"));
  ASSERT_TRUE(append(kS, large));
  ASSERT_TRUE(append(kS, "after"));
  crash();
  EXPECT_EQ(read(kS, 0), (Texts{"small", large, "after"}));
}

TEST_F(SegmentStoreTest, TrimmedAndRemovedEntriesAreGoneAndTheirFilesUsedAgain) {
  ASSERT_TRUE(open());
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(append(kS, std::string(1000, char('a' + round % 26))));
    store_->trim(kS, end(kS) - 1);
    ASSERT_TRUE(append(kT, "t"));
  }
  runtime_.turns(10000);
  EXPECT_EQ(store_->info(kS)->begin, 799u);
  EXPECT_EQ(runtime_.run(store_->read(kS, 798, 1)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read(kS, 799).size(), 1u);
  EXPECT_EQ(read(kT, 0).size(), 40u);  // moved from file to file
  EXPECT_LE(store_->stats().files, 4u);
  EXPECT_GT(store_->stats().freed_files, 5u);
  EXPECT_GT(store_->stats().moved_bytes, 0u);
  EXPECT_LE(disk_.used(), 8u * options_.file_bytes);
  store_->remove(kS);
  EXPECT_EQ(store_->info(kS).error().code, ErrorCode::kNotFound);
  reopen();
  EXPECT_EQ(store_->info(kS).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read(kT, 0).size(), 40u);
}

// The keeper is woken by commits. What dies of a commit that comes while it waits for something else (a spare
// being written, the checkpoint, a file on its way to become a spare, the pause between two moves) woke
// nobody, and no commit follows. So the last one comes at any moment of its work.
TEST_F(SegmentStoreTest, WhatDiesWhileTheKeeperIsBusyIsFreedWithoutAnotherCommit) {
  options_.move_step_bytes = 1;
  const auto fill_files = [&](std::uint64_t files) {
    while (store_->stats().rolls < files) {
      ASSERT_TRUE(append(kS, std::string(1000, 's')));
      if (end(kS) % 16 == 0) ASSERT_TRUE(append(kT, std::string(500, 't')));
    }
  };
  const auto trim_all = [&] {
    store_->trim(kS, end(kS));
    store_->trim(kT, end(kT));
  };
  const std::string directory = options_.directory;
  const auto play = [&](std::uint64_t files, bool settled, int moment) {
    SCOPED_TRACE(std::to_string(files) + " files, moment " + std::to_string(moment));
    store_.reset();
    options_.directory = directory + std::to_string(files) + "-" + std::to_string(moment);
    ASSERT_TRUE(open());
    runtime_.turns(10'000);
    fill_files(files);
    if (settled) {
      runtime_.turns(10'000);
      store_->trim(kS, end(kS) - 40);  // files to free, and files to move what is left out of
    }
    runtime_.turns(static_cast<std::uint64_t>(moment));
    trim_all();
    runtime_.turns(100'000);
    EXPECT_EQ(store_->stats().files, 1u);
    EXPECT_EQ(store_->stats().freed_files, files);
    EXPECT_EQ(store_->stats().live_bytes, 0u);
  };
  for (int moment = 0; moment < 60; ++moment) play(1, false, moment);
  for (int moment = 0; moment < 120; ++moment) play(4, true, moment);
}

TEST_F(SegmentStoreTest, ManyRestartsLeaveFewFiles) {
  ASSERT_TRUE(open());
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(append(kS, "entry " + std::to_string(i)));
    runtime_.turns(1000);
    if (i % 2 == 0) {
      reopen();
    } else {
      crash();
    }
  }
  runtime_.turns(1000);
  EXPECT_EQ(read(kS, 0).size(), 50u);
  EXPECT_LE(store_->stats().files, 4u);
}

TEST_F(SegmentStoreTest, AFailedSyncMovesTheLogToANewFile) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(append(kS, "before"));
  disk_.syncs_until_failure = 0;
  ASSERT_TRUE(append(kS, "during"));
  ASSERT_TRUE(append(kS, "after"));
  EXPECT_EQ(store_->stats().failed_syncs, 1u);
  EXPECT_FALSE(store_->failed());
  crash();
  EXPECT_EQ(read(kS, 0), (Texts{"before", "during", "after"}));
}

TEST_F(SegmentStoreTest, ADiskThatKeepsFailingEndsTheLogAndNotTheReads) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(append(kS, "before"));
  disk_.failing_syncs = 1000;
  EXPECT_EQ(append(kS, "during").error().code, ErrorCode::kIo);
  EXPECT_TRUE(store_->failed());
  EXPECT_EQ(append(kS, "after").error().code, ErrorCode::kIo);
  EXPECT_EQ(runtime_.run(store_->fence(kS, Epoch(9))).error().code, ErrorCode::kIo);
  EXPECT_EQ(read(kS, 0), (Texts{"before"}));
  EXPECT_EQ(runtime_.run(store_->close()).error().code, ErrorCode::kIo);
}

TEST_F(SegmentStoreTest, AFullDiskRefusesAppendsUntilThereIsSpace) {
  ASSERT_TRUE(open());
  disk_.capacity = 400 << 10;
  std::uint64_t stored = 0;
  Result<void> last;
  while ((last = append(kS, std::string(1000, 'x')))) ASSERT_LT(++stored, 2000u);
  EXPECT_EQ(last.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(end(kS), stored);
  EXPECT_EQ(read(kS, 0).size(), stored);
  // Trimming makes room, though the disk stays as it is.
  store_->trim(kS, stored - 10);
  Result<void> again;
  for (int i = 0; i < 100 && !(again = append(kS, "again")); ++i) runtime_.turns(200);
  EXPECT_TRUE(again) << again.error().to_string();
  crash();
  EXPECT_EQ(read(kS, stored - 10).size(), 11u);
}

// Room for some commits, but not for a spare file: its zeros would take that room again and again.
TEST_F(SegmentStoreTest, ASpareThatFoundNoRoomIsNotTriedAgainWithEveryCommit) {
  ASSERT_TRUE(open());
  runtime_.turns(1000);
  disk_.capacity = disk_.used() + (40 << 10);
  const auto append_and_wait = [&] {
    ASSERT_TRUE(append(kS, std::string(1000, 'x')));
    runtime_.turns(1000);
  };
  for (int i = 0; i < 20 && runtime_.last_log.empty(); ++i) append_and_wait();
  EXPECT_NE(runtime_.last_log.find("spare"), std::string::npos) << runtime_.last_log;
  runtime_.last_log.clear();
  for (int i = 0; i < 5; ++i) append_and_wait();
  EXPECT_EQ(runtime_.last_log, "");
  // After the next roll it is.
  disk_.capacity = UINT64_MAX;
  while (store_->stats().rolls < 2) append_and_wait();
  for (int i = 0; i < 20; ++i) append_and_wait();
  EXPECT_TRUE(std::ranges::any_of(disk_.names(), [](const auto& name) { return name.contains("spare"); }));
}

TEST_F(SegmentStoreTest, DamageBelowTheTailIsReported) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(append(kS, "first"));
  ASSERT_TRUE(append(kS, "second"));
  ASSERT_TRUE(append(kS, "third"));
  store_.reset();
  const std::string file = "/log/" + wal_name(FileSequence(1));
  const std::size_t at = disk_.content(file).find("second");
  ASSERT_NE(at, std::string::npos);
  disk_.flip_bit(file, at);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(opened.error().message.find("wal-0000000000000001 position "), std::string::npos);
}

// The disk said that new names are durable, lost them with the power, and then does not remove what is left.
// (Seed 876 of `damage`.)
TEST_F(SegmentStoreTest, AFileThatLostItsNameBringsNothingBackWhenItsNumberIsGivenAgain) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(append(kS, "first"));
  crash();
  for (const char* what : {"lost 1", "lost 2", "lost 3"}) ASSERT_TRUE(append(kS, what));
  store_.reset();
  const std::string file = "/log/" + wal_name(FileSequence(2));
  ASSERT_TRUE(disk_.exists(file));
  disk_.put(file + ".tmp", disk_.content(file));
  disk_.erase(file);
  disk_.erase("/log/index-0000000000000001");
  disk_.removes = false;
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().to_string();
  ASSERT_TRUE(disk_.exists(file));
  ASSERT_EQ(read(kS, 0), (Texts{"first"}));
  ASSERT_TRUE(append(kS, "new"));
  crash();
  EXPECT_EQ(read(kS, 0), (Texts{"first", "new"}));
}

TEST_F(SegmentStoreTest, OfAFreshSegmentNothingIsMissing) {
  ASSERT_TRUE(open());
  const auto fences = [&](Epoch epoch, bool fresh) {
    return *runtime_.run(store_->fence_many({{.segment = kS, .epoch = epoch, .fresh = fresh}})).at(0);
  };
  EXPECT_TRUE(fences(kE, true).certain);
  EXPECT_EQ(fences(kE, false).end, 0u);
  crash();
  EXPECT_TRUE(fences(Epoch(9), false).certain);
  // What was in doubt once stays so.
  EXPECT_FALSE(runtime_.run(store_->fence(kT, kE))->certain);
  EXPECT_FALSE(
      runtime_.run(store_->fence_many({{.segment = kT, .epoch = kE, .fresh = true}})).at(0)->certain);
}

TEST_F(SegmentStoreTest, ADamagedTailLeavesSegmentsUncertain) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(append(kS, "first"));
  ASSERT_TRUE(append(kS, "second"));
  store_.reset();
  const std::string file = "/log/" + wal_name(FileSequence(1));
  disk_.flip_bit(file, disk_.content(file).find("second"));
  ASSERT_TRUE(open());
  EXPECT_EQ(read(kS, 0), (Texts{"first"}));
  EXPECT_FALSE(runtime_.run(store_->fence(kS, Epoch(9)))->certain);
  reopen();
  EXPECT_FALSE(runtime_.run(store_->fence(kS, Epoch(9)))->certain);
}

TEST_F(SegmentStoreTest, AFileOfANewerFormatIsLeftAlone) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(append(kS, "first"));
  store_.reset();
  const std::string file = "/log/" + wal_name(FileSequence(1));
  std::string content = disk_.content(file);
  content[12] = 2;
  disk_.put(file, content);
  EXPECT_EQ(open().error().code, ErrorCode::kCorrupt);  // the checksum is that of version 1
}

TEST_F(SegmentStoreTest, AMissingFileIsReported) {
  ASSERT_TRUE(open());
  while (store_->stats().rolls < 2) ASSERT_TRUE(append(kS, std::string(3000, 'x')));
  runtime_.turns(2000);
  store_.reset();
  const std::string file = "/log/" + wal_name(FileSequence(1));
  disk_.erase(file);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
}

TEST_F(SegmentStoreTest, AMissingLastFileIsNoticedByTheCheckpoint) {
  ASSERT_TRUE(open());
  while (store_->stats().rolls < 2) ASSERT_TRUE(append(kS, std::string(3000, 'x')));
  runtime_.turns(2000);
  ASSERT_GT(store_->stats().checkpoints, 0u);
  store_.reset();
  std::string last;
  for (const std::string& name : disk_.names()) {
    if (name.starts_with("/log/wal-")) last = name;
  }
  disk_.erase(last);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
}

TEST_F(SegmentStoreTest, MemoryDurabilityAnswersAtOnceAndSurvivesACleanStop) {
  options_.durability = Durability::kMemory;
  ASSERT_TRUE(open());
  Texts expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back("entry " + std::to_string(i) + std::string(500, 'm'));
    ASSERT_TRUE(append(kS, expected.back()));
  }
  EXPECT_EQ(read(kS, 0), expected);
  reopen();
  EXPECT_EQ(read(kS, 0), expected);
  EXPECT_TRUE(runtime_.run(store_->fence(kS, Epoch(9)))->certain);
  crash();
  EXPECT_FALSE(runtime_.run(store_->fence(kS, Epoch(9)))->certain);
}

TEST_F(SegmentStoreTest, RefusesMoreThanMayBePending) {
  options_.max_pending_bytes = 10000;
  ASSERT_TRUE(open());
  std::string codes;
  for (int i = 0; i < 5; ++i) {
    store_->append(kS, kE, end(kS), one(std::string(3000, 'x')), [&codes](Result<void> r) {
      codes += r ? 'k' : r.error().code == ErrorCode::kUnavailable ? 'u' : '?';
    });
  }
  EXPECT_FALSE(store_->accepting());
  while (codes.size() < 5) ASSERT_TRUE(runtime_.turn());
  EXPECT_EQ(codes, "kkkuu");
  EXPECT_TRUE(store_->accepting());
  EXPECT_EQ(store_->stats().pending_bytes, 0u);
}

}  // namespace
}  // namespace stele::storage
