#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/conformance.h"
#include "runtime/conformance_peer.h"
#include "runtime/scope.h"

namespace stele::runtime {
namespace {

using namespace std::chrono_literals;

// --- Listening and connecting

STELE_CONFORMANCE(ListeningOnPortZeroGivesAPort, 1) {
  Acceptor acceptor;
  auto listener = p.runtime().network().listen({p.host, 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  EXPECT_NE((*listener)->local().port, 0);
  EXPECT_EQ((*listener)->local().host, p.host);
  co_return;
}

STELE_CONFORMANCE(AnAddressInUseAndAForeignAddressAreRefused, 1) {
  Network& network = p.runtime().network();
  Acceptor acceptor;
  auto listener = network.listen({p.host, 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  const Endpoint at = (*listener)->local();
  EXPECT_EQ(code_of(network.listen(at, {}, acceptor)), ErrorCode::kAddressInUse);
  EXPECT_NE(network.listen(at, {}, acceptor).error().message.find(at.to_string()), std::string::npos);
  EXPECT_EQ(code_of(network.listen({p.foreign_host, 0}, {}, acceptor)), ErrorCode::kInvalidArgument);
  listener->reset();
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return network.listen(at, {}, acceptor).has_value(); }));
}

STELE_CONFORMANCE(ConnectingToAClosedPortIsRefused, 1) {
  Network& network = p.runtime().network();
  Acceptor acceptor;
  auto listener = network.listen({p.host, 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  const Endpoint at = (*listener)->local();
  listener->reset();
  co_await sleep(p.runtime(), 1ms);
  const auto refused = co_await network.connect(at, 30s, {});
  EXPECT_EQ(code_of(refused), ErrorCode::kRefused);
  EXPECT_NE(refused.error().message.find(at.to_string()), std::string::npos) << "an error names the peer";
}

STELE_CONFORMANCE(ANameThatDoesNotResolve, 1) {
  const auto result = co_await p.runtime().network().connect({"no-such-host.invalid", 1}, 30s, {});
  const ErrorCode code = code_of(result);  // a resolver that cannot be reached knows no better
  EXPECT_TRUE(code == ErrorCode::kNotFound || code == ErrorCode::kUnavailable ||
              code == ErrorCode::kTimedOut);
}

STELE_CONFORMANCE(ConnectingTimesOut, 1) {
  Network& network = p.runtime().network();
  EXPECT_EQ(code_of(co_await network.connect(p.black_hole, 20ms, {})), ErrorCode::kTimedOut);
  EXPECT_EQ(code_of(co_await network.connect(p.black_hole, Duration(0), {})), ErrorCode::kTimedOut);
}

Task<void> connect_and_note(Runtime& runtime, Endpoint to, StopToken stop, std::optional<ErrorCode>* code) {
  const auto result = co_await runtime.network().connect(to, 1h, std::move(stop));
  *code = code_of(result);
}

STELE_CONFORMANCE(ConnectingIsCancelled, 1) {
  Runtime& rt = p.runtime();
  StopSource source;
  Scope scope;
  std::optional<ErrorCode> code;
  scope.spawn(connect_and_note(rt, p.black_hole, source.token(), &code));
  co_await sleep(rt, 2ms);
  EXPECT_FALSE(code.has_value());
  source.request_stop();
  EXPECT_FALSE(code.has_value()) << "the caller runs in a later turn, not within request_stop()";
  co_await scope.join();
  EXPECT_EQ(code, ErrorCode::kCancelled);
  EXPECT_EQ(code_of(co_await rt.network().connect(p.black_hole, 1h, source.token())), ErrorCode::kCancelled);
}

STELE_CONFORMANCE(ATaskMayBeDestroyedWhileItConnects, 1) {
  Runtime& rt = p.runtime();
  std::optional<ErrorCode> code;
  {
    Scope scope;
    scope.spawn(connect_and_note(rt, p.black_hole, {}, &code));
    scope.spawn(connect_and_note(rt, {"no-such-host.invalid", 1}, {}, &code));
    co_await sleep(rt, 1ms);
  }
  code.reset();
  co_await sleep(rt, 2ms);
  EXPECT_FALSE(code.has_value());
}

STELE_CONFORMANCE(ADroppedConnectionIsClosed, 1) {
  struct Dropper : AcceptHandler {
    int accepted = 0;
    void on_accept(std::unique_ptr<Connection>) override { ++accepted; }
  } dropper;
  auto listener = p.runtime().network().listen({p.host, 0}, {}, dropper);
  STELE_REQUIRE(listener);
  Peer client;
  STELE_REQUIRE(co_await dial(p.runtime(), (*listener)->local(), &client));
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return client.times_closed == 1; }));
  EXPECT_EQ(client.closed->code, ErrorCode::kClosed);
  EXPECT_EQ(dropper.accepted, 1);
}

STELE_CONFORMANCE(EndsKnowTheirAddresses, 1) {
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  EXPECT_EQ(pair.client.connection->remote(), pair.listener->local());
  EXPECT_EQ(pair.server().connection->local(), pair.listener->local());
  EXPECT_EQ(pair.client.connection->local(), pair.server().connection->remote());
}

// What one core of a process keeps for the test below; lives on that core.
struct SharedPort {
  Acceptor acceptor;
  std::unique_ptr<Listener> listener;
};

STELE_CONFORMANCE(CoresShareAPort, 2) {
  Runtime& rt = p.runtime();
  Runtime& other = *p.cores[1];
  SharedPort here, there;
  std::vector<std::size_t> accepted = {0, 0};  // both on core 0
  here.acceptor.prepare = [&](Peer& peer) {
    ++accepted[0];
    peer.echo = true;
  };
  there.acceptor.prepare = [&](Peer& peer) {
    other.post(CoreId(0), [&] { ++accepted[1]; });
    peer.echo = true;
  };
  auto listener = rt.network().listen({p.host, 0}, {.share_port = true}, here.acceptor);
  STELE_REQUIRE(listener);
  here.listener = std::move(*listener);
  const Endpoint at = here.listener->local();
  bool ready = false;
  rt.post(CoreId(1), [&] {
    auto second = other.network().listen(at, {.share_port = true}, there.acceptor);
    EXPECT_TRUE(second);
    if (second) there.listener = std::move(*second);
    other.post(CoreId(0), [&] { ready = true; });
  });
  STELE_REQUIRE(co_await until(rt, [&] { return ready; }));

  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(std::make_unique<Peer>());
    STELE_REQUIRE(co_await dial(rt, at, clients.back().get()));
    clients.back()->connection->write("ping");
  }
  for (auto& client : clients) {
    EXPECT_TRUE(co_await until(rt, [&] { return client->received == "ping"; }));
  }
  EXPECT_EQ(accepted[0] + accepted[1], 16u);
  bool gone = false;
  rt.post(CoreId(1), [&] {
    there.acceptor.peers.clear();
    there.listener.reset();
    other.post(CoreId(0), [&] { gone = true; });
  });
  EXPECT_TRUE(co_await until(rt, [&] { return gone; }));
}

// --- Ends

STELE_CONFORMANCE(ClosingSendsWhatIsQueued, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  Peer& client = pair.client;
  Peer& server = pair.server();
  const std::string content = pattern(8 << 20, 8);
  client.connection->write(std::string_view(content));
  client.connection->close(1h);
  client.connection->write("after close");  // ignored
  EXPECT_EQ(client.times_closed, 0) << "never from within a method";
  EXPECT_TRUE(co_await until(rt, [&] { return server.times_closed == 1 && client.times_closed == 1; }));
  EXPECT_TRUE(server.received == content);
  EXPECT_EQ(server.closed->code, ErrorCode::kClosed);
  EXPECT_EQ(client.closed->code, ErrorCode::kCancelled);
}

STELE_CONFORMANCE(ClosingWithNothingQueuedReadsNoMore, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  pair.server().when_data = [&] {
    if (pair.server().received.size() < 5) return;  // in pieces
    pair.server().connection->close(1h);
    pair.server().connection->close(1h);
  };
  pair.client.connection->write("first");
  EXPECT_TRUE(co_await until(rt, [&] { return pair.server().received == "first"; }));
  pair.client.connection->write("second");
  EXPECT_TRUE(co_await until(rt, [&] { return pair.server().times_closed == 1; }));
  EXPECT_EQ(pair.server().received, "first");
  EXPECT_TRUE(co_await until(rt, [&] { return pair.client.times_closed == 1; }));
  EXPECT_EQ(pair.client.closed->code, ErrorCode::kClosed);
}

STELE_CONFORMANCE(GraceBoundsASlowPeer, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  pair.server().connection->pause_reading();
  std::string sent;
  STELE_REQUIRE(co_await fill_the_way(rt, &pair.client, &sent));
  pair.client.connection->close(5ms);
  EXPECT_TRUE(co_await until(rt, [&] { return pair.client.times_closed == 1; }));
  EXPECT_EQ(pair.client.closed->code, ErrorCode::kCancelled);
  pair.client.connection.reset();
  pair.server().connection->resume_reading();
  EXPECT_TRUE(co_await until(rt, [&] { return pair.server().times_closed == 1; }));
}

STELE_CONFORMANCE(NothingIsSaidAfterTheEnd, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  Peer& server = pair.server();
  pair.client.connection.reset();
  EXPECT_TRUE(co_await until(rt, [&] { return server.times_closed == 1; }));
  EXPECT_EQ(server.closed->code, ErrorCode::kClosed);
  EXPECT_EQ(pair.client.times_closed, 0) << "who destroys a connection is not told";
  server.connection->write("ignored");
  server.connection->write(Bytes::literal("ignored"));
  server.connection->pause_reading();
  server.connection->resume_reading();
  server.connection->close(1ms);
  EXPECT_EQ(server.connection->queued_bytes(), 0u);
  co_await sleep(rt, 3ms);
  EXPECT_EQ(server.times_closed, 1);
}

STELE_CONFORMANCE(AConnectionMayBeDestroyedInOnData, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  pair.acceptor.prepare = [](Peer& peer) {
    peer.when_data = [&peer] {
      peer.connection->write("unsent");
      peer.connection.reset();
    };
  };
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  pair.client.connection->write("hello");
  EXPECT_TRUE(co_await until(rt, [&] { return pair.client.times_closed == 1; }));
  EXPECT_EQ(pair.server().times_closed, 0);
}

STELE_CONFORMANCE(AConnectionMayBeDestroyedInOnClosed, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  pair.acceptor.prepare = [](Peer& peer) { peer.when_closed = [&peer] { peer.connection.reset(); }; };
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  pair.client.when_closed = [&] { pair.client.connection.reset(); };
  pair.client.connection->close(1h);
  EXPECT_TRUE(
      co_await until(rt, [&] { return pair.client.times_closed == 1 && pair.server().times_closed == 1; }));
}

STELE_CONFORMANCE(AConnectionMayBeDestroyedInOnDrained, 1) {
  Runtime& rt = p.runtime();
  Pair pair;
  STELE_REQUIRE(co_await connect_pair(p.runtime(), p.host, &pair));
  pair.client.when_drained = [&] { pair.client.connection.reset(); };
  pair.client.connection->set_low_water(10);
  pair.client.connection->write(std::string(100'000, 'z'));
  EXPECT_TRUE(co_await until(rt, [&] { return pair.server().times_closed == 1; }));
  EXPECT_EQ(pair.server().received.size(), 100'000u);
}

STELE_CONFORMANCE(AListenerMayBeDestroyedInOnAccept, 1) {
  struct Once : Acceptor {
    std::unique_ptr<Listener> listener;
    void on_accept(std::unique_ptr<Connection> connection) override {
      Acceptor::on_accept(std::move(connection));
      listener.reset();
    }
  } once;
  auto listener = p.runtime().network().listen({p.host, 0}, {}, once);
  STELE_REQUIRE(listener);
  once.listener = std::move(*listener);
  Peer client;
  STELE_REQUIRE(co_await dial(p.runtime(), once.listener->local(), &client));
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return once.peers.size() == 1; }));
  client.connection->write("still open");
  EXPECT_TRUE(co_await until(p.runtime(), [&] { return once.peers[0]->received == "still open"; }));
}

STELE_CONFORMANCE(ManyConnectionsComeAndGo, 1) {
  Runtime& rt = p.runtime();
  Acceptor acceptor;
  acceptor.prepare = [](Peer& peer) { peer.echo = true; };
  auto listener = rt.network().listen({p.host, 0}, {}, acceptor);
  STELE_REQUIRE(listener);
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Peer>());
    STELE_REQUIRE(co_await dial(rt, (*listener)->local(), clients.back().get()));
    clients.back()->connection->write(std::to_string(i));
    if (i % 3 == 0) clients[static_cast<std::size_t>(i / 2)]->connection.reset();
  }
  for (int i = 0; i < 100; ++i) {
    Peer& client = *clients[static_cast<std::size_t>(i)];
    if (!client.connection) continue;
    EXPECT_TRUE(co_await until(rt, [&] { return client.received == std::to_string(i); }));
  }
  clients.clear();
  EXPECT_TRUE(co_await until(rt, [&] {
    return acceptor.peers.size() == 100 &&
           std::ranges::all_of(acceptor.peers, [](auto& peer) { return peer->times_closed == 1; });
  }));
}

}  // namespace
}  // namespace stele::runtime
