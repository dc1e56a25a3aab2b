// What the MQTT clients of a workload share.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "protocols/mqtt/packet.h"
#include "runtime/runtime.h"
#include "sim/workloads/ledger.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

struct Workload;

// A connection that stands.
struct Connected {
  std::unique_ptr<MqttPeer> peer;
  bool session_present = false;
};
// None, after a moment: there was no connection, or the broker refused it.
runtime::Task<std::optional<Connected>> come(runtime::Runtime& runtime, Workload& workload,
                                             std::string client_id, bool clean, std::uint32_t expiry_s,
                                             mqtt::Version version);
// With DISCONNECT or without.
void go(runtime::Runtime& runtime, MqttPeer& peer);
// A while from now, at which a client goes.
runtime::Instant stay(runtime::Runtime& runtime, std::int64_t max_ms);

bool is_success(mqtt::ReasonCode reason);

std::string sensor_topic(const MessageId& id);
// Most payloads are small, some large enough to take other paths.
std::string payload_of(const MessageId& id);
// A receiver's name, and that of its order: what has QoS 0 does not wait for a queue, and order is that of
// one QoS [MQTT-4.6.0-5].
std::string order_of(const std::string& client_id, const mqtt::Publish& publish);
// For a subscriber that would wait for ever: asks whether the broker is still there, after a while in which
// nothing came. False if it did not answer the last time: a reset may have been lost.
bool is_alive(MqttPeer& peer, bool& pinged);

}  // namespace stele::sim
