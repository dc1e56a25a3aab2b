// What a disk does when it is not as it should be (DiskFaults).
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/disk.h"

namespace stele::sim {
namespace {

using runtime::OpenMode;
using runtime::Random;

constexpr std::size_t kSector = 512;

// A disk that does what it is told to and nothing of its own.
DiskConfig plain() {
  DiskConfig config;
  config.tear_one_in = 0;
  config.early_write_back_one_in = 0;
  return config;
}

struct OneFile {
  explicit OneFile(std::uint64_t seed, std::string stored = "") : disk(plain(), Random(seed)), random(seed) {
    file = *disk.open("/f", OpenMode::kCreateNew);
    EXPECT_TRUE(disk.sync_directory("/"));
    if (!stored.empty()) EXPECT_TRUE(put(0, stored) && disk.sync(file));
  }
  Result<void> put(std::uint64_t at, std::string_view text) {
    return disk.write(file, Position(at), std::span(&text, 1));
  }
  Result<std::string> get(std::uint64_t at, std::size_t length) {
    std::string out(length, '?');
    STELE_TRY(const std::size_t got, disk.read(file, Position(at), out.data(), length));
    out.resize(got);
    return out;
  }
  std::string content() { return get(0, disk.size(file)).value_or("unreadable"); }
  void lose_power() {
    file.reset();
    disk.lose_power();
    auto opened = disk.open("/f", OpenMode::kReadWrite);
    if (opened) file = *opened;
  }

  Disk disk;
  Random random;
  Disk::File file;
};

TEST(DiskFaults, AWriteThatStopsLeavesAFirstPart) {
  bool some = false, none = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    OneFile f(seed, std::string(20, 'o'));
    f.disk.faults().stopping_writes = 1;
    EXPECT_EQ(f.put(0, std::string(10, 'n')).error().code, ErrorCode::kIo);
    const std::string found = f.content();
    const std::size_t written = std::min(found.find('o'), found.size());
    EXPECT_LT(written, 10u);
    EXPECT_EQ(found, std::string(written, 'n') + std::string(20 - written, 'o'));
    (written > 0 ? some : none) = true;
    EXPECT_TRUE(f.put(0, "whole")) << "once";
    EXPECT_EQ(f.disk.effects().writes_stopped, 1u);
  }
  EXPECT_TRUE(some && none);
}

TEST(DiskFaults, ATornWriteLeavesSomeSectors) {
  bool hole = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    OneFile f(seed, std::string(4 * kSector, 'o'));
    f.disk.faults().torn_writes = 1;
    EXPECT_EQ(f.put(0, std::string(4 * kSector, 'n')).error().code, ErrorCode::kIo);
    std::string sectors;
    const std::string found = f.content();
    for (std::size_t i = 0; i < 4; ++i) {
      const std::string sector = found.substr(i * kSector, kSector);
      EXPECT_EQ(sector, std::string(kSector, sector[0]));
      sectors += sector[0];
    }
    hole |= sectors.find("on") != std::string::npos;
  }
  EXPECT_TRUE(hole) << "a later sector without one before it";
}

TEST(DiskFaults, OpeningAndListingFail) {
  OneFile f(1);
  f.disk.faults().failing_opens = 2;
  f.disk.faults().failing_lists = 1;
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kCreateNew}) {
    const auto opened = f.disk.open("/g", mode);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kIo);
    EXPECT_NE(opened.error().message.find("/g"), std::string::npos);
  }
  EXPECT_EQ(f.disk.list("/").error().code, ErrorCode::kIo);
  EXPECT_EQ(f.disk.list("/")->size(), 1u) << "and nothing was made";
  EXPECT_TRUE(f.disk.open("/f", OpenMode::kRead));
  EXPECT_EQ(f.disk.effects().errors(), 3u);
}

