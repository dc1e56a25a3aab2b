// Points of buggify as a world decides them; in a build without them, that none is there. `./test` runs both.
#include "base/buggify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "sim/world.h"

namespace stele::sim {
namespace {

using namespace std::chrono_literals;

constexpr Buggify kPoint = Buggify::kCacheMiss;

WorldConfig one_in(std::uint64_t n) {
  WorldConfig config;
  config.buggify_one_in.at(static_cast<std::size_t>(kPoint)) = n;
  return config;
}

std::vector<bool> ask(Buggify point, int times) {
  std::vector<bool> out;
  for (; times > 0; --times) out.push_back(buggify(point));
  return out;
}

TEST(Buggify, EachPointIsNamedOnceAndInOrder) {
  std::set<std::string_view> knobs;
  std::size_t at = 0;
  for (const BuggifyInfo& info : all_buggify_points()) {
    EXPECT_EQ(static_cast<std::size_t>(info.point), at++);
    EXPECT_TRUE(info.knob.starts_with("buggify.")) << info.knob;
    EXPECT_TRUE(knobs.insert(info.knob).second) << info.knob;
    EXPECT_FALSE(info.what.empty());
    EXPECT_GE(info.most_one_in, 2u) << "what always happens is not rare";
  }
}

#ifndef STELE_BUGGIFY
static_assert(!kBuggifyBuilt && !buggify(kPoint), "an ordinary build pays nothing and has none");

TEST(Buggify, AnOrdinaryBuildHasNone) {
  World world(1, one_in(1));
  EXPECT_EQ(std::ranges::count(ask(kPoint, 1000), true), 0);
}
#else
TEST(Buggify, AWorldDecidesAndCounts) {
  World world(1, one_in(10));
  const auto happened = std::ranges::count(ask(kPoint, 10'000), true);
  EXPECT_GT(happened, 800);
  EXPECT_LT(happened, 1200);
  EXPECT_EQ(world.counters().buggified.at(static_cast<std::size_t>(kPoint)),
            static_cast<std::uint64_t>(happened));
  EXPECT_EQ(std::ranges::count(ask(Buggify::kShortRead, 1000), true), 0) << "of a point whose knob is zero";
}

TEST(Buggify, TheSeedDecides) {
  const auto decisions = [](std::uint64_t seed) {
    World world(seed, one_in(3));
    return ask(kPoint, 200);
  };
  EXPECT_EQ(decisions(1), decisions(1));
  EXPECT_NE(decisions(1), decisions(2));
}

TEST(Buggify, EndsWithTheFaultsAndWithTheWorld) {
  {
    World world(1, one_in(1));
    EXPECT_TRUE(buggify(kPoint));
    world.end_buggify();
    EXPECT_EQ(std::ranges::count(ask(kPoint, 1000), true), 0);
  }
  EXPECT_FALSE(buggify(kPoint));
}

// What passes a point that never happens draws nothing: other draws of the run stay as they are.
TEST(Buggify, APointThatNeverHappensDrawsNothing) {
  const auto draws = [](Buggify passed) {
    World world(1, one_in(3));
    ask(passed, 100);
    return ask(kPoint, 200);
  };
  EXPECT_EQ(draws(Buggify::kShortRead), draws(Buggify::kShortFetch));
  EXPECT_NE(draws(Buggify::kShortRead), draws(kPoint));
}
#endif

}  // namespace
}  // namespace stele::sim
