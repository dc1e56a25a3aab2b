#include "sim/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/scope.h"
#include "sim/host.h"

namespace stele::sim {
namespace {

using runtime::Runtime;
using runtime::Task;
using namespace std::chrono_literals;

Task<void> tick(Runtime& runtime, Duration every, int* ticks) {
  for (;;) {
    co_await runtime::sleep(runtime, every);
    ++*ticks;
  }
}

TEST(World, TimePassesOnlyByEvents) {
  World world(1);
  Host& host = world.add_host("node");
  int ticks = 0;
  host.boot(1, program([&](ProcessContext& p) { return tick(p.core(0), 1s, &ticks); }));
  EXPECT_EQ(world.run_for(1h).reason, StopReason::kTime);
  EXPECT_NEAR(ticks, 3600, 5);  // the clock drifts, and a turn takes time
  EXPECT_EQ(world.elapsed(), 1h);
  EXPECT_LE(world.counters().events, 3u * 3600) << "what is idle costs nothing";
}

TEST(World, StopsAtItsPredicateOrWhenNothingIsLeft) {
  World world(1);
  int acts = 0;
  world.after(5s, [&] { ++acts; });
  world.after(10s, [&] { ++acts; });
  EXPECT_EQ(world.run_until([&] { return acts == 1; }, 1h).reason, StopReason::kDone);
  EXPECT_EQ(world.elapsed(), 5s);
  EXPECT_EQ(world.run_for(1h).reason, StopReason::kIdle);
  EXPECT_EQ(acts, 2);
}

TEST(World, AnEndlessRunAtOneMomentIsALivelock) {
  WorldConfig config;
  config.livelock_events = 1000;
  config.schedule.turn = {Duration(0), Duration(0)};
  World world(1, config);
  Host& host = world.add_host("node");
  struct Spinning : Program {
    explicit Spinning(Runtime& runtime) : runtime(runtime) { spin(); }
    void spin() {
      runtime.post(CoreId(0), [this] { spin(); });
    }
    Runtime& runtime;
  };
  host.boot(1, [](ProcessContext& p) { return std::make_unique<Spinning>(p.core(0)); });
  const RunResult result = world.run_for(1h);
  EXPECT_EQ(result.reason, StopReason::kLivelock);
  EXPECT_NE(result.detail.find("no progress"), std::string::npos);
  EXPECT_TRUE(result.broken());
}

TEST(World, MoreEventsThanTheBudgetBreakTheRunOff) {
  WorldConfig config;
  config.event_budget = 100;
  World world(1, config);
  Host& host = world.add_host("node");
  int ticks = 0;
  host.boot(1, program([&](ProcessContext& p) { return tick(p.core(0), 1ms, &ticks); }));
  EXPECT_EQ(world.run_for(1h).reason, StopReason::kBudget);
}

TEST(World, AFailureEndsTheRunAndIsInTheTrace) {
  World world(1);
  world.after(1s, [&] {
    world.note("acknowledged", {7});
    world.fail("record 7 is lost");
    world.fail("and something that follows from it");
  });
  const RunResult result = world.run_for(1h);
  EXPECT_EQ(result.reason, StopReason::kFailed);
  EXPECT_EQ(result.detail, "record 7 is lost");
  EXPECT_EQ(world.elapsed(), 1s);
  EXPECT_NE(world.trace().text().find("1.000000000 world note: acknowledged 7"), std::string::npos);
}

TEST(WorldDeathTest, AnAssertionThatFailsPrintsTheTrace) {
  World world(1);
  const TraceOnAssert report(world, "run again with --seed 1");
  world.after(1s, [&] {
    world.note("just before");
    STELE_ASSERT(world.failed());
  });
  EXPECT_DEATH(world.run_for(2s),
               "assertion failed: world.failed(.|\n)*just before\nrun again with --seed 1");
}

// --- Turns

TEST(Turn, DeliversThenPostsThenHooks) {
  World world(1);
  Host& host = world.add_host("node");
  std::vector<std::string> order;
  struct Body : Program, runtime::Timer, runtime::TurnEndHook {
    Body(Runtime& runtime, std::vector<std::string>& order) : runtime(runtime), order(order) {
      runtime.post(CoreId(0), [this] { this->order.push_back("post"); });
      runtime.at_turn_end(*this);
      runtime.arm(*this, runtime.now());
      order.push_back("boot");
    }
    void on_timer() override {
      order.push_back("timer");
      runtime.at_turn_end(*this);
    }
    void on_turn_end() override { order.push_back("end"); }
    Runtime& runtime;
    std::vector<std::string>& order;
  };
  host.boot(1, [&](ProcessContext& p) { return std::make_unique<Body>(p.core(0), order); });
  world.run_for(1s);
  EXPECT_EQ(order, (std::vector<std::string>{"boot", "end", "timer", "post", "end"}));
}

TEST(Turn, APausedHostWakesUpInTheFuture) {
  World world(1);
  Host& host = world.add_host("node");
  int ticks = 0;
  host.boot(1, program([&](ProcessContext& p) { return tick(p.core(0), 1s, &ticks); }));
  world.run_for(10s + 500ms);
  const int before = ticks;
  host.pause(60s);
  world.run_for(59s);
  EXPECT_EQ(ticks, before);
  world.run_for(10s);
  EXPECT_GT(ticks, before);
  EXPECT_LT(ticks, before + 15);
}

TEST(Turn, ClocksOfHostsDisagreeAndNeverGoBack) {
  WorldConfig config;
  config.clock.drift_ppm_max = 2000;
  World world(3, config);
  struct Reading {
    runtime::Instant first, last;
  };
  std::vector<Reading> readings(3);
  const auto read = [](Runtime& runtime, Reading* reading) -> Task<void> {
    reading->first = reading->last = runtime.now();
    for (;;) {
      co_await runtime::sleep(runtime, 1s);
      EXPECT_GE(runtime.now() - reading->last, 1s);
      reading->last = runtime.now();
    }
  };
  for (std::size_t i = 0; i < 3; ++i) {
    Host& host = world.add_host("node" + std::to_string(i));
    host.boot(1, program([&, i](ProcessContext& p) { return read(p.core(0), &readings[i]); }));
  }
  world.run_for(1h);
  std::set<std::int64_t> lengths;
  for (const Reading& reading : readings) {
    const Duration length = reading.last - reading.first;
    EXPECT_GT(length, 1h - 20s);
    EXPECT_LT(length, 1h + 20s);
    lengths.insert(length.count());
  }
  EXPECT_EQ(lengths.size(), 3u);
}

TEST(Turn, TheWallClockJumpsAndStandsStill) {
  WorldConfig config;
  config.clock.drift_ppm_max = 0;
  World world(1, config);
  Host& host = world.add_host("node");
  const auto wall = [&] { return host.clock().wall(world.now()).ms; };
  const std::int64_t start = wall();
  world.run_for(1s);
  EXPECT_EQ(wall(), start + 1000);
  host.clock().jump_wall(-10s);
  EXPECT_EQ(wall(), start - 9000);
  host.clock().stop_wall(world.now());
  world.run_for(5s);
  EXPECT_EQ(wall(), start - 9000);
  host.clock().resume_wall(world.now());
  world.run_for(1s);
  EXPECT_EQ(wall(), start - 8000);
}

TEST(Trace, HoldsTheLogOfSimulatedProcesses) {
  World world(1);
  Host& host = world.add_host("node");
  std::vector<std::string> sunk;
  world.trace().set_sink([&](const TraceEntry& entry) { sunk.push_back(world.trace().format(entry)); });
  host.boot(2, program([](ProcessContext& p) -> Task<void> {
              p.core(0).log().write(runtime::LogLevel::kWarn, "journal", "slow disk");
              p.core(0).log().write(runtime::LogLevel::kDebug, "journal", "not asked for");
              co_return;
            }));
  world.run_for(1s);
  EXPECT_NE(world.trace().text(1).find("node/0 log: warn journal: slow disk\n"), std::string::npos);
  EXPECT_EQ(world.trace().text().find("not asked for"), std::string::npos);
  EXPECT_TRUE(world.trace().text(2).empty());
  EXPECT_TRUE(std::ranges::any_of(sunk, [](auto& line) { return line.contains("slow disk"); }));
}

TEST(Trace, IsBounded) {
  WorldConfig config;
  config.trace_events = 10;
  config.trace_lines = 5;
  World world(1, config);
  for (int i = 0; i < 100; ++i)
    world.after(Duration(i), [&world, i] { world.note("n", {std::uint64_t(i)}); });
  world.run_for(1s);
  const std::string text = world.trace().text();
  EXPECT_EQ(std::ranges::count(text, '\n'), 15);
  EXPECT_EQ(std::ranges::count(world.trace().lines(), '\n'), 5);
  EXPECT_NE(text.find("note: n 99"), std::string::npos);
  EXPECT_EQ(text.find("note: n 94\n"), std::string::npos);
}

}  // namespace
}  // namespace stele::sim
