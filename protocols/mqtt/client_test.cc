// The client against the server of this folder, over a network in memory; and against a server that does not
// keep the rules.
#include "protocols/mqtt/client.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "protocols/mqtt/fake_broker.h"
#include "protocols/mqtt/fake_runtime.h"
#include "protocols/mqtt/listener.h"
#include "runtime/scope.h"

namespace stele::mqtt {
namespace {

using runtime::Task;

#define REQUIRE(condition)          \
  if (!(condition)) {               \
    ADD_FAILURE() << "" #condition; \
    co_return;                      \
  }

struct Noting final : ClientHandler {
  std::vector<std::string> notes;
  Client* client = nullptr;
  std::function<void()> ready;
  void on_publish(const Publish& packet, const Bytes& block) override {
    EXPECT_GE(packet.payload.data(), block.data());
    EXPECT_LE(packet.payload.data() + packet.payload.size(), block.data() + block.size());
    notes.push_back(std::string(packet.topic) + "=" + std::string(packet.payload.substr(0, 10)) + " qos " +
                    std::to_string(static_cast<int>(packet.qos)) + (packet.dup ? " dup" : "") +
                    (packet.retain ? " retain" : ""));
  }
  void on_puback(std::uint64_t token, ReasonCode reason) override {
    notes.push_back("puback " + std::to_string(token) + " " + std::string(to_string(reason)));
  }
  void on_ready() override {
    notes.push_back("ready");
    if (ready) ready();
  }
  void on_closed(const Error& why) override { notes.push_back("closed: " + why.message); }
  std::vector<std::string> take() { return std::exchange(notes, {}); }
};

using Notes = std::vector<std::string>;

struct MqttClient : testing::TestWithParam<Version> {
  FakeRuntime runtime;
  FakeBroker broker{runtime};
  std::unique_ptr<MqttListener> listener;
  Noting handler;
  runtime::Scope scope;

