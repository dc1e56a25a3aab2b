#include "sim/workloads/meta_ledger.h"

#include <algorithm>
#include <iterator>

#include "base/hash.h"

namespace stele::sim {

namespace {

void add(Hasher& hash, const meta::Topic& topic) {
  hash.add(topic.id.value).add(topic.name).add(topic.tenant.value);
  hash.add(static_cast<std::uint64_t>(topic.config.retention_ms));
  hash.add(static_cast<std::uint64_t>(topic.config.retention_bytes));
  hash.add(static_cast<std::uint64_t>(topic.config.capture_partitions));
  for (const ShardId shard : topic.shards) hash.add(shard.value);
}

void add(Hasher& hash, const meta::ShardPlace& place) {
  hash.add(place.assigned ? place.assigned->value + 1 : 0).add(place.owner.value);
  hash.add(place.owner_incarnation.value).add(place.epoch.value);
}

}  // namespace

std::uint64_t hash_of(const meta::MetaView& view) {
  Hasher hash;
  hash.add(view.cluster().id).add(view.cluster().shard_count);
  for (const auto& [id, topic] : view.topics()) add(hash, *topic);
  for (const auto& [id, tenant] : view.tenants()) hash.add(id.value).add(tenant.name);
  for (const auto& [id, node] : view.nodes()) {
    hash.add(id.value).add(node.incarnation.value).add(node.disk).add(node.roles);
    hash.add(node.lives ? 1 : 0).add(node.draining ? 1 : 0).add(node.leaving ? 1 : 0);
  }
  for (const meta::ShardPlace& place : view.shards()) add(hash, place);
  return hash.value();
}

std::uint64_t hash_of(const meta::Shard& shard) {
  Hasher hash;
  hash.add(shard.id.value);
  add(hash, meta::ShardPlace{.assigned = shard.assigned,
                             .owner = shard.owner,
                             .owner_incarnation = shard.owner_incarnation,
                             .epoch = shard.epoch});
  for (const meta::Segment& segment : shard.chain) {
    hash.add(segment.id.value).add(segment.base.value).add(segment.end ? segment.end->value + 1 : 0);
    hash.add(segment.epoch.value);
    for (const meta::Replica& replica : segment.replicas) hash.add(replica.node.value).add(replica.disk);
  }
  if (shard.snapshot) hash.add(shard.snapshot->lsn.value).add(shard.snapshot->file);
  return hash.value();
}

const meta::Topic* MetaLedger::topic(const std::string& name) const {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : &found->second;
}

void MetaLedger::changed(const std::string& name, const meta::Topic& topic) {
  ++answers_;
  topics_[name] = topic;
  doubtful_.erase(name);
}

void MetaLedger::removed(const std::string& name) {
  ++answers_;
  topics_.erase(name);
  doubtful_.erase(name);
}

void MetaLedger::refused(const std::string& name, const Error& why) {
  if (why.code == ErrorCode::kNotFound) judge_.fail("topic " + name + " is lost: " + why.to_string());
  if (why.code == ErrorCode::kAlreadyExists)
    judge_.fail("topic " + name + " was made twice, or came back: " + why.to_string());
  ++unknown_;
  // What is said not to have happened is held against it.
  if (why.code == ErrorCode::kUnavailable) doubtful_.erase(name);
}

void MetaLedger::ids_given(const meta::ProducerIds& ids) {
  ++answers_;
  const std::int64_t end = ids.first + ids.count;
  const auto next = ids_.lower_bound(ids.first);
  const bool overlaps = (next != ids_.end() && next->first < end) ||
                        (next != ids_.begin() && std::prev(next)->second > ids.first);
  if (overlaps) judge_.fail("producer ids from " + std::to_string(ids.first) + " on were given out twice");
  ids_[ids.first] = end;
}

void MetaLedger::incarnation_given(NodeId node, meta::Incarnation incarnation) {
  ++answers_;
  meta::Incarnation& before = incarnations_[node];
  if (incarnation <= before)
    judge_.fail("an incarnation of node " + std::to_string(node.value) + " came twice");
  before = incarnation;
}

// Answers to several nodes may come in any order.
void MetaLedger::shard_taken(const meta::Shard& shard) {
  ++answers_;
  if (!epochs_.insert({shard.id, shard.epoch}).second)
    judge_.fail("epoch " + std::to_string(shard.epoch.value) + " of a shard was given out twice");
  Epoch& told = told_[shard.id];
  told = std::max(told, shard.epoch);
}

void MetaLedger::tenant_not_made(const std::string& name, const Error& why) {
  ++unknown_;
  if (why.code == ErrorCode::kAlreadyExists) judge_.fail("tenant " + name + " was made twice");
}

Epoch MetaLedger::epoch_told(ShardId shard) const {
  const auto found = told_.find(shard);
  return found == told_.end() ? Epoch(0) : found->second;
}

void MetaLedger::shard_read(const meta::Shard& shard, Epoch told_before) {
  ++answers_;
  if (shard.epoch < told_before)
    judge_.fail("a read of shard " + std::to_string(shard.id.value) + " is stale: epoch " +
                std::to_string(shard.epoch.value) + ", and " + std::to_string(told_before.value) +
                " was answered before");
}

void MetaLedger::view_seen(const meta::MetaView& view, const std::string& who) {
  const std::uint64_t hash = hash_of(view);
  const auto [at, fresh] = views_.try_emplace(view.version(), hash);
  if (!fresh && at->second != hash)
    judge_.fail(who + " sees another state as version " + std::to_string(view.version()) +
                " than others did");
}

void MetaLedger::database_seen(std::uint64_t applied, std::uint64_t hash, const std::string& who) {
  const auto [at, fresh] = databases_.try_emplace(applied, hash);
  if (!fresh && at->second != hash)
    judge_.fail("the database of " + who + " is another than others had at index " + std::to_string(applied));
}

void MetaLedger::check_known(const meta::MetaView& view, const std::string& who) {
  for (const auto& [name, topic] : topics_) {
    if (doubtful_.contains(name)) continue;
    const meta::Topic* found = view.find_topic(meta::Topic().tenant, name);
    if (!found) return judge_.fail("topic " + name + " is not known to " + who);
    if (*found != topic) return judge_.fail("topic " + name + " is another than was answered, at " + who);
  }
  for (const auto& [id, topic] : view.topics()) {
    // Of a worker, and not a register.
    if (topic->name.starts_with("t") && !topics_.contains(topic->name) && !doubtful_.contains(topic->name))
      return judge_.fail("topic " + topic->name + " came back, at " + who);
  }
  for (const std::string& name : tenants_) {
    if (!view.find_tenant(name)) return judge_.fail(name + " is not known to " + who);
  }
}

}  // namespace stele::sim
