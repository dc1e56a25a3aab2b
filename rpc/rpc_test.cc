// Server and channel in the simulator, one situation after the other: who is let in, what a
// caller learns of its call, and what is left behind.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rpc/testing/node.h"
#include "rpc/testing/two.h"
#include "runtime/conformance_peer.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::rpc {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using runtime::Task;

TEST(Rpc, ACallIsAnswered) {
  Two two;
  two.boot();
  const CallResult result = two.wait(two.a.call(2, kEcho, "hello"));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->view(), "hello");
  EXPECT_EQ(two.a.live().ups, std::vector<std::string>{"node2"});
  EXPECT_EQ(two.a.to(2).peer()->version, kProtocolVersion);
  EXPECT_EQ(two.b.server().connections(), 1u);
}

TEST(Rpc, PayloadsOfAllSizesGoBothWays) {
  Two two;
  two.boot();
  for (const std::size_t size : {0, 1, 2047, 2048, 16'383, 16'384, 65'536, 1'000'000, 16'000'000}) {
    const std::string payload = runtime::pattern(size, size);
    const CallResult result = two.wait(two.a.call(2, kEcho, payload));
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->view(), payload) << size;
  }
  EXPECT_EQ(two.b.server().partial_bytes(), 0u);
}

TEST(Rpc, ErrorsOfThePeerArriveAsTheyAre) {
  Two two;
  two.boot();
  expect_error(two.wait(two.a.call(2, kFails, "")), ErrorCode::kNotFound, Fate::kAnswered);
  expect_error(two.wait(two.a.call(2, kNobodys, "")), ErrorCode::kUnsupported, Fate::kNotDone);
  EXPECT_EQ(two.b.server().stats().not_taken, 1u);
}

TEST(Rpc, WhatIsTooLargeIsToldBeforeItIsSent) {
  NodeOptions small;
  small.server.open_without_certificates = true;
  small.server.max_payload_bytes = 1000;
  NodeOptions asks;
  asks.channel.max_payload_bytes = 500;
  Two two(asks, small);
  two.boot();
  expect_error(two.wait(two.a.call(2, kEcho, std::string(1001, 'x'))), ErrorCode::kInvalidArgument,
               Fate::kNotDone);
  expect_error(two.wait(two.a.call(2, kEcho, std::string(1001, 'x'))), ErrorCode::kInvalidArgument,
               Fate::kNotDone);
  expect_error(two.wait(two.a.call(2, kLarge, "501")), ErrorCode::kNoSpace, Fate::kAnswered);
  EXPECT_TRUE(two.wait(two.a.call(2, kLarge, "500")));
  two.a.act([&] {
    const Bytes large = Bytes::copy(std::string(1001, 'x'));
    EXPECT_FALSE(two.a.to(2).send(kWord, {&large, 1}));
  });
  EXPECT_EQ(two.a.to(2).stats().connects, 1u) << "nothing of it has cost the connection";
}

TEST(Rpc, MessagesArriveInOrderOrAreDropped) {
  Two two;
  two.boot();
  two.a.act([&] {
    const Bytes early = Bytes::literal("before there is a connection");
    EXPECT_FALSE(two.a.to(2).send(kWord, {&early, 1}));
  });
  EXPECT_EQ(two.a.to(2).stats().messages_dropped, 1u);
  two.world.run_until([&] { return two.a.to(2).up(); }, 1min);
  ASSERT_TRUE(two.a.to(2).up()) << "it was asked to connect";
  for (int i = 0; i < 50; ++i) {
    two.a.act([&] {
      const std::vector<Bytes> text{Bytes::copy("word "), Bytes::copy(std::to_string(i))};
      EXPECT_TRUE(two.a.to(2).send(kWord, text));
    });
  }
  two.world.run_for(1s);
  ASSERT_EQ(two.b.words.size(), 50u);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(two.b.words[std::size_t(i)].text, "word " + std::to_string(i));
  EXPECT_EQ(two.b.words[0].from, NodeId(1));
  two.a.act([&] { two.a.to(2).send(MessageId(99), {}); });
  two.world.run_for(1s);
  EXPECT_EQ(two.b.server().stats().unknown_messages, 1u);
}

// ---- who is let in ---------------------------------------------------------------------------------------

