#include "broker/routes.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "broker/subscription.h"
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
  return partition_for_key(key.key_of(message).value_or(message.address), capture_partitions);
}

void ShareRoute::set_members(Place place, std::uint32_t members) {
  auto at = std::lower_bound(places_.begin(), places_.end(), place,
                             [](const auto& there, Place wanted) { return there.first < wanted; });
  if (at == places_.end() || at->first != place) at = places_.insert(at, {place, 0});
  members_ = members_ - at->second + members;
  if (place.here()) members_here_ = members_here_ - at->second + members;
  at->second = members;
  if (members == 0) places_.erase(at);
}

Place ShareRoute::next() {
  STELE_ASSERT(members_ > 0);
  std::uint32_t number = turn_++ % members_;
  for (const auto& [place, members] : places_) {
    if (number < members) return place;
    number -= members;
  }
  return places_.back().first;
}

CoreId ShareRoute::next_here() {
  STELE_ASSERT(members_here_ > 0);
  std::uint32_t number = turn_++ % members_here_;
  for (const auto& [place, members] : places_) {
    if (number < members) return place.core();
    number -= members;
  }
  return places_.front().first.core();
}

void RouteTable::forget_routes(Tenant& tenant) {
  for (const auto& [address, route] : tenant.cache) live_kept_ -= route->live_here.size();  // in any order
  tenant.cache.clear();
  ++generation_;
}

void RouteTable::keep_live(Route& route, std::span<const LiveMatch> matches, std::uint64_t version) {
  live_kept_ -= route.live_here.size();
  route.live_here.clear();
  if (live_kept_ + matches.size() > kMaxLiveKept) {
    for (auto& [id, tenant] : tenants_) forget_routes(tenant);
    return;
  }
  route.live_here.assign(matches.begin(), matches.end());
  route.live_version = version;
  live_kept_ += matches.size();
}

void RouteTable::set_topics(std::vector<RoutedTopic> topics) {
  for (auto& [id, tenant] : tenants_) {
    tenant.topics = FilterTrie();
    forget_routes(tenant);
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
    forget_routes(owner);
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
  forget_routes(owner);
}

void RouteTable::set_live_interest(Place place, TenantId id, std::string_view filter, bool interested) {
  Tenant& owner = tenant(id);
  if (interested) {
    if (owner.live.insert(filter, place.value(), 0)) ++owner.live_filters[place];
  } else if (owner.live.erase(filter, place.value())) {
    if (--owner.live_filters[place] == 0) owner.live_filters.erase(place);
  }
  forget_routes(owner);
}

ShareRoute* RouteTable::share(TenantId id, std::string_view text) {
  const auto owner = tenants_.find(id);
  if (owner == tenants_.end()) return nullptr;
  const auto found = owner->second.shares.find(text);
  return found == owner->second.shares.end() ? nullptr : share_numbers_.at(found->second).get();
}

bool RouteTable::any_share(TenantId id) const {
  const auto owner = tenants_.find(id);
  return owner != tenants_.end() && !owner->second.shares.empty();
}

ShareRoute& RouteTable::make_share(TenantId id, std::string_view text) {
  if (ShareRoute* there = share(id, text)) return *there;
  Tenant& owner = tenant(id);
  const std::uint64_t number = next_share_number_++;
  owner.shares.emplace(text, number);
  owner.shared.insert(subscribed_filter(text), number, 0);
  forget_routes(owner);
  return *share_numbers_.emplace(number, std::make_unique<ShareRoute>(text, shard_of(id, text, shard_count_)))
              .first->second;
}

void RouteTable::drop_share_if_unused(TenantId id, std::string_view text) {
  Tenant& owner = tenant(id);
  const auto found = owner.shares.find(text);
  const auto there = share_numbers_.find(found->second);
  if (there->second->keeps || there->second->members() > 0) return;
  owner.shared.erase(subscribed_filter(text), found->second);
  forget_routes(owner);
  share_numbers_.erase(there);
  owner.shares.erase(found);
}

void RouteTable::set_share_members(Place place, TenantId id, std::string_view text, std::uint32_t members) {
  if (members == 0 && !share(id, text)) return;
  make_share(id, text).set_members(place, members);
  drop_share_if_unused(id, text);
}

void RouteTable::set_share_keeps(TenantId id, std::string_view text, bool keeps) {
  if (!keeps && !share(id, text)) return;
  make_share(id, text).keeps = keeps;
  drop_share_if_unused(id, text);
}

void RouteTable::forget_shard(ShardId shard) {
  std::vector<std::pair<TenantId, std::string>> kept;
  for (const auto& [id, owner] : tenants_) {
    for (const auto& [text, number] : owner.shares) {
      const ShareRoute& one = *share_numbers_.at(number);
      if (one.keeps && one.home() == shard) kept.emplace_back(id, text);
    }
  }
  for (const auto& [id, text] : kept) set_share_keeps(id, text, false);
  auto found = interests_.find(shard);
  if (found == interests_.end()) return;
  for (auto& [id, filters] : found->second) {
    Tenant& owner = tenant(id);
    for (const std::string& filter : filters) owner.sessions.erase(filter, shard.value);
    forget_routes(owner);
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

std::vector<Place> RouteTable::live_places(TenantId id) const {
  std::vector<Place> places;
  const auto found = tenants_.find(id);
  if (found == tenants_.end()) return places;
  for (const auto& [place, filters] : found->second.live_filters) places.push_back(place);
  return places;
}

Route& RouteTable::route(TenantId id, std::string_view address) {
  Tenant& owner = tenant(id);
  if (auto found = owner.cache.find(address); found != owner.cache.end()) return *found->second;
  if (owner.cache.size() >= kMaxCached) forget_routes(owner);
  std::unique_ptr<Route> route = resolve(owner, id, address);
  const std::string_view key = route->address;
  return *owner.cache.emplace(key, std::move(route)).first->second;
}

std::unique_ptr<Route> RouteTable::resolve(Tenant& tenant, TenantId id, std::string_view address) {
  auto route = std::make_unique<Route>();
  route->address = address;
  route->address_hash = hash64(address);
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
    add_sorted(route->live_places, Place::from(match.target));
  }
  matches_.clear();
  tenant.shared.match(address, matches_);
  for (const FilterTrie::Match& match : matches_) {
    route->shares.push_back(share_numbers_.at(match.target).get());
  }
  return route;
}

}  // namespace stele::broker