  void serve(MqttOptions options = {}) { listener = *MqttListener::listen(broker, {"fake", 0}, options); }
  ClientOptions options(std::string id) {
    ClientOptions out;
    out.version = GetParam();
    out.client_id = std::move(id);
    return out;
  }
  bool v5() const { return GetParam() == Version::kV5; }
  // Runs to its end.
  void run(Task<void> task) {
    scope.spawn(std::move(task));
    runtime.settle();
    EXPECT_EQ(scope.running(), 0u) << "the task did not come to its end";
  }
  // What takes no time is not needed to be written as a task.
  std::unique_ptr<Client> connect(ClientOptions with) {
    std::unique_ptr<Client> out;
    run(connect_into(this, with, &out));
    return out;
  }
  static Task<void> connect_into(MqttClient* test, ClientOptions with, std::unique_ptr<Client>* out) {
    auto client = co_await Client::connect(test->runtime, test->listener->local(), with, test->handler);
    EXPECT_TRUE(client);
    if (client) *out = *std::move(client);
  }
};

Publish publish_of(std::string_view topic, std::string_view payload, Qos qos) {
  Publish out;
  out.topic = topic;
  out.payload = payload;
  out.qos = qos;
  return out;
}

Task<void> subscribe(Client* client, std::string filter, Qos qos, std::vector<ReasonCode> expected) {
  std::vector<ClientSubscription> subscriptions(1);
  subscriptions[0].filter = std::move(filter);
  subscriptions[0].qos = qos;
  auto reasons = co_await client->subscribe(std::move(subscriptions));
  REQUIRE(reasons);
  EXPECT_EQ(*reasons, expected);
}

TEST_P(MqttClient, PublishesAndReceives) {
  serve();
  auto client = connect(options("a"));
  EXPECT_FALSE(client->session_present());
  EXPECT_EQ(client->client_id(), "a");
  run(subscribe(client.get(), "t/#", Qos::kAtLeastOnce, {ReasonCode::kGrantedQos1}));
  EXPECT_EQ(client->publish(publish_of("t/1", "zero", Qos::kAtMostOnce)), Sent::kYes);
  EXPECT_EQ(client->publish(publish_of("t/2", "one", Qos::kAtLeastOnce), 77), Sent::kYes);
  EXPECT_EQ(client->publish(publish_of("void", "two", Qos::kAtLeastOnce), 78), Sent::kYes);
  EXPECT_EQ(client->in_flight(), 2u);
  runtime.settle();
  EXPECT_EQ(handler.take(), Notes({"t/1=zero qos 0", "t/2=one qos 1", "puback 77 success",
                                   v5() ? "puback 78 no matching subscribers" : "puback 78 success"}));
  EXPECT_EQ(client->in_flight(), 0u);
  // What it received is acknowledged: nothing comes again, nothing is in flight at the server.
  EXPECT_EQ(listener->counters().packets_in[static_cast<int>(PacketType::kPuback)], 1u);
}

Task<void> use_everything(MqttClient* test, Client* client) {
  auto puback = co_await client->publish_and_wait({.topic = "t", .payload = std::string(100'000, 'x')});
  REQUIRE(puback);
  EXPECT_FALSE(is_error(*puback));
  puback = co_await client->publish_and_wait({.topic = "t", .payload = "0", .qos = Qos::kAtMostOnce});
  EXPECT_TRUE(puback);
  EXPECT_TRUE(co_await client->ping());
  std::vector<std::string> filters{"t", "never"};
  auto reasons = co_await client->unsubscribe(std::move(filters));
  REQUIRE(reasons);
  EXPECT_EQ(*reasons, test->v5() ? std::vector({ReasonCode::kSuccess, ReasonCode::kNoSubscriptionExisted})
                                 : std::vector<ReasonCode>());
  co_await client->disconnect();
  EXPECT_TRUE(client->closed());
  puback = co_await client->publish_and_wait({.topic = "t"});
  EXPECT_FALSE(puback);
  EXPECT_FALSE(co_await client->ping());
  EXPECT_EQ(client->publish(Publish{}), Sent::kClosed);
  co_await client->disconnect();
}

TEST_P(MqttClient, Tasks) {
  serve();
  auto client = connect(options("a"));
  run(subscribe(client.get(), "t", Qos::kAtLeastOnce, {ReasonCode::kGrantedQos1}));
  run(subscribe(client.get(), "denied/t", Qos::kAtLeastOnce,
                {v5() ? ReasonCode::kNotAuthorized : ReasonCode::kUnspecifiedError}));
  run(use_everything(this, client.get()));
  EXPECT_EQ(handler.take(), Notes({"t=xxxxxxxxxx qos 1", "t=0 qos 0", "closed: the MQTT client was closed"}));
  EXPECT_EQ(broker.notes, Notes({"session of a ends in good order, expiry 0"}));
}

TEST_P(MqttClient, ExactlyOnce) {
  serve();
  auto client = connect(options("a"));
  run(subscribe(client.get(), "t", Qos::kExactlyOnce, {ReasonCode::kGrantedQos2}));
  EXPECT_EQ(client->publish(publish_of("t", "x", Qos::kExactlyOnce), 5), Sent::kYes);
  runtime.settle();
  EXPECT_EQ(handler.take(), Notes({"t=x qos 2", "puback 5 success"}));
  EXPECT_EQ(client->in_flight(), 0u);
  EXPECT_EQ(client->publish(publish_of("full/t", "x", Qos::kExactlyOnce), 6), Sent::kYes);
  runtime.settle();
  if (v5()) EXPECT_EQ(handler.take(), Notes({"puback 6 quota exceeded"}));
  EXPECT_EQ(client->closed(), !v5());
}

TEST_P(MqttClient, KeptSession) {
  serve();
  ClientOptions kept = options("a");
  kept.clean_start = false;
  kept.session_expiry_s = 100;
  auto client = connect(kept);
  EXPECT_FALSE(client->session_present());
  run(subscribe(client.get(), "t", Qos::kAtLeastOnce, {ReasonCode::kGrantedQos1}));
  client.reset();
  runtime.settle();
  MessageView message;
  message.address = "t";
  message.payload = "meanwhile";
  broker.publish(message);
  kept.acknowledge = false;
  client = connect(kept);
  EXPECT_TRUE(client->session_present());
  EXPECT_EQ(handler.take(), Notes({"t=meanwhile qos 1"}));
  client.reset();
  runtime.settle();
  client = connect(kept);
  EXPECT_EQ(handler.take(), Notes({"t=meanwhile qos 1 dup"}));
  client->acknowledge(1);
  runtime.settle();
  EXPECT_EQ(broker.notes.back(), "settled 1");
}

TEST_P(MqttClient, RoomEndsAndComesBack) {
  serve({.receive_maximum = 2});
  broker.hold_answers = true;
  ClientOptions with = options("a");
  if (!v5()) with.max_in_flight = 2;
  auto client = connect(with);
  EXPECT_EQ(client->publish(publish_of("t", "1", Qos::kAtLeastOnce), 1), Sent::kYes);
  EXPECT_EQ(client->publish(publish_of("t", "2", Qos::kAtLeastOnce), 2), Sent::kYes);
  EXPECT_EQ(client->publish(publish_of("t", "3", Qos::kAtLeastOnce), 3), Sent::kFull);
  EXPECT_EQ(client->publish(publish_of("t", "0", Qos::kAtMostOnce)), Sent::kYes);
  bool done = false;
  const auto wait = [](Client* c, bool* d) -> Task<void> {
    EXPECT_TRUE(co_await c->publish_and_wait({.topic = "t"}));
    *d = true;
  };
  scope.spawn(wait(client.get(), &done));
  runtime.settle();
  EXPECT_FALSE(done);
  broker.answer();
  runtime.settle();
  const std::string reason = v5() ? " no matching subscribers" : " success";
  EXPECT_EQ(handler.take(), Notes({"puback 1" + reason, "ready", "puback 2" + reason}));
  broker.answer();
  runtime.settle();
  EXPECT_TRUE(done);
}

TEST_P(MqttClient, UnsentBytesAreBounded) {
  serve();
  ClientOptions with = options("a");
  with.max_queued_bytes = 1000;
  auto client = connect(with);
  int sent = 0;
  while (client->publish(publish_of("t", std::string(100, 'x'), Qos::kAtMostOnce)) == Sent::kYes) ++sent;
  EXPECT_EQ(sent, 10);
  runtime.settle();
  EXPECT_EQ(handler.take(), Notes({"ready"}));
  EXPECT_EQ(client->publish(publish_of("t", "x", Qos::kAtMostOnce)), Sent::kYes);
}

TEST_P(MqttClient, WhatTheServerDoesNotTake) {
  serve({.max_packet_size = 100});
  auto client = connect(options("a"));
  EXPECT_EQ(client->publish(publish_of(std::string(70'000, 't'), "x", Qos::kAtMostOnce)),
            Sent::kNotSupported);
  if (v5()) {
    EXPECT_EQ(client->publish(publish_of("t", std::string(100, 'x'), Qos::kAtMostOnce)), Sent::kNotSupported);
  }
}

Task<void> expect_refused(MqttClient* test, ClientOptions with, ErrorCode code) {
  auto client = co_await Client::connect(test->runtime, test->listener->local(), with, test->handler);
  REQUIRE(!client);
  EXPECT_EQ(client.error().code, code) << client.error().message;
}

TEST_P(MqttClient, Refused) {
  serve();
  run(expect_refused(this, options("denied"), ErrorCode::kUnauthorized));
  broker.stop = true;
  run(expect_refused(this, options("a"), ErrorCode::kClosed));
  EXPECT_EQ(handler.take(), Notes());
}

TEST_P(MqttClient, TakenOverAndShutDown) {
  serve();
  auto first = connect(options("a"));
  auto second = connect(options("a"));
  EXPECT_TRUE(first->closed());
  if (v5()) {
    EXPECT_EQ(first->disconnect_reason(), ReasonCode::kSessionTakenOver);
  }
  ASSERT_EQ(handler.take().size(), 1u);
  run(listener->stop());
  EXPECT_TRUE(second->closed());
  if (v5()) {
    EXPECT_EQ(second->disconnect_reason(), ReasonCode::kServerShuttingDown);
  }
}

TEST_P(MqttClient, KeepsAliveAndGivesUp) {
  serve();
  ClientOptions with = options("a");
  with.keep_alive_s = 10;
  auto client = connect(with);
  runtime.advance(std::chrono::minutes(10));
  EXPECT_FALSE(client->closed());
  EXPECT_EQ(listener->counters().keep_alive_timeouts, 0u);
  // The server's end takes nothing and says nothing.
  broker.hold_answers = true;
  EXPECT_EQ(client->publish(publish_of("t", "x", Qos::kAtLeastOnce), 5), Sent::kYes);
  runtime.settle();
  runtime.advance(std::chrono::minutes(10));
  EXPECT_FALSE(client->closed()) << "it is alive: it answers pings";
}

TEST_P(MqttClient, WillOfAClientThatIsClosedWithoutAWord) {
  serve();
  ClientOptions with = options("a");
  with.will =
      ClientWill{.topic = "will", .payload = "gone", .qos = Qos::kAtLeastOnce, .retain = true, .delay_s = 3};
  auto client = connect(with);
  client->close();
  runtime.settle();
  EXPECT_EQ(broker.notes.front(), "session of a ends, expiry 0");
  EXPECT_EQ(broker.notes.size(), v5() ? 2u : 1u);
}

INSTANTIATE_TEST_SUITE_P(Versions, MqttClient, testing::Values(Version::kV311, Version::kV5),
                         [](const auto& info) { return info.param == Version::kV5 ? "V5" : "V311"; });

// A server that says what it is told to.
struct RudeServer final : runtime::AcceptHandler, runtime::ConnectionHandler {
  FakeRuntime runtime;
  std::unique_ptr<runtime::Listener> listener;
  std::unique_ptr<runtime::Connection> connection;
  std::string received;
  Noting handler;
  runtime::Scope scope;
  std::unique_ptr<Client> client;
  std::optional<Error> error;

  RudeServer() { listener = *runtime.network().listen({"fake", 0}, {}, *this); }
  void on_accept(std::unique_ptr<runtime::Connection> accepted) override {
    connection = std::move(accepted);
    connection->start(*this);
  }
  void on_data(Bytes data) override { received += data.view(); }
  void on_closed(const Error&) override {}
  static Task<void> connect(RudeServer* server) {
    auto got = co_await Client::connect(server->runtime, server->listener->local(), {}, server->handler);
    if (got) {
      server->client = *std::move(got);
    } else {
      server->error = got.error();
    }
  }
  void say(std::string bytes) {
    connection->write(bytes);
    runtime.settle();
  }
  void accept() {
    scope.spawn(connect(this));
    runtime.settle();
    say(std::string("\x20\x03\0\0\0", 5));
    ASSERT_TRUE(client);
  }
};

TEST(MqttClientAgainst, ServerThatSaysNothing) {
  RudeServer server;
  server.scope.spawn(RudeServer::connect(&server));
  server.runtime.advance(std::chrono::seconds(60));
  ASSERT_TRUE(server.error);
  EXPECT_EQ(server.error->code, ErrorCode::kTimedOut);
}

TEST(MqttClientAgainst, ServerThatFallsSilent) {
  RudeServer server;
  server.accept();
  server.runtime.advance(std::chrono::seconds(29));
  EXPECT_FALSE(server.client->closed());
  server.runtime.advance(std::chrono::seconds(60));
  EXPECT_TRUE(server.client->closed());
}

TEST(MqttClientAgainst, ServerThatBreaksTheRules) {
  const std::vector<std::string> packets = {
      std::string("\x20\x03\0\0\0", 5),           // a second CONNACK
      std::string("\x40\x02\0\x07", 4),           // PUBACK of nothing
      std::string("\x90\x04\0\x07\0\0", 6),       // SUBACK of nothing
      std::string("\xd0\0", 2),                   // PINGRESP of nothing
      std::string("\xc0\0", 2),                   // PINGREQ
      std::string("\x50\x02\0\x07", 4),           // PUBREC of nothing
      std::string("\x70\x02\0\x07", 4),           // PUBCOMP of nothing
      std::string("\x30\x07\0\1t\3\x23\0\1", 9),  // topic alias
      std::string("\0\0", 2),
      std::string("\x30\xff\xff\xff\x7f", 5),  // too large
  };
  for (const std::string& packet : packets) {
    RudeServer server;
    server.accept();
    server.say(packet);
    ASSERT_TRUE(server.client->closed());
    EXPECT_EQ(server.handler.notes.size(), 1u);
  }
  RudeServer first;
  first.scope.spawn(RudeServer::connect(&first));
  first.runtime.settle();
  first.say(std::string("\xd0\0", 2));
  ASSERT_TRUE(first.error);
  EXPECT_EQ(first.error->code, ErrorCode::kMalformed);
}

// [MQTT-4.3.3-10]: until it is released it is the same message.
TEST(MqttClientAgainst, ServerThatSendsAgain) {
  RudeServer server;
  server.accept();
  const std::string publish("\x34\x07\0\1t\0\1\0x", 9), pubrel("\x62\x02\0\1", 4);
  server.say(publish + publish);
  EXPECT_EQ(server.handler.take(), Notes({"t=x qos 2"}));
  server.say(pubrel + pubrel + publish);
  EXPECT_EQ(server.handler.take(), Notes({"t=x qos 2"}));
  EXPECT_FALSE(server.client->closed());
}

TEST(MqttClientAgainst, AnswersThatNeverCome) {
  RudeServer server;
  server.accept();
  std::vector<bool> results;
  const auto publish = [](Client* client, std::vector<bool>* out) -> Task<void> {
    out->push_back((co_await client->publish_and_wait({.topic = "t"})).has_value());
  };
  const auto ping = [](Client* client, std::vector<bool>* out) -> Task<void> {
    out->push_back((co_await client->ping()).has_value());
  };
  server.scope.spawn(publish(server.client.get(), &results));
  server.scope.spawn(ping(server.client.get(), &results));
  server.runtime.settle();
  server.client->close();
  server.runtime.settle();
  EXPECT_EQ(results, std::vector({false, false}));
  // Those that still wait when the client is destroyed are destroyed in silence.
  RudeServer other;
  other.accept();
  other.scope.spawn(ping(other.client.get(), &results));
  other.runtime.settle();
  other.client.reset();
  other.runtime.settle();
  EXPECT_EQ(other.scope.running(), 1u);
}

// Out of order, and more than there are identifiers while the first is unanswered.
TEST(MqttClientAgainst, PacketIdentifiersGoRound) {
  RudeServer server;
  server.accept();
  std::uint64_t token = 0;
  EXPECT_EQ(server.client->publish(publish_of("t", "", Qos::kAtLeastOnce), token++), Sent::kYes);
  for (int id = 2; id <= 65535; ++id) {
    ASSERT_EQ(server.client->publish(publish_of("t", "", Qos::kAtLeastOnce), token++), Sent::kYes);
    const char puback[] = {0x40, 2, static_cast<char>(id >> 8), static_cast<char>(id)};
    server.connection->write(std::string_view(puback, 4));
    if (id % 100 == 0) server.runtime.settle();
  }
  server.runtime.settle();
  EXPECT_EQ(server.client->in_flight(), 1u);
  EXPECT_EQ(server.client->publish(publish_of("t", "", Qos::kAtLeastOnce), token++), Sent::kFull);
  server.say(std::string("\x40\x02\0\x01", 4));
  EXPECT_EQ(server.handler.notes.back(), "ready");
  EXPECT_EQ(server.client->publish(publish_of("t", "", Qos::kAtLeastOnce), token++), Sent::kYes);
}

}  // namespace
}  // namespace stele::mqtt
