#include "sim/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "sim/workloads/built_in.h"

namespace stele::sim {
namespace {

using namespace std::chrono_literals;

Case drawn(std::uint64_t seed) {
  return draw_case(find_scenario("node").value(), seed, std::nullopt);
}

// By a rule instead of a run.
TryCases by(std::function<bool(const Case&)> fails, std::uint64_t* tries = nullptr) {
  return [fails, tries](const std::vector<Case>& cases) -> std::optional<std::size_t> {
    if (tries) *tries += cases.size();
    const auto found = std::ranges::find_if(cases, fails);
    if (found == cases.end()) return std::nullopt;
    return static_cast<std::size_t>(found - cases.begin());
  };
}

TEST(Shrink, KeepsWhatTheFailureNeeds) {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    std::uint64_t tries = 0;
    const auto fails = [&](const Case& of) {
      return of.faults.size() >= 2 && of.has({"retained", 3}) &&
             of.knobs["node.shards"] == drawn(seed).knobs["node.shards"];
    };
    const Case small = shrink(drawn(seed), by(fails, &tries), {.at_once = 3});
    EXPECT_EQ(small.faults.size(), 2U);
    EXPECT_EQ(small.clients, (std::vector<ClientOfCase>{{"retained", 3}}));
    EXPECT_TRUE(small.episodes.empty());
    EXPECT_TRUE(small.floors.empty());
    for (const Fault& fault : small.faults) EXPECT_LE(fault.lasts, 1ns);
    for (const Knob& knob : small.knobs.declared()) {
      if (knob.name != "node.shards") {
        EXPECT_EQ(small.knobs[knob.name], knob.usual) << knob.name;
      }
    }
    EXPECT_LT(tries, 1000U);
  }
}

TEST(Shrink, TakesQuietTimesAway) {
  const auto fails = [](const Case& of) { return of.episodes.size() >= 2; };
  const Case small = shrink(drawn(1), by(fails), {});
  ASSERT_EQ(small.episodes.size(), 2U);
  EXPECT_EQ(small.episodes[0].begin, 0ns);
  EXPECT_EQ(small.episodes[1].begin, small.episodes[0].end);
  EXPECT_EQ(small.duration, small.episodes[1].end);
  EXPECT_EQ(small.episodes[1].messages, 1U);
}

TEST(Shrink, EndsWhenTheTriesAreUsedUp) {
  std::uint64_t tries = 0;
  (void)shrink(drawn(1), by([](const Case&) { return true; }, &tries), {.tries = 5});
  EXPECT_LE(tries, 6U);
}

TEST(KindOfFailure, IsTheTextWithoutItsNumbers) {
  EXPECT_EQ(kind_of_failure("message 1:22:333 was acknowledged for orders.eu-1 at offset 7 and is not there"),
            kind_of_failure("message 4:5:6 was acknowledged for orders.eu-0 at offset 88 and is not there"));
  EXPECT_EQ(kind_of_failure("clients are not done within the time: a b"),
            "clients are not done within the time");
  EXPECT_NE(kind_of_failure("one"), kind_of_failure("another"));
}

}  // namespace
}  // namespace stele::sim
