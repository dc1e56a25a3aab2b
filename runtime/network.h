// Stream sockets (TCP), as a core sees them. Callback-driven: a connection hands every byte it has to its
// handler, the handler parses all complete frames at once, and what it writes leaves in one go at the end of
// the loop turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/stop.h"
#include "runtime/task.h"
#include "runtime/time.h"

namespace stele::runtime {

struct Endpoint {
  std::string host;  // an address or a name; IPv6 without brackets
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  std::string to_string() const;
};
// "HOST:PORT", "[V6]:PORT".
Result<Endpoint> parse_endpoint(std::string_view text);
// 127.0.0.0/8, ::1, localhost.
bool is_loopback(std::string_view host);

// What a connection calls. Every call comes from the connection's core, never from within one of its own
// methods, and may destroy the connection.
class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;

  // Where the next bytes go: a span of the handler's own buffer, when it knows how much a large frame still
  // lacks; empty for the core's shared slab. Bytes read into the handler's buffer come with on_data as well.
  virtual std::span<char> read_buffer() { return {}; }
  // Bytes arrived. `data` is a slice of the core's slab (keeping it keeps the slab) or of the handler's own
  // span, in which case it owns nothing.
  virtual void on_data(Bytes data) = 0;
  // Output fell to the low-water mark after write() had brought it above: once each time, in a later turn,
  // also when the socket took everything at once.
  virtual void on_drained() {}
  // The connection ended: by the peer's close or reset (kClosed), by an error, or by close() here
  // (kCancelled). Last call.
  virtual void on_closed(const Error& why) = 0;
};

// One connection. Owned by whoever accepted or opened it; destroying it closes it at once, with no further
// call.
class Connection {
 public:
  virtual ~Connection() = default;

  // Must be called once, in the turn in which the connection was obtained, before bytes arrive.
  virtual void start(ConnectionHandler& handler) = 0;

  // Queues bytes for the end of the turn. The first form copies (small frames share a buffer), the second
  // keeps the slice. Silently ignored once the connection ended. The queue is not bounded here: check
  // queued_bytes(), and stop producing while it is above the limit; on_drained() tells when it fell to
  // `low_water_bytes`.
  virtual void write(std::string_view copied) = 0;
  virtual void write(Bytes slice) = 0;
  virtual std::size_t queued_bytes() const = 0;
  static constexpr std::size_t kDefaultLowWater = 64 << 10;
  virtual void set_low_water(std::size_t bytes) = 0;

  // Back-pressure: no on_data while paused.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;

  // Sends what is queued, ends the outgoing side and waits for the peer to end its own, discarding what still
  // comes; then on_closed. `grace` bounds how long that may take. No on_data, on_drained or write after it.
  virtual void close(Duration grace) = 0;

  virtual Endpoint local() const = 0;
  virtual Endpoint remote() const = 0;
  // Who the peer has proven to be by itself, with a certificate; empty: it has not.
  virtual std::string_view peer_name() const { return {}; }
};

class AcceptHandler {
 public:
  virtual ~AcceptHandler() = default;
  virtual void on_accept(std::unique_ptr<Connection> connection) = 0;
};

// Listens until destroyed.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Endpoint local() const = 0;  // with the port that was given for port 0
};

struct ListenOptions {
  int backlog = 1024;
  bool share_port = false;  // SO_REUSEPORT: each core of a process listens on the same endpoint
};

// Where connections come from: the network itself, or something between it and whoever serves them.
class Transport {
 public:
  virtual ~Transport() = default;
  // kAddressInUse, kUnauthorized, kInvalidArgument (no such local address).
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& at, ListenOptions options,
                                                   AcceptHandler& handler) = 0;
};

class Network : public Transport {
 public:
  // kRefused, kTimedOut (at once if `timeout` is not positive), kCancelled (in a later turn than the stop),
  // kNotFound (name does not resolve), kUnavailable (no route).
  virtual Task<Result<std::unique_ptr<Connection>>> connect(Endpoint to, Duration timeout,
                                                            StopToken stop) = 0;
};

}  // namespace stele::runtime