void expect_refused(Two& two, Reason reason) {
  two.boot();
  expect_error(two.wait(two.a.call(2, kEcho, "")), ErrorCode::kUnavailable, Fate::kNotDone);
  EXPECT_GT(two.refused(reason), 1u) << to_string(reason);
  EXPECT_GT(two.a.to(2).stats().refused[std::size_t(reason)], 1u);
  EXPECT_EQ(two.b.server().connections(), 0u);
  ASSERT_TRUE(two.a.to(2).last_failure());
  EXPECT_EQ(two.a.to(2).last_failure()->code, ErrorCode::kUnauthorized);
}

// Who belongs to no cluster is let in to ask for it, and for nothing else.
TEST(RpcHello, WhoWantsToJoinMayOnlyAskForThat) {
  constexpr MethodId kJoin{7};
  NodeOptions stranger;
  stranger.channel.joins = true;
  Two two(stranger);
  two.a.self.cluster = {};
  two.b.self.cluster = {7, 8};
  std::optional<Peer> seen;
  two.b.before_listening = [&](Live& live) {
    live.server.serve_joining(kJoin, [&seen](Request request) -> Task<Result<Payload>> {
      seen = *request.peer;
      co_return Payload(Bytes::literal("come in"));
    });
  };
  two.boot();
  const CallResult joined = two.wait(two.a.call(2, kJoin, ""));
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_EQ(joined->view(), "come in");
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->joins);
  EXPECT_EQ(seen->node, NodeId(1));
  expect_error(two.wait(two.a.call(2, kEcho, "")), ErrorCode::kUnauthorized, Fate::kNotDone);
  two.a.act([&] { two.a.to(2).send(kWord, {}); });
  two.world.run_for(1s);
  EXPECT_TRUE(two.b.words.empty());
  EXPECT_EQ(two.b.server().stats().unknown_messages, 1u);
}

TEST(RpcHello, AnotherClusterIsRefused) {
  Two two;
  two.a.self.cluster.low = 99;
  expect_refused(two, Reason::kCluster);
  EXPECT_NE(two.a.to(2).last_failure()->message.find("belongs to cluster"), std::string::npos);
}

TEST(RpcHello, AVersionTooFarAwayIsRefused) {
  Two two;
  two.a.self.versions = {1, 2};
  two.b.self.versions = {3, 4};
  expect_refused(two, Reason::kVersion);
  EXPECT_NE(two.a.to(2).last_failure()->message.find("upgrade node 1"), std::string::npos);
}

TEST(RpcHello, AdjacentVersionsSpeakTheLower) {
  Two two;
  two.a.self.versions = {2, 3};
  two.b.self.versions = {3, 4};
  two.boot();
  EXPECT_TRUE(two.wait(two.a.call(2, kEcho, "")));
  EXPECT_TRUE(two.wait(two.b.call(1, kEcho, "")));
  EXPECT_EQ(two.a.to(2).peer()->version, 3u);
  EXPECT_EQ(two.b.to(1).peer()->version, 3u);
}

TEST(RpcHello, AnotherNodeAtTheAddressIsNotTakenForTheOneWanted) {
  Two two;
  two.b.self.node = NodeId(7);
  expect_refused(two, Reason::kNode);
}

TEST(RpcHello, ANodeWithTheSameNumberIsRefused) {
  Two two;
  two.boot();
  std::unique_ptr<Channel> channel;
  two.a.act([&] {
    channel = std::make_unique<Channel>(two.a.live().runtime, identity(2), NodeId(2),
                                        runtime::Endpoint{"node2", kPort}, ChannelOptions{});
    channel->keep_open();
  });
  two.world.run_for(1s);
  EXPECT_GT(two.refused(Reason::kNode), 0u);
  EXPECT_FALSE(channel->up());
  two.a.act([&] { channel.reset(); });
}

TEST(RpcHello, WithCertificatesAPeerWithoutOneIsRefused) {
  NodeOptions strict;
  strict.server = {.certificates = true};
  Two two({}, strict);
  expect_refused(two, Reason::kCertificate);
}

TEST(RpcHello, TooManyAreRefused) {
  NodeOptions one;
  one.server.max_connections = 1;
  Two two({}, one);
  Node c(two.world, 3);
  c.knows = {2};
  c.boot();
  two.boot();
  ASSERT_TRUE(two.meet());
  expect_error(two.wait(c.call(2, kEcho, "", 1s)), ErrorCode::kUnavailable, Fate::kNotDone);
  EXPECT_GT(two.refused(Reason::kBusy), 0u);
  EXPECT_TRUE(two.wait(two.a.call(2, kEcho, "")));
  two.a.host().crash(sim::CrashMode::kKill);
  EXPECT_TRUE(two.wait(c.call(2, kEcho, "", 1min)));
}