TEST(DiskFaults, WhatIsDoneToNamesAndSizesFails) {
  OneFile f(1, "stored");
  DiskFaults& faults = f.disk.faults();
  faults.failing_renames = faults.failing_removals = faults.failing_directories = 1;
  faults.failing_truncates = 1;
  faults.failing_stats = 2;
  EXPECT_EQ(f.disk.rename("/f", "/g").error().code, ErrorCode::kIo);
  EXPECT_EQ(f.disk.remove("/f").error().code, ErrorCode::kIo);
  EXPECT_EQ(f.disk.make_directory("/d").error().code, ErrorCode::kIo);
  EXPECT_EQ(f.disk.truncate(f.file, 0).error().code, ErrorCode::kIo);
  EXPECT_EQ(f.disk.tell_size(f.file).error().code, ErrorCode::kIo);
  EXPECT_EQ(f.disk.exists("/f").error().code, ErrorCode::kIo);
  EXPECT_EQ(f.disk.effects().errors(), 6u);
  EXPECT_EQ(f.disk.names_in("/"), std::vector<std::string>{"f"}) << "and nothing was done";
  EXPECT_EQ(f.content(), "stored");
  EXPECT_TRUE(f.disk.exists("/f").value());
  EXPECT_EQ(f.disk.tell_size(f.file).value(), 6u);
  EXPECT_TRUE(f.disk.make_directory("/d"));
  EXPECT_TRUE(f.disk.rename("/f", "/g"));
  EXPECT_TRUE(f.disk.remove("/g"));
}

TEST(DiskFaults, AnOperationFailsByItsNumber) {
  OneFile f(1, "stored");
  f.disk.faults().fails_at = 3;
  EXPECT_TRUE(f.disk.list("/"));
  EXPECT_EQ(f.content(), "stored");
  EXPECT_EQ(f.disk.sync(f.file).error().code, ErrorCode::kIo);
  EXPECT_TRUE(f.disk.sync(f.file)) << "once";
  EXPECT_EQ(f.disk.effects().operations_failed, 1u);
  EXPECT_EQ(f.disk.effects().syncs_failed, 0u);
}

