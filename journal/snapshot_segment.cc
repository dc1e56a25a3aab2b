#include "journal/snapshot_segment.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "base/crc32c.h"
#include "base/marks.h"
#include "journal/quorum.h"
#include "journal/quorum_writer.h"
#include "runtime/notification.h"
#include "runtime/scope.h"

namespace stele::journal {

using runtime::Task;
using namespace std::chrono_literals;

namespace {
constexpr std::string_view kPrefix = "segment ";
constexpr std::uint64_t kIsSnapshot = 1ULL << 63;
constexpr std::uint64_t kEpochMask = 0xffffff, kNumberMask = 0xffffff, kShardMask = 0x7fff;
constexpr std::size_t kEntryBytes = 256 << 10;
// So much is given to the writer before it is committed.
constexpr std::uint64_t kEntriesAhead = 16;
// A snapshot that takes longer is given up; the next one may go elsewhere.
constexpr runtime::Duration kPatience = 60s, kLook = 500ms;
constexpr runtime::Duration kForEach = 500ms;

struct Ids {
  std::uint64_t shard, epoch, number;
  explicit Ids(SegmentId id)
      : shard(id.value >> 48 & kShardMask),
        epoch(id.value >> 24 & kEpochMask),
        number(id.value & kNumberMask) {}
};

template <class Number>
bool take_number(std::string_view& text, Number& to) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), to);
  if (failure != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}
bool take(std::string_view& text, char wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(1);
  return true;
}
}  // namespace

std::string SnapshotSegment::name() const {
  std::string out(kPrefix);
  out += std::to_string(id.value) + " " + std::to_string(entries) + " " + std::to_string(bytes) + " " +
         std::to_string(checksum);
  for (const meta::Replica& replica : replicas) {
    out += " " + std::to_string(replica.node.value) + "/" + std::to_string(replica.disk);
  }
  return out;
}

std::optional<SnapshotSegment> SnapshotSegment::parse(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  SnapshotSegment out;
  if (!take_number(name, out.id.value) || !take(name, ' ') || !take_number(name, out.entries) ||
      !take(name, ' ') || !take_number(name, out.bytes) || !take(name, ' ') ||
      !take_number(name, out.checksum)) {
    return std::nullopt;
  }
  while (!name.empty()) {
    meta::Replica& replica = out.replicas.emplace_back();
    if (!take(name, ' ') || !take_number(name, replica.node.value) || !take(name, '/') ||
        !take_number(name, replica.disk)) {
      return std::nullopt;
    }
  }
  if (!is_snapshot_segment(out.id) || out.replicas.empty()) return std::nullopt;
  return out;
}

SegmentId snapshot_segment_id(ShardId shard, Epoch epoch, std::uint64_t number) {
  return SegmentId(kIsSnapshot | (shard.value & kShardMask) << 48 | (epoch.value & kEpochMask) << 24 |
                   (number & kNumberMask));
}

bool is_snapshot_segment(SegmentId id) {
  return (id.value & kIsSnapshot) != 0;
}

bool is_old_snapshot(SegmentId id, const meta::Shard& shard) {
  const Ids ids(id);
  if (ids.shard != (shard.id.value & kShardMask)) return false;
  if (ids.epoch != (shard.epoch.value & kEpochMask)) return true;
  const auto named = shard.snapshot ? SnapshotSegment::parse(shard.snapshot->file) : std::nullopt;
  if (!named) return false;
  const Ids of_named(named->id);
  return of_named.epoch == ids.epoch && ids.number < of_named.number;
}

bool lacks_replicas(Replicas& replicas, const SnapshotSegment& snapshot) {
  return snapshot.replicas.size() < replicas.wanted() ||
         !std::ranges::all_of(snapshot.replicas, [&](const auto& which) { return replicas.keeps(which); });
}

// ---- storing --------------------------------------------------------------------------------------------

