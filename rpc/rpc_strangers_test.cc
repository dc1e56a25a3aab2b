// Whoever finds the port of a node and says what he likes, in the simulator: refused, counted, and nothing
// disturbed.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rpc/frame.h"
#include "rpc/hello.h"
#include "rpc/testing/node.h"
#include "rpc/testing/two.h"
#include "runtime/conformance_peer.h"
#include "sim/world.h"

namespace stele::rpc {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using runtime::Task;

// Speaks bytes to node b, from a host of its own.
class Stranger {
 public:
  explicit Stranger(Two& two) : world_(two.world), node_(two.world, 9) { node_.boot(); }
  void connect() {
    peers_.push_back(std::make_unique<runtime::Peer>());
    node_.act([this] { node_.live().scope.spawn(dial(&node_.live().runtime, peer())); });
    world_.run_until([this] { return peer().connection != nullptr; }, 1min);
  }
  void say(std::string bytes) {
    node_.act([this, bytes] { peer().connection->write(bytes); });
    world_.run_for(100ms);
  }
  // A hello, and what comes after it is of this connection.
  void hello(Identity from = identity(9)) {
    FrameStamp stamp;
    const std::string control = encode(Hello{.from = std::move(from),
                                             .to = NodeId(2),
                                             .nonce = Nonce{1},
                                             .terms = {.max_payload_bytes = 1 << 20}});
    const auto header = stamp.next(FrameKind::kHello, control, {});
    say(std::string(header.data(), header.size()) + control);
    stamp_ = stamp;
    if (peer().received.size() < kFrameHeaderBytes) return;
    const auto answer = decode_hello_answer(std::string_view(peer().received).substr(kFrameHeaderBytes));
    if (answer && answer->refusal.reason == Reason::kNone) {
      stamp_.bind(tag_of(Nonce{1}, answer->welcome.nonce, true));
    }
  }
  std::string frame(FrameKind kind, std::string_view control, std::string_view payload = {}) {
    const Bytes bytes = Bytes::copy(payload);
    const auto header = stamp_.next(kind, control, {&bytes, 1});
    return std::string(header.data(), header.size()) + std::string(control) + std::string(payload);
  }
  std::string word(std::string_view text) {
    char control[kMessageControlBytes];
    encode(kWord, control);
    return frame(FrameKind::kMessage, {control, sizeof control}, text);
  }
  runtime::Peer& peer() { return *peers_.back(); }
  bool closed() { return peer().times_closed > 0; }
  void hold() {
    node_.act([this] { peer().connection->pause_reading(); });
  }
  Node& node() { return node_; }

