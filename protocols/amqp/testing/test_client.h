// A client's end of a connection in memory, for tests: takes the server's frames apart, and checks that they
// are what a server may send.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "protocols/amqp/assembler.h"
#include "protocols/amqp/frame_reader.h"
#include "protocols/amqp/method_codec.h"
#include "protocols/amqp/protocol_header.h"
#include "protocols/amqp/testing/method_text.h"
#include "protocols/mqtt/fake_runtime.h"

namespace stele::amqp {

class TestClient : public runtime::ConnectionHandler {
 public:
  struct Received {
    std::uint16_t channel = 0;
    MethodId id{};
    std::string payload;     // of the method
    std::string properties;  // encoded, and
    std::string body;        // of a message
  };

  void start(std::unique_ptr<mqtt::FakeConnection> with) {
    connection = std::move(with);
    connection->start(*this);
  }
  bool open() const { return connection && !connection->ended; }
  void send(std::string_view bytes) {
    if (connection) connection->write(bytes);
  }
  void send_text(std::uint16_t channel, std::string_view method) {
    std::string out;
    append_text_method(out, channel, method);
    send(out);
  }
  // The header and all that follows up to connection.open-ok.
  void hello(std::string_view capabilities = "") {
    std::string out(kProtocolHeader);
    ConnectionStartOk start;
    Table properties, flags;
    while (!capabilities.empty()) {
      const std::string_view name = capabilities.substr(0, capabilities.find(','));
      capabilities.remove_prefix(std::min(capabilities.size(), name.size() + 1));
      flags.add(name, true);
    }
    properties.add("capabilities", flags.view());
    start.client_properties = properties.view();
    start.mechanism = "PLAIN";
    start.response = std::string_view("\0guest\0guest", 12);
    start.locale = "en_US";
    STELE_ASSERT(append_method(out, 0, start));
    STELE_ASSERT(append_method(out, 0, ConnectionTuneOk{channel_max, 4096, heartbeat_s}));
    STELE_ASSERT(append_method(out, 0, ConnectionOpen{"/"}));
    send(out);
  }

  void on_data(Bytes data) override {
    if (begins_with_header_ && data.view().starts_with("AMQP")) return on_header(data);
    begins_with_header_ = false;
    reader_.add(std::move(data));
    while (true) {
      auto frame = reader_.next(0);
      STELE_ASSERT(frame.has_value());
      if (!*frame) break;
      if ((*frame)->type == FrameType::kHeartbeat) {
        on_heartbeat();
        continue;
      }
      const std::uint16_t channel = (*frame)->channel;
      Assembler& assembler =
          assemblers_.try_emplace(channel, Side::kClient, channel, UINT32_MAX).first->second;
      const auto step = assembler.on_frame(**frame, reader_.block());
      STELE_ASSERT(step.has_value());
      if (*step == Assembler::Step::kMore) continue;
      Received received{channel, assembler.method().id(), std::string(assembler.arguments()), {}, {}};
      STELE_ASSERT(decode_method(received.payload).has_value());
      if (*step == Assembler::Step::kMessage) {
        received.properties = assembler.header().properties;
        received.body = assembler.body().view();
      }
      on_received(received);
    }
  }
  void on_closed(const Error&) override { closed = true; }

  // What it does with them.
  virtual void on_received(const Received& received) = 0;
  virtual void on_heartbeat() {}
  virtual void on_header(std::string_view) {}

  std::unique_ptr<mqtt::FakeConnection> connection;
  bool closed = false;
  std::uint16_t channel_max = 100;  // for hello()
  std::uint16_t heartbeat_s = 0;

 private:
  FrameReader reader_;
  std::map<std::uint16_t, Assembler> assemblers_;
  bool begins_with_header_ = true;
};

}  // namespace stele::amqp