TEST(RpcServer, ListensOnLoopbackUnlessToldOtherwise) {
  sim::World world(1);
  Node node(world, 1);
  node.boot();
  node.act([&] {
    runtime::Network& network = node.live().runtime.network();
    Server careful(node.live().runtime, identity(1), {});
    const auto refused = careful.listen(network, {"0.0.0.0", 7001});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(careful.listen(network, {"127.0.0.1", 7001}));
    Server proven(node.live().runtime, identity(1), {.certificates = true});
    EXPECT_TRUE(proven.listen(network, {"0.0.0.0", 7002}));
  });
}

// ---- what a caller learns --------------------------------------------------------------------------------

TEST(RpcCalls, WithoutAConnectionNothingWasDone) {
  Two two;
  two.a.boot();
  const auto result = two.a.call(2, kEcho, "", 3s);
  expect_error(two.wait(result), ErrorCode::kUnavailable, Fate::kNotDone);
  EXPECT_EQ(two.a.to(2).calls_under_way(), 0u);
}

TEST(RpcCalls, WaitForAPeerThatComes) {
  Two two;
  two.a.boot();
  const auto result = two.a.call(2, kEcho, "patience", 1min);
  two.world.run_for(5s);
  two.b.boot();
  const CallResult answer = two.wait(result);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->view(), "patience");
}

TEST(RpcCalls, ALostConnectionLeavesTheOutcomeUnknown) {
  Two two;
  two.boot();
  ASSERT_TRUE(two.meet());
  const auto result = two.a.call(2, kKeeps, "", 1min);
  two.world.run_for(1s);
  ASSERT_EQ(two.b.live().kept.size(), 1u);
  two.world.fabric().cut_all(two.a.host(), two.b.host());
  expect_error(two.wait(result), ErrorCode::kClosed, Fate::kUnknown);
  EXPECT_EQ(two.a.live().downs.size(), 1u);
  two.world.run_for(1s);
  EXPECT_FALSE(two.b.live().kept[0].wanted());
  two.b.act([&] { two.b.live().kept[0].answer(Bytes::literal("to nobody")); });
  EXPECT_EQ(two.b.server().requests_under_way(), 0u);
  two.world.run_for(10s);
  EXPECT_TRUE(two.a.to(2).up()) << "it came back by itself";
}

TEST(RpcCalls, WithoutAnAnswerInTimeTheOutcomeIsUnknown) {
  Two two;
  two.boot();
  const auto result = two.a.call(2, kKeeps, "", 1s);
  expect_error(two.wait(result), ErrorCode::kTimedOut, Fate::kUnknown);
  two.b.act([&] { two.b.live().kept[0].answer(Bytes::literal("late")); });
  two.world.run_for(1s);
  EXPECT_EQ(two.a.to(2).stats().late_answers, 1u);
  EXPECT_TRUE(two.wait(two.a.call(2, kEcho, ""))) << "the place of the late one is free";
}

TEST(RpcCalls, ARequestThatIsDroppedIsAnswered) {
  Two two;
  two.boot();
  const auto result = two.a.call(2, kKeeps, "");
  two.world.run_for(1s);
  two.b.act([&] { two.b.live().kept.clear(); });
  expect_error(two.wait(result), ErrorCode::kUnavailable, Fate::kAnswered);
}

TEST(RpcCalls, ACallerThatGoesLeavesNothingBehind) {
  Two two;
  two.boot();
  ASSERT_TRUE(two.meet());
  auto scope = std::make_unique<runtime::Scope>();
  const auto call = [](Channel* channel) -> Task<void> {
    (void)co_await channel->call(kKeeps, Bytes::copy("x"), 1h);
  };
  two.a.act([&] {
    for (int i = 0; i < 5; ++i) scope->spawn(call(&two.a.to(2)));
  });
  two.world.run_for(1s);
  EXPECT_EQ(two.a.to(2).calls_under_way(), 5u);
  two.a.act([&] { scope.reset(); });
  EXPECT_EQ(two.a.to(2).calls_under_way(), 0u);
  two.b.act([&] {
    for (Responder& responder : two.b.live().kept) responder.answer(Bytes());
  });
  two.world.run_for(1s);
  EXPECT_EQ(two.a.to(2).stats().late_answers, 5u);
  EXPECT_EQ(two.a.to(2).stats().connects, 1u);
}

