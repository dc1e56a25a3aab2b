// The network between hosts, and what is wrong with it.
//
// TCP, seen from outside: a connection carries bytes in order, in pieces that have nothing to do with the
// writes; between two hosts it takes time, and only so many bytes may be on the way (NetworkConfig). A path
// that is split holds what is sent over it until it heals or TCP gives up. A host without power answers
// nothing; one that came back resets what it no longer knows.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/network.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::sim {

class Core;
class ListenerOfCore;
class Socket;
class Stream;

// How often something met what is wrong.
struct FabricEffects {
  std::uint64_t cut = 0;            // connections
  std::uint64_t half_open = 0;      // connections
  std::uint64_t stalled = 0;        // pieces of a connection's bytes, as it carries nothing
  std::uint64_t held = 0;           // pieces of a connection's bytes, by a split
  std::uint64_t isolated = 0;       // likewise, as a host is isolated
  std::uint64_t slowed = 0;         // pieces on a slow link
  std::uint64_t jittered = 0;       // pieces that took longer
  std::uint64_t throttled = 0;      // times that a tiny window was full
  std::uint64_t closed_late = 0;    // ends and resets
  std::uint64_t corrupted = 0;      // pieces
  std::uint64_t refused = 0;        // connection attempts by a host told to refuse them
  std::uint64_t unanswered = 0;     // connection attempts that found a full backlog
  std::uint64_t slow_connects = 0;  // connection attempts
  std::uint64_t unresolved = 0;     // names
};

class Fabric {
 public:
  explicit Fabric(World& world) : world_(world) {}
  ~Fabric();

  // --- Faults. Between a host and itself nothing is ever wrong.
  void split_one_way(const Host& from, const Host& to);
  void split(const Host& a, const Host& b) {
    split_one_way(a, b);
    split_one_way(b, a);
  }
  void heal_one_way(const Host& from, const Host& to);
  void heal(const Host& a, const Host& b) {
    heal_one_way(a, b);
    heal_one_way(b, a);
  }
  // Latency times `factor`, bandwidth divided by it; 1 is normal.
  void slow(const Host& a, const Host& b, std::uint32_t factor);
  // Resets one connection between them, chosen by draw, or all. Gives how many.
  std::size_t cut(const Host& a, const Host& b, runtime::Random& random);
  std::size_t cut_all(const Host& a, const Host& b);
  // One end of a connection, chosen by draw, is reset, and the other hears nothing. Gives how many.
  std::size_t half_open(const Host& a, const Host& b, runtime::Random& random);
  // One connection, chosen by draw, carries nothing until resume_all(). Gives how many.
  std::size_t stall_one(const Host& a, const Host& b, runtime::Random& random);
  void resume_all(const Host& a, const Host& b);
  void jitter(const Host& a, const Host& b, Duration up_to);             // zero is normal
  void limit_window(const Host& a, const Host& b, std::size_t bytes);    // SIZE_MAX is normal
  void close_late(const Host& a, const Host& b, Duration up_to);         // zero is normal
  void corrupt(const Host& from, const Host& to, std::uint32_t pieces);  // a bit in each of the next ones
  void isolate(const Host& host, bool is);                               // split from all others
  void refuse(const Host& host, bool refuses);                           // new connections
  void fill_backlog(const Host& host, bool is);                          // new connections are not answered
  void slow_connects(const Host& host, Duration up_to);                  // to it; zero is normal
  void unresolvable(const std::string& name, bool is);
  void heal_all();
  bool is_split(const Host& from, const Host& to) const;
  // Established connections between the two, not counting what is half-open.
  std::size_t connections(const Host& a, const Host& b) const;

  const FabricEffects& effects() const { return effects_; }

  // --- For the parts of the engine.
  FabricEffects& count() { return effects_; }
  World& world() { return world_; }
  bool path_open(const Host& from, const Host& to) const;
  Duration latency(const Host& from, const Host& to);
  std::uint64_t bytes_per_second(const Host& from, const Host& to) const;
  std::size_t window_bytes(const Host& from, const Host& to) const;
  bool tiny_window(const Host& from, const Host& to) const;
  Duration closing_takes(const Host& from, const Host& to);      // besides the latency
  Bytes carried(const Host& from, const Host& to, Bytes bytes);  // as they arrive
  void count_held(const Host& from, const Host& to);
  bool backlog_full(const Host& host) const { return full_.contains(host.id().value); }
  Duration connecting_takes(const Host& to);  // besides the latency
  void paths_changed();
  void process_gone(Process& process, CrashMode mode);

  struct Target {
    Host* host;
    std::string address;
  };
  // kNotFound, kUnavailable.
  Result<Target> resolve(const Host& from, const std::string& name);
  static bool is_address(std::string_view name);
  Result<std::unique_ptr<runtime::Listener>> listen(Core& core, const runtime::Endpoint& at,
                                                    runtime::ListenOptions options,
                                                    runtime::AcceptHandler& handler);
  // The listener that a new connection to it reaches, by draw where several share the port; null: refused.
  ListenerOfCore* listener_at(const Target& target, std::uint16_t port);
  void remove(ListenerOfCore& listener);
  std::shared_ptr<Stream> make_stream(Core& client, const Target& server, std::uint16_t port);
  // Forgets the stream once nothing is left of it.
  void tidy(Stream& stream);

 private:
  struct Link {
    bool split = false;
    std::uint32_t slowness = 1;
    Duration jitter{};
    std::size_t window = SIZE_MAX;
    Duration close_delay{};
    std::uint32_t corrupt = 0;
  };
  using Pair = std::pair<std::uint32_t, std::uint32_t>;
  const Link* link(const Host& from, const Host& to) const;
  Link* link(const Host& from, const Host& to);
  template <class T>
  void set_both_ways(const Host& a, const Host& b, T Link::* what, T value);
  std::vector<Stream*> between(const Host& a, const Host& b) const;
  std::uint16_t free_port(const Host& host);

  World& world_;
  FabricEffects effects_;
  std::map<Pair, Link> links_;
  std::set<std::uint32_t> isolated_;
  std::set<std::uint32_t> refusing_;
  std::set<std::uint32_t> full_;
  std::map<std::uint32_t, Duration> slow_to_connect_;
  std::set<std::string> unresolvable_;
  std::map<Pair, std::vector<ListenerOfCore*>> listeners_;  // by (host, port)
  std::map<std::uint64_t, std::shared_ptr<Stream>> streams_;
  std::map<std::uint32_t, std::uint32_t> next_port_;
  std::map<std::uint32_t, std::uint32_t> next_ephemeral_port_;
  std::uint64_t next_stream_ = 1;
};

class NetworkOfCore final : public runtime::Network {
 public:
  explicit NetworkOfCore(Core& core) : core_(core) {}
  Result<std::unique_ptr<runtime::Listener>> listen(const runtime::Endpoint& at,
                                                    runtime::ListenOptions options,
                                                    runtime::AcceptHandler& handler) override;
  runtime::Task<Result<std::unique_ptr<runtime::Connection>>> connect(runtime::Endpoint to, Duration timeout,
                                                                      runtime::StopToken stop) override;

 private:
  Core& core_;
};

}  // namespace stele::sim
