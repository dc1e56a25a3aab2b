// One MQTT connection of a workload: sends packets, queues what comes back, and leaves every decision (what
// to acknowledge, when, whether at all) to the workload. No session logic of its own on purpose: a client
// that did things right by itself would hide what the broker does.
//
// Lives on one core of a client host.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "runtime/channel.h"
#include "runtime/dial.h"
#include "runtime/network.h"
#include "runtime/runtime.h"

namespace stele::sim {

// A packet and the bytes its views lie in.
struct ReceivedPacket {
  std::unique_ptr<std::string> bytes;
  mqtt::Packet packet;
};

class MqttPeer final : private runtime::ConnectionHandler {
 public:
  struct Login {
    std::string user, password;
  };
  // Where a broker is. With several, one of them is taken.
  struct Address {
    runtime::Endpoint tcp;
    std::optional<runtime::Endpoint> websocket = std::nullopt;
    std::optional<runtime::Endpoint> tls = std::nullopt;
    runtime::Dial dial_tls = {};
    std::vector<runtime::Endpoint> others = {};  // more brokers, each as good as that at `tcp`
    runtime::Endpoint any(runtime::Random& random) const {
      const std::size_t which = others.empty() ? 0 : random.below(others.size() + 1);
      return which == 0 ? tcp : others[which - 1];
    }
  };
  static runtime::Task<Result<std::unique_ptr<MqttPeer>>> dial(runtime::Runtime& runtime, Address to,
                                                               std::optional<Login> login = std::nullopt);
  // Over a connection that `dial` makes, and without a login.
  static runtime::Task<Result<std::unique_ptr<MqttPeer>>> over(runtime::Runtime& runtime, runtime::Dial dial,
                                                               runtime::Endpoint to);
  ~MqttPeer() override;

  // CONNECT, and what the broker answers.
  struct Opened {
    bool session_present = false;
    mqtt::ReasonCode reason = mqtt::ReasonCode::kSuccess;
  };
  runtime::Task<Result<Opened>> open(std::string client_id, bool clean, std::uint32_t expiry_s,
                                     mqtt::Version version);
  // As it is, but for user and password.
  runtime::Task<Result<Opened>> open(mqtt::Connect connect);

  template <class Packet>
  void send(const Packet& packet) {
    std::string out;
    if (connection_ && mqtt::encode(out, packet, version_)) connection_->write(out);
  }
  void publish(std::string_view topic, std::string_view payload, std::uint8_t qos, std::uint16_t packet_id,
               bool dup, bool retain);
  // The next packet; kClosed once the connection ended, kTimedOut.
  runtime::Task<Result<ReceivedPacket>> next(runtime::Duration timeout);
  bool closed() const { return received_->is_closed(); }
  // Ends it without DISCONNECT.
  void drop();
  // Nothing is read meanwhile, as far as the connection goes.
  void stop_reading() {
    if (connection_) connection_->pause_reading();
  }
  void read_on() {
    if (connection_) connection_->resume_reading();
  }
  std::size_t queued_bytes() const { return connection_ ? connection_->queued_bytes() : 0; }

 private:
  explicit MqttPeer(runtime::Runtime& runtime);
  void on_data(Bytes data) override;
  void on_closed(const Error& why) override;

  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::Connection> connection_;
  std::optional<Login> login_;
  mqtt::Version version_ = mqtt::Version::kV5;
  std::string input_;
  // Closed with the connection. Shared: who is resumed by it may destroy this.
  std::shared_ptr<runtime::Channel<ReceivedPacket>> received_;
};

}  // namespace stele::sim
