// The knobs of an AMQP listener, and what it counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocols/amqp/frame.h"
#include "runtime/network.h"
#include "runtime/time.h"

namespace stele::amqp {

struct AmqpOptions {
  runtime::ListenOptions listen{};
  runtime::Transport* transport = nullptr;  // null: the network; outlives the listener
  // Of this listener, on this core. One more is closed as soon as it is accepted.
  std::size_t max_connections = 100'000;
  std::string_view version = "0.1";  // told to clients; outlives the listener

  runtime::Duration handshake_timeout = std::chrono::seconds(10);  // until connection.open is answered
  runtime::Duration close_timeout = std::chrono::seconds(30);      // for connection.close-ok to arrive
  runtime::Duration close_grace = std::chrono::seconds(5);         // for the last bytes to be taken
  runtime::Duration refuse_delay = std::chrono::seconds(1);        // before who failed to log in is cut off

  // connection.tune: the client may choose less.
  std::uint32_t frame_max = 128 << 10;  // bytes; 0: no limit
  std::uint16_t channel_max = 2047;     // 0: no limit
  std::uint16_t heartbeat_s = 60;       // the client decides
  std::uint32_t initial_frame_max = kFrameMinSize;

  // What a client may send.
  std::uint64_t max_message_bytes = 16 << 20;  // of a body
  std::size_t max_input_bytes = 256 << 20;     // incomplete bodies of all connections together
  std::size_t max_unanswered = 4096;           // publishes of a connection; then its input waits
  std::size_t max_tx_messages = 10'000;        // of a channel's transaction
  std::size_t max_tx_bytes = 32 << 20;

  // What waits for a client.
  std::size_t max_consumers = 1024;        // of a channel
  std::size_t max_unsettled = 100'000;     // of a channel; then nothing more is delivered, or got
  std::size_t max_output_bytes = 1 << 20;  // unsent; then nothing more is delivered
};

// Of one listener. Written on its core only.
struct AmqpCounters {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // too many, or stopping
  std::uint64_t opened = 0;   // connection.open-ok was sent
  std::uint64_t login_refused = 0;
  std::size_t connections = 0;  // now
  std::size_t channels = 0;     // now
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t published = 0;
  std::uint64_t returned = 0;
  std::uint64_t confirmed = 0;  // acks and nacks, folded or not
  std::uint64_t delivered = 0;  // basic.deliver and get-ok
  std::uint64_t settled = 0;
  std::uint64_t channel_errors = 0;     // channel.close that we sent
  std::uint64_t connection_errors = 0;  // connection.close that we sent, and handshakes that failed
  std::uint64_t handshake_timeouts = 0;
  std::uint64_t heartbeat_timeouts = 0;
};

}  // namespace stele::amqp