 private:
  static Task<void> dial(runtime::Runtime* runtime, runtime::Peer& peer) {
    auto connection = co_await runtime->network().connect({"node2", kPort}, 1s, {});
    if (connection) peer.start(*std::move(connection));
  }
  sim::World& world_;
  FrameStamp stamp_;
  std::vector<std::unique_ptr<runtime::Peer>> peers_;
  Node node_;
};

TEST(RpcStrangers, GarbageIsRefusedAndCountedAndNothingDisturbed) {
  Two two;
  two.boot();
  ASSERT_TRUE(two.meet());
  Stranger stranger(two);
  stranger.connect();
  stranger.say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(stranger.closed());
  EXPECT_EQ(stranger.peer().received, "");
  EXPECT_EQ(two.wrong(Wrong::kNotOurs), 1u);
  stranger.connect();
  stranger.say("StRp" + std::string(28, 'x'));
  EXPECT_TRUE(stranger.closed());
  EXPECT_EQ(two.wrong(Wrong::kGarbled), 1u);
  stranger.connect();
  FrameStamp bound;
  bound.bind(5);
  const auto ping = bound.next(FrameKind::kPing, "", {});
  stranger.say({ping.data(), ping.size()});
  EXPECT_TRUE(stranger.closed()) << "no hello";
  EXPECT_EQ(two.wrong(Wrong::kReplayed), 1u);
  stranger.connect();
  FrameStamp unbound;
  const auto senseless = unbound.next(FrameKind::kHello, "no table", {});
  stranger.say(std::string(senseless.data(), senseless.size()) + "no table");
  EXPECT_TRUE(stranger.closed());
  EXPECT_EQ(two.wrong(Wrong::kMalformed), 1u);
  EXPECT_TRUE(two.wait(two.a.call(2, kEcho, "still there")));
  EXPECT_EQ(two.a.to(2).stats().connects, 1u);
  EXPECT_EQ(two.b.server().connections(), 1u);
}

TEST(RpcStrangers, AFrameThatComesTwiceIsRefused) {
  Two two;
  two.boot();
  Stranger stranger(two);
  stranger.connect();
  stranger.hello();
  const std::string once = stranger.word("once");
  stranger.say(once);
  ASSERT_EQ(two.b.words.size(), 1u);
  EXPECT_FALSE(stranger.closed());
  stranger.say(once);
  EXPECT_EQ(two.b.words.size(), 1u);
  EXPECT_TRUE(stranger.closed());
  EXPECT_EQ(two.wrong(Wrong::kReplayed), 1u);
  // Nor is it taken on another connection of the same node, whose frames are numbered likewise.
  stranger.connect();
  stranger.hello();
  stranger.say(once);
  EXPECT_EQ(two.b.words.size(), 1u);
  EXPECT_TRUE(stranger.closed());
  EXPECT_EQ(two.wrong(Wrong::kReplayed), 2u);
}

TEST(RpcStrangers, WhatMakesNoSenseAfterTheHelloEndsTheConnectionAlone) {
  Two two;
  two.boot();
  ASSERT_TRUE(two.meet());
  Stranger stranger(two);
  for (const auto& [kind, control] :
       std::vector<std::pair<FrameKind, std::string>>{{FrameKind::kRequest, "short"},
                                                      {FrameKind::kMessage, "x"},
                                                      {FrameKind::kResponse, "123456789"},
                                                      {FrameKind::kGoodbye, "no table"}}) {
    stranger.connect();
    stranger.hello();
    stranger.say(stranger.frame(kind, control));
    EXPECT_TRUE(stranger.closed());
  }
  EXPECT_EQ(two.wrong(Wrong::kMalformed), 4u);
  EXPECT_EQ(two.b.server().connections(), 1u);
  EXPECT_TRUE(two.wait(two.a.call(2, kEcho, "")));
}

TEST(RpcStrangers, WhoSaysNothingIsClosedAndTooManyAreTurnedAway) {
  NodeOptions few;
  few.server.max_unknown = 2;
  Two two({}, few);
  two.boot();
  Stranger stranger(two);
  for (int i = 0; i < 3; ++i) stranger.connect();
  two.world.run_for(100ms);
  EXPECT_TRUE(stranger.closed()) << "the third";
  EXPECT_EQ(two.b.server().stats().turned_away, 1u);
  two.world.run_for(10s);
  EXPECT_EQ(two.b.server().stats().no_hello, 2u);
  EXPECT_TRUE(two.meet());
}

TEST(RpcStrangers, WhoFallsSilentIsClosed) {
  Two two;
  two.boot();
  Stranger stranger(two);
  stranger.connect();
  stranger.hello();
  two.world.run_for(5s);
  EXPECT_FALSE(stranger.closed());
  two.world.run_for(15s);
  EXPECT_TRUE(stranger.closed());
  EXPECT_EQ(two.b.server().stats().silent, 1u);
}

TEST(RpcStrangers, WhoDoesNotTakeItsAnswersIsClosed) {
  NodeOptions tight;
  tight.server.max_output_bytes = 100'000;
  Two two({}, tight);
  two.boot();
  Stranger stranger(two);
  stranger.connect();
  stranger.hello();
  stranger.hold();
  for (int i = 0; i < 20; ++i) {
    char control[kRequestControlBytes];
    encode(RequestControl{.call = std::uint64_t(i), .method = kLarge, .timeout_ms = 1000}, control);
    stranger.say(stranger.frame(FrameKind::kRequest, {control, sizeof control}, "200000"));
  }
  EXPECT_LE(two.b.server().stats().requests, 4u) << "it was not read from any more";
  EXPECT_GE(two.b.server().stats().held, 1u);
  two.world.run_for(2min);
  EXPECT_EQ(two.b.server().stats().stuck, 1u);
  EXPECT_EQ(two.b.server().connections(), 0u);
  EXPECT_EQ(two.b.server().requests_under_way(), 0u);
}

}  // namespace
}  // namespace stele::rpc
