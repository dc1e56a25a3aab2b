// The knobs of an MQTT listener, and what it counts.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "runtime/network.h"
#include "runtime/time.h"

namespace stele::mqtt {

struct MqttOptions {
  runtime::ListenOptions listen{};
  runtime::Transport* transport = nullptr;  // null: the network; outlives the listener
  // Of this listener, on this core. One more is closed as soon as it is accepted.
  std::size_t max_connections = 100'000;
  runtime::Duration connect_timeout = std::chrono::seconds(10);  // for CONNECT to arrive
  runtime::Duration close_grace = std::chrono::seconds(5);       // for the last bytes to be taken

  // What a client may send.
  std::uint32_t max_packet_size = 16 << 20;           // announced; of a PUBLISH
  std::uint32_t max_control_packet_size = 512 << 10;  // of anything else
  std::size_t max_input_bytes = 256 << 20;            // incomplete packets of all connections together
  // QoS 1 and 2 that is not answered, QoS 2 until PUBCOMP. Announced; 5.0 only: else only back-pressure
  // bounds QoS 1, and this QoS 2:
  std::uint16_t receive_maximum = 1024;
  std::uint16_t max_unreleased = 16'384;
  std::uint16_t max_topic_alias = 16;               // announced; and of ours to the client, if it takes more
  std::uint16_t max_keep_alive_s = 0;               // 0: as long as the client wants, and not at all
  std::uint32_t max_session_expiry_s = UINT32_MAX;  // UINT32_MAX: never

  // What waits for a client.
  std::uint16_t max_in_flight = 512;  // QoS > 0 of a kept session, unacknowledged; the client may want fewer
  std::size_t max_queue_messages = 10'000;  // live QoS > 0 that finds no place in the client's window or in
  std::size_t max_queue_bytes = 8 << 20;    // the output; then the oldest of it is dropped
  std::size_t max_output_bytes = 1 << 20;   // unsent; then QoS 0 is dropped and the rest waits
};

// Of one listener. Written on its core only.
struct MqttCounters {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;    // too many, or stopping
  std::uint64_t connected = 0;  // CONNACK said success
  std::uint64_t connect_refused = 0;
  std::uint64_t login_refused = 0;  // of them, for user name or password
  std::size_t connections = 0;      // now

  std::array<std::uint64_t, 16> packets_in{};  // by PacketType
  std::array<std::uint64_t, 16> packets_out{};
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;

  std::uint64_t protocol_errors = 0;  // connections ended for what the client sent
  std::uint64_t connect_timeouts = 0;
  std::uint64_t keep_alive_timeouts = 0;
  std::uint64_t taken_over = 0;
  std::uint64_t sessions_lost = 0;
  std::uint64_t publish_refused = 0;  // by the broker

  std::uint64_t dropped_slow = 0;       // QoS 0 for a client that does not keep up
  std::uint64_t dropped_queue = 0;      // live QoS > 0, likewise
  std::uint64_t dropped_expired = 0;    // [MQTT-3.3.2-5]
  std::uint64_t dropped_too_large = 0;  // [MQTT-3.1.2-25]
};

}  // namespace stele::mqtt
