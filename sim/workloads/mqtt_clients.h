// What the MQTT clients of a workload share.
#pragma once

#include <cstdint>
#include <string>

#include "protocols/mqtt/packet.h"
#include "runtime/runtime.h"
#include "sim/workloads/ledger.h"

namespace stele::sim {

std::string sensor_topic(const MessageId& id);
// Most payloads are small, some large enough to take other paths.
std::string payload_of(const MessageId& id);
// A receiver's name, and that of its order: what has QoS 0 does not wait for a queue, and order is that of
// one QoS [MQTT-4.6.0-5].
std::string order_of(const std::string& client_id, const mqtt::Publish& publish);
runtime::Duration short_pause(runtime::Runtime& runtime, std::int64_t max_ms);

}  // namespace stele::sim
