// What a crash does to a process, at any moment of it.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

using runtime::Runtime;
using runtime::Task;
using namespace std::chrono_literals;

// What a busy process does, counted where it survives the process.
struct Tally {
  int steps = 0;
  int alive = 0;  // programs
};

// Something of everything a core offers, all the time; and everything again in its destructor, as code that
// does not know better would.
class Busy final : public Program,
                   runtime::Timer,
                   runtime::TurnEndHook,
                   runtime::ConnectionHandler,
                   runtime::AcceptHandler {
 public:
  Busy(ProcessContext& process, Tally* tally)
      : core_(process.core(0)), other_(process.core(1)), tally_(tally) {
    ++tally_->alive;
    listener_ = *core_.network().listen({"0.0.0.0", 7}, {}, *this);
    core_.arm(*this, core_.now());
    scope_.spawn(use_files(this));
    scope_.spawn(use_network(this));
    scope_.spawn(hold_a_lock(this));
  }
  ~Busy() override {
    --tally_->alive;
    core_.arm(*this, core_.now());
    core_.at_turn_end(*this);
    core_.post(CoreId(0), [tally = tally_] { ++tally->steps; });
    core_.offload([tally = tally_](runtime::BlockingFiles&) { ++tally->steps; }, [] {});
    core_.log().write(runtime::LogLevel::kError, "busy", "said by the dead");
    if (mine_) mine_->write("from the grave");
    if (mine_) mine_->close(1s);
    EXPECT_FALSE(core_.network().listen({"0.0.0.0", 8}, {}, *this));
    scope_.spawn(use_files(this));
    scope_.spawn(use_network(this));
  }

 private:
  void on_timer() override {
    ++tally_->steps;
    core_.at_turn_end(*this);
    core_.arm(*this, core_.now() + 300us);
    core_.post(CoreId(1), [this] {
      ++tally_->steps;
      other_.post(CoreId(0), [this] { ++tally_->steps; });
    });
    core_.offload(
        [this](runtime::BlockingFiles& files) {
          ++tally_->steps;
          if (auto file = files.open("/blocking", runtime::OpenMode::kCreate)) {
            for (std::uint64_t i = 0; i < 5; ++i) {
              if (!(*file)->write(Position(i * 100), "x")) break;
              if (!(*file)->sync()) break;
            }
          }
        },
        [this] { ++tally_->steps; });
  }
  void on_turn_end() override { ++tally_->steps; }
  void on_accept(std::unique_ptr<runtime::Connection> connection) override {
    ++tally_->steps;
    theirs_ = std::move(connection);
    theirs_->start(*this);
  }
  void on_data(Bytes data) override {
    ++tally_->steps;
    (mine_ ? mine_ : theirs_)->write(std::move(data));
  }
  void on_closed(const Error&) override { ++tally_->steps; }

  static Task<void> use_files(Busy* self) {
    for (std::uint64_t at = 0;; at += 10) {
      auto file = co_await self->core_.files().open("/log", {runtime::OpenMode::kCreate});
      if (!file) co_return;
      std::vector<Bytes> slices{Bytes::literal("0123456789")};
      ++self->tally_->steps;
      if (!co_await (*file)->write_and_sync(Position(at), std::move(slices))) co_return;
      ++self->tally_->steps;
    }
  }
  static Task<void> use_network(Busy* self) {
    auto connection = co_await self->core_.network().connect({"node", 7}, 5s, {});
    ++self->tally_->steps;
    if (!connection) co_return;
    self->mine_ = std::move(*connection);
    self->mine_->start(*self);
    self->mine_->write("hello");
  }
  static Task<void> hold_a_lock(Busy* self) {
    auto lock = co_await self->core_.files().lock("/lock");
    EXPECT_TRUE(lock) << "the crash of the one before released it";
    for (;;) co_await runtime::sleep(self->core_, 1s);
  }

  Runtime& core_;
  Runtime& other_;
  Tally* tally_;
  std::unique_ptr<runtime::Listener> listener_;
  std::unique_ptr<runtime::Connection> mine_, theirs_;
  runtime::Scope scope_;
};

