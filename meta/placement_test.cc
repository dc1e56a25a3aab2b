#include "meta/placement.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/random.h"

namespace stele::meta {
namespace {

using Owners = std::map<ShardId, std::optional<NodeId>>;

std::vector<OwnedShard> list(const Owners& owners) {
  std::vector<OwnedShard> out;
  for (const auto& [shard, owner] : owners) out.push_back({shard, owner});
  return out;
}

std::map<NodeId, std::size_t> counts(const Owners& owners) {
  std::map<NodeId, std::size_t> out;
  for (const auto& [shard, owner] : owners) {
    if (owner) ++out[*owner];
  }
  return out;
}

TEST(PlaceOwners, GivesWhatNobodyHasToWhoHasLeast) {
  const std::vector<OwnerCandidate> nodes{
      {.node = NodeId(1)}, {.node = NodeId(2)}, {.node = NodeId(3), .serves = false}};
  const std::vector<OwnedShard> shards{
      {ShardId(0), NodeId(1)}, {ShardId(1), NodeId(1)}, {ShardId(2), NodeId(3)}, {ShardId(3), std::nullopt}};
  EXPECT_EQ(
      place_owners(nodes, shards, false, 0),
      (std::vector<OwnerMove>{{ShardId(2), NodeId(3), NodeId(2)}, {ShardId(3), std::nullopt, NodeId(2)}}));
}

TEST(PlaceOwners, NobodyServes) {
  const std::vector<OwnerCandidate> nodes{{.node = NodeId(1), .serves = false},
                                          {.node = NodeId(2), .weight = 0}};
  EXPECT_TRUE(place_owners(nodes, {{ShardId(0), NodeId(1)}}, true, 9).empty());
}

TEST(PlaceOwners, FollowsWeights) {
  Owners owners;
  for (std::uint32_t i = 0; i < 60; ++i) owners[ShardId(i)] = std::nullopt;
  const std::vector<OwnerCandidate> nodes{
      {.node = NodeId(1), .weight = 1}, {.node = NodeId(2), .weight = 2}, {.node = NodeId(3), .weight = 3}};
  for (const OwnerMove& move : place_owners(nodes, list(owners), false, 0)) owners[move.shard] = move.to;
  EXPECT_EQ(counts(owners),
            (std::map<NodeId, std::size_t>{{NodeId(1), 10}, {NodeId(2), 20}, {NodeId(3), 30}}));
}

RC_GTEST_PROP(PlaceOwners, IsEvenInTheEndAndMovesNothingInVain, (std::uint64_t seed)) {
  runtime::Random random(seed);
  std::vector<OwnerCandidate> nodes;
  std::set<NodeId> serving;
  for (std::uint32_t id = 1; id <= 1 + random.below(6); ++id) {
    nodes.push_back({.node = NodeId(id), .serves = random.chance(3, 4)});
    if (nodes.back().serves) serving.insert(NodeId(id));
  }
  Owners owners;
  for (std::uint32_t i = 0, n = static_cast<std::uint32_t>(random.below(80)); i < n; ++i) {
    owners[ShardId(i)] =
        random.chance(1, 5) ? std::nullopt : std::optional(NodeId(1 + std::uint32_t(random.below(7))));
  }
  std::size_t rounds = 0;
  while (true) {
    const auto before = counts(owners);
    std::set<ShardId> moved;
    const std::size_t most = 1 + random.below(5);
    const auto moves = place_owners(nodes, list(owners), true, most);
    std::size_t balancing = 0;
    for (const OwnerMove& move : moves) {
      RC_ASSERT(owners.at(move.shard) == move.from);
      RC_ASSERT(serving.contains(move.to) && move.from != move.to);
      RC_ASSERT(moved.insert(move.shard).second);
      balancing += move.from && serving.contains(*move.from);
      owners[move.shard] = move.to;
    }
    RC_ASSERT(balancing <= most);
    if (serving.empty()) RC_ASSERT(moves.empty());
    for (const auto& [shard, owner] : owners) RC_ASSERT(serving.empty() || serving.contains(*owner));
    if (moves.empty()) break;
    RC_ASSERT(++rounds < 100u);
  }
  if (serving.empty()) return;
  std::size_t least = SIZE_MAX, most = 0;
  const auto now = counts(owners);
  for (const NodeId node : serving) {
    const std::size_t has = now.contains(node) ? now.at(node) : 0;
    least = std::min(least, has);
    most = std::max(most, has);
  }
  RC_ASSERT(most <= least + 1);
}

TEST(PlaceReplicas, OneIsNearAndZonesDiffer) {
  const std::vector<ReplicaCandidate> disks{{.node = NodeId(1), .disk = 10, .zone = "a", .load = 900},
                                            {.node = NodeId(2), .disk = 20, .zone = "a", .load = 1},
                                            {.node = NodeId(3), .disk = 30, .zone = "b", .load = 50},
                                            {.node = NodeId(4), .disk = 40, .zone = "c", .load = 60},
                                            {.node = NodeId(5), .disk = 50, .zone = "d", .takes = false}};
  EXPECT_EQ(place_replicas(disks, 3, NodeId(1), {}, 0),
            (std::vector<ReplicaPlace>{{NodeId(1), 10}, {NodeId(3), 30}, {NodeId(4), 40}}));
  // No zone is left: the one with the least.
  EXPECT_EQ(place_replicas(disks, 1, std::nullopt, {{NodeId(1), 10}, {NodeId(3), 30}, {NodeId(4), 40}}, 0),
            (std::vector<ReplicaPlace>{{NodeId(2), 20}}));
}

RC_GTEST_PROP(PlaceReplicas, AreOnDifferentNodesInAsManyZonesAsCanBe, (std::uint64_t seed)) {
  runtime::Random random(seed);
  std::vector<ReplicaCandidate> disks;
  std::set<NodeId> nodes;
  std::set<std::string> zones;
  for (std::uint32_t id = 1, n = 1 + std::uint32_t(random.below(8)); id <= n; ++id) {
    disks.push_back({.node = NodeId(id),
                     .disk = random.next(),
                     .zone = std::string(1, static_cast<char>('a' + random.below(4))),
                     .takes = random.chance(3, 4),
                     .load = random.below(3)});
    if (!disks.back().takes) continue;
    nodes.insert(NodeId(id));
    zones.insert(disks.back().zone);
  }
  const std::size_t count = random.below(6);
  const NodeId near(1 + std::uint32_t(random.below(9)));
  const auto places = place_replicas(disks, count, near, {}, random.next());
  RC_ASSERT(places.size() == std::min(count, nodes.size()));
  std::set<NodeId> used;
  std::set<std::string> in;
  for (const ReplicaPlace& place : places) {
    const auto disk = std::ranges::find(disks, place.node, &ReplicaCandidate::node);
    RC_ASSERT(disk != disks.end() && disk->takes && disk->disk == place.disk);
    RC_ASSERT(used.insert(place.node).second);
    in.insert(disk->zone);
  }
  RC_ASSERT(in.size() == std::min(places.size(), zones.size()));
  if (!places.empty() && nodes.contains(near)) RC_ASSERT(places.front().node == near);
}

TEST(PlaceReplicas, AreSpreadWhereAllIsEqual) {
  std::vector<ReplicaCandidate> disks;
  for (std::uint32_t id = 1; id <= 5; ++id) disks.push_back({.node = NodeId(id), .disk = id, .zone = {}});
  std::map<NodeId, int> used;
  for (std::uint64_t shard = 0; shard < 1000; ++shard) {
    for (const ReplicaPlace& place : place_replicas(disks, 3, std::nullopt, {}, shard)) ++used[place.node];
  }
  for (const auto& [node, times] : used) EXPECT_NEAR(times, 600, 100) << node.value;
}

}  // namespace
}  // namespace stele::meta