TEST(DiskFaults, NamesNeedRoomAndASyncMayFindNone) {
  OneFile f(1, "stored");
  f.disk.set_free_bytes(100);
  EXPECT_EQ(f.disk.open("/g", OpenMode::kCreate).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(f.disk.rename("/f", "/g").error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(f.disk.make_directory("/d").error().code, ErrorCode::kNoSpace);
  EXPECT_TRUE(f.disk.open("/f", OpenMode::kCreate)) << "which is there";
  f.disk.set_free_bytes(UINT64_MAX);
  f.disk.faults().full_syncs = 1;
  EXPECT_EQ(f.disk.sync(f.file).error().code, ErrorCode::kNoSpace);
  EXPECT_TRUE(f.disk.sync(f.file)) << "once";
  EXPECT_EQ(f.disk.effects().errors(), 4u);
}

TEST(DiskFaults, SomebodyChangesWholeFilesForGood) {
  OneFile f(1, "stored");
  f.disk.set_free_bytes(0);
  f.disk.faults().failing_opens = 1;
  f.disk.put_content("/d/new", "content");
  f.disk.put_content("/f", "other");
  EXPECT_EQ(f.disk.faults().failing_opens, 1u) << "what processes will meet";
  f.lose_power();
  EXPECT_EQ(f.disk.content_of("/d/new"), "content");
  EXPECT_EQ(f.disk.content_of("/f"), "other");
  EXPECT_FALSE(f.disk.content_of("/d")) << "it is a directory";
  EXPECT_EQ(f.disk.names_in("/d"), std::vector<std::string>{"new"});
  f.disk.drop_directory("/d");
  f.disk.lose_power();
  EXPECT_TRUE(f.disk.names_in("/d").empty());
  EXPECT_FALSE(f.disk.content_of("/d/new"));
}

TEST(DiskFaults, DamageIsKnownByDirectory) {
  OneFile f(1);
  f.disk.put_content("/a/file", std::string(5000, 'x'));
  f.disk.faults().lying_syncs = 1;
  EXPECT_TRUE(f.disk.sync(f.disk.open("/a/file", OpenMode::kRead).value()));
  EXPECT_EQ(f.disk.damages_under("/a"), 1u);
  EXPECT_TRUE(f.disk.flip_bit(f.random)) << "of the only one that has something";
  EXPECT_EQ(f.disk.damages_under("/a"), 2u);
  EXPECT_EQ(f.disk.damages_under("/b"), 0u);
}

// The first sector that cannot be read.
std::optional<std::uint64_t> bad_sector(OneFile& f) {
  for (std::uint64_t at = 0; at < f.disk.size(f.file); at += kSector) {
    const auto got = f.get(at, kSector);
    if (!got) EXPECT_EQ(got.error().code, ErrorCode::kIo);
    if (!got) return at;
  }
  return std::nullopt;
}

TEST(DiskFaults, SectorsCannotBeReadUntilTheyHeal) {
  OneFile f(2);
  EXPECT_FALSE(f.disk.spoil_sectors(f.random, 1, true)) << "nothing is stored";
  const std::string text(16 * kSector, 'x');
  ASSERT_TRUE(f.put(0, text) && f.disk.sync(f.file));
  ASSERT_TRUE(f.disk.spoil_sectors(f.random, 1, true));
  ASSERT_TRUE(bad_sector(f));
  EXPECT_FALSE(f.get(0, text.size())) << "a read of more fails too";
  f.lose_power();
  EXPECT_TRUE(bad_sector(f));
  f.disk.heal_sectors();
  EXPECT_FALSE(bad_sector(f));
  EXPECT_EQ(f.content(), text);
}

TEST(DiskFaults, LatentErrorsStayUntilTheSectorIsWrittenAsAWhole) {
  OneFile f(3, std::string(16 * kSector, 'x'));
  ASSERT_TRUE(f.disk.spoil_sectors(f.random, 2, false));
  f.disk.heal_sectors();
  const auto first = bad_sector(f);
  ASSERT_TRUE(first);
  ASSERT_TRUE(f.put(*first + 1, std::string(kSector - 1, 'y')));
  EXPECT_EQ(bad_sector(f), first) << "a part of it does not help";
  ASSERT_TRUE(f.put(*first, std::string(kSector, 'y')));
  const auto next = bad_sector(f);
  if (*first + 2 * kSector <= f.disk.size(f.file)) EXPECT_EQ(next, *first + kSector);
  ASSERT_TRUE(f.put(*first + kSector, std::string(kSector, 'y')));
  EXPECT_FALSE(bad_sector(f));
  EXPECT_GT(f.disk.effects().latent, 0u);
}

TEST(DiskFaults, WhatALyingSyncDidNotWriteIsGoneWithThePower) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    OneFile f(seed, std::string(4 * kSector, 'o'));
    ASSERT_TRUE(f.put(0, std::string(4 * kSector, 'n')));
    f.disk.faults().lying_syncs = 1;
    EXPECT_TRUE(f.disk.sync(f.file));
    EXPECT_EQ(f.content(), std::string(4 * kSector, 'n')) << "until then it is read";
    EXPECT_TRUE(f.disk.sync(f.file));
    f.lose_power();
    lost += f.content() != std::string(4 * kSector, 'n');
    EXPECT_EQ(f.disk.effects().syncs_lied, 1u);
    EXPECT_EQ(f.disk.effects().errors(), 0u);
  }
  EXPECT_GT(lost, 20);
}

TEST(DiskFaults, ALyingSyncOfADirectoryMakesNothingDurable) {
  int kept = 0, lost = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    OneFile f(seed, "stored");
    ASSERT_TRUE(f.disk.rename("/f", "/g"));
    f.disk.faults().lying_directory_syncs = 1;
    EXPECT_TRUE(f.disk.sync_directory("/"));
    f.lose_power();
    (f.disk.open("/g", OpenMode::kRead) ? kept : lost) += 1;
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(lost, 0);
}

