// Which shards this core owns. A node alone owns all there are from its start to its end. A node of a cluster
// owns what the metadata assigns to it: as that changes it takes shards over, and lets others go.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/marks.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "journal/snapshot_segment.h"
#include "runtime/for_each.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
constexpr std::size_t kLeavingAtOnce = 8;
constexpr runtime::Duration kFirstPause = 100ms, kLongestPause = 5s;
// So long an owner that serves has time to let go of a shard; then it is fenced.
constexpr runtime::Duration kHandOver = 10s;
constexpr runtime::Duration kLookAgain = 50ms;
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

// Whose it is lets go of it first: it has a snapshot to write, and entries whose answers are under way. It
// says so to the metadata. One that does not, in time, is fenced.
bool Core::may_take(ShardId id) {
  const auto owner = owner_of(id);
  if (!owner || *owner == options_.node) {
    awaited_.erase(id);
    return true;
  }
  const runtime::Instant since = awaited_.try_emplace(id, runtime_.now()).first->second;
  if (runtime_.now() - since < kHandOver) return false;
  STELE_MARK("broker: shard taken from an owner that does not let go");
  return true;
}

// One step after the other, so that a shard is never taken while it leaves.
Task<void> Core::follow_assignments() {
  runtime::Duration pause = kFirstPause;
  while (!stopping_ && !given_up_) {
    std::vector<ShardId> lost, leaving, missing;
    // One that was being taken over while the incarnation ended, of which only those were told that served.
    std::vector<std::shared_ptr<Shard>> ended;
    for (const auto& [id, shard] : shards_) {
      const bool known = id.value < view_->shards().size() &&
                         view_->shards()[id.value].epoch >= shard->log().epoch();
      if (known && owner_of(id) != options_.node && shard->serving()) ended.push_back(shard);
    }
    for (const auto& shard : ended) {
      STELE_MARK("broker: shard whose ownership has ended meanwhile");
      shard->end_ownership({ErrorCode::kUnavailable, "the shard has another owner, or none"});
    }
    for (const auto& [id, shard] : shards_) {
      if (!shard->serving()) {
        lost.push_back(id);
      } else if (!is_mine(id)) {
        leaving.push_back(id);
      }
    }
    for (const ShardId id : lost) drop(id);
    std::erase_if(awaited_, [&](const auto& one) { return !is_mine(one.first); });
    for (std::uint32_t id = 0; id < routes_.shard_count(); ++id) {
      if (is_mine(ShardId(id)) && !shards_.contains(ShardId(id)) && may_take(ShardId(id)))
        missing.push_back(ShardId(id));
    }
    if (leaving.empty() && missing.empty() && !awaited_.empty()) {
      if (!co_await runtime::sleep(runtime_, kLookAgain, scope_.token())) co_return;
      continue;
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
  const Epoch epoch = shard->log().epoch();
  const bool lost = shard->log().lost();
  drop(id);
  if (lost) co_return;
  auto released = co_await meta_.execute(meta::ReleaseShard{.shard = id, .epoch = epoch});
  if (!released && released.error().code != ErrorCode::kFenced) {
    runtime_.log().write(
        runtime::LogLevel::kWarn, "broker",
        "shard " + std::to_string(id.value) + " is let go of: " + released.error().to_string());
  }
}

// A snapshot that is a file of another node can only be loaded there: whoever wrote it turns it into a
// segment as soon as it is in a cluster. To take the shard would be of no use to anybody.
Task<Result<void>> Core::leave_out_unloadable(std::vector<ShardId>& ids) {
  STELE_CO_TRY(const auto shards, co_await meta_.read_shards(ids));
  STELE_CO_TRY(const auto files, co_await runtime_.files().list(options_.snapshot_directory));
  std::vector<ShardId> loadable;
  for (const meta::Shard& shard : shards) {
    if (!shard.snapshot || journal::SnapshotSegment::parse(shard.snapshot->file)) {
      loadable.push_back(shard.id);
      continue;
    }
    if (std::ranges::find(files, shard.snapshot->file, &runtime::DirectoryEntry::name) != files.end()) {
      loadable.push_back(shard.id);
      continue;
    }
    STELE_MARK("broker: shard whose snapshot is another node's");
    say(shard.id, {ErrorCode::kUnavailable, "its snapshot " + shard.snapshot->file + " is a file of " +
                                                "node " + std::to_string(shard.owner.value) +
                                                ", which has to write one that others can load"});
  }
  ids = std::move(loadable);
  co_return Result<void>();
}

void Core::say(ShardId id, const Error& why) {
  runtime_.log().write(runtime::LogLevel::kError, "broker",
                       "shard " + std::to_string(id.value) + ": " + why.to_string());
}

// Each by itself: one that cannot be taken now does not hold up the others. True: all were.
Task<bool> Core::take_shards(std::vector<ShardId> ids) {
  const std::size_t wanted = ids.size();
  if (auto looked = co_await leave_out_unloadable(ids); !looked) {
    runtime_.log().write(runtime::LogLevel::kError, "broker",
                         "looking at shards to take: " + looked.error().to_string());
    co_return false;
  }
  if (ids.empty()) co_return false;
  auto each = co_await journal::ShardLog::take_over_each(replicas_, meta_, options_.node,
                                                         options_.incarnation, ids, options_.log);
  if (!each) {
    runtime_.log().write(runtime::LogLevel::kError, "broker", "taking shards: " + each.error().to_string());
    co_return false;
  }
  std::vector<ShardId> taken;
  std::vector<std::unique_ptr<journal::ShardLog>> logs;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if ((*each)[i]) {
      taken.push_back(ids[i]);
      logs.push_back(*std::move((*each)[i]));
    } else {
      say(ids[i], (*each)[i].error());
    }
  }
  auto started = co_await serve_shards(taken, std::move(logs));
  if (!started) {
    runtime_.log().write(runtime::LogLevel::kError, "broker", started.error().to_string());
    co_return false;
  }
  co_return taken.size() == wanted;
}

}  // namespace stele::broker
