#include "sim/faults.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/scope.h"
#include "sim/network.h"

namespace stele::sim {
namespace {

using runtime::Runtime;
using runtime::Task;
using namespace std::chrono_literals;

FaultMenu menu_of(std::uint32_t per_hour) {
  FaultMenu menu = FaultMenu::ordinary({"node"}, {"client"});
  menu.per_hour.fill(per_hour);
  menu.until = 1h;
  return menu;
}

// --- Plans

TEST(FaultPlan, IsDrawnFromTheSeedAndSorted) {
  runtime::Random a(1), b(1), c(2);
  const auto plan = draw_faults(a, menu_of(20));
  EXPECT_EQ(plan, draw_faults(b, menu_of(20)));
  EXPECT_NE(plan, draw_faults(c, menu_of(20)));
  EXPECT_TRUE(std::ranges::is_sorted(plan, {}, &Fault::at));
  for (const Fault& fault : plan) {
    EXPECT_LE(fault.at, 1h);
    EXPECT_TRUE(fault.other.empty() || fault.other != fault.host);
  }
}

TEST(FaultPlan, LeavingAKindOutDoesNotShiftTheOthers) {
  runtime::Random a(7), b(7);
  FaultMenu menu = menu_of(20);
  menu.swarm = false;
  auto all = draw_faults(a, menu);
  menu.rate(FaultKind::kPause) = 0;
  std::erase_if(all, [](const Fault& fault) { return fault.kind == FaultKind::kPause; });
  EXPECT_EQ(draw_faults(b, menu), all);
}

TEST(FaultPlan, FollowsItsRates) {
  runtime::Random random(3);
  FaultMenu menu = menu_of(0);
  menu.swarm = false;
  menu.rate(FaultKind::kSplit) = 30;
  menu.from = 10min;
  menu.until = 40min;
  std::size_t total = 0;
  for (int i = 0; i < 40; ++i) {
    for (const Fault& fault : draw_faults(random, menu)) {
      EXPECT_EQ(fault.kind, FaultKind::kSplit);
      EXPECT_GE(fault.at, 10min);
      ++total;
    }
  }
  EXPECT_EQ(total, 40u * 15);
}

TEST(FaultPlan, SwarmsDiffer) {
  runtime::Random random(4);
  int with_pause = 0;
  for (int i = 0; i < 60; ++i) {
    const auto plan = draw_faults(random, menu_of(20));
    with_pause += std::ranges::any_of(plan, [](const Fault& f) { return f.kind == FaultKind::kPause; });
  }
  EXPECT_GT(with_pause, 20);
  EXPECT_LT(with_pause, 55);
}

TEST(FaultPlan, IsReadBackAsItWasPrinted) {
  runtime::Random random(5);
  for (int i = 0; i < 20; ++i) {
    const auto plan = draw_faults(random, menu_of(10));
    const auto read = parse_faults(format_faults(plan));
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(*read, plan);
  }
  EXPECT_EQ(*parse_faults("\n  at=1.5 pause host=node lasts=2\n\n"),
            (std::vector<Fault>{{1500ms, FaultKind::kPause, "node", "", 2s, 0}}));
}

TEST(FaultPlan, NonsenseIsRefused) {
  for (const char* text :
       {"at=1 host=node", "at=x pause host=node", "at=1 pause", "at=1 split host=node",
        "at=1 earthquake host=node", "at=1 pause host=node other=client", "at=1 pause pause host=node",
        "at=1 pause host=node amount=-1", "at=1 pause host=node lasts=", "when=1 pause host=node",
        "at=1.1234567891 pause host=node"}) {
    const auto read = parse_faults(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kMalformed);
    EXPECT_NE(read.error().message.find("line 1"), std::string::npos);
  }
}

// --- Running them

// A node that appends to a file and answers pings; a client that pings for ever.
class Node final : public Program, runtime::AcceptHandler, runtime::ConnectionHandler {
 public:
  explicit Node(ProcessContext& process) : core_(process.core(0)) {
    listener_ = *core_.network().listen({"0.0.0.0", 7}, {}, *this);
    scope_.spawn(append(&core_));
  }

