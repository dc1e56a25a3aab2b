// The sender's side of QoS 1 and 2 in a session that is kept: what is not answered goes out again on the next
// connection, in order and under its packet identifier (sections 4.3 and 4.4 of MQTT 5.0). So whatever comes
// twice, or not at all, or in another order, is the broker's doing.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "protocols/mqtt/packet.h"
#include "runtime/runtime.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/ledger.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

class CarefulPublisher {
 public:
  struct Options {
    std::uint32_t publisher = 0;
    std::uint32_t addresses = 1;
    std::string (*topic)(const MessageId& id) = nullptr;
    bool retain = false;
    // Out of nine messages; the others have QoS 2.
    std::uint32_t qos_0_of_9 = 0, qos_1_of_9 = 0;
    std::function<void(const MessageId& id)> on_acknowledged = {};
  };
  CarefulPublisher(runtime::Runtime& runtime, Workload& workload, Options options)
      : runtime_(runtime), workload_(workload), options_(std::move(options)) {}

  // Nothing waits for an answer; no packet identifier is free.
  bool idle() const { return pending_.empty(); }
  bool full() const { return pending_.size() + 2 > kPacketIds; }
  // What is not answered, on a new connection.
  void resend(MqttPeer& peer);
  // One more message, with the next sequence of some address. Not when full.
  MessageId send(MqttPeer& peer);
  // True if a message was refused.
  bool take(MqttPeer& peer, const mqtt::Packet& packet);

 private:
  // So few that each is soon used again.
  static constexpr std::uint16_t kPacketIds = 6;
  struct Pending {
    MessageId id;
    std::uint16_t packet_id;
    std::uint8_t qos;
    bool released;
    Time sent_at;
    int copies = 1;  // of PUBLISH on this connection that have not been refused
  };
  using Place = std::deque<Pending>::iterator;

  void publish(MqttPeer& peer, const MessageId& id, std::uint8_t qos, std::uint16_t packet_id, bool dup);
  std::uint8_t draw_qos();
  Place find(std::uint16_t packet_id, std::uint8_t qos);
  std::uint16_t free_packet_id();
  void acknowledged(const MessageId& id);
  bool settle(Place found, mqtt::ReasonCode reason);

  runtime::Runtime& runtime_;
  Workload& workload_;
  const Options options_;
  std::deque<Pending> pending_;       // in order of sending
  std::vector<MessageId> sent_once_;  // with QoS 0, on this connection
  std::map<std::uint32_t, std::uint64_t> last_sequence_;
};

}  // namespace stele::sim
