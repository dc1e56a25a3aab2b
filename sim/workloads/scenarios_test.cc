// The scenarios on a few seeds, and that a seed means one run.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <tuple>

#include "sim/scenario.h"
#include "sim/workloads/built_in.h"

namespace stele::sim {
namespace {

using namespace std::chrono_literals;

Case draw(std::string_view scenario, std::uint64_t seed, Duration duration) {
  return draw_case(find_scenario(scenario).value(), seed, duration);
}

class NodeScenario : public testing::TestWithParam<std::uint64_t> {};

TEST_P(NodeScenario, KeepsWhatItAcknowledged) {
  const ScenarioResult result = run_case(draw("node", GetParam(), 2min));
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << GetParam()
                         << " --scenario node --minutes 2";
}

INSTANTIATE_TEST_SUITE_P(Seeds, NodeScenario, testing::Range<std::uint64_t>(1, 8));

class DamageScenario : public testing::TestWithParam<std::uint64_t> {};

TEST_P(DamageScenario, NothingWrongIsReadAndNothingIsLostInSilence) {
  const ScenarioResult result = run_case(draw("damage", GetParam(), 30min));
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << GetParam()
                         << " --scenario damage";
}

INSTANTIATE_TEST_SUITE_P(Seeds, DamageScenario, testing::Range<std::uint64_t>(1, 13));

// Whole runs: a part of one may not come to every limit.
class LimitScenario : public testing::TestWithParam<std::tuple<const char*, std::uint64_t>> {};

TEST_P(LimitScenario, HarmsNobodyElse) {
  const auto [scenario, seed] = GetParam();
  const ScenarioResult result = run_case(draw(scenario, seed, 30min));
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << seed
                         << " --scenario " << scenario;
}

INSTANTIATE_TEST_SUITE_P(Seeds, LimitScenario,
                         testing::Combine(testing::Values("limits", "drops", "access"),
                                          testing::Range<std::uint64_t>(1, 4)));

class StoreScenario : public testing::TestWithParam<std::uint64_t> {};

TEST_P(StoreScenario, OwnersFindWhatWasAcknowledged) {
  const ScenarioResult result = run_case(draw("store", GetParam(), 30min));
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << GetParam()
                         << " --scenario store";
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreScenario, testing::Range<std::uint64_t>(1, 9));

class RaftScenario : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RaftScenario, AGroupAgreesAndForgetsNothing) {
  const ScenarioResult result = run_case(draw("raft", GetParam(), 10min));
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << GetParam()
                         << " --scenario raft";
  EXPECT_LT(result.undecided, result.histories);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RaftScenario, testing::Range<std::uint64_t>(1, 13));

class MetaScenario : public testing::TestWithParam<std::uint64_t> {};

TEST_P(MetaScenario, WhatIsAnsweredIsKnownToAllAndDoneOnce) {
  const ScenarioResult result = run_case(draw("meta", GetParam(), 5min));
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << GetParam()
                         << " --scenario meta";
  EXPECT_LT(result.undecided, result.histories);
}

INSTANTIATE_TEST_SUITE_P(Seeds, MetaScenario, testing::Range<std::uint64_t>(1, 13));

class JournalScenario : public testing::TestWithParam<std::uint64_t> {};

TEST_P(JournalScenario, OwnersFindWhatWasAcknowledgedAndSegmentsGetTheirReplicas) {
  const ScenarioResult result = run_case(draw("journal", GetParam(), 5min));
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << GetParam()
                         << " --scenario journal";
}

INSTANTIATE_TEST_SUITE_P(Seeds, JournalScenario, testing::Range<std::uint64_t>(1, 13));

TEST(Scenarios, ASeedMeansOneRun) {
  const Case of = draw("node", 3, 1min);
  const ScenarioResult once = run_case(of);
  const ScenarioResult again = run_case(of);
  EXPECT_EQ(once.hash, again.hash);
  EXPECT_EQ(once.operations, again.operations);
}

TEST(Scenarios, ContendersContend) {
  std::uint64_t contended = 0, histories = 0, undecided = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const ScenarioResult result = run_case(draw("node", seed, 2min));
    contended += result.contended;
    histories += result.histories;
    undecided += result.undecided;
  }
  EXPECT_GT(contended, 30U);
  EXPECT_GT(histories, undecided);
}

TEST(Scenarios, ACaseIsTheRunThatItWasWrittenFrom) {
  for (const char* scenario :
       {"node", "damage", "store", "raft", "meta", "journal", "limits", "drops", "access"}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const Case drawn = draw(scenario, seed, 1min);
      const auto read = parse_case("written", format_case(drawn));
      ASSERT_TRUE(read) << read.error().to_string();
      EXPECT_EQ(run_case(drawn).hash, run_case(*read).hash) << scenario << " " << seed;
    }
  }
}

TEST(Canary, FailsAlways) {
  const Case of = draw("canary", 1, 1min);
  const ScenarioResult result = run_case(of);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.why, "the canary fails always");
  EXPECT_TRUE(fails_without_faults(of)) << "which is what says that it is no fault of the system";
}

}  // namespace
}  // namespace stele::sim
