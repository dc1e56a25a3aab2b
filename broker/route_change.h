// What nodes tell each other of where messages go: the news of a node, and the batches in which they travel.
//
// Each node tells every other, in one sequence of its own, what the shards that it owns are interested in,
// which filters have live subscribers on it, and how many members of shared subscriptions are connected to
// it. The telling side is RouteFeed (route_feed.h), the hearing side RouteFollower (route_follower.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/ids.h"

namespace stele::broker {

// One thing that a node tells. What a kind does not use is empty or 0. Kinds have the same numbers on the
// wire; whoever reads them there refuses others.
struct RouteNews {
  enum class Kind : std::uint8_t {
    // Of a shard, by its owner in `epoch`.
    kShardBegins = 1,  // what was told of it in lower epochs is over; all of it is told anew from here ...
    kSessionInterest = 2,  // filter `text`, `number` 1 or 0: whether persistent sessions want it
    kShareKeeps = 3,       // `$share/NAME/FILTER` `text`, whose home it is; 1 or 0: whether it has a queue
    kShardTold = 4,        // ... to here. Changes go on behind it.
    // Of the node as a whole: `shard` and `epoch` are 0.
    kLiveInterest = 5,  // filter `text`, 1 or 0: whether it has live subscribers
    kShareMembers = 6,  // `$share/NAME/FILTER` `text`, `number`: connected members
  };
  Kind kind = Kind::kShardBegins;
  ShardId shard{};
  Epoch epoch{};
  TenantId tenant{};
  std::string text{};
  std::uint32_t number = 0;
  friend bool operator==(const RouteNews&, const RouteNews&) = default;
  bool of_shard() const { return kind <= Kind::kShardTold; }
  // What limits count it as: about what it takes in memory, and more than on the wire.
  std::size_t bytes() const { return sizeof(RouteNews) + text.size(); }
};

// What a node tells one other node next. Its news are applied in order.
//
// A follower takes the batches of a source in the order of their numbers, each once. It begins with one that
// is `anew`, whatever it knew before; any other follows a certain batch (`after`), or is refused as a gap.
struct RouteBatch {
  std::uint64_t source_incarnation = 0;
  std::uint64_t follower_incarnation = 0;  // whom it is for: a successor on that node takes it not
  std::uint64_t number = 0;                // rises; from 1; of one source incarnation never used twice
  std::uint64_t after = 0;                 // the number of the batch before it for this follower
  // Increments: the versions of its news, dense; `first` is behind all that was told before. A piece of a
  // snapshot: both are the version up to which it is true; its news have no versions of their own.
  std::uint64_t first = 0, last = 0;
  bool anew = false;     // the first piece of a snapshot
  bool complete = true;  // the last piece of a snapshot; all increments. Then `last` is known.
  std::vector<RouteNews> news;
};

struct RouteBatchAnswer {
  std::uint64_t source_incarnation = 0;  // of the batch
  std::uint64_t number = 0;              // of the batch
  std::uint64_t version = 0;             // all that the source told up to here is applied
  bool gap = false;                      // not taken: what comes before it has not come; begin anew
};

}  // namespace stele::broker
