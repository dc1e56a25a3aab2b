// Where a message goes, as one core sees it: which topics capture its address, which shards hold persistent
// sessions that want it, which cores have live subscribers for it, and which shard is the address's own (the
// one that keeps its retained message). A coarse, versioned summary: the shards and cores match exactly.
//
// Pure; lives on one core. The broker keeps every core's copy the same before it confirms a subscription.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/filter_trie.h"
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
  std::vector<ShardId> shards;  // of each partition
  std::int32_t partition_of(const MessageView& message) const;
};

struct Route {
  struct Capture {
    const RoutedTopic* topic;
    std::int32_t partition;  // where the key is the address; else -1: ask the topic
  };
  std::vector<Capture> captures;  // by topic id
  absl::InlinedVector<ShardId, 4> session_shards;
  absl::InlinedVector<CoreId, 4> live_cores;
  ShardId address_shard;
};

// The shard that an address, or a client id, belongs to.
ShardId shard_of(TenantId tenant, std::string_view text, std::uint32_t shard_count);

class RouteTable {
 public:
  explicit RouteTable(std::uint32_t shard_count) : shard_count_(shard_count) {}

  void set_topics(std::vector<RoutedTopic> topics);
  // Idempotent.
  void set_session_interest(ShardId shard, TenantId tenant, std::string_view filter, bool interested);
  void set_live_interest(CoreId core, TenantId tenant, std::string_view filter, bool interested);
  // A shard whose owner starts over says everything again.
  void forget_shard(ShardId shard);

  // Valid until the next change of the table.
  const Route& route(TenantId tenant, std::string_view address);
  const RoutedTopic* topic(TopicId id) const;
  bool any_session_interest(TenantId tenant) const;
  bool any_live_interest(TenantId tenant) const;

  // Grows with every change that may alter a home.
  std::uint64_t version() const { return version_; }
  std::uint32_t shard_count() const { return shard_count_; }

 private:
  struct Tenant {
    FilterTrie topics, sessions, live;
    StringMap<std::unique_ptr<Route>> cache;
  };
  // More addresses than this are not remembered: the cache starts over.
  static constexpr std::size_t kMaxCached = 65536;
  Tenant& tenant(TenantId id) { return tenants_[id]; }
  void changed(Tenant& tenant);
  std::unique_ptr<Route> resolve(Tenant& tenant, TenantId id, std::string_view address);

  const std::uint32_t shard_count_;
  std::map<TenantId, Tenant> tenants_;
  std::map<TopicId, RoutedTopic> topics_;
  // What each shard is interested in, so that it can be forgotten.
  std::map<ShardId, std::map<TenantId, std::vector<std::string>>> interests_;
  std::vector<FilterTrie::Match> matches_;  // scratch
  std::uint64_t version_ = 1;
};

}  // namespace stele::broker
