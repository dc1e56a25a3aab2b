#include "broker/routes.h"

#include <algorithm>

#include "base/hash.h"
#include "model/murmur2.h"
#include "model/topic_name.h"

namespace stele::broker {
namespace {

template <class List, class Id>
void add_sorted(List& list, Id id) {
  auto at = std::lower_bound(list.begin(), list.end(), id);
  if (at == list.end() || *at != id) list.insert(at, id);
}

}  // namespace

ShardId shard_of(TenantId tenant, std::string_view text, std::uint32_t shard_count) {
  const std::uint64_t hash = Hasher().add(tenant.value).add(text).value();
  return ShardId(static_cast<std::uint32_t>(hash % shard_count));
}

std::int32_t RoutedTopic::partition_of(const MessageView& message) const {
  // Without a key the address decides, so that its order is kept all the same.
  return partition_for_key(key.key_of(message).value_or(message.address),
                           static_cast<std::int32_t>(shards.size()));
}

void RouteTable::changed(Tenant& tenant) {
  tenant.cache.clear();
  ++version_;
}

void RouteTable::set_topics(std::vector<RoutedTopic> topics) {
  for (auto& [id, tenant] : tenants_) {
    tenant.topics = FilterTrie();
    changed(tenant);
  }
  topics_.clear();
  for (RoutedTopic& topic : topics) {
    const TopicId id = topic.id;
    Tenant& owner = tenant(topic.tenant);
    const RoutedTopic& kept = topics_.emplace(id, std::move(topic)).first->second;
    for (const std::string& filter : kept.captures) owner.topics.insert(filter, id.value, 0);
    // By its own name, where nothing else is said.
    if (kept.captures.empty()) {
      if (auto address = address_of_topic(kept.name)) owner.topics.insert(address->text(), id.value, 0);
    }
    changed(owner);
  }
}

void RouteTable::set_session_interest(ShardId shard, TenantId id, std::string_view filter, bool interested) {
  Tenant& owner = tenant(id);
  auto& known = interests_[shard][id];
  auto at = std::lower_bound(known.begin(), known.end(), filter);
  const bool there = at != known.end() && *at == filter;
  if (there == interested) return;
  if (interested) {
    known.insert(at, std::string(filter));
    owner.sessions.insert(filter, shard.value, 0);
  } else {
    known.erase(at);
    owner.sessions.erase(filter, shard.value);
  }
  changed(owner);
}

void RouteTable::set_live_interest(CoreId core, TenantId id, std::string_view filter, bool interested) {
  Tenant& owner = tenant(id);
  if (interested) {
    owner.live.insert(filter, core.value, 0);
  } else {
    owner.live.erase(filter, core.value);
  }
  changed(owner);
}

void RouteTable::forget_shard(ShardId shard) {
  auto found = interests_.find(shard);
  if (found == interests_.end()) return;
  for (auto& [id, filters] : found->second) {
    Tenant& owner = tenant(id);
    for (const std::string& filter : filters) owner.sessions.erase(filter, shard.value);
    changed(owner);
  }
  interests_.erase(found);
}

const RoutedTopic* RouteTable::topic(TopicId id) const {
  auto found = topics_.find(id);
  return found == topics_.end() ? nullptr : &found->second;
}

bool RouteTable::any_session_interest(TenantId id) const {
  auto found = tenants_.find(id);
  return found != tenants_.end() && !found->second.sessions.empty();
}
bool RouteTable::any_live_interest(TenantId id) const {
  auto found = tenants_.find(id);
  return found != tenants_.end() && !found->second.live.empty();
}

const Route& RouteTable::route(TenantId id, std::string_view address) {
  Tenant& owner = tenant(id);
  if (auto found = owner.cache.find(address); found != owner.cache.end()) return *found->second;
  if (owner.cache.size() >= kMaxCached) owner.cache.clear();
  return *owner.cache.emplace(std::string(address), resolve(owner, id, address)).first->second;
}

std::unique_ptr<Route> RouteTable::resolve(Tenant& tenant, TenantId id, std::string_view address) {
  auto route = std::make_unique<Route>();
  route->address_shard = shard_of(id, address, shard_count_);

  matches_.clear();
  tenant.topics.match(address, matches_);
  std::vector<TopicId> ids;
  for (const FilterTrie::Match& match : matches_) add_sorted(ids, TopicId(match.target));
  for (TopicId topic_id : ids) {
    const RoutedTopic& topic = topics_.at(topic_id);
    MessageView message;
    message.address = address;
    const bool by_property = topic.key.kind == KeyRule::Kind::kProperty;
    route->captures.push_back({&topic, by_property ? -1 : topic.partition_of(message)});
  }

  matches_.clear();
  tenant.sessions.match(address, matches_);
  for (const FilterTrie::Match& match : matches_) {
    add_sorted(route->session_shards, ShardId(static_cast<std::uint32_t>(match.target)));
  }
  matches_.clear();
  tenant.live.match(address, matches_);
  for (const FilterTrie::Match& match : matches_) {
    add_sorted(route->live_cores, CoreId(static_cast<std::uint32_t>(match.target)));
  }
  return route;
}

}  // namespace stele::broker
