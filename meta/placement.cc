#include "meta/placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/hash.h"

namespace stele::meta {
namespace {

// How many shards those that serve have, and who has too many or too few for its weight.
class Shares {
 public:
  explicit Shares(const std::vector<OwnerCandidate>& nodes) {
    for (const OwnerCandidate& node : nodes) {
      if (node.serves && node.weight > 0) nodes_[node.node] = {.weight = node.weight};
    }
  }
  bool empty() const { return nodes_.empty(); }
  bool serves(std::optional<NodeId> node) const { return node && nodes_.contains(*node); }
  void add(NodeId node) { ++nodes_.at(node).shards; }
  void move(NodeId from, NodeId to) {
    --nodes_.at(from).shards;
    ++nodes_.at(to).shards;
  }
  // Who would have the least for its weight with one more.
  NodeId emptiest() const {
    return std::ranges::min_element(nodes_,
                                    [](const auto& a, const auto& b) {
                                      return less(a.second.shards + 1, a.second.weight, b.second.shards + 1,
                                                  b.second.weight);
                                    })
        ->first;
  }
  NodeId fullest() const {
    return std::ranges::max_element(nodes_,
                                    [](const auto& a, const auto& b) {
                                      return less(a.second.shards, a.second.weight, b.second.shards,
                                                  b.second.weight);
                                    })
        ->first;
  }
  // One shard more there would still be less than what is here.
  bool better(NodeId from, NodeId to) const {
    const Share &a = nodes_.at(from), &b = nodes_.at(to);
    return from != to && less(b.shards + 1, b.weight, a.shards, a.weight);
  }

 private:
  struct Share {
    std::uint64_t weight = 1;
    std::uint64_t shards = 0;
  };
  static bool less(std::uint64_t a, std::uint64_t a_weight, std::uint64_t b, std::uint64_t b_weight) {
    return a * b_weight < b * a_weight;
  }
  std::map<NodeId, Share> nodes_;
};

}  // namespace

std::vector<OwnerMove> place_owners(const std::vector<OwnerCandidate>& nodes,
                                    const std::vector<OwnedShard>& shards, bool balance,
                                    std::size_t max_moves) {
  Shares shares(nodes);
  std::vector<OwnerMove> moves;
  if (shares.empty()) return moves;
  std::vector<OwnedShard> now = shards;
  for (const OwnedShard& shard : now) {
    if (shares.serves(shard.owner)) shares.add(*shard.owner);
  }
  std::set<ShardId> moved;
  for (OwnedShard& shard : now) {
    if (shares.serves(shard.owner)) continue;
    const NodeId to = shares.emptiest();
    moves.push_back({shard.shard, shard.owner, to});
    moved.insert(shard.shard);
    shares.add(to);
    shard.owner = to;
  }
  while (balance && max_moves > 0) {
    const NodeId from = shares.fullest(), to = shares.emptiest();
    if (!shares.better(from, to)) break;
    const auto shard = std::ranges::find_if(
        now, [&](const OwnedShard& one) { return one.owner == from && !moved.contains(one.shard); });
    if (shard == now.end()) break;
    moves.push_back({shard->shard, from, to});
    moved.insert(shard->shard);
    shares.move(from, to);
    shard->owner = to;
    --max_moves;
  }
  return moves;
}

std::vector<ReplicaPlace> place_replicas(const std::vector<ReplicaCandidate>& disks, std::size_t count,
                                         std::optional<NodeId> near, const std::vector<ReplicaPlace>& besides,
                                         std::uint64_t seed) {
  std::map<std::string, std::size_t> zones;  // how many copies lie there
  std::set<NodeId> taken;
  for (const ReplicaPlace& place : besides) {
    taken.insert(place.node);
    const auto known = std::ranges::find(disks, place.node, &ReplicaCandidate::node);
    if (known != disks.end()) ++zones[known->zone];
  }
  std::vector<ReplicaPlace> out;
  while (out.size() < count) {
    const ReplicaCandidate* best = nullptr;
    const auto rank = [&](const ReplicaCandidate& disk) {
      const auto zone = zones.find(disk.zone);
      const bool first = out.empty() && disk.node == near;
      return std::tuple(!first, zone == zones.end() ? 0 : zone->second, disk.load,
                        Hasher().add(seed).add(disk.node.value).add(disk.disk).value(), disk.node, disk.disk);
    };
    for (const ReplicaCandidate& disk : disks) {
      if (!disk.takes || taken.contains(disk.node)) continue;
      if (!best || rank(disk) < rank(*best)) best = &disk;
    }
    if (!best) break;
    out.push_back({best->node, best->disk});
    taken.insert(best->node);
    ++zones[best->zone];
  }
  return out;
}

}  // namespace stele::meta
