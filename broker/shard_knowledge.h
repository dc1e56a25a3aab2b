// ShardKnowledge: what the persistent sessions of every shard want, as one node has heard it of all nodes.
//
// Ownership moves while the feeds of old owners still speak. The rule: who began in the highest epoch is
// right. What is said in a lower epoch is ignored. What was heard before stays until the new owner has told
// everything, and then only what he did not tell goes: nothing that is wanted is unknown meanwhile. So what
// the shards of a node that has ended want stays too, until their next owners have told.
//
// Pure; lives on one core.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/route_change.h"
#include "model/ids.h"

namespace stele::broker {

class ShardKnowledge {
 public:
  explicit ShardKnowledge(std::uint32_t shard_count) : shards_(shard_count) {}

  // Of a shard, in the order in which `source` tells it; of the own node too. What it changes is added to
  // `changes`, in the order in which it is to be applied: session interest and share keeps, each of them a
  // change of what was so until then; and a shard that begins in a higher epoch than ever, at which nothing
  // is to be forgotten. What is told without a beginning, or of a shard that is not there, is ignored.
  void apply(NodeId source, const RouteNews& news, std::vector<RouteNews>& changes);

  // Whether of every shard all has been heard that an owner in that epoch, by shard number, or in a higher
  // one had to tell.
  bool complete(std::span<const Epoch> epochs) const;
  // The highest epoch of which that is so; none yet.
  std::optional<Epoch> told(ShardId shard) const { return shards_.at(shard.value).told; }
  // The highest epoch that has begun.
  std::optional<Epoch> begun(ShardId shard) const { return shards_.at(shard.value).begun; }

 private:
  struct Key {
    RouteNews::Kind kind;
    TenantId tenant;
    std::string text;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Shard {
    std::optional<Epoch> begun, told;
    NodeId owner;                         // who began
    std::uint64_t telling = 0;            // counts the beginnings that were heard, those told again included
    bool whole = false;                   // and this one to its end
    std::map<Key, std::uint64_t> wanted;  // and which telling said so last
  };
  static Key key_of(const RouteNews& news) { return {news.kind, news.tenant, news.text}; }
  static void begin(Shard& shard, NodeId source, const RouteNews& news, std::vector<RouteNews>& changes);
  static void end_telling(Shard& shard, const RouteNews& news, std::vector<RouteNews>& changes);
  static void hear_old_owner(Shard& shard, const RouteNews& news, std::vector<RouteNews>& changes);
  static void change(Shard& shard, const RouteNews& news, std::uint64_t telling,
                     std::vector<RouteNews>& changes);

  std::vector<Shard> shards_;
};

}  // namespace stele::broker