namespace {

class Storing final : public AppendListener, private runtime::Timer {
 public:
  Storing(runtime::Runtime& runtime, const std::function<bool()>& give_up)
      : runtime_(runtime), give_up_(give_up), deadline_(runtime.now() + kPatience) {
    runtime.arm(*this, runtime.now() + kLook);
  }
  ~Storing() { runtime_.disarm(*this); }
  void on_stored(std::uint64_t end) override {
    stored_ = end;
    changed_.wake_all();
  }
  void on_append_failed(const Error& why) override {
    failed_ = why;
    changed_.wake_all();
  }
  // Up to there; an error if that will not be.
  Task<Result<void>> until(std::uint64_t end) {
    while (stored_ < end && !failed_) co_await changed_.wait();
    if (stored_ < end) co_return std::unexpected(*failed_);
    co_return Result<void>();
  }

 private:
  void on_timer() override {
    const bool over = runtime_.now() >= deadline_ || (give_up_ && give_up_());
    if (!over) return runtime_.arm(*this, runtime_.now() + kLook);
    if (!failed_) failed_ = Error{ErrorCode::kTimedOut, "replicas did not store a snapshot in time"};
    changed_.wake_all();
  }
  runtime::Runtime& runtime_;
  const std::function<bool()>& give_up_;
  const runtime::Instant deadline_;
  std::uint64_t stored_ = 0;
  std::optional<Error> failed_;
  runtime::Notification changed_;
};

struct Syncing final : runtime::Timer {
  void on_timer() override {
    late = true;
    changed.wake_all();
  }
  std::size_t asked = 0, answered = 0, synced = 0;
  bool late = false;  // the next one is asked before the last has answered
  runtime::Notification changed;
};

Task<void> sync_one(SegmentReplica& replica, storage::FenceRequest request, std::uint64_t entries,
                    Syncing& syncing) {
  auto answers = co_await replica.fence({request});
  ++syncing.answered;
  if (answers && !answers->empty() && answers->front() && answers->front()->end == entries) ++syncing.synced;
  syncing.changed.wake_all();
}

// How many have all of it on their disks, whatever their durability is. One after the other is asked; one
// that is silent does not hold up those behind it, and is not waited for if they are enough.
Task<std::size_t> sync_all(runtime::Runtime& runtime, const std::vector<SegmentReplica*>& replicas,
                           SegmentId id, Epoch epoch, std::uint64_t entries) {
  const std::size_t enough = Quorum::of(replicas.size()).acks;
  Syncing syncing;
  runtime::Scope scope;
  for (SegmentReplica* replica : replicas) {
    if (!replica) continue;
    const std::size_t before = syncing.answered;
    syncing.late = false;
    ++syncing.asked;
    scope.spawn(sync_one(*replica, {.segment = id, .epoch = epoch}, entries, syncing));
    runtime.arm(syncing, runtime.now() + kForEach);
    while (syncing.answered == before && !syncing.late) co_await syncing.changed.wait();
    runtime.disarm(syncing);
  }
  while (syncing.synced < enough && syncing.answered < syncing.asked) co_await syncing.changed.wait();
  // What resumed this may be one of the tasks that are about to be destroyed.
  co_await runtime::sleep(runtime, runtime::Duration(0));
  co_return syncing.synced;
}

Task<Result<void>> write(Replicas& replicas, const SnapshotSegment& snapshot, Epoch epoch, Bytes bytes,
                         const std::function<bool()>& give_up) {
  std::vector<SegmentReplica*> found;
  for (const meta::Replica& replica : snapshot.replicas) found.push_back(replicas.find(replica));
  {
    Storing storing(replicas.runtime(), give_up);
    QuorumWriter writer(replicas.runtime(), found, snapshot.id, epoch, storing);
    for (std::uint64_t i = 0; i < snapshot.entries; ++i) {
      if (i >= kEntriesAhead) STELE_CO_CHECK(co_await storing.until(i - kEntriesAhead + 1));
      writer.append(
          {.head = bytes.slice(i * kEntryBytes, std::min(kEntryBytes, bytes.size() - i * kEntryBytes)),
           .body = {}});
    }
    STELE_CO_CHECK(co_await storing.until(snapshot.entries));
  }
  const std::size_t synced =
      co_await sync_all(replicas.runtime(), found, snapshot.id, epoch, snapshot.entries);
  if (synced >= Quorum::of(found.size()).acks) co_return Result<void>();
  co_return error(ErrorCode::kUnavailable,
                  "only " + std::to_string(synced) + " replicas have a snapshot on their disks");
}

}  // namespace

