// A relay between the clients of a field run and the node: TCP connections that can be cut, stalled, slowed
// down and refused as a network does it. No byte of a connection is ever lost or out of place; it comes late,
// or the connection is reset.
//
// Has a thread of its own, and sockets that are not those of runtime/: what is tested does not carry the
// test. Every method may be called from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"

namespace stele::field {

enum class Direction : std::uint8_t { kToNode, kToClients };

struct RelayOptions {
  std::uint64_t seed = 1;
  std::size_t services = 1;  // listeners, each for one port of the node
  // How long bytes are under way when nothing is wrong: between nothing and this.
  std::chrono::microseconds latency_max{0};
  // So many are taken at a time.
  std::size_t chunk_bytes = 65536;
};

struct RelayCounts {
  std::uint64_t connections = 0, resets = 0, refused = 0;
  std::uint64_t bytes = 0;
  std::uint64_t held = 0;  // chunks that waited for a fault to end
};

class Relay {
 public:
  // Listens on free ports of 127.0.0.1.
  static Result<std::unique_ptr<Relay>> start(RelayOptions options);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::uint16_t port(std::size_t service) const;
  // Where the node listens for it. None: it does not, and connections are reset.
  void set_target(std::size_t service, std::optional<std::uint16_t> port);

  // Connections are reset: a drawn one, or all.
  void cut(bool all);
  // While held, bytes in that direction, and that a connection ended, stay where they are. Calls add up.
  void hold(Direction direction);
  void release(Direction direction);
  // Bytes take so many times as long as usual; 1 is normal.
  void set_slowness(std::uint64_t times);
  // New connections are refused. Calls add up.
  void refuse(bool yes);
  // The node's side of all connections is gone, and the clients hear nothing of it for so long: then a reset.
  void fall_silent(std::chrono::milliseconds how_long);
  // Nothing is held, refused, slow or silent any more; what was silent is reset.
  void heal();

  RelayCounts counts() const;

 private:
  class Inside;
  explicit Relay(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace stele::field
