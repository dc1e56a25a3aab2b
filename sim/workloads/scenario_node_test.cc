// Scenario `node` on a few seeds, and that a seed means one run.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

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

// Seeds that once found something, at the length of then.
struct Regression {
  std::uint64_t seed;
  std::uint64_t minutes;
  const char* found;
};
class NodeRegression : public testing::TestWithParam<Regression> {};

TEST_P(NodeRegression, StaysGone) {
  const auto& [seed, minutes, found] = GetParam();
  const ScenarioResult result = run_node({.seed = seed, .duration = std::chrono::minutes(minutes)});
  EXPECT_TRUE(result.ok) << result.lines << result.why << "\nonce: " << found
                         << "\nreplay: ./simulate --seed " << seed << " --scenario node --minutes "
                         << minutes;
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, NodeRegression,
    testing::Values(
        Regression{14, 2, "small log files with many segments held nothing but their states"},
        Regression{21, 30,
                   "a stop waited for the roll of a shard, and that for a meta database "
                   "that had failed"},
        Regression{53, 30, "the last task of a lost shard destroyed it, and itself"},
        Regression{67, 30, "the log was trimmed by acknowledgements that a crash then took back"},
        Regression{494, 30, "retained messages of a lost shard were answered as none"},
        Regression{598, 30, "a shard was lost while others of its core started"},
        Regression{796, 30, "a stop waited for a look-up that nothing could answer"},
        Regression{3, 30, "retained messages were answered as none while the disk was full"},
        Regression{1342074699, 30, "a subscriber waited on a connection whose reset was lost"},
        Regression{450, 30, "a message was refused for want of room that had been taken before"},
        Regression{830, 30, "a message of unknown fate was overtaken by one that waited for it"},
        Regression{64, 30, "QoS 2 overtook QoS 0 of the same publisher to a live subscriber"},
        Regression{330, 30, "a client used an identifier again that had been sent twice"},
        Regression{467, 30, "a fetch from a thin stream outlasted its group member's session"},
        Regression{1253, 30,
                   "a stop waited for clients whose sessions could not be stored, as the meta database "
                   "had failed"},
        Regression{1342, 30, "likewise"},
        Regression{174, 30,
                   "a stop waited for a client whose will was on its way to a shard whose log "
                   "had failed"},
        Regression{546, 30, "the calm began before a new process had its program"},
        Regression{1570, 30, "of a message sent twice one copy was refused, the other came later"},
        Regression{5867, 30, "a run in which hardly anybody was served ended before it had shown anything"},
        Regression{1661, 30, "a node that stopped told of a topic's settings of before"},
        Regression{85, 30, "a node whose meta database had failed went on refusing everything"}));

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