 private:
  void on_accept(std::unique_ptr<runtime::Connection> connection) override {
    connection_ = std::move(connection);
    connection_->start(*this);
  }
  void on_data(Bytes data) override { connection_->write(std::move(data)); }
  void on_closed(const Error&) override { connection_.reset(); }
  static Task<void> append(Runtime* core) {
    for (std::uint64_t at = 0;; at = (at + 1000) % 64'000) {
      co_await runtime::sleep(*core, 100ms);
      (void)co_await core->files().list("/");
      (void)co_await core->files().sync_directory("/");
      auto file = co_await core->files().open("/log", {runtime::OpenMode::kCreate});
      if (!file) continue;
      std::vector<Bytes> slices{Bytes::copy(std::string(1000, 'x'))};
      if (!co_await (*file)->write_and_sync(Position(at), std::move(slices))) continue;
      (void)co_await (*file)->read(Position(0), 64'000);
      if (at % 8000 != 0) continue;
      (void)co_await (*file)->size();
      (void)co_await (*file)->truncate(64'000);
      (void)co_await core->files().make_directory("/other");
      (void)co_await core->files().rename("/other/a", "/other/b");
      (void)co_await core->files().remove("/other/b");
    }
  }
  Runtime& core_;
  std::unique_ptr<runtime::Listener> listener_;
  std::unique_ptr<runtime::Connection> connection_;
  runtime::Scope scope_;
};

class Pinger final : public Program, runtime::ConnectionHandler {
 public:
  Pinger(ProcessContext& process, int* pongs) : core_(process.core(0)), pongs_(pongs) {
    scope_.spawn(ping(this));
  }

 private:
  static Task<void> ping(Pinger* self) {
    for (;;) {
      co_await runtime::sleep(self->core_, 100ms);
      if (!self->connection_) {
        auto connection = co_await self->core_.network().connect({"node", 7}, 3s, {});
        if (!connection) continue;
        self->connection_ = std::move(*connection);
        self->connection_->start(*self);
        self->last_ = self->core_.now();
      }
      if (self->core_.now() - self->last_ > 20s) {
        self->connection_.reset();
      } else {
        self->connection_->write("ping");
      }
    }
  }
  void on_data(Bytes) override {
    ++*pongs_;
    last_ = core_.now();
  }
  void on_closed(const Error&) override { connection_.reset(); }
  Runtime& core_;
  int* pongs_;
  runtime::Instant last_{};
  std::unique_ptr<runtime::Connection> connection_;
  runtime::Scope scope_;
};

struct Scene {
  explicit Scene(std::uint64_t seed, WorldConfig config = {}) : world(seed, config) {
    node.boot(2, [](ProcessContext& p) { return std::make_unique<Node>(p); });
    client.boot(1, [this](ProcessContext& p) { return std::make_unique<Pinger>(p, &pongs); });
  }
  bool progresses() {
    const int before = pongs;
    return world.run_until([&] { return pongs > before + 10; }, 5min).reason == StopReason::kDone;
  }
  int pongs = 0;
  World world;
  Host& node = world.add_host("node");
  Host& client = world.add_host("client");
};

TEST(Faults, EveryKindIsInjectedAndMetAndAfterThemAllGoesOn) {
  std::map<FaultKind, std::uint64_t> injected, met;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Scene scene(seed, WorldConfig::draw(seed));
    FaultMenu menu = menu_of(100);
    menu.until = 20min;
    Faults faults(scene.world, draw_faults(scene.world.random(Concern::kFaults), menu));
    faults.set_tamperer([](const Fault& fault, Host& host) {
      EXPECT_TRUE(host.down()) << "nobody uses the disk";
      return fault.amount % 2 == 0;
    });
    EXPECT_FALSE(scene.world.run_for(20min).broken());
    faults.stop();
    const std::uint64_t until_now = faults.injected();
    EXPECT_TRUE(scene.progresses()) << "seed " << seed << "\n" << scene.world.trace().lines();
    scene.world.run_for(1h);
    EXPECT_EQ(faults.injected(), until_now);
    EXPECT_TRUE(scene.node.running());
    for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
      injected[FaultKind(kind)] += faults.injected(FaultKind(kind));
      met[FaultKind(kind)] += faults.met(FaultKind(kind));
    }
    EXPECT_FALSE(faults.counts().empty());
  }
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    EXPECT_GT(injected[FaultKind(kind)], 0u) << to_string(FaultKind(kind));
    EXPECT_GT(met[FaultKind(kind)], 0u) << to_string(FaultKind(kind));
  }
}

TEST(Faults, APlanGivesTheSameRunAgain) {
  const auto hash = [](std::uint64_t seed) {
    Scene scene(seed);
    FaultMenu menu = menu_of(60);
    menu.until = 10min;
    Faults faults(scene.world, draw_faults(scene.world.random(Concern::kFaults), menu));
    scene.world.run_for(10min);
    return scene.world.hash();
  };
  for (std::uint64_t seed = 1; seed < 5; ++seed) EXPECT_EQ(hash(seed), hash(seed));
}

TEST(Faults, AHostStartsAgainWhenItsFaultSays) {
  Scene scene(1);
  Faults faults(scene.world, *parse_faults("at=10 power-loss host=node lasts=7 amount=3\n"
                                           "at=12 pause host=node lasts=1\n"
                                           "at=60 kill host=node lasts=0.5\n"));
  scene.world.run_for(10s + 1ms);
  EXPECT_FALSE(scene.node.running());
  scene.world.run_for(6s);
  EXPECT_FALSE(scene.node.running());
  EXPECT_EQ(faults.skipped(FaultKind::kPause), 1u) << "there was nothing to pause";
  scene.world.run_for(2s);
  EXPECT_TRUE(scene.node.running());
  scene.world.run_for(2min);
  EXPECT_EQ(scene.node.incarnation(), 3u);
  EXPECT_EQ(faults.met(FaultKind::kPowerLoss), 1u);
  EXPECT_EQ(faults.met(FaultKind::kKill), 1u);
}

TEST(Faults, AnEndThatWasNotPlannedIsSupervisedToo) {
  Scene scene(2);
  Faults faults(scene.world, {});
  faults.supervise(scene.node);
  scene.world.run_for(1s);
  scene.node.crash(CrashMode::kKill);
  scene.world.run_for(2s);
  EXPECT_TRUE(scene.node.running());
}

TEST(Faults, OverlappingOnesOfAKindEndWithTheLast) {
  Scene scene(3);
  Faults faults(scene.world, *parse_faults("at=1 split host=node other=client lasts=10\n"
                                           "at=5 split host=node other=client lasts=20\n"));
  scene.world.run_for(20s);
  EXPECT_TRUE(scene.world.fabric().is_split(scene.node, scene.client));
  scene.world.run_for(10s);
  EXPECT_FALSE(scene.world.fabric().is_split(scene.node, scene.client));
}

Task<void> sync_each_tenth_write(Runtime* core, int* written, int* synced) {
  auto file = co_await core->files().open("/f", {runtime::OpenMode::kCreate});
  for (std::uint64_t at = 0;; ++at) {
    std::vector<Bytes> slices{Bytes::literal("x")};
    if (!co_await (*file)->write(Position(at), std::move(slices))) co_return;
    if (++*written % 10 > 0) continue;
    if (!co_await (*file)->sync()) co_return;
    ++*synced;
  }
}

TEST(Faults, PowerIsLostInASync) {
  bool before = false, after = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    int written = 0, synced = 0;
    World world(seed);
    Host& node = world.add_host("node");
    node.boot(
        1, program([&](ProcessContext& p) { return sync_each_tenth_write(&p.core(0), &written, &synced); }));
    Faults faults(world, *parse_faults("at=0 crash-in-sync host=node lasts=60 amount=3\n"));
    world.run_until([&] { return node.down(); }, 10s);
    EXPECT_EQ(written, 30) << "what is no sync does not count";
    EXPECT_EQ(synced, 2);
    const auto file = node.disk().open("/f", runtime::OpenMode::kRead);
    const bool took_effect = file && node.disk().size(*file) == 30;
    (took_effect ? after : before) = true;
    world.run_until([&] { return node.running(); }, 10s);
    EXPECT_EQ(faults.met(FaultKind::kCrashInSync), 1u);
  }
  EXPECT_TRUE(before && after);
}

