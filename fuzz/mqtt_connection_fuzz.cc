// Feeds a byte stream to a connected MQTT server, and to a connected client. The first byte names the version
// (3, 4 or 5; anything else is 3.1.1), the second how the stream is cut. Another client, who wants
// everything, must stay connected, and whatever anybody sends must decode.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "protocols/mqtt/client.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/fake_broker.h"
#include "protocols/mqtt/fake_runtime.h"
#include "protocols/mqtt/listener.h"
#include "runtime/scope.h"

namespace stele::mqtt {
namespace {

// One end of a connection that checks that what it gets is MQTT.
struct End final : runtime::ConnectionHandler {
  std::unique_ptr<runtime::Connection> connection;
  Version version = Version::kV5;
  std::string input;
  bool closed = false;
  void start(std::unique_ptr<runtime::Connection> with) {
    connection = std::move(with);
    connection->start(*this);
  }
  void on_data(Bytes data) override {
    input += data.view();
    FrameResult next = next_frame(input, UINT32_MAX);
    while (next.status == FrameResult::Status::kFrame) {
      // A CONNACK to a CONNECT that could not be read is in a version of the server's choice.
      STELE_ASSERT(decode(next.frame, version).has_value() || next.frame.type() == PacketType::kConnack);
      input.erase(0, next.frame.total_size);
      next = next_frame(input, UINT32_MAX);
    }
    STELE_ASSERT(next.status == FrameResult::Status::kNeedMore);
  }
  void on_closed(const Error&) override { closed = true; }
};

void feed(FakeRuntime& runtime, runtime::Connection& to, std::string_view bytes, std::uint8_t cut) {
  const std::size_t piece = cut == 0 ? bytes.size() : cut;
  while (!bytes.empty()) {
    to.write(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    runtime.settle();
  }
}

void server(Version version, std::uint8_t cut, std::string_view bytes) {
  FakeRuntime runtime;
  FakeBroker broker(runtime);
  broker.slow_tasks = cut % 2 == 1;
  MqttOptions options;
  options.max_packet_size = 1 << 16;
  auto listener = *MqttListener::listen(broker, {"fake", 1}, options);
  End witness, client;
  witness.start(runtime.network().dial(1));
  client.start(runtime.network().dial(1));
  client.version = version;
  std::string hello;
  Connect connect;
  connect.client_id = "witness";
  encode(hello, connect);
  Subscribe subscribe;
  subscribe.packet_id = 1;
  subscribe.subscriptions.push_back({"#", Qos::kAtLeastOnce, false, false, RetainHandling::kSend});
  encode(hello, subscribe, Version::kV5);
  feed(runtime, *witness.connection, hello, 0);
  if (const FrameResult first = next_frame(bytes, UINT32_MAX);
      first.status == FrameResult::Status::kFrame && first.frame.type() == PacketType::kConnect) {
    client.version = peek_connect_version(first.frame).value_or(version);
  } else {
    hello.clear();
    connect.version = version;
    connect.client_id = "client";
    encode(hello, connect);
    feed(runtime, *client.connection, hello, 0);
  }
  feed(runtime, *client.connection, bytes, cut);
  runtime.advance(std::chrono::seconds(1));
  STELE_ASSERT(!witness.closed || listener->counters().taken_over > 0);
}

struct Accepting final : runtime::AcceptHandler {
  End end;
  void on_accept(std::unique_ptr<runtime::Connection> connection) override {
    end.start(std::move(connection));
  }
};
struct Ignoring final : ClientHandler {};

runtime::Task<void> use(runtime::Runtime* runtime, ClientOptions options, Ignoring* handler,
                        std::unique_ptr<Client>* out) {
  auto client = co_await Client::connect(*runtime, {"fake", 1}, options, *handler);
  if (client) *out = *std::move(client);
}
runtime::Task<void> ask(Client* client) {
  std::vector<ClientSubscription> subscriptions(1);
  subscriptions[0].filter = "t";
  (void)co_await client->subscribe(std::move(subscriptions));
}
runtime::Task<void> tell(Client* client) {
  (void)co_await client->publish_and_wait({.topic = "t"});
}

void client(Version version, std::uint8_t cut, std::string_view bytes) {
  FakeRuntime runtime;
  Accepting acceptor;
  acceptor.end.version = version;
  auto listener = *runtime.network().listen({"fake", 1}, {}, acceptor);
  Ignoring handler;
  std::unique_ptr<Client> client;
  runtime::Scope scope;
  ClientOptions options;
  options.version = version;
  options.client_id = "c";
  scope.spawn(use(&runtime, options, &handler, &client));
  runtime.settle();
  if (!bytes.empty() && static_cast<std::uint8_t>(bytes[0]) >> 4 != 2) {  // the stream has no CONNACK
    std::string hello;
    encode(hello, Connack{}, version);
    feed(runtime, *acceptor.end.connection, hello, 0);
  }
  if (client) {
    scope.spawn(tell(client.get()));
    scope.spawn(ask(client.get()));
  }
  feed(runtime, *acceptor.end.connection, bytes, cut);
  runtime.advance(std::chrono::minutes(2));
  STELE_ASSERT(scope.running() == 0);  // whatever was asked has been answered or given up
}

}  // namespace
}  // namespace stele::mqtt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using stele::mqtt::Version;
  if (size < 2) return 0;
  const Version version = data[0] == 5 ? Version::kV5 : data[0] == 3 ? Version::kV31 : Version::kV311;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  stele::mqtt::server(version, data[1], bytes);
  stele::mqtt::client(version, data[1], bytes);
  return 0;
}
