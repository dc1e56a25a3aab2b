// What brokers know of each other's subscriptions (RouteFeed, RouteFollower, ShardKnowledge), and the way
// between them. Lives on core 0 of a node of a cluster.
//
// News of this node's cores come here first, and go from here to all its cores and to the other nodes; what
// they tell goes from here to all cores. So each core applies the same changes in the same order.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "broker/place.h"
#include "broker/route_feed.h"
#include "broker/route_follower.h"
#include "broker/shard_knowledge.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/notification.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::broker {

class Core;

class RouteSharing {
 public:
  explicit RouteSharing(Core& core);

  // In the order in which core `from` tells it.
  void tell(CoreId from, std::vector<RouteNews> news);
  // Complete when every core here, and every broker whose incarnation has not ended, knows all that was told
  // before; or when it is given up.
  runtime::Task<void> everybody_knows();
  // What another node tells. None: it is not for this process, or of one that is over.
  runtime::Task<std::optional<RouteBatchAnswer>> take(NodeId source, RouteBatch batch);
  void on_view(const meta::MetaView& view);
  // Whether all is known that is needed to take anything from clients: what every broker told of itself, and
  // of every shard what its owner, as of the beginning of this one or later, told.
  bool complete() const;
  runtime::Task<void> wait_until_complete();
  // This node is another incarnation now. Who waits in everybody_knows() is let go: his client is sent away.
  void begin_anew();
  void give_up();
  runtime::Task<void> close();

  std::uint64_t version() const { return feed_->version(); }
  std::size_t followers() const { return known_.size(); }

 private:
  struct Known {  // another broker
    std::uint64_t incarnation = 0;
    std::unique_ptr<RouteFollower> follower;
    bool lives = false;
  };
  void apply(Place from, std::vector<RouteNews> changes);
  runtime::Task<void> feed(FollowerId to);
  bool follows(const FollowerId& id) const;

  Core& core_;
  std::unique_ptr<RouteFeed> feed_;
  ShardKnowledge shards_;
  std::vector<Epoch> epochs_;  // of all shards, when this incarnation began
  std::map<NodeId, Known> known_;
  runtime::Notification news_;      // for those who send
  runtime::Notification progress_;  // somebody has acknowledged, or told, something
  bool given_up_ = false;
  runtime::Scope scope_;  // last
};

}  // namespace stele::broker
