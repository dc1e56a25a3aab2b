// Which shards this core owns. A node alone owns all there are from its start to its end. A node of a cluster
// owns what the metadata assigns to it: as that changes it takes shards over, and lets others go.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/marks.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "runtime/for_each.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
constexpr std::size_t kLeavingAtOnce = 8;
constexpr runtime::Duration kFirstPause = 100ms, kLongestPause = 5s;
}  // namespace

bool Core::is_mine(ShardId id) const {
  if (core_of(id) != runtime_.core()) return false;
  if (!options_.by_assignment) return true;
  const auto& places = view_->shards();
  return id.value < places.size() && places[id.value].assigned == options_.node;
}

std::optional<NodeId> Core::owner_of(ShardId shard) const {
  if (!options_.by_assignment) return options_.node;
  const auto& places = view_->shards();
  if (shard.value >= places.size()) return std::nullopt;
  const meta::ShardPlace& place = places[shard.value];
  if (place.epoch == Epoch()) return std::nullopt;
  const auto owner = view_->nodes().find(place.owner);
  const bool serves = owner != view_->nodes().end() && owner->second.lives &&
                      owner->second.incarnation == place.owner_incarnation;
  return serves ? std::optional(place.owner) : std::nullopt;
}

// What the owner says counts for its own shards: the metadata knows the epoch before it serves.
Epoch Core::epoch_of(ShardId shard) const {
  if (!options_.by_assignment || owner_of(shard) == options_.node) return shard_epochs_[shard.value];
  const auto& places = view_->shards();
  return shard.value < places.size() ? places[shard.value].epoch : Epoch();
}

// One step after the other, so that a shard is never taken while it leaves.
Task<void> Core::follow_assignments() {
  runtime::Duration pause = kFirstPause;
  while (!stopping_ && !given_up_) {
    std::vector<ShardId> lost, leaving, missing;
    for (const auto& [id, shard] : shards_) {
      if (!shard->serving()) {
        lost.push_back(id);
      } else if (!is_mine(id)) {
        leaving.push_back(id);
      }
    }
    for (const ShardId id : lost) drop(id);
    for (std::uint32_t id = 0; id < routes_.shard_count(); ++id) {
      if (is_mine(ShardId(id)) && !shards_.contains(ShardId(id))) missing.push_back(ShardId(id));
    }
    if (leaving.empty() && missing.empty()) {
      pause = kFirstPause;
      co_await assignments_changed_.wait();
      // Not in the call that told of it.
      if (!co_await runtime::sleep(runtime_, runtime::Duration::zero(), scope_.token())) co_return;
      continue;
    }
    co_await runtime::for_each(leaving.size(), kLeavingAtOnce,
                               [&](std::size_t i) -> Task<void> { return leave_shard(leaving[i]); });
    if (missing.empty() || co_await take_shards(std::move(missing))) {
      if (lost.empty()) continue;  // whose logs may be lost again at once
    }
    if (!co_await runtime::sleep(runtime_, pause, scope_.token())) co_return;
    pause = std::min<runtime::Duration>(pause * 2, kLongestPause);
  }
}

Task<void> Core::leave_shard(ShardId id) {
  STELE_MARK("broker: shard leaves for another node");
  const auto found = shards_.find(id);
  if (found == shards_.end()) co_return;
  const std::shared_ptr<Shard> shard = found->second;
  co_await shard->leave();
  drop(id);
}

// All together; if that fails each by itself, for one that cannot be taken now must not hold up the others.
Task<bool> Core::take_shards(std::vector<ShardId> ids) {
  auto started = co_await start_shards(ids);
  if (started) co_return true;
  bool all = true;
  for (const ShardId id : ids) {
    if (shards_.contains(id)) continue;
    if (stopping_ || given_up_) co_return false;
    if (ids.size() > 1 && is_mine(id)) started = co_await start_shards({id});
    if (started) continue;
    all = false;
    runtime_.log().write(runtime::LogLevel::kError, "broker",
                         "shard " + std::to_string(id.value) + ": " + started.error().to_string());
  }
  co_return all;
}

}  // namespace stele::broker
