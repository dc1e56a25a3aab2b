// RouteFollower: takes what one node tells of where messages go (the batches of its RouteFeed) and gives what
// changes by it here.
//
// While a snapshot is heard, what was known before stays; when it is complete, what it did not tell goes. So
// an interest that the source has all the time is never unknown, and a snapshot is no reason to forget
// anything. What shards want is judged over all sources: see ShardKnowledge.
//
// Whoever calls applies the changes on every core, and then lets the answer leave: that a version is
// acknowledged is what a subscriber over there waits for. The batches of a source are taken and answered one
// behind the other.
//
// Pure; lives on one core.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/route_change.h"
#include "broker/shard_knowledge.h"
#include "model/ids.h"

namespace stele::broker {

class RouteFollower {
 public:
  // `incarnation`: of this node, who follows. `shards` is one for all sources and outlives this.
  RouteFollower(NodeId source, std::uint64_t incarnation, ShardKnowledge& shards)
      : source_(source), incarnation_(incarnation), shards_(shards) {}

  // What changes is added to `changes`, in the order in which it is to be applied: of shards as
  // ShardKnowledge gives it, and the live interest and share members of the source, each a change of what was
  // so until then. The answer; nothing if the batch is not for this incarnation, of one of the source that is
  // over, or came late: it is refused, and the source finds out why by itself.
  std::optional<RouteBatchAnswer> take(const RouteBatch& batch, std::vector<RouteNews>& changes);

  // That incarnation of the source is over, and so are all before it: its live subscribers and members of
  // shared subscriptions are gone, and none of its batches is taken any more. What its shards want stays.
  void source_ended(std::uint64_t source_incarnation, std::vector<RouteNews>& changes);

  // Whether everything has been heard that this incarnation of the source knew when this node began to
  // follow.
  bool complete(std::uint64_t source_incarnation) const {
    return complete_ && source_incarnation_ == source_incarnation;
  }
  NodeId source() const { return source_; }
  std::uint64_t version() const { return version_; }  // known of the source's current incarnation

 private:
  struct Key {
    RouteNews::Kind kind;
    TenantId tenant;
    std::string text;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Item {
    std::uint32_t number = 0;
    std::uint64_t snapshot = 0;  // that told it, or during or behind which it was told
  };
  bool follows(const RouteBatch& batch) const;
  void change(const RouteNews& news, std::vector<RouteNews>& changes);
  // What the latest snapshot has not told.
  void drop_untold(std::vector<RouteNews>& changes);

  const NodeId source_;
  const std::uint64_t incarnation_;
  ShardKnowledge& shards_;
  std::uint64_t ended_ = 0;               // incarnations of the source up to here are over
  std::uint64_t source_incarnation_ = 0;  // of the last batch taken; 0: none
  std::uint64_t number_ = 0;              // likewise
  std::uint64_t version_ = 0;
  std::uint64_t snapshot_ = 0;  // counts them
  bool in_snapshot_ = false;
  bool complete_ = false;
  std::map<Key, Item> items_;  // of the source as a whole
};

}  // namespace stele::broker