TEST(RpcCalls, TooManyAreRefusedAtOnce) {
  NodeOptions few;
  few.channel.max_calls = 2;
  few.channel.max_waiting_bytes = 100;
  Two two(few);
  two.a.boot();
  const auto first = two.a.call(2, kEcho, std::string(60, 'x'), 1min);
  const auto large = two.a.call(2, kEcho, std::string(60, 'x'), 1min);
  ASSERT_TRUE(large->has_value());
  expect_error(**large, ErrorCode::kUnavailable, Fate::kNotDone);
  const auto second = two.a.call(2, kEcho, "", 1min);
  const auto third = two.a.call(2, kEcho, "", 1min);
  ASSERT_TRUE(third->has_value());
  expect_error(**third, ErrorCode::kUnavailable, Fate::kNotDone);
  EXPECT_EQ(two.a.to(2).stats().calls_refused, 2u);
  two.b.boot();
  EXPECT_TRUE(two.wait(first));
  EXPECT_TRUE(two.wait(second));
}

TEST(RpcCalls, APeerThatIsBehindIsNotOverrun) {
  NodeOptions few;
  few.server.max_requests = 3;
  NodeOptions tight;
  tight.channel.max_output_bytes = 10'000;
  Two two(tight, few);
  two.boot();
  ASSERT_TRUE(two.meet());
  std::vector<std::shared_ptr<std::optional<CallResult>>> results;
  for (int i = 0; i < 60; ++i) results.push_back(two.a.call(2, kKeeps, std::string(20'000, 'x'), 1h));
  two.world.run_for(1min);
  EXPECT_EQ(two.b.live().kept.size(), 3u);
  EXPECT_TRUE(two.a.to(2).up()) << "who is not read from is not silent";
  two.a.act([&] {
    const Bytes word = Bytes::literal("word");
    EXPECT_FALSE(two.a.to(2).send(kWord, {&word, 1})) << "its output is full";
  });
  for (int i = 0; i < 60; ++i) {
    two.world.run_until([&] { return !two.b.live().kept.empty(); }, 1min);
    ASSERT_FALSE(two.b.live().kept.empty()) << i;
    EXPECT_LE(two.b.live().kept.size(), 3u);
    two.b.act([&] {
      two.b.live().kept.front().answer(Bytes::literal("done"));
      two.b.live().kept.erase(two.b.live().kept.begin());
    });
  }
  for (const auto& result : results) EXPECT_TRUE(two.wait(result));
}

// ---- ends ------------------------------------------------------------------------------------------------

Task<void> stop_server(Server* server, runtime::Duration grace, bool* done) {
  co_await server->stop(grace);
  *done = true;
}
Task<void> close_peers(Peers* peers, runtime::Duration grace, bool* done) {
  co_await peers->close(grace);
  *done = true;
}

TEST(RpcEnds, WhoIsAloneOpensNothing) {
  sim::World world(1);
  Node node(world, 1);
  node.boot();
  bool stopped = false;
  std::unique_ptr<Server> server;
  node.act([&] {
    server = std::make_unique<Server>(node.live().runtime, identity(1), ServerOptions{});
    server->on_message(kWord, [](const Peer&, Bytes) {});
    node.live().scope.spawn(stop_server(server.get(), 1s, &stopped));
  });
  world.run_for(5s);
  EXPECT_TRUE(stopped);
  EXPECT_EQ(world.counters().connections, 0u);
  node.act([&] { server.reset(); });
}

Task<Result<Payload>> wait_for_the_end(runtime::Runtime* runtime, runtime::StopToken token, bool* told) {
  *told = !co_await runtime::sleep(*runtime, 1h, token);
  co_return error(ErrorCode::kUnavailable, "the node stops");
}

TEST(RpcEnds, TasksThatServeAreToldWhenTheGraceIsOver) {
  Two two;
  bool told = false, stopped = false;
  constexpr MethodId kEndless{20};
  two.b.before_listening = [&](Live& live) {
    live.server.serve(kEndless,
                      [&](Request) { return wait_for_the_end(&live.runtime, live.server.token(), &told); });
  };
  two.boot();
  const auto call = two.a.call(2, kEndless, "", 1h);
  two.world.run_for(1s);
  two.b.act([&] { two.b.live().scope.spawn(stop_server(&two.b.server(), 5s, &stopped)); });
  two.world.run_for(4s);
  EXPECT_FALSE(told);
  two.world.run_for(10s);
  EXPECT_TRUE(told);
  EXPECT_TRUE(stopped);
  expect_error(two.wait(call), ErrorCode::kUnavailable, Fate::kAnswered);
}

TEST(RpcEnds, AServerThatStopsAnswersWhatItHasBegun) {
  Two two;
  two.boot();
  const auto begun = two.a.call(2, kKeeps, "", 1min);
  two.world.run_for(1s);
  bool stopped = false;
  two.b.act([&] { two.b.live().scope.spawn(stop_server(&two.b.server(), 30s, &stopped)); });
  two.world.run_for(5s);
  EXPECT_FALSE(stopped);
  const auto late = two.a.call(2, kEcho, "", 5s);
  two.b.act([&] { two.b.live().kept[0].answer(Bytes::literal("done")); });
  EXPECT_TRUE(two.wait(begun));
  expect_error(two.wait(late), ErrorCode::kUnavailable, Fate::kNotDone);
  two.world.run_until([&] { return stopped; }, 1min);
  EXPECT_TRUE(stopped);
  EXPECT_EQ(two.b.server().connections(), 0u);
}

TEST(RpcEnds, AServerThatStopsWaitsNoLongerThanItsGrace) {
  Two two;
  two.boot();
  const auto begun = two.a.call(2, kKeeps, "", 1h);
  two.world.run_for(1s);
  bool stopped = false;
  two.b.act([&] { two.b.live().scope.spawn(stop_server(&two.b.server(), 2s, &stopped)); });
  two.world.run_for(10s);
  EXPECT_TRUE(stopped);
  expect_error(two.wait(begun), ErrorCode::kClosed, Fate::kUnknown);
}

TEST(RpcEnds, ClosingWaitsForWhatIsUnderWay) {
  Two two;
  two.boot();
  const auto begun = two.a.call(2, kKeeps, "", 1min);
  two.world.run_for(1s);
  bool closed = false;
  two.a.act([&] { two.a.live().scope.spawn(close_peers(&two.a.live().peers, 30s, &closed)); });
  two.world.run_for(5s);
  EXPECT_FALSE(closed);
  two.b.act([&] { two.b.live().kept[0].answer(Bytes::literal("done")); });
  EXPECT_TRUE(two.wait(begun));
  two.world.run_for(5s);
  EXPECT_TRUE(closed);
  EXPECT_EQ(two.b.server().connections(), 0u);
}

TEST(RpcEnds, ClosingFailsWhatWasNotSentAndWaitsNoLongerThanItsGrace) {
  for (const bool reachable : {false, true}) {
    Two two;
    two.a.boot();
    if (reachable) two.b.boot();
    const auto call = two.a.call(2, kKeeps, "", 1h);
    two.world.run_for(1s);
    bool closed = false;
    two.a.act([&] { two.a.live().scope.spawn(close_peers(&two.a.live().peers, 2s, &closed)); });
    two.world.run_for(10s);
    EXPECT_TRUE(closed);
    if (reachable) {
      expect_error(two.wait(call), ErrorCode::kClosed, Fate::kUnknown);
    } else {
      expect_error(two.wait(call), ErrorCode::kCancelled, Fate::kNotDone);
    }
  }
}

TEST(RpcEnds, AChannelMayBeDestroyedByWhoItAnswers) {
  Two two;
  two.boot();
  std::unique_ptr<Channel> channel;
  int ended = 0;
  const auto call = [](std::unique_ptr<Channel>* owner, MethodId method, int* count) -> Task<void> {
    (void)co_await (*owner)->call(method, Bytes(), 5s);
    ++*count;
    owner->reset();
  };
  for (const MethodId first : {kEcho, kKeeps}) {
    ended = 0;
    two.a.act([&] {
      channel = std::make_unique<Channel>(two.a.live().runtime, two.a.self, NodeId(2),
                                          runtime::Endpoint{"node2", kPort}, ChannelOptions{});
      two.a.live().scope.spawn(call(&channel, first, &ended));
      two.a.live().scope.spawn(call(&channel, kKeeps, &ended));
    });
    two.world.run_for(1s);
    if (first == kKeeps) two.world.fabric().cut_all(two.a.host(), two.b.host());
    two.world.run_for(10s);
    EXPECT_EQ(channel, nullptr);
    EXPECT_EQ(ended, 2) << "the other one heard of it when its time was over";
  }
}

TEST(RpcEnds, APeerThatIsRemovedIsLeftInGoodOrder) {
  Two two;
  two.boot();
  const auto begun = two.a.call(2, kKeeps, "", 1min);
  two.world.run_for(1s);
  two.a.act([&] {
    Peers& peers = two.a.live().peers;
    peers.remove(NodeId(2), 30s);
    EXPECT_EQ(peers.find(NodeId(2)), nullptr);
    peers.remove(NodeId(7), 30s);
  });
  two.b.act([&] { two.b.live().kept[0].answer(Bytes::literal("done")); });
  EXPECT_TRUE(two.wait(begun));
  two.world.run_for(5s);
  EXPECT_EQ(two.b.server().connections(), 0u);
  two.a.act([&] { two.a.live().peers.set(NodeId(2), {"node2", kPort}); });
  EXPECT_TRUE(two.wait(two.a.call(2, kEcho, ""))) << "it may come back";
}

TEST(RpcEnds, AnAddressMayChange) {
  Two two;
  two.a.boot();
  const auto result = two.a.call(2, kEcho, "", 5min);
  two.world.run_for(20s);
  Node moved(two.world, 5);
  moved.self.node = NodeId(2);
  moved.boot();
  two.a.act([&] { two.a.live().peers.set(NodeId(2), {"node5", kPort}); });
  EXPECT_TRUE(two.wait(result));
}

TEST(RpcLiveness, AConnectionThatCarriesNothingIsGivenUpByBothEnds) {
  Two two;
  two.boot();
  ASSERT_TRUE(two.meet());
  two.world.run_for(1min);
  ASSERT_TRUE(two.a.to(2).up()) << "pings keep it";
  two.world.fabric().split(two.a.host(), two.b.host());
  two.world.run_for(20s);
  EXPECT_FALSE(two.a.to(2).up());
  EXPECT_EQ(two.a.to(2).stats().silent, 1u);
  EXPECT_EQ(two.b.server().stats().silent, 1u);
  two.world.fabric().heal(two.a.host(), two.b.host());
  two.world.run_for(20s);
  EXPECT_TRUE(two.a.to(2).up());
}

TEST(RpcLiveness, AConnectionThatIsToBeGivenUpSoonerIsByBothEnds) {
  NodeOptions quick;
  quick.channel.ping_interval = 500ms;
  quick.channel.silent_after = 3s;
  Two two(quick);
  two.boot();
  ASSERT_TRUE(two.meet());
  two.world.run_for(1min);
  ASSERT_TRUE(two.a.to(2).up()) << "pings keep it";
  two.world.fabric().split(two.a.host(), two.b.host());
  two.world.run_for(5s);
  EXPECT_EQ(two.a.to(2).stats().silent, 1u);
  EXPECT_EQ(two.b.server().stats().silent, 1u);
}

TEST(RpcLiveness, AProcessThatStoodStillKeepsItsConnections) {
  Two two;
  two.boot();
  ASSERT_TRUE(two.meet());
  two.world.run_for(3s);
  two.a.host().pause(8s);
  two.world.run_for(30s);
  EXPECT_TRUE(two.a.to(2).up());
  EXPECT_EQ(two.a.to(2).stats().connects, 1u);
}

TEST(RpcLiveness, ReconnectingTakesEverLonger) {
  Two two;
  two.boot();
  two.world.fabric().refuse(two.b.host(), true);
  two.a.act([&] { two.a.to(2).keep_open(); });
  two.world.run_for(1s);
  const std::uint64_t first_second = two.a.to(2).stats().connect_failures;
  EXPECT_GE(first_second, 4u);
  two.world.run_for(1min);
  EXPECT_GT(two.a.to(2).stats().connect_failures, 20u);
  EXPECT_LT(two.a.to(2).stats().connect_failures, 50u);
  two.world.fabric().refuse(two.b.host(), false);
  two.world.run_for(4s);
  EXPECT_TRUE(two.a.to(2).up());
}

}  // namespace
}  // namespace stele::rpc
