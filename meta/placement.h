// Where shards and the copies of segments go: by zone and load. Pure, and the same for the same input,
// whoever asks.
//
// Owners: every shard has one, on a node that serves; nodes have as many as their weight says, within one; a
// shard moves only if that is better afterwards. Replicas: on different nodes, in as many zones as there are,
// one where the writer is, the others where the least lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/ids.h"

namespace stele::meta {

// A node that may own shards.
struct OwnerCandidate {
  NodeId node;
  bool serves = true;  // false: its lease is over, or it is being drained: it gets nothing, and keeps nothing
  std::uint32_t weight = 1;  // its share of the shards; 0: none
};

struct OwnedShard {
  ShardId shard;
  std::optional<NodeId> owner;  // none: nobody, or one that is not known any more
};

struct OwnerMove {
  ShardId shard;
  std::optional<NodeId> from;
  NodeId to;
  friend bool operator==(const OwnerMove&, const OwnerMove&) = default;
};

// First what has no owner that serves, in the order of `shards`; then, if `balance`, moves between those that
// serve, each of which makes the shares more even. No more than `max_moves` of the latter. Nothing if nobody
// serves. A node is named once, and so is a shard.
std::vector<OwnerMove> place_owners(const std::vector<OwnerCandidate>& nodes,
                                    const std::vector<OwnedShard>& shards, bool balance,
                                    std::size_t max_moves);

// A disk that may hold segments.
struct ReplicaCandidate {
  NodeId node;
  std::uint64_t disk = 0;
  std::string zone;
  bool takes = true;       // false: it is not there, full, or being drained
  std::uint64_t load = 0;  // of what it holds; bytes, or whatever is the same for all
};

struct ReplicaPlace {
  NodeId node;
  std::uint64_t disk = 0;
  friend bool operator==(const ReplicaPlace&, const ReplicaPlace&) = default;
};

// `count` of them, fewer if there are not so many nodes that take something. `near`: where one should lie,
// first in the answer if it does. `besides`: where copies lie already, whose nodes are not taken and whose
// zones count as taken. `seed` spreads what is otherwise equal, e.g. the shard's number.
std::vector<ReplicaPlace> place_replicas(const std::vector<ReplicaCandidate>& disks, std::size_t count,
                                         std::optional<NodeId> near, const std::vector<ReplicaPlace>& besides,
                                         std::uint64_t seed);

}  // namespace stele::meta
