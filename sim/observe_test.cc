#include "sim/observe.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "runtime/time.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Two hosts that do a little; the hash of the world at the end.
std::uint64_t run(Observation what, std::uint64_t seed = 7) {
  World world(seed);
  Observer observer(world, std::move(what));
  for (const char* name : {"node", "other"}) {
    world.add_host(name).boot(2, program([](ProcessContext& p) -> Task<void> {
                                p.core(1).log().write(runtime::LogLevel::kWarn, "a", "says \"so\"\xff");
                                for (int i = 0; i < 20; ++i) co_await runtime::sleep(p.core(0), 10ms);
                              }));
  }
  world.run_for(1s);
  return world.hash();
}

class ObserverTest : public testing::Test {
 protected:
  const std::filesystem::path file_ = std::filesystem::path(testing::TempDir()) /
                                      testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ObserverTest, ChangesNothing) {
  World world(7);
  const std::uint64_t alone = run({});
  EXPECT_EQ(run({.trace_file = file_}), alone);
  EXPECT_EQ(run({.fingerprint_file = file_}), alone);
  EXPECT_NE(run({}, 8), alone);
}

TEST_F(ObserverTest, TraceFileHasALaneForEachCoreAndIsJson) {
  run({.trace_file = file_});
  const auto trace = nlohmann::json::parse(content(file_));
  std::set<std::string> lanes, hosts;
  std::size_t turns = 0, logs = 0;
  for (const auto& entry : trace.at("traceEvents")) {
    if (entry.at("ph") == "M")
      (entry.at("name") == "thread_name" ? lanes : hosts).insert(entry["args"]["name"]);
    turns += entry.at("ph") == "X";
    logs += entry.value("cat", "") == "log";
  }
  EXPECT_EQ(hosts, (std::set<std::string>{"node", "other"}));
  EXPECT_TRUE(lanes.contains("core 0") && lanes.contains("core 1")) << lanes.size();
  EXPECT_GE(turns, 40u);
  EXPECT_EQ(logs, 2u);
}

TEST_F(ObserverTest, LooksAtOneHostAlone) {
  run({.node = "other", .trace_file = file_});
  const std::string text = content(file_);
  EXPECT_NE(text.find("\"other\""), std::string::npos);
  EXPECT_EQ(text.find("\"node\""), std::string::npos);
}

TEST_F(ObserverTest, FingerprintsDifferFromTheFirstDifferenceOn) {
  const auto prints = [&](std::uint64_t seed) {
    run({.fingerprint_file = file_}, seed);
    return content(file_);
  };
  const std::string one = prints(7);
  EXPECT_GT(one.size(), 40 * sizeof(std::uint64_t));
  EXPECT_EQ(one.size() % sizeof(std::uint64_t), 0u);
  EXPECT_EQ(prints(7), one);
  EXPECT_NE(prints(8).substr(0, sizeof(std::uint64_t)), one.substr(0, sizeof(std::uint64_t)));
}

TEST_F(ObserverTest, EndsTheProgramAtATimeAndWritesTheFileWhole) {
  EXPECT_EXIT(run({.until = 100ms, .trace_file = file_}), testing::ExitedWithCode(0), "");
  EXPECT_FALSE(nlohmann::json::parse(content(file_)).at("traceEvents").empty());
}

TEST_F(ObserverTest, SaysThatAFileCannotBeWritten) {
  EXPECT_EXIT(run({.trace_file = "/nowhere/at/all"}), testing::ExitedWithCode(2), "/nowhere/at/all");
}

}  // namespace
}  // namespace stele::sim