TEST(Faults, ASyncThatDoesNotComeIsForgotten) {
  World world(1);
  Host& idle = world.add_host("idle");
  idle.boot(1, [](ProcessContext&) { return std::make_unique<Program>(); });
  Faults faults(world, *parse_faults("at=1 crash-in-sync host=idle lasts=5 amount=1\n"));
  world.run_for(2s);
  EXPECT_TRUE(idle.crash_planned());
  world.run_for(5s);
  EXPECT_FALSE(idle.crash_planned());
  EXPECT_EQ(faults.met(FaultKind::kCrashInSync), 0u);
}

TEST(Faults, TheNextProcessDiesWhileItStarts) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Scene scene(seed);
    Faults faults(scene.world, *parse_faults("at=1 crash-in-start host=node lasts=2 amount=5\n"));
    scene.world.run_for(2500ms);
    EXPECT_EQ(scene.node.crashes(), 1u);
    EXPECT_FALSE(scene.node.running());
    EXPECT_EQ(faults.met(FaultKind::kCrashInStart), 0u) << "the crash that counts is the second";
    scene.world.run_for(10s);
    EXPECT_EQ(scene.node.crashes(), 2u);
    EXPECT_EQ(faults.met(FaultKind::kCrashInStart), 1u);
    EXPECT_EQ(scene.node.incarnation(), 3u);
    EXPECT_TRUE(scene.progresses());
    EXPECT_EQ(scene.node.crashes(), 2u);
  }
}

