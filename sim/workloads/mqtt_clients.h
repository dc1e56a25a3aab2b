// What the MQTT clients of a workload share.
#pragma once

#include <cstdint>
#include <string>

#include "protocols/mqtt/packet.h"
#include "runtime/runtime.h"
#include "sim/workloads/ledger.h"
#include "sim/workloads/mqtt_peer.h"

namespace stele::sim {

std::string sensor_topic(const MessageId& id);
// Most payloads are small, some large enough to take other paths.
std::string payload_of(const MessageId& id);
// A receiver's name, and that of its order: what has QoS 0 does not wait for a queue, and order is that of
// one QoS [MQTT-4.6.0-5].
std::string order_of(const std::string& client_id, const mqtt::Publish& publish);
// For a subscriber that would wait for ever: asks whether the broker is still there, after a while in which
// nothing came. False if it did not answer the last time: a reset may have been lost.
bool is_alive(MqttPeer& peer, bool& pinged);
runtime::Duration short_pause(runtime::Runtime& runtime, std::int64_t max_ms);

}  // namespace stele::sim