class Crash : public testing::TestWithParam<CrashMode> {};

TEST_P(Crash, NothingOfADeadProcessHappens) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    Tally tally;
    World world(seed, WorldConfig::draw(seed));
    Host& host = world.add_host("node");
    const auto busy = [&](ProcessContext& p) { return std::make_unique<Busy>(p, &tally); };
    host.boot(2, busy);
    runtime::Random& random = world.random(Concern::kFaults);
    for (int round = 0; round < 4; ++round) {
      if (random.chance(1, 2)) {
        world.run_for(Duration(random.between(0, 20'000'000)));
        host.crash(GetParam());
      } else {
        host.crash_at_file_operation(1 + random.below(40), GetParam());
        EXPECT_EQ(world.run_until([&] { return !host.running(); }, 1h).reason, StopReason::kDone);
      }
      EXPECT_EQ(tally.alive, 0);
      const int steps = tally.steps;
      const std::uint64_t turns = world.counters().turns;
      const std::uint64_t disk = host.disk().content_hash();
      world.run_for(10min);
      EXPECT_EQ(tally.steps, steps) << "seed " << seed;
      EXPECT_EQ(world.counters().turns, turns);
      EXPECT_EQ(host.disk().content_hash(), disk);
      EXPECT_EQ(world.trace().lines().find("said by the dead"), std::string::npos);
      host.restart();
      world.run_for(5ms);
      EXPECT_EQ(tally.alive, 1);
      EXPECT_GT(tally.steps, steps);
    }
    EXPECT_EQ(host.crashes(), 4u);
    EXPECT_EQ(host.incarnation(), 5u);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, Crash, testing::Values(CrashMode::kPowerLoss, CrashMode::kKill));

TEST(Process, ACrashFromWithinTakesEffectWhenTheStackIsClear) {
  std::vector<std::string> said;
  World world(1);
  Host& host = world.add_host("node");
  struct Suicidal : Program, runtime::Timer, runtime::TurnEndHook {
    Suicidal(ProcessContext& process, std::vector<std::string>& said)
        : host(process.host()), core(process.core(0)), said(said) {
      core.arm(*this, core.now());
    }
    ~Suicidal() override { said.push_back("gone"); }
    void on_timer() override {
      core.post(CoreId(0), [this] { said.push_back("posted before"); });
      core.at_turn_end(*this);
      host.crash();
      said.push_back("still on the stack");
      core.post(CoreId(0), [this] { said.push_back("posted after"); });
    }
    void on_turn_end() override { said.push_back("turn end"); }
    Host& host;
    Runtime& core;
    std::vector<std::string>& said;
  };
  host.boot(1, [&](ProcessContext& p) { return std::make_unique<Suicidal>(p, said); });
  world.run_for(1s);
  EXPECT_EQ(said, (std::vector<std::string>{"still on the stack", "gone"}));
  EXPECT_FALSE(host.running());
}

// In a library that does blocking I/O (SQLite), the crash comes as an I/O error: it gives up by itself.
TEST(Process, ACrashInABlockingCallFailsItAndAllThatFollow) {
  bool took_effect = false, did_not = false;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    World world(seed);
    Host& host = world.add_host("node");
    std::vector<bool> results;
    bool completed = false;
    host.boot(1, program([&](ProcessContext& p) -> Task<void> {
                return runtime::run_blocking(p.core(0), [&](runtime::BlockingFiles& files) {
                  auto file = files.open("/f", runtime::OpenMode::kCreate);
                  ASSERT_TRUE(file);
                  for (std::uint64_t i = 0; i < 6; ++i) {
                    const auto written = (*file)->write(Position(i), "x");
                    if (!written) EXPECT_EQ(written.error().code, ErrorCode::kIo);
                    results.push_back(written.has_value());
                  }
                  EXPECT_FALSE((*file)->size());
                  EXPECT_FALSE(files.exists("/f"));
                  completed = true;
                });
              }));
    host.crash_at_file_operation(4, CrashMode::kKill);  // the third write
    world.run_for(1s);
    EXPECT_EQ(results, (std::vector<bool>{true, true, false, false, false, false}));
    EXPECT_TRUE(completed);
    EXPECT_FALSE(host.running());
    const auto file = host.disk().open("/f", runtime::OpenMode::kRead);
    ASSERT_TRUE(file);
    const std::uint64_t size = host.disk().size(*file);
    EXPECT_TRUE(size == 2 || size == 3);
    (size == 3 ? took_effect : did_not) = true;
  }
  EXPECT_TRUE(took_effect);
  EXPECT_TRUE(did_not);
}