TEST(Faults, ADiskIsLostWithAllThatIsOnIt) {
  Scene scene(4);
  Faults faults(scene.world, *parse_faults("at=10 disk-lost host=node lasts=3\n"));
  scene.world.run_for(9s);
  EXPECT_FALSE(scene.node.disk().list("/")->empty());
  scene.world.run_for(2s);
  EXPECT_FALSE(scene.node.running());
  EXPECT_TRUE(scene.node.disk().list("/")->empty());
  scene.world.run_for(5s);
  EXPECT_TRUE(scene.node.running());
  EXPECT_EQ(faults.met(FaultKind::kDiskLost), 1u);
}

// What a runtime reads of its clocks.
struct Clocks {
  explicit Clocks(std::string_view plan) : faults(world, *parse_faults(plan)) {}
  std::int64_t wall_ms() { return core->wall_now().ms; }
  World world{1, [] {
                WorldConfig config;
                config.clock = {.wall_skew_max = Duration(0), .drift_ppm_max = 0};
                return config;
              }()};
  Runtime* core = nullptr;
  Host& host = [this]() -> Host& {
    Host& host = world.add_host("node");
    host.boot(1, [this](ProcessContext& p) {
      core = &p.core(0);
      return std::make_unique<Program>();
    });
    return host;
  }();
  Faults faults;
};

