#include "sim/disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace stele::sim {
namespace {

using runtime::OpenMode;
using runtime::Random;

Result<void> put(Disk& disk, const Disk::File& file, std::uint64_t at, std::string_view text) {
  return disk.write(file, Position(at), std::span(&text, 1));
}

std::string content(Disk& disk, const Disk::File& file) {
  std::string out(disk.size(file), '\0');
  EXPECT_EQ(*disk.read(file, Position(0), out.data(), out.size()), out.size());
  return out;
}

std::optional<std::string> content_at(Disk& disk, const std::string& path) {
  auto file = disk.open(path, OpenMode::kRead);
  if (!file) return std::nullopt;
  return content(disk, *file);
}

std::string random_text(Random& random, std::size_t size) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random.below(256));
  return out;
}

// --- Content

// The content after each operation since the last sync, the synced content first. What the platter may hold.
using Versions = std::vector<std::string>;

std::string sector_of(const std::string& whole, std::size_t sector, std::size_t bytes) {
  std::string out = sector * bytes < whole.size() ? whole.substr(sector * bytes, bytes) : std::string();
  out.resize(bytes, '\0');
  return out;
}

bool is_torn(const std::string& found, const Versions& versions, std::size_t sector, std::size_t bytes) {
  for (const std::string& a : versions) {
    for (const std::string& b : versions) {
      const std::string begins = sector_of(a, sector, bytes).substr(0, found.size());
      const std::string ends = sector_of(b, sector, bytes).substr(0, found.size());
      const auto differs = std::ranges::mismatch(found, begins).in1 - found.begin();
      const auto from = static_cast<std::size_t>(differs);
      if (found.substr(from) == ends.substr(from)) return true;
    }
  }
  return false;
}

// Each sector is one of its versions; one at most is torn; sizes stay within what was.
void expect_possible(const std::string& found, const Versions& versions, std::size_t sector_bytes,
                     std::size_t* torn) {
  const auto by_size = [](auto& a, auto& b) { return a.size() < b.size(); };
  const auto [shortest, longest] = std::ranges::minmax_element(versions, by_size);
  EXPECT_GE(found.size(), shortest->size());
  EXPECT_LE(found.size(), longest->size());
  for (std::size_t sector = 0; sector * sector_bytes < found.size(); ++sector) {
    std::string there = sector_of(found, sector, sector_bytes);
    const std::size_t valid = std::min(found.size() - sector * sector_bytes, sector_bytes);
    there.resize(valid);
    const bool whole = std::ranges::any_of(versions, [&](const std::string& version) {
      return sector_of(version, sector, sector_bytes).substr(0, valid) == there;
    });
    if (whole) continue;
    ++*torn;
    EXPECT_TRUE(is_torn(there, versions, sector, sector_bytes)) << "sector " << sector;
  }
}

class DiskCrash : public testing::TestWithParam<std::size_t> {};

