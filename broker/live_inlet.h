// Live copies of other nodes, as they come in at one core: finds out that some are missing (live_numbers.h),
// and has everybody sent away then who might have wanted them and is not told of it otherwise.
//
// Missing are those that are skipped, those of a node that is gone without having said that there are no
// more, and those that nobody knows of while a node that lives is not heard of.
//
// Lives on its core.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/result.h"
#include "broker/live_numbers.h"
#include "broker/peer_codec.h"
#include "model/ids.h"
#include "rpc/hello.h"
#include "runtime/time.h"

namespace stele::broker {

class Core;

class LiveInlet {
 public:
  // So long a node that lives may be without the connection over which one of its cores sends.
  static constexpr runtime::Duration kMissingFor = std::chrono::seconds(5);

  explicit LiveInlet(Core& core) : core_(core) {}

  // What comes over one connection, in its order. Delivers it, unless it is late.
  void take(const rpc::Peer& peer, wire::Live live);
  // The connection over which core `core` of the node has sent is gone.
  void on_gone(NodeId node, std::uint32_t core, std::uint64_t connection);
  // Of the node's clock, now and then.
  void tick();
  // This node is another incarnation now, and everybody has been sent away.
  void begin_anew() { streams_.clear(); }

  // ---- On core 0.
  // That was the last of one core of the node.
  void note_last(NodeId node, const LiveHead& head);
  // That incarnation of the node is over.
  void on_ended(NodeId node, std::uint64_t incarnation);

 private:
  struct Stream {  // of one core of another node
    LiveArrivals arrivals;
    std::uint64_t connection = 0;                   // by which it comes to this core; 0: by none
    std::optional<runtime::Instant> missing_since;  // that connection is gone
  };
  struct Farewell {
    std::uint64_t incarnation = 0;
    std::uint32_t of_cores = 0;
    std::set<std::uint32_t> cores;
  };
  void pass(NodeId node, std::uint32_t core, std::uint64_t process, std::uint64_t number);
  void forget(NodeId node);
  void send_away(const Error& why);

  Core& core_;
  std::map<std::pair<NodeId, std::uint32_t>, Stream> streams_;
  std::map<NodeId, Farewell> farewells_;  // on core 0
};

}  // namespace stele::broker