TEST(Faults, TheWallClockLeapsAheadAndComesBack) {
  Clocks c("at=10 clock-leaps host=node lasts=5 amount=48\n");
  c.world.run_for(9s);
  const std::int64_t start = c.wall_ms();
  const runtime::Instant monotonic = c.core->now();
  c.world.run_for(3s);
  EXPECT_EQ(c.wall_ms() - start, 48 * 3'600'000 + 3'000);
  c.world.run_for(7s);
  EXPECT_EQ(c.wall_ms() - start, 10'000);
  EXPECT_EQ(c.core->now() - monotonic, 10s) << "the other clock knows nothing of it";
}

Task<void> sleep_and_note(Runtime* core, World* world, Duration duration, Time* woke) {
  co_await runtime::sleep(*core, duration);
  *woke = world->now();
}

TEST(Faults, ClocksDriftAndTimersWithThem) {
  Clocks c(
      "at=10 clock-drifts host=node lasts=100 amount=50000\n"     // too fast
      "at=200 clock-drifts host=node lasts=100 amount=49999\n");  // too slow
  c.world.run_for(9s);
  const std::int64_t start = c.wall_ms();
  runtime::Instant monotonic = c.core->now();
  Time woke{};
  runtime::Scope scope;
  c.core->post(CoreId(0), [&] { scope.spawn(sleep_and_note(c.core, &c.world, 106s, &woke)); });
  c.world.run_for(106s);
  EXPECT_NEAR(static_cast<double>((woke.time_since_epoch() - 10s).count()), 100e9, 1e7);
  EXPECT_EQ(c.wall_ms() - start, 111'000) << "1 s, 100 s that count as 105, and 5";
  EXPECT_EQ(c.core->now() - monotonic, 111s);
  c.world.run_for(85s);
  monotonic = c.core->now();
  c.world.run_for(100s);
  EXPECT_NEAR(static_cast<double>((c.core->now() - monotonic).count()), 95.0001e9, 1e6);
}

Task<void> sync_once(Runtime* core, World* world, Time* done) {
  auto file = co_await core->files().open("/f", {runtime::OpenMode::kCreate});
  std::vector<Bytes> slices{Bytes::literal("x")};
  if (!co_await (*file)->write_and_sync(Position(0), std::move(slices))) co_return;
  *done = world->now();
}

Task<void> open_once(Runtime* core, World* world, Time* done) {
  (void)co_await core->files().open("/f", {runtime::OpenMode::kCreate});
  *done = world->now();
}

TEST(Faults, SyncsAreSlowAndNothingElse) {
  Clocks c("at=1 slow-syncs host=node lasts=60 amount=1000\n");
  c.world.run_for(2s);
  Time synced{}, opened{};
  runtime::Scope scope;
  c.core->post(CoreId(0), [&] {
    scope.spawn(open_once(c.core, &c.world, &opened));
    scope.spawn(sync_once(c.core, &c.world, &synced));
  });
  c.world.run_for(50s);
  EXPECT_LT(opened.time_since_epoch(), 2010ms);
  EXPECT_GT(synced.time_since_epoch(), 2060ms);
}

TEST(FaultMenu, DamageIsNotOrdinary) {
  FaultMenu ordinary = FaultMenu::ordinary({"node"}, {"client"});
  FaultMenu damage = FaultMenu::damage({"node"}, {"client"});
  std::size_t kinds = 0;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    EXPECT_FALSE(ordinary.rate(kind) > 0 && damage.rate(kind) > 0) << to_string(kind);
    kinds += ordinary.rate(kind) > 0 || damage.rate(kind) > 0;
    EXPECT_EQ(parse_faults(std::string("at=1 ") + std::string(to_string(kind)) + " host=node other=client") ||
                  parse_faults(std::string("at=1 ") + std::string(to_string(kind)) + " host=node"),
              true)
        << to_string(kind);
  }
  EXPECT_EQ(kinds, kFaultKinds - 4)
      << "in none are a clock that leaps by days, syncs that find no space, and who tampers";
  EXPECT_GT(damage.rate(FaultKind::kBitFlip), 0u);
  EXPECT_GT(ordinary.rate(FaultKind::kCrashInSync), 0u);
}

}  // namespace
}  // namespace stele::sim