Task<Result<SnapshotSegment>> store_snapshot(Replicas& replicas, ShardId shard, Epoch epoch,
                                             std::uint64_t number, Bytes bytes,
                                             std::function<bool()> give_up) {
  SnapshotSegment snapshot;
  snapshot.id = snapshot_segment_id(shard, epoch, number);
  snapshot.bytes = bytes.size();
  snapshot.entries = (bytes.size() + kEntryBytes - 1) / kEntryBytes;
  snapshot.checksum = crc32c(bytes);
  STELE_CO_TRY(snapshot.replicas, replicas.choose(shard));
  auto written = co_await write(replicas, snapshot, epoch, std::move(bytes), give_up);
  if (written) co_return snapshot;
  remove_snapshot(replicas, snapshot);
  co_return std::unexpected(std::move(written).error());
}

// ---- and the way back -----------------------------------------------------------------------------------

namespace {

Task<Result<std::string>> load_from(SegmentReplica& replica, const SnapshotSegment& snapshot) {
  constexpr std::size_t kAtOnce = 4 << 20;
  std::string bytes;
  for (std::uint64_t at = 0; at < snapshot.entries;) {
    STELE_CO_TRY(const auto entries, co_await replica.read(snapshot.id, at, kAtOnce));
    if (entries.empty()) co_return error(ErrorCode::kNotFound, "it ends before it should");
    for (const storage::LogEntry& entry : entries) {
      bytes.append(entry.head.view());
      bytes.append(entry.body.view());
    }
    at += entries.size();
    if (bytes.size() > snapshot.bytes) break;
  }
  if (bytes.size() != snapshot.bytes || crc32c(bytes) != snapshot.checksum)
    co_return error(ErrorCode::kCorrupt, "what is there is not the snapshot that was stored");
  co_return bytes;
}

}  // namespace

Task<Result<std::string>> load_snapshot(Replicas& replicas, SnapshotSegment snapshot) {
  std::vector<SegmentReplica*> found;
  for (const meta::Replica& which : snapshot.replicas) {
    SegmentReplica* replica = replicas.find(which);
    if (!replica) continue;
    // The nearest first, and those last that are not there.
    if (replica == replicas.local()) {
      found.insert(found.begin(), replica);
    } else if (replicas.serves(which)) {
      found.insert(found.begin() + (!found.empty() && found.front() == replicas.local() ? 1 : 0), replica);
    } else {
      found.push_back(replica);
    }
  }
  std::string said = "snapshot in segment " + std::to_string(snapshot.id.value);
  ErrorCode code = ErrorCode::kUnavailable;
  for (SegmentReplica* replica : found) {
    auto bytes = co_await load_from(*replica, snapshot);
    if (bytes) co_return bytes;
    STELE_MARK("journal: a snapshot is read from another replica");
    if (bytes.error().code == ErrorCode::kCorrupt) code = ErrorCode::kCorrupt;
    said += "; " + bytes.error().message;
  }
  co_return error(code, said);
}

void remove_snapshot(Replicas& replicas, const SnapshotSegment& snapshot) {
  for (const meta::Replica& which : snapshot.replicas) {
    if (SegmentReplica* replica = replicas.find(which)) replica->remove({snapshot.id});
  }
}

}  // namespace stele::journal
