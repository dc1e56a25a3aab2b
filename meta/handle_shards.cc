// Commands about shards: who owns them, and their chains of segments. Each is a compare-and-swap on the
// epoch; what is refused here can never be undone by who asked, only asked anew from what the shard is now.
#include <algorithm>
#include <set>
#include <string>

#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "meta/handlers.h"

namespace stele::meta {
namespace {

constexpr std::size_t kMaxReplicas = 16;
constexpr std::size_t kMaxFileName = 1024;
constexpr Lsn kLsnLimit(std::uint64_t(1) << 62);

std::string text(ShardId id) {
  return "shard " + std::to_string(id.value);
}

std::unexpected<Error> no_shard(ShardId id) {
  return error(ErrorCode::kNotFound, "there is no " + text(id));
}

// The shard, if `epoch` is the present one.
Result<Shard> owned_shard(Tables& tables, ShardId id, Epoch epoch) {
  auto shard = tables.shard_head(id);
  if (!shard) return no_shard(id);
  if ((shard->epoch != epoch || epoch == Epoch(0)) && !mutant(mutants::kSwapInAnyEpoch)) {
    STELE_MARK("meta: command of another epoch");
    return error(ErrorCode::kFenced, text(id) + " is in epoch " + std::to_string(shard->epoch.value) +
                                         ", not " + std::to_string(epoch.value));
  }
  return *std::move(shard);
}

Result<void> check_replicas(const std::vector<Replica>& replicas) {
  const std::set<Replica> distinct(replicas.begin(), replicas.end());
  if (replicas.empty() || replicas.size() > kMaxReplicas || distinct.size() != replicas.size()) {
    return error(ErrorCode::kInvalidArgument,
                 "a segment has 1 to " + std::to_string(kMaxReplicas) + " replicas, each named once");
  }
  return {};
}

// Whether the chain's last segment may be sealed as asked for.
Result<void> check_seal(const Shard& shard, const std::optional<Segment>& last, const SealAndOpenItem& item) {
  if (last ? item.last != last->id || last->end.has_value() : item.last.has_value()) {
    STELE_MARK("meta: seal lost the compare-and-swap");
    return error(ErrorCode::kFenced, text(shard.id) + ": the last segment is another one by now");
  }
  const Lsn base = last ? last->base : Lsn(0);
  if (item.end < base || item.end >= kLsnLimit || (!last && item.end != Lsn(0))) {
    return error(ErrorCode::kInvalidArgument, text(shard.id) + ": a segment from " +
                                                  std::to_string(base.value) + " on cannot end at " +
                                                  std::to_string(item.end.value));
  }
  if (shard.snapshot && item.end < shard.snapshot->lsn) {
    return error(ErrorCode::kInvalidArgument, text(shard.id) + ": sealing at " +
                                                  std::to_string(item.end.value) +
                                                  " would lose entries that the snapshot at " +
                                                  std::to_string(shard.snapshot->lsn.value) + " was made of");
  }
  return {};
}

Result<SealAndOpenResult> seal_and_open(Tables& tables, const SealAndOpenItem& item) {
  STELE_TRY(const Shard shard, owned_shard(tables, item.shard, item.epoch));
  STELE_CHECK(check_replicas(item.replicas));
  const std::optional<Segment> last = tables.last_segment(item.shard);
  STELE_CHECK(check_seal(shard, last, item));

  SealAndOpenResult result;
  if (last && last->base == item.end) {
    tables.delete_segment(last->id);
    result.dropped = last->id;
  } else if (last) {
    tables.seal_segment(last->id, item.end);
  }
  result.opened = Segment{.id = SegmentId(tables.draw(Tables::Counter::kSegment)),
                          .base = item.end,
                          .end = std::nullopt,
                          .epoch = item.epoch,
                          .replicas = item.replicas};
  tables.insert_segment(item.shard, result.opened);
  return result;
}

Result<std::vector<SegmentId>> trim(Tables& tables, const TrimChainItem& item) {
  STELE_TRY(const Shard shard, owned_shard(tables, item.shard, item.epoch));
  const Lsn limit = shard.snapshot ? shard.snapshot->lsn : Lsn(0);
  if (item.below > limit) {
    return error(ErrorCode::kInvalidArgument,
                 text(item.shard) + ": trimming below " + std::to_string(item.below.value) +
                     " would lose entries from the snapshot on, which is at " + std::to_string(limit.value));
  }
  std::vector<SegmentId> dropped;
  const std::uint64_t too_far = mutant(mutants::kTrimTooFar) ? 50 : 0;
  for (const Segment& segment : tables.sealed_segments_until(item.shard, item.below + too_far)) {
    tables.delete_segment(segment.id);
    dropped.push_back(segment.id);
  }
  return dropped;
}

}  // namespace

namespace {

ShardPlace place_of(const Shard& shard) {
  return {.assigned = shard.assigned,
          .owner = shard.owner,
          .owner_incarnation = shard.owner_incarnation,
          .epoch = shard.epoch};
}

}  // namespace

Result<std::vector<Shard>> handle(Context context, const AssignShards& command) {
  std::vector<Shard> assigned;
  std::set<ShardId> seen;
  for (const AssignShards::Item& item : command.items) {
    if (!seen.insert(item.shard).second)
      return error(ErrorCode::kInvalidArgument, text(item.shard) + " is named twice");
    auto shard = context.tables.shard_head(item.shard);
    if (!shard) return no_shard(item.shard);
    if (!context.tables.node(item.to)) {
      return error(ErrorCode::kNotFound, "there is no node " + std::to_string(item.to.value));
    }
    if (shard->assigned != item.before) {
      STELE_MARK("meta: shard was assigned to another meanwhile");
      return error(ErrorCode::kFenced, text(item.shard) + " is assigned to another node by now");
    }
    shard->assigned = item.to;
    context.tables.set_assigned(item.shard, item.to);
    context.change.put_shards.emplace_back(item.shard, place_of(*shard));
    assigned.push_back(*std::move(shard));
  }
  return assigned;
}

Result<std::vector<Shard>> handle(Context context, const TakeShards& command) {
  auto node = context.tables.node(command.node);
  if (!node) {
    return error(ErrorCode::kNotFound, "there is no node " + std::to_string(command.node.value));
  }
  if (node->incarnation != command.incarnation) {
    STELE_MARK("meta: shards asked for by an earlier process");
    return error(ErrorCode::kFenced, "node " + std::to_string(command.node.value) + " is in incarnation " +
                                         std::to_string(node->incarnation.value) + ", not " +
                                         std::to_string(command.incarnation.value));
  }
  if (!node->lives) {
    STELE_MARK("meta: shards asked for by an incarnation that has ended");
    return error(ErrorCode::kFenced, "incarnation " + std::to_string(command.incarnation.value) +
                                         " of node " + std::to_string(command.node.value) + " has ended");
  }
  std::vector<Shard> taken;
  std::set<ShardId> seen;
  for (ShardId id : command.shards) {
    if (!seen.insert(id).second) return error(ErrorCode::kInvalidArgument, text(id) + " is named twice");
    auto shard = context.tables.shard(id);
    if (!shard) return no_shard(id);
    if (shard->assigned && *shard->assigned != command.node) {
      STELE_MARK("meta: shard asked for that is assigned to another");
      return error(ErrorCode::kFenced,
                   text(id) + " is assigned to node " + std::to_string(shard->assigned->value));
    }
    shard->owner = command.node;
    shard->owner_incarnation = command.incarnation;
    ++shard->epoch;
    context.tables.set_owner(*shard);
    context.change.put_shards.emplace_back(id, place_of(*shard));
    taken.push_back(*std::move(shard));
  }
  return taken;
}

Result<SealAndOpen::Answer> handle(Context context, const SealAndOpen& command) {
  SealAndOpen::Answer answer;
  for (const SealAndOpenItem& item : command.items) answer.push_back(seal_and_open(context.tables, item));
  return answer;
}

Result<TrimChain::Answer> handle(Context context, const TrimChain& command) {
  TrimChain::Answer answer;
  for (const TrimChainItem& item : command.items) answer.push_back(trim(context.tables, item));
  return answer;
}

Result<std::vector<Shard>> handle(Context context, const ReleaseShard& command) {
  STELE_TRY(Shard shard, owned_shard(context.tables, command.shard, command.epoch));
  shard.owner_incarnation = Incarnation(0);  // of no process
  context.tables.set_owner(shard);
  context.change.put_shards.emplace_back(command.shard, place_of(shard));
  return std::vector{std::move(shard)};
}

Result<std::vector<Shard>> handle(Context context, const MoveSegment& command) {
  STELE_TRY(Shard shard, owned_shard(context.tables, command.shard, command.epoch));
  STELE_CHECK(check_replicas(command.after));
  const auto segment = context.tables.segment(command.shard, command.segment);
  const std::string name = text(command.shard) + ", segment " + std::to_string(command.segment.value);
  if (!segment) return error(ErrorCode::kNotFound, name + ": there is none");
  if (!segment->end) return error(ErrorCode::kInvalidArgument, name + " is open");
  if (std::set(segment->replicas.begin(), segment->replicas.end()) !=
      std::set(command.before.begin(), command.before.end())) {
    STELE_MARK("meta: a segment lies elsewhere than was thought");
    return error(ErrorCode::kFenced, name + " lies elsewhere by now");
  }
  context.tables.place_segment(command.segment, command.after);
  return std::vector{std::move(shard)};
}

Result<std::optional<Snapshot>> handle(Context context, const SetSnapshot& command) {
  STELE_TRY(const Shard shard, owned_shard(context.tables, command.shard, command.epoch));
  const Snapshot& snapshot = command.snapshot;
  if (snapshot.file.empty() || snapshot.file.size() > kMaxFileName || snapshot.lsn >= kLsnLimit) {
    return error(ErrorCode::kInvalidArgument, text(command.shard) + ": no snapshot");
  }
  if (shard.snapshot && snapshot.lsn < shard.snapshot->lsn) {
    return error(ErrorCode::kInvalidArgument, text(command.shard) + ": a snapshot at " +
                                                  std::to_string(snapshot.lsn.value) + " after one at " +
                                                  std::to_string(shard.snapshot->lsn.value));
  }
  if (snapshot.lsn > Lsn(0) && !context.tables.last_segment(command.shard)) {
    return error(ErrorCode::kInvalidArgument,
                 text(command.shard) + ": a snapshot of entries that there cannot be: the chain is empty");
  }
  context.tables.set_snapshot(command.shard, snapshot);
  return shard.snapshot;
}

}  // namespace stele::meta
