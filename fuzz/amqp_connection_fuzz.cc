// Feeds a byte stream to an AMQP server. The first byte says what the client has done before (bit 0: nothing;
// else it is open, with three channels) and how the broker answers, the second how the stream is cut. Another
// client, who consumes, must stay connected, whatever the server sends must be in turn, and in the end
// nothing may be left.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "protocols/amqp/listener.h"
#include "protocols/amqp/testing/fake_amqp_broker.h"
#include "protocols/amqp/testing/test_client.h"
#include "protocols/mqtt/fake_runtime.h"

namespace stele::amqp {
namespace {

struct End final : TestClient {
  void on_received(const Received&) override {}
};

void talk(std::uint8_t how, std::uint8_t cut, std::string_view bytes) {
  mqtt::FakeRuntime runtime;
  FakeAmqpBroker broker(runtime);
  AmqpOptions options;
  options.max_message_bytes = 1 << 16;
  options.max_unanswered = 8;
  auto listener = *AmqpListener::listen(broker, {"fake", 1}, options);
  End witness, client;
  witness.start(runtime.network().dial(1));
  witness.hello();
  witness.send_text(1, "channel.open");
  witness.send_text(1, "queue.declare queue=q");
  witness.send_text(1, "basic.consume queue=q consumer_tag=w no_ack");
  client.start(runtime.network().dial(1));
  if (how & 1) {
    client.hello("consumer_cancel_notify,connection.blocked");
    for (std::uint16_t channel = 1; channel <= 3; ++channel) client.send_text(channel, "channel.open");
  }
  runtime.settle();
  broker.hold_answers = how & 2;
  broker.hold_tasks = how & 4;
  if (how & 8) broker.window = 1;
  const std::size_t piece = cut == 0 ? std::max<std::size_t>(bytes.size(), 1) : cut;
  while (!bytes.empty()) {
    client.send(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    runtime.settle();
  }
  broker.hold_tasks = false;
  broker.complete();
  broker.answer();
  runtime.settle();
  STELE_ASSERT(!witness.closed);
  client.connection.reset();
  witness.connection.reset();
  runtime.advance(std::chrono::seconds(61));
  STELE_ASSERT(broker.channels() == 0 && broker.hosts() == 0);
  STELE_ASSERT(listener->counters().connections == 0 && listener->counters().channels == 0);
}

}  // namespace
}  // namespace stele::amqp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  stele::amqp::talk(data[0], data[1], {reinterpret_cast<const char*>(data + 2), size - 2});
  return 0;
}
