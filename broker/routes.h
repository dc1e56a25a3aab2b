// Where a message goes, as one core sees it: which topics capture its address, which shards hold persistent
// sessions that want it, which cores of this node, and which other nodes, have live subscribers for it, which
// shared subscriptions do, and which shard is the address's own (the one that keeps its retained message). A
// coarse, versioned summary: the shards and cores match exactly.
//
// Pure; lives on one core. The broker keeps every core's copy the same before it confirms a subscription.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "broker/filter_trie.h"
#include "broker/live_match.h"
#include "broker/place.h"
#include "broker/string_map.h"
#include "model/ids.h"
#include "model/message.h"

namespace stele::broker {

// What routing needs of a topic.
struct RoutedTopic {
  TopicId id;
  TenantId tenant;
  std::string name;
  std::vector<std::string> captures;  // filters in MQTT form; empty: the address of its name
  KeyRule key;
  std::vector<ShardId> shards;          // of each partition
  std::int32_t capture_partitions = 1;  // the first so many take what is captured
  std::int32_t partition_of(const MessageView& message) const;
};

// A shared subscription: how many connected members each place has, who take turns, and whether it has a
// queue in its shard for what has QoS > 0.
class ShareRoute {
 public:
  ShareRoute(std::string_view text, ShardId home) : text_(Bytes::copy(text)), home_(home) {}
  const Bytes& text() const { return text_; }  // `$share/NAME/FILTER`
  ShardId home() const { return home_; }
  bool keeps = false;
  // Whether it gets live copies with that QoS.
  bool takes_live(std::uint8_t qos) const { return members_ > 0 && (qos == 0 || !keeps); }
  std::uint32_t members() const { return members_; }
  std::uint32_t members_here() const { return members_here_; }  // in this process
  void set_members(Place place, std::uint32_t members);
  // Whose turn it is. There must be a member.
  Place next();
  // Of those in this process.
  CoreId next_here();

 private:
  const Bytes text_;
  const ShardId home_;
  std::uint32_t members_ = 0, members_here_ = 0;
  std::uint32_t turn_ = 0;
  // Cores come first; with members only.
  absl::InlinedVector<std::pair<Place, std::uint32_t>, 4> places_;
};

struct Route {
  std::string address;
  std::uint64_t address_hash = 0;
  struct Capture {
    const RoutedTopic* topic;
    std::int32_t partition;  // where the key is the address; else -1: ask the topic
  };
  std::vector<Capture> captures;  // by topic id
  absl::InlinedVector<ShardId, 4> session_shards;
  absl::InlinedVector<Place, 4> live_places;  // cores come first
  absl::InlinedVector<ShareRoute*, 2> shares;
  ShardId address_shard;
  // The live subscribers of this core, as LiveTable::match gave them at `live_version`.
  absl::InlinedVector<LiveMatch, 1> live_here;
  std::uint64_t live_version = 0;
};

// The route last asked for, so that the next message to the same address costs a comparison.
struct RouteMemo {
  Route* route = nullptr;
  TenantId tenant;
  std::uint64_t generation = 0;
};

// The shard that an address, or a client id, belongs to.
ShardId shard_of(TenantId tenant, std::string_view text, std::uint32_t shard_count);

class RouteTable {
 public:
  explicit RouteTable(std::uint32_t shard_count) : shard_count_(shard_count) {}

  void set_topics(std::vector<RoutedTopic> topics);
  // Idempotent.
  void set_session_interest(ShardId shard, TenantId tenant, std::string_view filter, bool interested);
  void set_live_interest(Place place, TenantId tenant, std::string_view filter, bool interested);
  // Of shared subscriptions, by `$share/NAME/FILTER`: members connected at a place; whether it has a queue.
  void set_share_members(Place place, TenantId tenant, std::string_view share, std::uint32_t members);
  void set_share_keeps(TenantId tenant, std::string_view share, bool keeps);
  // A shard whose owner starts over says everything again.
  void forget_shard(ShardId shard);

  // Valid until the next call that is not const.
  Route& route(TenantId tenant, std::string_view address);
  Route& route(TenantId tenant, std::string_view address, RouteMemo& memo) {
    if (memo.generation != generation_ || memo.tenant != tenant || memo.route->address != address)
        [[unlikely]] {
      Route& found = route(tenant, address);  // may begin a generation
      memo = {&found, tenant, generation_};
    }
    return *memo.route;
  }
  // Keeps what matches; unless too many are kept already: then all are forgotten, and with them the routes.
  void keep_live(Route& route, std::span<const LiveMatch> matches, std::uint64_t version);
  const RoutedTopic* topic(TopicId id) const;
  // Null if it has neither members nor a queue.
  ShareRoute* share(TenantId tenant, std::string_view text);
  bool any_share(TenantId tenant) const;
  std::size_t shares() const { return share_numbers_.size(); }
  bool any_session_interest(TenantId tenant) const;
  bool any_live_interest(TenantId tenant) const;
  // Of the tenant's live subscribers, whatever they subscribe to. In order.
  std::vector<Place> live_places(TenantId tenant) const;

  std::uint32_t shard_count() const { return shard_count_; }

 private:
  struct Tenant {
    FilterTrie topics, sessions, live;
    std::map<Place, std::size_t> live_filters;                 // how many each place has
    FilterTrie shared;                                         // filter → number in share_numbers_
    std::map<std::string, std::uint64_t, std::less<>> shares;  // by their text: the number
    absl::flat_hash_map<std::string_view, std::unique_ptr<Route>, StringHash, std::equal_to<>> cache;
  };
  // More addresses than this are not remembered: the cache starts over.
  static constexpr std::size_t kMaxCached = 65536;
  // Live matches that all routes together keep.
  static constexpr std::size_t kMaxLiveKept = 1 << 20;
  Tenant& tenant(TenantId id) { return tenants_[id]; }
  void forget_routes(Tenant& tenant);
  ShareRoute& make_share(TenantId tenant, std::string_view text);
  void drop_share_if_unused(TenantId tenant, std::string_view text);
  std::unique_ptr<Route> resolve(Tenant& tenant, TenantId id, std::string_view address);

  const std::uint32_t shard_count_;
  std::map<TenantId, Tenant> tenants_;
  std::map<TopicId, RoutedTopic> topics_;
  std::map<std::uint64_t, std::unique_ptr<ShareRoute>> share_numbers_;
  std::uint64_t next_share_number_ = 1;
  // What each shard is interested in, so that it can be forgotten.
  std::map<ShardId, std::map<TenantId, std::vector<std::string>>> interests_;
  std::vector<FilterTrie::Match> matches_;  // scratch
  std::uint64_t generation_ = 1;            // of the routes: those of an earlier one are gone
  std::size_t live_kept_ = 0;
};

}  // namespace stele::broker
