// A shard's snapshots: on a node alone files of its own, in a cluster segments with replicas
// (docs/replication.md, "Snapshots"), for the next owner may be another node.
#include <algorithm>
#include <string>
#include <utility>

#include "base/marks.h"
#include "base/mutants.h"
#include "broker/core.h"
#include "broker/shard.h"
#include "journal/snapshot_segment.h"

namespace stele::broker {

using namespace std::chrono_literals;
using runtime::Task;

namespace {
// One that is written for the sake of its replicas and fails is tried again.
constexpr runtime::Duration kSnapshotRetry = 5s;
constexpr runtime::Duration kStopPatience = 3s;
}  // namespace

std::string Shard::snapshot_path(const std::string& file) const {
  return core_.options().snapshot_directory + "/" + file;
}

std::string Shard::snapshot_prefix() const {
  return "shard-" + std::to_string(id_.value) + "-";
}

Task<Result<std::string>> Shard::read_snapshot(std::string name) {
  snapshot_segment_ = journal::SnapshotSegment::parse(name);
  if (snapshot_segment_) co_return co_await journal::load_snapshot(core_.replicas(), *snapshot_segment_);
  snapshot_is_a_file_ = true;
  STELE_CO_TRY(auto file, co_await core_.runtime().files().open(snapshot_path(name), {}));
  STELE_CO_TRY(const std::uint64_t size, co_await file->size());
  std::string bytes;
  bytes.reserve(size);
  constexpr std::size_t kChunk = 1 << 20;
  while (bytes.size() < size) {
    STELE_CO_TRY(Bytes chunk, co_await file->read(Position(bytes.size()),
                                                  std::min<std::uint64_t>(kChunk, size - bytes.size())));
    if (chunk.empty()) break;
    bytes.append(chunk);
  }
  co_return bytes;
}

Task<Result<void>> Shard::load_snapshot() {
  const auto& snapshot = log_->snapshot();
  if (!snapshot) co_return Result<void>();
  const std::string path = "snapshot " + snapshot->file;
  auto read = co_await read_snapshot(snapshot->file);
  if (!read) co_return std::unexpected(read.error().with_context(path));
  const std::string& bytes = *read;
  auto state = ShardState::decode_snapshot(bytes);
  if (!state) co_return std::unexpected(state.error().with_context(path));
  if (state->next() != snapshot->lsn) {
    co_return error(ErrorCode::kCorrupt, path + ": is of another LSN than the metadata says");
  }
  if (state->next() > log_->next()) {
    co_return error(ErrorCode::kCorrupt, path + ": is ahead of the shard's log");
  }
  state_ = *std::move(state);
  snapshot_lsn_ = state_.next();
  snapshot_size_ = bytes.size();
  co_return Result<void>();
}

// Remains of a crash, or of a command of which it was not known whether it counts. What fails here is tried
// again at the next start.
Task<void> Shard::remove_other_snapshots() {
  auto& files = core_.runtime().files();
  const auto found = co_await files.list(core_.options().snapshot_directory);
  if (!found) co_return;
  const std::string mine = snapshot_prefix();
  for (const runtime::DirectoryEntry& entry : *found) {
    if (!entry.name.starts_with(mine) || (log_->snapshot() && entry.name == log_->snapshot()->file)) continue;
    STELE_MARK("shard: a snapshot that does not count removed");
    (void)co_await files.remove(snapshot_path(entry.name));
  }
}

void Shard::start_snapshot() {
  if (snapshotting_ || (state_.next() == snapshot_lsn_ && snapshot_is_in_place())) return;
  snapshotting_ = true;
  scope_->spawn(write_snapshot());
}

// In a cluster the next owner may be another node, which would not have a file of this one.
bool Shard::snapshot_is_in_place() {
  if (!core_.options().by_assignment) return true;
  return !snapshot_is_a_file_ && !(snapshot_segment_ && lacks_replicas(core_.replicas(), *snapshot_segment_));
}

// At once where there are more nodes than there were; where one is lost, when it has been away for as long as
// a log waits for it.
void Shard::look_after_snapshot() {
  if (snapshotting_ || snapshot_is_in_place()) {
    snapshot_lacks_since_.reset();
    return;
  }
  const runtime::Instant now = core_.runtime().now();
  if (!snapshot_lacks_since_) snapshot_lacks_since_ = now;
  journal::Replicas& replicas = core_.replicas();
  std::size_t all = 0, kept = 0;
  if (snapshot_segment_) {
    all = snapshot_segment_->replicas.size();
    kept = static_cast<std::size_t>(std::ranges::count_if(
        snapshot_segment_->replicas, [&](const auto& which) { return replicas.keeps(which); }));
  }
  const runtime::Duration patience =
      kept < all ? core_.options().log.replace_after : runtime::Duration::zero();
  if (now < *snapshot_lacks_since_ + patience || now < snapshot_tried_ + kSnapshotRetry) return;
  // There may be nowhere else: then the log has nowhere else either.
  const auto places = replicas.choose(id_);
  if (!places || (places->size() <= kept && (places->size() < replicas.wanted() || kept == all))) return;
  STELE_MARK("shard: snapshot written anew for its replicas");
  snapshot_tried_ = now;
  start_snapshot();
}

// Where too few others are there any more, a stop need not wait for them.
bool Shard::stop_waits_too_long() const {
  return stop_began_ && core_.runtime().now() - *stop_began_ > kStopPatience;
}

Task<void> Shard::write_snapshot() {
  // Taken in one turn; published once everything in it is committed.
  const auto self = shared_from_this();
  const Lsn lsn = state_.next();
  const Bytes bytes = Bytes::copy(state_.encode_snapshot());
  auto* observer = core_.options().observer;
  if (observer) observer->on_snapshot(id_, log_->epoch(), lsn, state_.hash());
  log_bytes_ = 0;
  auto written = co_await publish_snapshot(lsn, bytes);
  snapshotting_ = false;
  if (written) {
    snapshot_lsn_ = lsn;
    snapshot_size_ = bytes.size();
    ++core_.stats().snapshots;
    core_.stats().snapshot_bytes += bytes.size();
    if (serving_) trim();
  } else if (written.error().code != ErrorCode::kCancelled) {
    core_.runtime().log().write(
        runtime::LogLevel::kWarn, "broker",
        "shard " + std::to_string(id_.value) + ": no snapshot: " + written.error().to_string());
  }
}

Task<Result<std::string>> Shard::write_snapshot_file(Lsn lsn, Bytes bytes) {
  auto& files = core_.runtime().files();
  const std::string name =
      snapshot_prefix() + std::to_string(log_->epoch().value) + "-" + std::to_string(lsn.value);
  const std::string path = snapshot_path(name), part = path + ".part";
  {
    STELE_CO_TRY(auto file, co_await files.open(part, {.mode = runtime::OpenMode::kCreate}));
    STELE_CO_CHECK(co_await file->truncate(0));
    STELE_CO_CHECK(co_await file->write_and_sync(Position(0), {bytes}));
    STELE_CO_CHECK(co_await file->close());
  }
  STELE_CO_CHECK(co_await files.rename(part, path));
  STELE_CO_CHECK(co_await files.sync_directory(core_.options().snapshot_directory));
  co_return name;
}

Task<void> Shard::remove_snapshot(std::string name) {
  if (const auto segment = journal::SnapshotSegment::parse(name)) {
    journal::remove_snapshot(core_.replicas(), *segment);
  } else {
    (void)co_await core_.runtime().files().remove(snapshot_path(name));
  }
}

Task<Result<void>> Shard::publish_snapshot(Lsn lsn, Bytes bytes) {
  std::string name;
  std::optional<journal::SnapshotSegment> segment;
  if (core_.options().by_assignment) {
    STELE_CO_TRY(segment, co_await journal::store_snapshot(core_.replicas(), id_, log_->epoch(),
                                                           ++snapshots_written_, std::move(bytes),
                                                           [this] { return stop_waits_too_long(); }));
    name = segment->name();
  } else {
    STELE_CO_TRY(name, co_await write_snapshot_file(lsn, std::move(bytes)));
  }
  if (!mutant(Mutant::kSnapshotOfUncommittedState)) {
    if (!co_await committed(lsn)) co_return std::unexpected(not_committed());
    // A snapshot must never be newer than the log, whatever the durability is.
    STELE_CO_CHECK(co_await log_->sync());
  }
  if (!serving_) co_return error(ErrorCode::kCancelled, "the shard was lost");
  auto before = co_await core_.meta_client().execute(
      meta::SetSnapshot{.shard = id_, .epoch = log_->epoch(), .snapshot = {.lsn = lsn, .file = name}});
  if (!before) {
    const ErrorCode code = before.error().code;
    // A meta service that has failed may have done it all the same: the next start finds out.
    const bool unknown = code == ErrorCode::kIo || code == ErrorCode::kCorrupt ||
                         code == ErrorCode::kClosed || code == ErrorCode::kTimedOut;
    if (!unknown) co_await remove_snapshot(name);
    co_return std::unexpected(before.error());
  }
  if (*before && (*before)->file != name) co_await remove_snapshot((*before)->file);
  snapshot_is_a_file_ = !segment;
  snapshot_segment_ = std::move(segment);
  co_return Result<void>();
}

}  // namespace stele::broker
