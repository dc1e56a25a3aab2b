// What conversations (conversation_test.cc) do not show: bytes cut anywhere, bytes that are no MQTT at all,
// ends at any moment.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "protocols/mqtt/arbitrary_packet.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/fake_broker.h"
#include "protocols/mqtt/fake_runtime.h"
#include "protocols/mqtt/listener.h"
#include "protocols/mqtt/sample_frames.h"

namespace stele::mqtt {
namespace {

struct RawClient final : runtime::ConnectionHandler {
  std::unique_ptr<FakeConnection> connection;
  std::string received;
  bool closed = false;
  explicit RawClient(std::unique_ptr<FakeConnection> with) : connection(std::move(with)) {
    connection->start(*this);
  }
  void on_data(Bytes data) override { received += data.view(); }
  void on_closed(const Error&) override { closed = true; }
};

struct Server {
  FakeRuntime runtime;
  FakeBroker broker{runtime};
  std::unique_ptr<MqttListener> listener;
  explicit Server(MqttOptions options = {}) {
    listener = *MqttListener::listen(broker, {"fake", 0}, options);
  }
  std::unique_ptr<RawClient> dial() {
    return std::make_unique<RawClient>(runtime.network().dial(listener->local().port));
  }
  std::unique_ptr<RawClient> connect(std::string_view id, Version version = Version::kV5) {
    auto client = dial();
    Connect packet;
    packet.version = version;
    packet.client_id = id;
    send(*client, packet);
    client->received.clear();
    return client;
  }
  template <class T>
  void send(RawClient& client, const T& packet) {
    std::string bytes;
    if constexpr (std::is_same_v<T, Connect>) {
      encode(bytes, packet);
    } else {
      EXPECT_TRUE(encode(bytes, packet, Version::kV5));
    }
    client.connection->write(bytes);
    runtime.settle();
  }
};

Publish publish_of(std::string_view topic, std::string_view payload, std::uint16_t id) {
  Publish out;
  out.topic = topic;
  out.payload = payload;
  out.packet_id = id;
  out.qos = id != 0 ? Qos::kAtLeastOnce : Qos::kAtMostOnce;
  return out;
}

TEST(MqttConnection, LargePayloadIsNotCopied) {
  Server server;
  auto client = server.connect("a");
  server.send(*client, publish_of("t", std::string(2000, 'x'), 1));
  EXPECT_FALSE(server.broker.last_was_shared);
  server.send(*client, publish_of("t", std::string(3000, 'x'), 2));
  EXPECT_TRUE(server.broker.last_was_shared);
  client->connection->peer->chunk = 1000;
  server.send(*client, publish_of("t", std::string(200'000, 'x'), 3));
  EXPECT_TRUE(server.broker.last_was_shared);
}

TEST(MqttConnection, ListenerMayBeDestroyedAtAnyMoment) {
  for (const bool hold : {false, true}) {
    Server server;
    auto one = server.connect("a");
    server.broker.hold_tasks = hold;
    server.broker.hold_answers = hold;
    auto two = server.connect("b");
    Subscribe subscribe;
    subscribe.packet_id = 1;
    subscribe.subscriptions.push_back({.filter = "t"});
    server.send(*one, publish_of("t", "x", 1));
    server.send(*one, subscribe);
    server.listener.reset();
    server.runtime.settle();
    EXPECT_TRUE(one->closed && two->closed);
  }
}

TEST(MqttConnection, PortInUse) {
  Server server;
  auto again = MqttListener::listen(server.broker, server.listener->local(), {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAddressInUse);
}

// What a connection says to some bytes, given in pieces.
std::string answer_to(std::string_view bytes, const std::vector<std::size_t>& pieces, bool slow = false) {
  MqttOptions options;
  options.max_packet_size = 50'000;
  options.max_control_packet_size = 20'000;
  Server server(options);
  server.broker.slow_tasks = slow;
  auto client = server.dial();
  for (const std::size_t piece : pieces) {
    client->connection->write(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    server.runtime.settle();
  }
  client->connection->write(bytes);
  server.runtime.settle();
  std::string out = client->received + (client->closed ? "|closed" : "|open");
  client.reset();
  server.runtime.settle();
  EXPECT_EQ(server.listener->counters().connections, 0u);
  return out;
}

std::string arbitrary_conversation() {
  TextPool pool;
  const Version version = *rc::gen::element(Version::kV311, Version::kV5);
  Connect connect;
  connect.version = version;
  connect.client_id = "c";
  std::string out;
  encode(out, connect);
  const int count = *rc::gen::inRange(0, 20);
  for (int i = 0; i < count; ++i) {
    const auto type = *rc::gen::weightedElement<PacketType>({{10, PacketType::kPublish},
                                                             {5, PacketType::kSubscribe},
                                                             {3, PacketType::kUnsubscribe},
                                                             {3, PacketType::kPingreq},
                                                             {3, PacketType::kPuback},
                                                             {3, PacketType::kPubrel},
                                                             {2, PacketType::kPubrec},
                                                             {2, PacketType::kPubcomp},
                                                             {1, PacketType::kDisconnect},
                                                             {1, PacketType::kConnect}});
    Packet packet = arbitrary_packet(pool, type, version);
    // What ends a connection would end most of them.
    if (auto* publish = std::get_if<Publish>(&packet); publish && *rc::gen::inRange(0, 10) != 0) {
      publish->subscription_ids = {};
      publish->topic_alias.reset();
      if (publish->topic.empty()) publish->topic = "t";
    }
    encode(out, packet, version);
  }
  return out;
}

std::vector<std::size_t> arbitrary_pieces() {
  return *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 60));
}

RC_GTEST_PROP(MqttConnectionProperties, CutsDoNotMatter, ()) {
  const std::string bytes = arbitrary_conversation();
  const bool slow = *rc::gen::arbitrary<bool>();
  RC_ASSERT(answer_to(bytes, arbitrary_pieces(), slow) == answer_to(bytes, {}));
}

RC_GTEST_PROP(MqttConnectionProperties, DamageClosesAtMost, ()) {
  std::string bytes = arbitrary_conversation();
  const int changes = *rc::gen::inRange(1, 4);
  for (int i = 0; i < changes; ++i) {
    bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
  }
  const bool slow = *rc::gen::arbitrary<bool>();
  RC_ASSERT(answer_to(bytes, arbitrary_pieces(), slow) == answer_to(bytes, {}));
}

RC_GTEST_PROP(MqttConnectionProperties, NonsenseClosesAtMost, ()) {
  const std::string bytes = *rc::gen::arbitrary<std::string>();
  const bool slow = *rc::gen::arbitrary<bool>();
  RC_ASSERT(answer_to(bytes, arbitrary_pieces(), slow) == answer_to(bytes, {}));
}

// Each sample of the codec, as the first packet and behind a CONNECT: a bad one ends the connection.
TEST(MqttConnection, BadSamplesCloseTheirConnection) {
  for (const SampleFrame& sample : sample_frames()) {
    SCOPED_TRACE(sample.name);
    if (!sample.error) continue;
    Server server;
    auto bystander = server.connect("bystander");
    for (const bool connected : {false, true}) {
      auto client = connected ? server.connect("c", sample.version) : server.dial();
      client->connection->write(sample.bytes);
      server.runtime.settle();
      EXPECT_TRUE(client->closed);
      if (connected) {
        EXPECT_EQ(sample.version == Version::kV5, !client->received.empty());
      }
    }
    EXPECT_FALSE(bystander->closed);
  }
}

}  // namespace
}  // namespace stele::mqtt