TEST(DiskFaults, ALostWriteChangesNothingButTheSize) {
  OneFile f(4, "old content");
  f.disk.faults().lost_writes = 1;
  EXPECT_TRUE(f.put(4, "and something new"));
  EXPECT_EQ(f.content(), "old content" + std::string(10, '\0'));
  EXPECT_TRUE(f.put(0, "new"));
  EXPECT_EQ(f.content().substr(0, 11), "new content");
}

TEST(DiskFaults, AMisdirectedWriteGoesOverSomethingElse) {
  const std::string stored(16 * kSector, 'o');
  OneFile f(5, stored);
  auto other = *f.disk.open("/other", OpenMode::kCreateNew);
  f.disk.faults().misdirected_writes = 1;
  const std::string_view text = "somewhere";
  ASSERT_TRUE(f.disk.write(other, Position(0), std::span(&text, 1)));
  std::string there(9, '?');
  EXPECT_EQ(*f.disk.read(other, Position(0), there.data(), there.size()), 9u) << "the file grows";
  EXPECT_EQ(there, std::string(9, '\0'));
  std::string found = f.content();
  const std::size_t at = found.find("somewhere");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(at % kSector, 0u);
  EXPECT_EQ(found.replace(at, 9, std::string(9, 'o')), stored) << "and nowhere else";
}

TEST(DiskFaults, AMisdirectedReadGivesSomethingElseOnce) {
  std::string stored;
  for (char c = 'a'; c < 'q'; ++c) stored += std::string(kSector, c);
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    OneFile f(seed, stored);
    f.disk.faults().misdirected_reads = 1;
    const auto got = f.get(0, kSector);
    ASSERT_TRUE(got);
    EXPECT_NE(stored.find(*got), std::string::npos);
    wrong += *got != stored.substr(0, kSector);
    EXPECT_EQ(f.content(), stored);
  }
  EXPECT_GT(wrong, 10);
}

TEST(DiskFaults, AStaleReadGivesWhatWasThereBefore) {
  OneFile f(6, "0123456789");
  f.disk.faults().stale_writes = 1;
  ASSERT_TRUE(f.put(2, "abc"));
  ASSERT_TRUE(f.put(6, "xyz"));
  EXPECT_EQ(f.content(), "012345xyz9");
  EXPECT_EQ(*f.get(4, 4), "45xy");
  ASSERT_TRUE(f.disk.sync(f.file));
  f.lose_power();
  EXPECT_EQ(f.content(), "012345xyz9") << "a new process is told the same";
  f.disk.heal_stale();
  EXPECT_EQ(f.content(), "01abc5xyz9");
}

TEST(DiskFaults, AFileIsMissingWhenPowerWasLost) {
  OneFile f(7, "stored");
  f.disk.faults().files_to_lose = 1;
  EXPECT_EQ(f.content(), "stored");
  f.lose_power();
  EXPECT_FALSE(*f.disk.exists("/f"));
  EXPECT_EQ(f.disk.effects().files_lost, 1u);
  EXPECT_EQ(f.disk.used_bytes(), 0u);
  f.disk.faults().files_to_lose = 1;
  f.disk.lose_power();
  EXPECT_EQ(f.disk.effects().files_lost, 1u) << "there was none";
}

TEST(DiskFaults, AWipedDiskHasNothing) {
  OneFile f(8, "stored");
  ASSERT_TRUE(f.disk.make_directory("/d/e"));
  f.file.reset();
  f.disk.lose_power();
  f.disk.wipe();
  EXPECT_TRUE(f.disk.list("/")->empty());
  EXPECT_EQ(f.disk.used_bytes(), 0u);
  EXPECT_TRUE(f.disk.open("/f", OpenMode::kCreateNew));
}

}  // namespace
}  // namespace stele::sim
