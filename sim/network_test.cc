#include "sim/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/conformance_peer.h"
#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

using runtime::Acceptor;
using runtime::Peer;
using runtime::Runtime;
using runtime::Task;
using namespace std::chrono_literals;

// A host that does nothing by itself: the test makes and holds what lives on it, within its turns.
class Stage {
 public:
  Stage(World& world, const std::string& name, std::uint32_t cores = 1) : host_(world.add_host(name)) {
    boot(cores);
  }
  void boot(std::uint32_t cores) {
    host_.boot(cores, [this](ProcessContext& p) {
      core_ = &p.core(0);
      cores_.assign(p.cores().begin(), p.cores().end());
      return std::make_unique<Program>();
    });
    host_.world().run_for(1ms);
  }
  Host& host() { return host_; }
  Runtime& core() { return *core_; }
  Runtime& core(std::size_t i) { return *cores_[i]; }
  // In a turn of core 0.
  void act(runtime::Work work) {
    core_->post(CoreId(0), std::move(work));
    host_.world().run_for(1ms);
  }

 private:
  Host& host_;
  Runtime* core_ = nullptr;
  std::vector<Runtime*> cores_;
};

Task<void> dial_to(Runtime* runtime, runtime::Endpoint to, Duration timeout, Peer* peer,
                   std::optional<ErrorCode>* failure) {
  auto connection = co_await runtime->network().connect(to, timeout, {});
  if (connection) {
    peer->start(std::move(*connection));
  } else {
    *failure = connection.error().code;
  }
}

// A server that accepts everything and a client connected to it.
struct Connected {
  explicit Connected(std::uint64_t seed, WorldConfig config = {}) : world(seed, config) {
    server.act([this] {
      acceptor.prepare = [this](Peer& peer) { peer.echo = echo; };
      listener = std::move(*server.core().network().listen({"0.0.0.0", 1883}, {}, acceptor));
    });
  }
  bool connect(Duration timeout = 10s) {
    failure.reset();
    client.act([this, timeout] {
      scope.spawn(dial_to(&client.core(), {"server", 1883}, timeout, &peer, &failure));
    });
    world.run_until([&] { return peer.connection || failure; }, 1h);
    return peer.connection != nullptr;
  }
  Peer& accepted() { return *acceptor.peers.back(); }
  void say(std::string text) {
    client.act([this, text] { peer.connection->write(text); });
  }

  World world;
  Stage server{world, "server"};
  Stage client{world, "client"};
  bool echo = true;
  Acceptor acceptor;
  std::unique_ptr<runtime::Listener> listener;
  Peer peer;
  std::optional<ErrorCode> failure;
  runtime::Scope scope;
};

TEST(Network, BytesComeInOrderHoweverTheyAreCut) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Connected c(seed, WorldConfig::draw(seed));
    ASSERT_TRUE(c.connect());
    std::string sent;
    for (std::uint64_t i = 0; i < 40; ++i) {
      const std::string part = runtime::pattern(1 + i * 17, i);
      sent += part;
      c.say(part);
    }
    c.world.run_until([&] { return c.peer.received.size() == sent.size(); }, 1h);
    EXPECT_EQ(c.peer.received, sent) << "seed " << seed;
  }
}

