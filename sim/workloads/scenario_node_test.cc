// Scenario `node` on a few seeds, and that a seed means one run.
#include <gtest/gtest.h>

#include "sim/scenario.h"

namespace stele::sim {
namespace {

using namespace std::chrono_literals;

class NodeScenario : public testing::TestWithParam<std::uint64_t> {};

TEST_P(NodeScenario, KeepsWhatItAcknowledged) {
  const ScenarioResult result = run_node({.seed = GetParam(), .duration = 2min});
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nreplay: ./simulate --seed " << GetParam()
                         << " --scenario node --minutes 2";
}

INSTANTIATE_TEST_SUITE_P(Seeds, NodeScenario, testing::Range<std::uint64_t>(1, 8));

TEST(NodeScenarioTwice, ASeedMeansOneRun) {
  const ScenarioResult once = run_node({.seed = 3, .duration = 1min});
  const ScenarioResult again = run_node({.seed = 3, .duration = 1min});
  EXPECT_EQ(once.hash, again.hash);
  EXPECT_EQ(once.operations, again.operations);
}

TEST(Canary, FailsAlways) {
  EXPECT_FALSE(run_canary({.seed = 1}).ok);
}

}  // namespace
}  // namespace stele::sim
