// What field runs break the node with, as far as it can be seen without one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/field/small_disk.h"
#include "tests/field/wall_clock.h"

namespace stele::field {
namespace {

using sim::Fault;
using sim::FaultKind;
using namespace std::chrono_literals;

std::string scratch(const char* name) {
  const std::string directory = std::string(::testing::TempDir()) + name;
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  return directory;
}

std::string line_of(const std::string& file) {
  std::string line;
  std::ifstream in(file);
  std::getline(in, line);
  return line;
}

Fault of(FaultKind kind, std::uint64_t amount = 0) {
  return {.kind = kind, .host = "node", .other = {}, .amount = amount};
}

TEST(WallClock, SaysWhatLibfaketimeReads) {
  const std::string directory = scratch("wall-clock");
  auto clock = WallClock::make("/no/library", directory);
  ASSERT_TRUE(clock);
  const std::string file = directory + "/wall-clock";
  EXPECT_EQ(line_of(file), "+0.000000000");
  EXPECT_TRUE((*clock)->begin(of(FaultKind::kClockJump, 2'500)));
  EXPECT_EQ(line_of(file), "+2.500000000");
  EXPECT_TRUE((*clock)->begin(of(FaultKind::kClockJump, 3'001)));
  EXPECT_EQ(line_of(file), "-0.501000000");
  EXPECT_FALSE((*clock)->begin(of(FaultKind::kPause)));
}

TEST(WallClock, StandsAndGoesOnFromThere) {
  const std::string directory = scratch("wall-clock-stands");
  auto clock = WallClock::make("/no/library", directory);
  ASSERT_TRUE(clock);
  const auto seconds = [&] { return std::stod(line_of(directory + "/wall-clock")); };
  EXPECT_TRUE((*clock)->begin(of(FaultKind::kClockStands)));
  EXPECT_TRUE((*clock)->begin(of(FaultKind::kClockStands)));
  const double stood = seconds();
  EXPECT_GT(stood, 1e9) << "the time itself, and not how far it is ahead";
  EXPECT_TRUE((*clock)->begin(of(FaultKind::kClockJump, 4'000)));
  EXPECT_NEAR(seconds(), stood + 4, 1e-3);
  (*clock)->end(of(FaultKind::kClockStands));
  EXPECT_NEAR(seconds(), stood + 4, 1e-3) << "another one still wants it to";
  (*clock)->end(of(FaultKind::kClockStands));
  EXPECT_LE(seconds(), 4) << "it lacks the time that it stood";
}

TEST(WallClock, DriftsInStepsUntilItIsHealed) {
  const std::string directory = scratch("wall-clock-drifts");
  auto clock = WallClock::make("/no/library", directory);
  ASSERT_TRUE(clock);
  EXPECT_TRUE((*clock)->begin(of(FaultKind::kClockDrifts, 50'000)));
  while ((*clock)->ahead_s() <= 0) (*clock)->tick();
  (*clock)->heal();
  const double ahead = (*clock)->ahead_s();
  (*clock)->tick();
  EXPECT_EQ((*clock)->ahead_s(), ahead);
  EXPECT_NEAR(std::stod(line_of(directory + "/wall-clock")), ahead, 1e-6);
}

TEST(SmallDisk, IsFilledAndEmptied) {
  if (const auto left = SmallDisk::leave_shared_mounts(); !left) GTEST_SKIP() << left.error().message;
  const std::string directory = scratch("small-disk");
  auto made = SmallDisk::make(directory + "/disk", 8 << 20);
  if (!made) GTEST_SKIP() << made.error().message;
  SmallDisk& disk = **made;
  const auto write = [&](const char* name, std::size_t bytes) {
    std::ofstream out(disk.directory() + "/" + name, std::ios::app);
    out << std::string(bytes, 'x') << std::flush;
    return out.good();
  };
  EXPECT_TRUE(write("data", 1000));
  EXPECT_TRUE(disk.fill(100'000));
  EXPECT_LE(disk.free_bytes(), 100'000u);
  EXPECT_GT(disk.free_bytes(), 80'000u);
  EXPECT_TRUE(write("data", 50'000));
  EXPECT_FALSE(write("data", 200'000));
  disk.make_room();
  EXPECT_TRUE(write("more", 200'000));
  const std::string kept = scratch("small-disk-kept");
  EXPECT_TRUE(disk.copy(kept));
  EXPECT_EQ(std::filesystem::file_size(kept + "/more"), 200'000u);
  EXPECT_FALSE(std::filesystem::exists(kept + "/filler"));
  made->reset();
  EXPECT_FALSE(std::filesystem::exists(directory + "/disk"));
}

}  // namespace
}  // namespace stele::field
