// The nodes of route_model_test.cc: what each said, what it heard and applied, and rules for that.
#pragma once

#include <rapidcheck.h>

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broker/route_feed.h"
#include "broker/route_follower.h"

namespace stele::broker::testing {

using Kind = RouteNews::Kind;

// Of a shard in an epoch, or of the node (shard and epoch 0).
struct Said {
  ShardId shard;
  Epoch epoch;
  Kind kind;
  std::string text;
  friend auto operator<=>(const Said&, const Said&) = default;
};
inline Said said_by(const RouteNews& news) {
  return {news.shard, news.epoch, news.kind, news.text};
}

// What a feed said of one thing over time.
struct Past {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> values;  // version, number
  std::uint64_t on_since = 0;                                   // version; 0: it is off
};

using OfShard = std::pair<Kind, std::string>;
struct Wanted {
  std::uint64_t serial = 0;
  bool confirmed = false;
};

struct Applied {
  std::set<std::tuple<ShardId, Kind, std::string>> shards;
  std::map<ShardId, Epoch> begun;
  std::map<NodeId, std::map<OfShard, std::uint32_t>> nodes;
  bool has(ShardId shard, const OfShard& thing) const {
    return shards.contains({shard, thing.first, thing.second});
  }
  std::uint32_t number(NodeId node, const OfShard& thing) const {
    const auto of = nodes.find(node);
    if (of == nodes.end()) return 0;
    const auto found = of->second.find(thing);
    return found == of->second.end() ? 0 : found->second;
  }
};

struct Ownership {
  Epoch epoch;
  std::vector<OfShard> to_tell;
  bool told = false;
};

struct Node {
  NodeId id;
  std::uint64_t incarnation = 0;
  bool up = false;
  // As a source.
  std::unique_ptr<RouteFeed> feed;
  std::map<Said, Past> past;
  std::map<OfShard, std::map<CoreId, std::uint32_t>> own;  // of the node as a whole
  std::map<OfShard, Wanted> own_wanted;
  std::map<ShardId, Ownership> owns;  // or believes to
  // As a follower.
  std::unique_ptr<ShardKnowledge> shards;
  std::map<NodeId, std::unique_ptr<RouteFollower>> sources;
  std::map<NodeId, std::uint64_t> previous_last;  // of the last batch taken
  std::map<NodeId, std::uint64_t> seen;           // whom it has as a follower
  Applied applied;
  bool accepting = false;
};

struct Waiting {  // to be confirmed
  NodeId node;
  std::uint64_t incarnation;
  std::uint64_t version;
  std::optional<ShardId> shard;
  OfShard thing;
  std::uint64_t serial;
};

struct Packet {
  NodeId from;
  FollowerId to;
  std::shared_ptr<const RouteBatch> batch;
};
struct AnswerPacket {
  NodeId to;
  FollowerId from;
  RouteBatchAnswer answer;
};

inline bool eternal(const OfShard& thing) {
  return thing.second.starts_with('e');
}

inline bool missing(const Node& at, NodeId source, const RouteNews& news) {
  const OfShard thing(news.kind, news.text);
  return news.of_shard() ? !at.applied.has(news.shard, thing) : at.applied.number(source, thing) == 0;
}
inline void check_not_on_since(const Node& source, const RouteNews& change, std::uint64_t version) {
  const auto past = source.past.find(said_by(change));
  RC_ASSERT((past == source.past.end() || past->second.on_since == 0 || past->second.on_since > version));
}

inline void apply(Node& at, NodeId source, const RouteNews& change) {
  Applied& applied = at.applied;
  if (change.kind == Kind::kShardBegins) {
    RC_ASSERT((!applied.begun.contains(change.shard) || applied.begun[change.shard] < change.epoch));
    applied.begun[change.shard] = change.epoch;
    return;
  }
  const OfShard thing(change.kind, change.text);
  if (!change.of_shard()) {
    std::uint32_t& number = applied.nodes[source][thing];
    RC_ASSERT(number != change.number);
    number = change.number;
    return;
  }
  RC_ASSERT(change.kind != Kind::kShardTold);
  if (change.number > 0) {
    RC_ASSERT(applied.shards.emplace(change.shard, change.kind, change.text).second);
  } else {
    RC_ASSERT(change.epoch == applied.begun.at(change.shard));
    RC_ASSERT(!eternal(thing));
    RC_ASSERT(applied.shards.erase({change.shard, change.kind, change.text}) == 1);
  }
}

// That each thing is as it was at that version, or at a later one.
inline void check_acknowledged(const Node& source, const Node& at, std::uint64_t version) {
  for (const auto& [said, past] : source.past) {
    if (said.kind == Kind::kShardBegins || said.kind == Kind::kShardTold) continue;
    std::uint32_t number = 0;
    std::set<std::uint32_t> allowed;
    for (const auto& [when, value] : past.values) {
      if (when <= version) number = value;
      if (when > version) allowed.insert(value);
    }
    allowed.insert(number);
    const OfShard thing(said.kind, said.text);
    if (said.kind == Kind::kLiveInterest || said.kind == Kind::kShareMembers) {
      RC_ASSERT(allowed.contains(at.applied.number(source.id, thing)));
      continue;
    }
    // Only who began last is right.
    const auto begun = at.applied.begun.find(said.shard);
    if (begun == at.applied.begun.end() || begun->second != said.epoch) continue;
    const bool has = at.applied.has(said.shard, thing);
    const auto told = source.past.find({said.shard, said.epoch, Kind::kShardTold, ""});
    const bool all_told = told != source.past.end() && told->second.on_since <= version;
    RC_ASSERT((has ? !all_told || allowed.contains(1) : allowed.contains(0)));
  }
}

}  // namespace stele::broker::testing