Task<void> write_one_after_the_other(Runtime& runtime, int* acknowledged) {
  auto file = co_await runtime.files().open("/log", {runtime::OpenMode::kCreate, true});
  if (!file) co_return;
  if (!co_await runtime.files().sync_directory("/")) co_return;
  for (std::uint64_t i = 0;; ++i) {
    std::vector<Bytes> slices;
    slices.push_back(Bytes::copy(std::string(700, static_cast<char>('a' + i % 26))));
    if (!co_await (*file)->write_and_sync(Position(i * 700), std::move(slices))) co_return;
    ++*acknowledged;
  }
}

TEST(Process, WhatWasSyncedSurvivesACrashAtAnyMoment) {
  bool more = false, partial = false;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    World world(seed);
    Host& host = world.add_host("node");
    int acknowledged = 0;
    host.boot(
        1, program([&](ProcessContext& p) { return write_one_after_the_other(p.core(0), &acknowledged); }));
    if (seed % 2) {
      host.crash_at_file_operation(3 + seed % 60);
      ASSERT_EQ(world.run_until([&] { return !host.running(); }, 1h).reason, StopReason::kDone);
    } else {
      world.run_for(Duration(2'000'000 + static_cast<std::int64_t>(seed) * 50'000));
      host.crash();
    }
    const auto file = host.disk().open("/log", runtime::OpenMode::kRead);
    if (!file) {
      EXPECT_EQ(acknowledged, 0);
      continue;
    }
    std::string content(host.disk().size(*file), '\0');
    ASSERT_TRUE(host.disk().read(*file, Position(0), content.data(), content.size()));
    ASSERT_GE(content.size(), static_cast<std::size_t>(acknowledged) * 700);
    for (std::size_t i = 0; i < static_cast<std::size_t>(acknowledged) * 700; ++i) {
      ASSERT_EQ(content[i], static_cast<char>('a' + i / 700 % 26)) << "seed " << seed << " at " << i;
    }
    const std::string_view rest =
        std::string_view(content).substr(static_cast<std::size_t>(acknowledged) * 700);
    const auto next = static_cast<char>('a' + acknowledged % 26);
    more |= rest == std::string(700, next);
    partial |= !rest.empty() && rest != std::string(700, next);
  }
  EXPECT_TRUE(more) << "synced, and crashed before it was said";
  EXPECT_TRUE(partial);
}

TEST(Process, AKilledProcessLosesNothingThatWasWritten) {
  World world(1);
  Host& host = world.add_host("node");
  host.boot(1, program([](ProcessContext& p) -> Task<void> {
              auto file = co_await p.core(0).files().open("/f", {runtime::OpenMode::kCreate});
              std::vector<Bytes> slices{Bytes::literal("in the cache")};
              EXPECT_TRUE(co_await (*file)->write(Position(0), std::move(slices)));
              p.host().crash(CrashMode::kKill);
            }));
  world.run_for(1s);
  ASSERT_FALSE(host.running());
  EXPECT_TRUE(host.powered());
  const auto file = host.disk().open("/f", runtime::OpenMode::kRead);
  ASSERT_TRUE(file);
  EXPECT_EQ(host.disk().size(*file), 12u);
}

struct Polite : Program {
  Polite(ProcessContext& process, std::vector<std::string>& said) : process(process), said(said) {}
  ~Polite() override { said.push_back("destroyed"); }
  void on_terminate() override {
    said.push_back("terminating");
    process.exit();
    said.push_back("exit asked for");
  }
  ProcessContext& process;
  std::vector<std::string>& said;
};

TEST(Process, EndsInGoodOrderAndStartsAgainOnOtherCores) {
  std::vector<std::string> said;
  World world(1);
  Host& host = world.add_host("node");
  std::vector<std::size_t> cores;
  host.boot(1, [&](ProcessContext& p) {
    cores.push_back(p.cores().size());
    return std::make_unique<Polite>(p, said);
  });
  world.run_for(1s);
  host.terminate();
  world.run_for(1s);
  EXPECT_FALSE(host.running());
  EXPECT_EQ(host.crashes(), 0u);
  EXPECT_EQ(said, (std::vector<std::string>{"terminating", "exit asked for", "destroyed"}));
  host.restart(3);
  world.run_for(1s);
  EXPECT_EQ(cores, (std::vector<std::size_t>{1, 3}));
}

TEST(Process, AFullOrStalledDiskIsSeenByTheProcess) {
  World world(1);
  Host& host = world.add_host("node");
  std::optional<ErrorCode> failure;
  Time done{};
  host.disk().set_free_bytes(5000);
  host.stall_disk(10s);
  const auto body = [](ProcessContext& p, std::optional<ErrorCode>* failure, Time* done) -> Task<void> {
    auto file = co_await p.core(0).files().open("/f", {runtime::OpenMode::kCreate});
    *done = p.host().world().now();
    std::vector<Bytes> slices{Bytes::copy(std::string(5001, 'x'))};
    const auto written = co_await (*file)->write(Position(0), std::move(slices));
    *failure = written.error().code;
    EXPECT_NE(written.error().message.find("/f"), std::string::npos);
  };
  host.boot(1, program([&](ProcessContext& p) { return body(p, &failure, &done); }));
  world.run_for(1min);
  EXPECT_EQ(failure, ErrorCode::kNoSpace);
  EXPECT_GE(done.time_since_epoch(), 10s);
}

Task<void> open_file(ProcessContext& process, std::string path, std::vector<std::string>* opened) {
  (void)co_await process.core(0).files().open(path, {runtime::OpenMode::kCreate});
  opened->push_back(path);
}

Task<void> open_two_files(ProcessContext& process, std::vector<std::string>* opened) {
  runtime::Scope both;
  both.spawn(open_file(process, "/first", opened));
  both.spawn(open_file(process, "/second", opened));
  co_await both.join();
}

TEST(Process, OneFileOperationThatStallsIsPassedByOthers) {
  World world(1);
  Host& host = world.add_host("node");
  std::vector<std::string> opened;
  host.stall_next_operation(5s);
  host.boot(1, program([&](ProcessContext& p) { return open_two_files(p, &opened); }));
  world.run_for(1s);
  EXPECT_EQ(opened, (std::vector<std::string>{"/second"}));
  world.run_for(5s);
  EXPECT_EQ(opened, (std::vector<std::string>{"/second", "/first"}));
}

Task<void> note_after_a_second(Runtime& core, std::vector<std::uint32_t>* noted) {
  co_await runtime::sleep(core, 1s);
  noted->push_back(core.core().value);
}

class OnBothCores final : public Program {
 public:
  OnBothCores(ProcessContext& process, std::vector<std::uint32_t>* noted) {
    for (std::uint32_t core = 0; core < 2; ++core)
      scope_.spawn(note_after_a_second(process.core(core), noted));
  }

 private:
  runtime::Scope scope_;
};

TEST(Process, OneCoreStandsStillAlone) {
  World world(1);
  Host& host = world.add_host("node");
  std::vector<std::uint32_t> noted;
  host.boot(2, [&](ProcessContext& p) { return std::make_unique<OnBothCores>(p, &noted); });
  world.run_for(500ms);
  host.pause_core(4, 5s);  // the first
  world.run_for(4s);
  EXPECT_EQ(noted, (std::vector<std::uint32_t>{1}));
  world.run_for(2s);
  EXPECT_EQ(noted, (std::vector<std::uint32_t>{1, 0}));
}

}  // namespace
}  // namespace stele::sim
