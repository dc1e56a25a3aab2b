// What a core has to do with brokers of other nodes (docs/cluster.md): the links by which it asks them, the
// lanes of what is published here, who serves what they ask, and, on core 0, the sharing of routes. A node
// alone has none of it.
//
// Lives on its core.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "broker/lanes.h"
#include "broker/live_inlet.h"
#include "broker/peer_link.h"
#include "broker/peer_server.h"
#include "broker/place.h"
#include "broker/route_sharing.h"
#include "meta/types.h"
#include "rpc/hello.h"
#include "rpc/peers.h"
#include "rpc/server.h"

namespace stele::broker {

// Between brokers: so often is said that one is there, and after so long nobody is.
inline constexpr runtime::Duration kLinkPing = std::chrono::milliseconds(500);
inline constexpr runtime::Duration kLinkSilence = std::chrono::seconds(3);

// How the brokers of a cluster reach each other.
struct ClusterOptions {
  rpc::Identity self;
  rpc::ChannelOptions channel;
  rpc::Peers::DialFor dial;
};

class Cluster final : private Lanes::Host {
 public:
  // `server`: of this core. Addresses of other nodes are those of the listener `rpc` in the view.
  Cluster(Core& core, ClusterOptions options, PeerServer& server);
  ~Cluster();

  // Null: no such node, or it has no address.
  PeerLink* link(NodeId node);
  Lanes& lanes() { return lanes_; }
  PeerServer& server() { return server_; }
  LiveInlet& inlet() { return inlet_; }
  RouteSharing& routes();  // on core 0
  bool shares_routes() const { return routes_ != nullptr; }

  void on_view(const meta::MetaView& view);
  // Now and then.
  void tick();
  void forget(std::uint64_t attachment);
  // Whoever waits for another node is answered.
  void give_up();
  runtime::Task<void> close();

 private:
  // Lanes::Host
  runtime::Runtime& runtime() override;
  std::optional<Place> place_of(ShardId shard) const override;
  Error nobody_owns(ShardId shard) const override;
  void send(Place to, DataMail mail) override;
  void answer(DataAnswerMail answer) override;

  Core& core_;
  rpc::Peers channels_;
  std::map<NodeId, std::unique_ptr<PeerLink>> links_;
  Lanes lanes_;
  PeerServer& server_;
  LiveInlet inlet_;
  std::unique_ptr<RouteSharing> routes_;
  std::optional<runtime::Instant> cut_off_since_;  // this node accepts nothing, as its lease is over
};

}  // namespace stele::broker