TEST(Network, AWindowBoundsWhatIsUnderWay) {
  WorldConfig config;
  config.network.window_bytes = 1000;
  Connected c(1, config);
  c.echo = false;
  ASSERT_TRUE(c.connect());
  c.world.run_for(1s);
  c.server.act([&] { c.accepted().connection->pause_reading(); });
  c.client.act([&] {
    c.peer.connection->set_low_water(3000);
    c.peer.connection->write(std::string(10'000, 'x'));
  });
  c.world.run_for(10s);
  EXPECT_EQ(c.peer.connection->queued_bytes(), 9'000u);
  EXPECT_EQ(c.accepted().received.size(), 0u);
  EXPECT_EQ(c.peer.times_drained, 0);
  c.server.act([&] { c.accepted().connection->resume_reading(); });
  c.world.run_for(10s);
  EXPECT_EQ(c.accepted().received.size(), 10'000u);
  EXPECT_EQ(c.peer.connection->queued_bytes(), 0u);
  EXPECT_EQ(c.peer.times_drained, 1);
}

TEST(Network, ASplitHoldsBytesUntilItHeals) {
  for (const bool one_way : {false, true}) {
    Connected c(2);
    ASSERT_TRUE(c.connect());
    c.say("before");
    c.world.run_for(1s);
    ASSERT_EQ(c.peer.received, "before");
    if (one_way) {
      c.world.fabric().split_one_way(c.server.host(), c.client.host());
    } else {
      c.world.fabric().split(c.server.host(), c.client.host());
    }
    c.say("within");
    c.world.run_for(20s);
    EXPECT_EQ(c.peer.received, "before");
    EXPECT_EQ(c.accepted().received, one_way ? "beforewithin" : "before");
    c.world.fabric().heal(c.server.host(), c.client.host());
    c.world.run_for(20s);
    EXPECT_EQ(c.peer.received, "beforewithin");
    EXPECT_EQ(c.peer.times_closed + c.accepted().times_closed, 0);
  }
}

TEST(Network, ALongSplitEndsTheConnectionForWhoSent) {
  Connected c(3);
  ASSERT_TRUE(c.connect());
  c.world.fabric().split(c.server.host(), c.client.host());
  c.say("nobody hears this");
  c.world.run_for(2min);
  ASSERT_EQ(c.peer.times_closed, 1);
  EXPECT_EQ(c.peer.closed->code, ErrorCode::kTimedOut);
  EXPECT_EQ(c.accepted().times_closed, 0) << "half open: it sent nothing";
  c.world.fabric().heal_all();
  c.server.act([&] { c.accepted().connection->write("are you there"); });
  c.world.run_for(1min);
  EXPECT_EQ(c.accepted().times_closed, 1);
  EXPECT_EQ(c.accepted().closed->code, ErrorCode::kClosed);
}

TEST(Network, ACutConnectionIsResetAtBothEnds) {
  Connected c(4);
  ASSERT_TRUE(c.connect());
  c.world.run_for(1s);
  EXPECT_EQ(c.world.fabric().connections(c.server.host(), c.client.host()), 1u);
  EXPECT_EQ(c.world.fabric().cut(c.client.host(), c.server.host(), c.world.random(Concern::kFaults)), 1u);
  c.world.run_for(1s);
  EXPECT_EQ(c.peer.closed->code, ErrorCode::kClosed);
  EXPECT_EQ(c.accepted().closed->code, ErrorCode::kClosed);
  EXPECT_EQ(c.world.fabric().connections(c.server.host(), c.client.host()), 0u);
  EXPECT_EQ(c.world.fabric().cut_all(c.client.host(), c.server.host()), 0u);
}

TEST(Network, ConnectingFailsAsTheWorldIs) {
  Connected c(5);
  Fabric& fabric = c.world.fabric();
  fabric.refuse(c.server.host(), true);
  EXPECT_FALSE(c.connect());
  EXPECT_EQ(c.failure, ErrorCode::kRefused);
  fabric.unresolvable("server", true);
  EXPECT_FALSE(c.connect());
  EXPECT_EQ(c.failure, ErrorCode::kNotFound);
  fabric.heal_all();
  fabric.split_one_way(c.server.host(), c.client.host());
  EXPECT_FALSE(c.connect());
  EXPECT_EQ(c.failure, ErrorCode::kTimedOut);
  fabric.heal_all();
  c.server.host().crash();
  EXPECT_FALSE(c.connect());
  EXPECT_EQ(c.failure, ErrorCode::kTimedOut);
}

TEST(Network, ConnectingLastsOverAShortSplit) {
  Connected c(6);
  c.world.fabric().split(c.server.host(), c.client.host());
  c.world.after(5s, [&] { c.world.fabric().heal_all(); });
  EXPECT_TRUE(c.connect(30s));
  EXPECT_GT(c.world.elapsed(), 5s);
}

TEST(Network, WhenPowerIsLostPeersHearAResetOrNothing) {
  int reset = 0, nothing = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Connected c(seed);
    ASSERT_TRUE(c.connect());
    c.world.run_for(1s);
    c.server.host().crash();
    c.world.run_for(10s);
    (c.peer.times_closed ? reset : nothing) += 1;
    // A process that starts on the same host knows nothing of it, and says so when asked.
    c.server.boot(1);
    if (c.peer.times_closed == 0) c.say("still there?");
    c.world.run_for(2min);
    ASSERT_EQ(c.peer.times_closed, 1) << "seed " << seed;
    EXPECT_EQ(c.peer.closed->code, ErrorCode::kClosed);
  }
  EXPECT_GT(reset, 0);
  EXPECT_GT(nothing, 0);
}

TEST(Network, AnIdleHalfOpenConnectionIsFoundByKeepAlive) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Connected c(seed);
    ASSERT_TRUE(c.connect());
    c.world.run_for(1s);
    c.server.host().crash();
    c.world.run_for(1h);
    EXPECT_EQ(c.peer.times_closed, 1) << "seed " << seed;
  }
}

TEST(Network, AKilledProcessClosesItsConnections) {
  Connected c(7);
  ASSERT_TRUE(c.connect());
  c.world.run_for(1s);
  c.server.host().crash(CrashMode::kKill);
  c.world.run_for(1s);
  EXPECT_EQ(c.peer.times_closed, 1);
  c.peer.connection.reset();
  EXPECT_FALSE(c.connect());
  EXPECT_EQ(c.failure, ErrorCode::kRefused);
}

TEST(Network, ASlowLinkTakesItsTime) {
  WorldConfig config;
  config.network.bytes_per_second = 1'000'000;
  Connected c(8, config);
  ASSERT_TRUE(c.connect());
  c.world.fabric().slow(c.server.host(), c.client.host(), 100);
  const Time start = c.world.now();
  c.say(std::string(20'000, 'x'));
  c.world.run_until([&] { return c.peer.received.size() == 20'000; }, 1h);
  EXPECT_GE(c.world.now() - start, 4s) << "two seconds each way";
}

TEST(Network, AFullBacklogMakesTheClientTryAgain) {
  World world(9);
  Stage server(world, "server"), client(world, "client");
  Acceptor acceptor;
  std::unique_ptr<runtime::Listener> listener;
  server.act([&] {
    listener = std::move(*server.core().network().listen({"server", 0}, {.backlog = 2}, acceptor));
  });
  EXPECT_EQ(listener->local().host, server.host().ip());
  server.host().pause(5s);  // nothing is accepted
  std::vector<std::unique_ptr<Peer>> peers;
  std::optional<ErrorCode> failure;
  runtime::Scope scope;
  for (int i = 0; i < 5; ++i) {
    peers.push_back(std::make_unique<Peer>());
    client.act(
        [&] { scope.spawn(dial_to(&client.core(), listener->local(), 1min, peers.back().get(), &failure)); });
  }
  const auto connected = [&] {
    return std::ranges::count_if(peers, [](const auto& peer) { return peer->connection != nullptr; });
  };
  world.run_for(1s);
  EXPECT_EQ(connected(), 2);
  world.run_for(30s);
  EXPECT_EQ(connected(), 5);
  EXPECT_FALSE(failure);
}

TEST(Network, OneEndIsResetAndTheOtherHearsNothing) {
  bool client = false, server = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Connected c(seed);
    ASSERT_TRUE(c.connect());
    c.world.run_for(1s);
    Fabric& fabric = c.world.fabric();
    EXPECT_EQ(fabric.half_open(c.client.host(), c.server.host(), c.world.random(Concern::kFaults)), 1u);
    c.world.run_for(30s);
    ASSERT_EQ(c.peer.times_closed + c.accepted().times_closed, 1);
    const bool server_is_deaf = c.peer.times_closed == 1;
    (server_is_deaf ? server : client) = true;
    Peer& deaf = server_is_deaf ? c.accepted() : c.peer;
    if (seed % 2) {
      (server_is_deaf ? c.server : c.client).act([&] { deaf.connection->write("anybody there?"); });
      c.world.run_for(2s);
    } else {
      c.world.run_for(1min);  // keep-alive asks
    }
    EXPECT_EQ(deaf.times_closed, 1) << "seed " << seed;
    EXPECT_EQ(fabric.half_open(c.client.host(), c.server.host(), c.world.random(Concern::kFaults)), 0u);
  }
  EXPECT_TRUE(client && server);
}

TEST(Network, OneConnectionStallsAndOthersDoNot) {
  Connected c(12);
  ASSERT_TRUE(c.connect());
  Fabric& fabric = c.world.fabric();
  EXPECT_EQ(fabric.stall_one(c.client.host(), c.server.host(), c.world.random(Concern::kFaults)), 1u);
  c.say("waits");
  Peer second;
  c.client.act([&] { c.scope.spawn(dial_to(&c.client.core(), {"server", 1883}, 10s, &second, &c.failure)); });
  c.world.run_for(5s);
  ASSERT_TRUE(second.connection);
  c.client.act([&] { second.connection->write("passes"); });
  c.world.run_for(5s);
  EXPECT_EQ(second.received, "passes");
  EXPECT_EQ(c.peer.received, "");
  EXPECT_GT(fabric.effects().stalled, 0u);
  fabric.resume_all(c.client.host(), c.server.host());
  c.world.run_for(5s);
  EXPECT_EQ(c.peer.received, "waits");
}

TEST(Network, JitterDelaysPiecesAndKeepsTheirOrder) {
  WorldConfig config;
  config.network.read_bytes = 7;
  Connected c(13, config);
  c.echo = false;
  ASSERT_TRUE(c.connect());
  c.world.fabric().jitter(c.server.host(), c.client.host(), 500ms);
  const Time start = c.world.now();
  std::string sent;
  for (int i = 0; i < 50; ++i) {
    const std::string part = std::to_string(i) + ",";
    sent += part;
    c.say(part);
  }
  c.world.run_until([&] { return c.accepted().received.size() == sent.size(); }, 1min);
  EXPECT_EQ(c.accepted().received, sent);
  EXPECT_GT(c.world.now() - start, 250ms);
  EXPECT_GE(c.world.fabric().effects().jittered, 50u);
}

TEST(Network, ATinyWindowLetsAByteAtATimeThrough) {
  Connected c(14);
  c.echo = false;
  ASSERT_TRUE(c.connect());
  Fabric& fabric = c.world.fabric();
  fabric.limit_window(c.server.host(), c.client.host(), 1);
  c.say(std::string(100, 'x'));
  std::size_t largest = 0, before = 0;
  const RunResult all = c.world.run_until(
      [&] {
        const std::size_t now = c.accepted().received.size();
        largest = std::max(largest, now - std::exchange(before, now));
        return now == 100;
      },
      1min);
  EXPECT_EQ(all.reason, StopReason::kDone);
  EXPECT_EQ(largest, 1u);
  EXPECT_GT(fabric.effects().throttled, 50u);
  fabric.limit_window(c.server.host(), c.client.host(), SIZE_MAX);
  c.say(std::string(10'000, 'x'));
  const std::uint64_t throttled = fabric.effects().throttled;
  c.world.run_for(1s);
  EXPECT_EQ(c.accepted().received.size(), 10'100u);
  EXPECT_EQ(fabric.effects().throttled, throttled);
}

TEST(Network, AnEndComesLate) {
  bool late = false;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Connected c(seed);
    ASSERT_TRUE(c.connect());
    c.world.fabric().close_late(c.server.host(), c.client.host(), 30s);
    c.say("last words");
    c.client.act([&] { c.peer.connection->close(1min); });
    c.world.run_for(1s);
    EXPECT_EQ(c.accepted().received, "last words");
    late |= c.accepted().times_closed == 0;
    c.world.run_for(1min);
    EXPECT_EQ(c.accepted().times_closed, 1);
    EXPECT_GT(c.world.fabric().effects().closed_late, 0u);
  }
  EXPECT_TRUE(late);
}

TEST(Network, ABitIsNotWhatWasSent) {
  Connected c(15);
  ASSERT_TRUE(c.connect());
  c.world.fabric().corrupt(c.client.host(), c.server.host(), 1);
  c.echo = false;
  const std::string sent(100, 'x');
  c.say(sent);
  c.world.run_for(1s);
  const std::string got = c.accepted().received;
  ASSERT_EQ(got.size(), sent.size());
  int bits = 0;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    bits += std::popcount(static_cast<unsigned char>(sent[i] ^ got[i]));
  }
  EXPECT_EQ(bits, 1);
}

TEST(Network, AnIsolatedHostReachesNobody) {
  Connected c(16);
  Stage third(c.world, "third");
  ASSERT_TRUE(c.connect());
  Fabric& fabric = c.world.fabric();
  fabric.isolate(c.server.host(), true);
  EXPECT_TRUE(fabric.is_split(c.server.host(), third.host()));
  EXPECT_TRUE(fabric.is_split(c.client.host(), c.server.host()));
  EXPECT_FALSE(fabric.is_split(c.client.host(), third.host()));
  EXPECT_FALSE(fabric.is_split(c.server.host(), c.server.host())) << "but itself";
  c.say("hello");
  c.world.run_for(10s);
  EXPECT_EQ(c.peer.received, "");
  EXPECT_GT(fabric.effects().isolated, 0u);
  fabric.isolate(c.server.host(), false);
  c.world.run_for(10s);
  EXPECT_EQ(c.peer.received, "hello");
}

TEST(Network, AFullBacklogHangsAndDoesNotRefuse) {
  Connected c(17);
  Fabric& fabric = c.world.fabric();
  fabric.fill_backlog(c.server.host(), true);
  EXPECT_FALSE(c.connect(5s));
  EXPECT_EQ(c.failure, ErrorCode::kTimedOut);
  EXPECT_GT(fabric.effects().unanswered, 1u);
  c.world.after(10s, [&] { fabric.fill_backlog(c.server.host(), false); });
  EXPECT_TRUE(c.connect(1min));
}

TEST(Network, ConnectingTakesLong) {
  Connected c(18);
  c.world.fabric().slow_connects(c.server.host(), 30s);
  const Time start = c.world.now();
  ASSERT_TRUE(c.connect(1min));
  EXPECT_GT(c.world.now() - start, 500ms);
  const Time connected = c.world.now();
  c.say("no slower than ever");
  c.world.run_until([&] { return !c.peer.received.empty(); }, 1min);
  EXPECT_LT(c.world.now() - connected, 100ms);
}

TEST(Network, CoresThatShareAPortAllGetConnections) {
  World world(10);
  Stage server(world, "server", 3), client(world, "client");
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  std::vector<std::unique_ptr<runtime::Listener>> listeners;
  for (std::size_t i = 0; i < 3; ++i) {
    acceptors.push_back(std::make_unique<Acceptor>());
    auto listener = server.core(i).network().listen({"0.0.0.0", 99}, {.share_port = true}, *acceptors[i]);
    ASSERT_TRUE(listener);
    listeners.push_back(std::move(*listener));
  }
  Acceptor lonely;
  EXPECT_EQ(server.core().network().listen({"0.0.0.0", 99}, {}, lonely).error().code,
            ErrorCode::kAddressInUse);
  std::vector<std::unique_ptr<Peer>> peers;
  std::optional<ErrorCode> failure;
  runtime::Scope scope;
  for (int i = 0; i < 60; ++i) {
    peers.push_back(std::make_unique<Peer>());
    client.act(
        [&] { scope.spawn(dial_to(&client.core(), {"server", 99}, 1min, peers.back().get(), &failure)); });
  }
  world.run_for(1min);
  std::size_t all = 0;
  for (const auto& acceptor : acceptors) {
    EXPECT_GT(acceptor->peers.size(), 5u);
    all += acceptor->peers.size();
  }
  EXPECT_EQ(all, 60u);
}

TEST(Network, PortsAreGivenInOrder) {
  World world(11);
  Stage stage(world, "node");
  Acceptor acceptor;
  auto first = stage.core().network().listen({"127.0.0.1", 0}, {}, acceptor);
  auto second = stage.core().network().listen({"::", 0}, {}, acceptor);
  ASSERT_TRUE(first && second);
  EXPECT_EQ((*second)->local().port, (*first)->local().port + 1);
  EXPECT_EQ(stage.core().network().listen({"10.9.9.9", 0}, {}, acceptor).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace stele::sim