TEST_P(DiskCrash, KeepsWhatWasSyncedAndOfEachOtherSectorSomeVersion) {
  std::size_t torn_in_all = 0, changed = 0;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    Random random(seed);
    DiskConfig config;
    config.sector_bytes = GetParam();
    Disk disk(config, Random(seed + 1'000'000));
    ASSERT_TRUE(disk.make_directory("/d"));
    auto file = *disk.open("/d/f", OpenMode::kCreateNew);
    ASSERT_TRUE(disk.sync_directory("/"));
    ASSERT_TRUE(disk.sync_directory("/d"));
    std::string model;
    Versions versions{model};
    for (int round = 0; round < 3; ++round) {
      for (std::uint64_t steps = random.below(12); steps-- > 0;) {
        const std::uint64_t choice = random.below(10);
        if (choice == 0) {
          ASSERT_TRUE(disk.sync(file));
          versions.clear();
        } else if (choice == 1) {
          model.resize(random.below(20'000), '\0');
          ASSERT_TRUE(disk.truncate(file, model.size()));
        } else {
          const std::size_t at = random.below(16'000), size = 1 + random.below(choice < 5 ? 9'000 : 300);
          const std::string text = choice == 2 ? std::string(size, '\0') : random_text(random, size);
          model.resize(std::max(model.size(), at + size), '\0');
          model.replace(at, size, text);
          ASSERT_TRUE(put(disk, file, at, text));
        }
        versions.push_back(model);
        ASSERT_EQ(content(disk, file), model) << "seed " << seed;
      }
      file.reset();
      disk.lose_power();
      file = *disk.open("/d/f", OpenMode::kReadWrite);
      const std::string found = content(disk, file);
      std::size_t torn = 0;
      SCOPED_TRACE("seed " + std::to_string(seed));
      expect_possible(found, versions, config.sector_bytes, &torn);
      EXPECT_LE(torn, 1u);
      torn_in_all += torn;
      changed += found != model;
      model = found;
      versions = {model};
      ASSERT_FALSE(testing::Test::HasFailure());
    }
  }
  EXPECT_GT(torn_in_all, 50u);
  EXPECT_GT(changed, 600u);
}

INSTANTIATE_TEST_SUITE_P(SectorSizes, DiskCrash, testing::Values(512, 4096));

TEST(Disk, AFailedSyncLosesPagesThatAreStillRead) {
  int kept = 0, lost = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    DiskConfig config;
    config.tear_one_in = 0;
    config.early_write_back_one_in = 0;
    Disk disk(config, Random(seed));
    auto file = *disk.open("/f", OpenMode::kCreateNew);
    ASSERT_TRUE(disk.sync_directory("/"));
    const std::string old(4096, 'o'), fresh(4096, 'n');
    ASSERT_TRUE(put(disk, file, 0, old));
    ASSERT_TRUE(disk.sync(file));
    ASSERT_TRUE(put(disk, file, 0, fresh));
    disk.faults().failing_syncs = 1;
    EXPECT_EQ(disk.sync(file).error().code, ErrorCode::kIo);
    EXPECT_EQ(content(disk, file), fresh) << "the cache still has it";
    EXPECT_TRUE(disk.sync(file)) << "and the next sync knows nothing of it";
    disk.lose_power();
    for (const char c : content(disk, *disk.open("/f", OpenMode::kRead))) {
      ASSERT_TRUE(c == 'o' || c == 'n');
      (c == 'n' ? kept : lost) += 1;
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(lost, 0);
}

TEST(Disk, ZerosCostNothing) {
  Disk disk(DiskConfig{}, Random(1));
  auto file = *disk.open("/preallocated", OpenMode::kCreateNew);
  const std::string zeros(1 << 20, '\0');
  for (std::uint64_t i = 0; i < 64; ++i) ASSERT_TRUE(put(disk, file, i << 20, zeros));
  ASSERT_TRUE(disk.sync(file));
  EXPECT_EQ(disk.size(file), 64u << 20);
  EXPECT_EQ(disk.resident_bytes(), 0u);
  EXPECT_EQ(disk.used_bytes(), 64u << 20);
  ASSERT_TRUE(put(disk, file, 5000, "x"));
  EXPECT_LE(disk.resident_bytes(), 8192u);
}

TEST(Disk, SpaceEndsAndComesBack) {
  DiskConfig config;
  config.capacity_bytes = 10'000;
  Disk disk(config, Random(1));
  auto file = *disk.open("/f", OpenMode::kCreateNew);
  ASSERT_TRUE(put(disk, file, 0, std::string(9'000, 'x')));
  EXPECT_EQ(put(disk, file, 9'000, std::string(1'001, 'x')).error().code, ErrorCode::kNoSpace);
  EXPECT_TRUE(put(disk, file, 0, std::string(9'000, 'y'))) << "overwriting takes no space";
  ASSERT_TRUE(disk.truncate(file, 100));
  EXPECT_TRUE(put(disk, file, 9'000, std::string(1'000, 'x')));
  file.reset();
  ASSERT_TRUE(disk.remove("/f"));
  ASSERT_TRUE(disk.sync_directory("/"));
  EXPECT_EQ(disk.used_bytes(), 0u);
  file = *disk.open("/g", OpenMode::kCreateNew);
  disk.set_free_bytes(5);
  EXPECT_EQ(put(disk, file, 0, "123456").error().code, ErrorCode::kNoSpace);
  EXPECT_TRUE(put(disk, file, 0, "12345"));
  int made = 0;
  for (int i = 0; i < 100; ++i) {
    const auto name = disk.open("/name" + std::to_string(i), OpenMode::kCreateNew);
    made += name.has_value();
    if (!name) EXPECT_EQ(name.error().code, ErrorCode::kNoSpace);
  }
  EXPECT_GT(made, 0);
  EXPECT_LT(made, 100) << "a name may need a block";
  disk.set_free_bytes(600);
  EXPECT_EQ(put(disk, file, 0, std::string(1'000, 'x')).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(disk.size(file), 512u) << "the sectors for which there is room are written";
}

TEST(Disk, FaultsAreReadErrorsAndFlippedBits) {
  Disk disk(DiskConfig{}, Random(1));
  Random random(7);
  EXPECT_FALSE(disk.flip_bit(random)) << "there is nothing to flip";
  auto file = *disk.open("/f", OpenMode::kCreateNew);
  const std::string text = random_text(random, 3000);
  ASSERT_TRUE(put(disk, file, 0, text));
  ASSERT_TRUE(disk.sync(file));
  disk.faults().failing_reads = 1;
  char byte;
  EXPECT_EQ(disk.read(file, Position(0), &byte, 1).error().code, ErrorCode::kIo);
  EXPECT_EQ(content(disk, file), text);
  EXPECT_TRUE(disk.flip_bit(random));
  const std::string flipped = content(disk, file);
  int bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bits += std::popcount(static_cast<unsigned char>(text[i] ^ flipped[i]));
  }
  EXPECT_EQ(bits, 1);
}

// --- Names

TEST(Disk, ANameIsDurableOnlyAfterItsDirectoryWasSynced) {
  int kept = 0, lost = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Disk disk(DiskConfig{}, Random(seed));
    for (const char* path : {"/synced", "/unsynced"}) {
      auto file = *disk.open(path, OpenMode::kCreateNew);
      ASSERT_TRUE(put(disk, file, 0, "content"));
      ASSERT_TRUE(disk.sync(file));
      if (std::string_view(path) == "/synced") ASSERT_TRUE(disk.sync_directory("/"));
    }
    disk.lose_power();
    EXPECT_EQ(content_at(disk, "/synced"), "content");
    const auto there = content_at(disk, "/unsynced");
    if (there) EXPECT_EQ(*there, "content");
    (there ? kept : lost) += 1;
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(lost, 0);
}

TEST(Disk, ARenameIsLostOrKeptAsAWhole) {
  int kept = 0, lost = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Disk disk(DiskConfig{}, Random(seed));
    for (const char* path : {"/new", "/old"}) {
      auto file = *disk.open(path, OpenMode::kCreateNew);
      ASSERT_TRUE(put(disk, file, 0, path));
      ASSERT_TRUE(disk.sync(file));
    }
    ASSERT_TRUE(disk.sync_directory("/"));
    ASSERT_TRUE(disk.rename("/new", "/old"));
    EXPECT_EQ(content_at(disk, "/old"), "/new");
    disk.lose_power();
    const bool moved = content_at(disk, "/old") == "/new";
    EXPECT_EQ(content_at(disk, "/old"), moved ? "/new" : "/old");
    EXPECT_EQ(content_at(disk, "/new").has_value(), !moved);
    (moved ? kept : lost) += 1;

    if (!moved) ASSERT_TRUE(disk.rename("/new", "/old"));
    ASSERT_TRUE(disk.sync_directory("/"));
    disk.lose_power();
    EXPECT_EQ(content_at(disk, "/old"), "/new");
    EXPECT_FALSE(content_at(disk, "/new"));
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(lost, 0);
}

TEST(Disk, NothingDurableBuildsOnSomethingLost) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Disk disk(DiskConfig{}, Random(seed));
    ASSERT_TRUE(disk.make_directory("/a"));
    ASSERT_TRUE(disk.make_directory("/b"));
    ASSERT_TRUE(disk.sync_directory("/"));
    // One file goes through three names; then another takes the first name, and its directory is synced.
    auto file = *disk.open("/a/1", OpenMode::kCreateNew);
    ASSERT_TRUE(put(disk, file, 0, "first"));
    ASSERT_TRUE(disk.sync(file));
    file.reset();
    ASSERT_TRUE(disk.rename("/a/1", "/b/2"));
    if (seed % 2) ASSERT_TRUE(disk.rename("/b/2", "/b/3"));
    auto second = *disk.open("/a/1", OpenMode::kCreateNew);
    ASSERT_TRUE(put(disk, second, 0, "second"));
    ASSERT_TRUE(disk.sync(second));
    second.reset();
    ASSERT_TRUE(disk.sync_directory("/a"));
    disk.lose_power();
    EXPECT_EQ(content_at(disk, "/a/1"), "second");
    const auto at_2 = content_at(disk, "/b/2"), at_3 = content_at(disk, "/b/3");
    EXPECT_EQ(at_2.has_value() + at_3.has_value(), 1) << "the rename came before what is durable";
    EXPECT_EQ(at_2 ? *at_2 : *at_3, "first");
  }
}

TEST(Disk, ARemovedFileMayComeBackWhole) {
  int back = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Disk disk(DiskConfig{}, Random(seed));
    auto file = *disk.open("/f", OpenMode::kCreateNew);
    ASSERT_TRUE(put(disk, file, 0, "stays"));
    ASSERT_TRUE(disk.sync(file));
    file.reset();
    ASSERT_TRUE(disk.sync_directory("/"));
    ASSERT_TRUE(disk.remove("/f"));
    EXPECT_FALSE(content_at(disk, "/f"));
    disk.lose_power();
    if (const auto found = content_at(disk, "/f")) {
      EXPECT_EQ(*found, "stays");
      ++back;
    }
    EXPECT_EQ(disk.used_bytes(), content_at(disk, "/f") ? 5u : 0u);
  }
  EXPECT_GT(back, 0);
}

TEST(Disk, PathsHaveOneForm) {
  EXPECT_EQ(normalise_path("/a//b/./c/"), "/a/b/c");
  EXPECT_EQ(normalise_path("a/../b"), "/b");
  EXPECT_EQ(normalise_path("../.."), "/");
  EXPECT_EQ(normalise_path(""), "/");
}

TEST(Disk, LocksGoWithTheProcess) {
  Disk disk(DiskConfig{}, Random(1));
  EXPECT_TRUE(*disk.lock("/lock"));
  EXPECT_FALSE(*disk.lock("//lock"));
  disk.release_locks();
  EXPECT_TRUE(*disk.lock("/lock"));
}

}  // namespace
}  // namespace stele::sim
