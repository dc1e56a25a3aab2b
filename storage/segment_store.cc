#include "storage/segment_store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "storage/segment_store_impl.h"

namespace stele::storage {

using runtime::Task;

namespace {

// An entry's length is told in 32 bits together with its block's header.
constexpr std::uint64_t kMaxEntryBytes = 1 << 30;

std::string name_of(SegmentId segment) {
  return "segment " + std::to_string(segment.value);
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

SegmentStore::Impl::Impl(runtime::Runtime& runtime, SegmentStoreOptions options, Recovered recovered,
                         LogDirectory found)
    : runtime_(runtime),
      options_(std::move(options)),
      incarnation_(recovered.incarnation != 0 ? recovered.incarnation : (runtime.random().next() | 1)),
      index_(std::move(recovered.index)),
      files_(runtime.files(), options_.directory, options_.max_open_files),
      log_(files_, index_,
           {.file_bytes = options_.file_bytes,
            .incarnation = incarnation_,
            .durability = static_cast<std::uint8_t>(options_.durability)}),
      cache_(options_.tail_cache_bytes),
      self_(std::make_shared<Impl*>(this)) {
  for (const auto& [id, stored] : index_.segments()) {
    segments_[id] = {.begin = stored.begin, .end = stored.end, .fence = stored.fence, .hints = {}};
  }
  for (const FileSequence file : found.logs) files_.seen(file.value);
  // A crash may have left the beginnings of a file in what is now a spare or dead, under a sequence number
  // that is about to be given again.
  for (const std::uint64_t spare : found.spares) {
    files_.seen(spare);
    if (recovered.clean) files_.spares().push_back(spare);
    if (!recovered.clean) untidy_.push_back(numbered_name("spare", spare));
  }
  for (const FileSequence file : recovered.dead) {
    if (recovered.clean) dead_.push_back(file);
    if (!recovered.clean) untidy_.push_back(wal_name(file));
  }
  untidy_.insert(untidy_.end(), found.leftovers.begin(), found.leftovers.end());
  old_checkpoints_ = found.checkpoints;
  if (!found.checkpoints.empty()) last_checkpoint_ = found.checkpoints.back();
}

Task<Result<void>> SegmentStore::Impl::start(RecoveredTail tail) {
  for (const std::string& name : untidy_) {
    [[maybe_unused]] const auto removed = co_await runtime_.files().remove(files_.path(name));
  }
  if (tail.file.value != 0) STELE_CO_CHECK(co_await settle(tail));
  STELE_CO_CHECK(co_await log_.open_next(0));
  for (const FileSequence file : log_.take_dead()) dead_.push_back(file);
  // The remains behind the valid end are of no use; a file that was hardly begun shrinks to what it holds.
  if (index_.files().contains(tail.file) && tail.size > tail.end.value) {
    auto file = co_await runtime_.files().open(files_.path(wal_name(tail.file)),
                                               {.mode = runtime::OpenMode::kReadWrite});
    if (file) [[maybe_unused]]
      const auto done = co_await (*file)->truncate(tail.end.value);
  }
  scope_.spawn(run_writer());
  scope_.spawn(run_keeper());
  co_return Result<void>();
}

// What was read may be in memory only: a process that died left it there, or a sync that failed before it
// died. The next file will say that it is stored, so it is written once more and synced.
Task<Result<void>> SegmentStore::Impl::settle(RecoveredTail tail) {
  constexpr std::uint64_t kStep = 1 << 20;
  STELE_CO_TRY(auto file, co_await runtime_.files().open(files_.path(wal_name(tail.file)),
                                                         {.mode = runtime::OpenMode::kReadWrite}));
  for (Position at = tail.synced; at < tail.end;) {
    const std::uint64_t length = std::min<std::uint64_t>(kStep, tail.end - at);
    STELE_CO_TRY(const Bytes bytes, co_await file->read(at, static_cast<std::size_t>(length)));
    if (bytes.size() != length) co_return error(ErrorCode::kIo, wal_name(tail.file) + " became shorter");
    std::vector<Bytes> slices{bytes};
    STELE_CO_CHECK(co_await file->write(at, std::move(slices)));
    at += length;
  }
  co_return co_await file->sync();
}

const SegmentStore::Impl::Segment* SegmentStore::Impl::find(SegmentId id) const {
  const auto it = segments_.find(id);
  return it == segments_.end() || it->second.removed ? nullptr : &it->second;
}

std::uint64_t SegmentStore::Impl::readable_end(SegmentId id, const Segment& segment) const {
  if (options_.durability == Durability::kMemory) return segment.end;
  const LogIndex::Segment* stored = index_.find(id);
  return stored ? stored->end : 0;
}

std::optional<Error> SegmentStore::Impl::refusal_of(SegmentId id, Epoch epoch, std::uint64_t first,
                                                    const std::vector<LogEntry>& entries,
                                                    std::uint64_t bytes) const {
  const auto it = segments_.find(id);
  const std::uint64_t end = it == segments_.end() ? 0 : it->second.end;
  if (closing_) return Error{ErrorCode::kClosed, "the log is closed"};
  if (failure_) return Error{ErrorCode::kIo, "the log failed: " + failure_->message};
  if (it != segments_.end() && it->second.removed) {
    return Error{ErrorCode::kNotFound, name_of(id) + " is being removed"};
  }
  if (it != segments_.end() && epoch < it->second.fence && !mutant(mutants::kAppendAfterFence)) {
    return Error{ErrorCode::kFenced, name_of(id) + " is fenced at epoch " +
                                         std::to_string(it->second.fence.value) + ", above " +
                                         std::to_string(epoch.value)};
  }
  if (entries.empty()) return Error{ErrorCode::kInvalidArgument, name_of(id) + ": no entries to append"};
  if (first != end) {
    return Error{ErrorCode::kInvalidArgument, name_of(id) + " ends at entry " + std::to_string(end) +
                                                  ", and entry " + std::to_string(first) + " was to follow"};
  }
  for (const LogEntry& entry : entries) {
    if (entry.size() > kMaxEntryBytes) {
      return Error{ErrorCode::kInvalidArgument,
                   name_of(id) + ": an entry is larger than " + std::to_string(kMaxEntryBytes) + " bytes"};
    }
  }
  if (pending_bytes_ > 0 && pending_bytes_ + bytes > options_.max_pending_bytes) {
    STELE_MARK("storage: append refused, too much pending");
    return Error{ErrorCode::kUnavailable, "too much waits for the disk already; try again later"};
  }
  if (no_space_ && options_.durability == Durability::kMemory) {
    return Error{ErrorCode::kNoSpace, "the disk is full"};
  }
  return std::nullopt;
}

void SegmentStore::Impl::append(SegmentId id, Epoch epoch, std::uint64_t first, std::vector<LogEntry> entries,
                                Completion done) {
  std::uint64_t bytes = 0;
  for (const LogEntry& entry : entries) bytes += entry.size();
  const bool in_memory = options_.durability == Durability::kMemory;
  if (auto refusal = refusal_of(id, epoch, first, entries, bytes)) {
    if (in_memory) return answer_later(std::move(done), std::unexpected(*std::move(refusal)));
    enqueue({.kind = Operation::Kind::kRefused, .refusal = *std::move(refusal), .done = std::move(done)});
    return;
  }
  auto chunk = std::make_shared<EntryChunk>();
  chunk->segment = id;
  chunk->first = first;
  chunk->entries = std::move(entries);
  chunk->bytes = bytes;
  Segment& segment = segments_[id];
  segment.end += chunk->entries.size();
  segment.fence = std::max(segment.fence, epoch);
  pending_bytes_ += bytes;
  ++stats_.appends;
  stats_.entries += chunk->entries.size();
  stats_.entry_bytes += bytes;
  Operation operation{.kind = Operation::Kind::kAppend, .segment = id, .epoch = epoch, .chunk = chunk};
  if (in_memory) {
    cache_.push(std::move(chunk));
    answer_later(std::move(done), {});
  } else {
    operation.done = std::move(done);
  }
  enqueue(std::move(operation));
}

void SegmentStore::Impl::enqueue(Operation operation) {
  if (ended_) {
    STELE_ASSERT(operation.kind == Operation::Kind::kRefused);
    return answer_later(std::move(operation.done), std::unexpected(std::move(operation.refusal)));
  }
  operation.since = runtime_.now();
  queue_.push_back(std::move(operation));
  if (work_.anybody() && !linked()) runtime_.at_turn_end(*this);
}

Task<Result<void>> SegmentStore::Impl::enqueue_and_wait(Operation operation) {
  const bool clean =
      operation.kind == Operation::Kind::kControl && operation.control.type == ControlRecord::Type::kClean;
  if (closing_ && !clean) co_return error(ErrorCode::kClosed, "the log is closed");
  struct Wait {
    std::optional<Result<void>> result;
    runtime::Notification done;
  };
  auto wait = std::make_shared<Wait>();
  operation.done = [wait](Result<void> result) {
    wait->result = std::move(result);
    wait->done.wake_all();
  };
  enqueue(std::move(operation));
  while (!wait->result) co_await wait->done.wait();
  co_return *std::move(wait->result);
}

Task<std::vector<Result<FenceAnswer>>> SegmentStore::Impl::fence_many(std::vector<FenceRequest> requests) {
  struct Wait {
    std::vector<Result<FenceAnswer>> answers;
    std::size_t missing = 0;
    runtime::Notification done;
  };
  auto wait = std::make_shared<Wait>();
  wait->answers.resize(requests.size());
  wait->missing = requests.size();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto [id, epoch, fresh] = requests[i];
    const auto it = segments_.find(id);
    Operation operation{.kind = Operation::Kind::kRefused, .segment = id};
    operation.done = [this, wait, i, id](Result<void> result) {
      const LogIndex::Segment* stored = index_.find(id);
      if (!result) {
        wait->answers[i] = std::unexpected(std::move(result).error());
      } else if (!stored) {
        wait->answers[i] = error(ErrorCode::kNotFound, name_of(id) + " was removed");
      } else {
        wait->answers[i] = {.begin = stored->begin, .end = stored->end, .certain = stored->certain};
      }
      if (--wait->missing == 0) wait->done.wake_all();
    };
    if (closing_) {
      operation.refusal = {ErrorCode::kClosed, "the log is closed"};
    } else if (failure_) {
      operation.refusal = {ErrorCode::kIo, "the log failed: " + failure_->message};
    } else if (it != segments_.end() && it->second.removed) {
      operation.refusal = {ErrorCode::kNotFound, name_of(id) + " is being removed"};
    } else if (it != segments_.end() && epoch < it->second.fence) {
      operation.refusal = {ErrorCode::kFenced, name_of(id) + " is fenced at epoch " +
                                                   std::to_string(it->second.fence.value) + ", above " +
                                                   std::to_string(epoch.value)};
    } else {
      operation.kind = Operation::Kind::kControl;
      operation.control = {
          .type = ControlRecord::Type::kFence,
          .segment = id,
          .value = epoch.value,
          .certain = fresh || index_.find(id) || (it != segments_.end() && it->second.end > 0)};
      segments_[id].fence = epoch;
    }
    enqueue(std::move(operation));
  }
  while (wait->missing > 0) co_await wait->done.wait();
  co_return std::move(wait->answers);
}

bool SegmentStore::Impl::read_cached(SegmentId id, std::uint64_t index, std::size_t max_bytes,
                                     std::vector<LogEntry>& out) {
  const Segment* segment = find(id);
  if (!segment || index < segment->begin) return false;
  const std::uint64_t end = readable_end(id, *segment);
  if (index >= end) return true;
  // What is not on the disk yet can be nowhere else.
  const bool miss = options_.durability != Durability::kMemory && buggify(Buggify::kCacheMiss);
  if (miss || !cache_.read(id, index, end, max_bytes, out)) return false;
  ++stats_.cached_reads;
  return true;
}

bool SegmentStore::Impl::still_at(SegmentId id, std::uint64_t index, const Place& place) const {
  const LogIndex::Segment* stored = index_.find(id);
  if (!find(id) || !stored) return false;
  const Place* now = index_.find_place(*stored, index);
  return now && now->file == place.file && now->position == place.position;
}

// Of the blocks whose position is known, the last at or before the entry.
Position SegmentStore::Impl::start_in(const Segment& segment, const Place& place, std::uint64_t index) {
  Position start = place.position;
  for (const Segment::Hint& hint : segment.hints) {
    const bool here = hint.file == place.file && hint.place == place.position;
    if (here && hint.index <= index) start = std::max(start, hint.position);
  }
  return start;
}

// A reader of the place got as far as entry `next`.
void SegmentStore::Impl::note_stop(Segment& segment, const Place& place, const ReadBlocks& read,
                                   std::uint64_t next) {
  if (next >= place.to) return;
  const BlockHeader& last = read.blocks.back().header;
  const bool inside = next < last.first + last.count;
  const Segment::Hint hint{.index = inside ? last.first : next,
                           .file = place.file,
                           .place = place.position,
                           .position = inside ? last.position : read.next};
  const bool known = std::ranges::any_of(segment.hints, [&](const Segment::Hint& other) {
    return other.file == hint.file && other.position == hint.position && other.index == hint.index;
  });
  if (!known) segment.hints[segment.next_hint++ % segment.hints.size()] = hint;
}

Task<Result<std::vector<LogEntry>>> SegmentStore::Impl::read(SegmentId id, std::uint64_t index,
                                                             std::size_t max_bytes) {
  while (true) {
    std::vector<LogEntry> cached;
    if (read_cached(id, index, max_bytes, cached)) co_return cached;
    const Segment* segment = find(id);
    if (!segment) co_return error(ErrorCode::kNotFound, "there is no " + name_of(id));
    if (index < segment->begin) {
      co_return error(ErrorCode::kNotFound, name_of(id) + " begins at entry " +
                                                std::to_string(segment->begin) + "; entry " +
                                                std::to_string(index) + " was trimmed");
    }
    const Place place = *index_.find_place(*index_.find(id), index);
    if (const auto lost = log_.untrusted(); lost && place.file == lost->first && place.end > lost->second) {
      co_return error(ErrorCode::kIo,
                      name_of(id) + ": a failed sync may have lost entry " + std::to_string(index));
    }
    PlaceQuery query{.segment = id, .place = place, .from = index, .start = start_in(*segment, place, index)};
    query.max_bytes = max_bytes;
    query.chunk = static_cast<std::size_t>(options_.read_bytes);
    ++stats_.disk_reads;
    Result<ReadBlocks> read = error(ErrorCode::kIo, "not read");
    if (auto file = co_await files_.open(place.file)) {
      read = co_await read_place(*std::move(file), query);
    } else {
      read = std::unexpected(std::move(file).error());
    }
    if (!read && !still_at(id, index, place)) {
      STELE_MARK("storage: read raced a move or trim");
      continue;
    }
    if (!read) co_return std::unexpected(read.error().with_context("reading " + name_of(id)));
    auto entries = entries_of(*read, index, place.to, max_bytes);
    if (!entries) co_return std::unexpected(entries.error().with_context("reading " + name_of(id)));
    const auto now = segments_.find(id);
    if (now != segments_.end()) note_stop(now->second, place, *read, index + entries->size());
    co_return entries;
  }
}

void SegmentStore::Impl::trim(SegmentId id, std::uint64_t below) {
  const auto it = segments_.find(id);
  if (it == segments_.end() || it->second.removed || closing_ || failure_) return;
  Segment& segment = it->second;
  below = std::min(below, readable_end(id, segment));
  if (below <= segment.begin) return;
  segment.begin = below;
  cache_.trim(id, below);
  Operation operation{.kind = Operation::Kind::kControl, .segment = id};
  operation.control = {.type = ControlRecord::Type::kTrim, .segment = id, .value = below};
  enqueue(std::move(operation));
}

void SegmentStore::Impl::remove(SegmentId id) {
  const auto it = segments_.find(id);
  if (it == segments_.end() || it->second.removed || closing_ || failure_) return;
  it->second.removed = true;
  Operation operation{.kind = Operation::Kind::kControl, .segment = id};
  operation.control = {.type = ControlRecord::Type::kRemove, .segment = id};
  enqueue(std::move(operation));
}

SegmentInfo SegmentStore::Impl::describe(SegmentId id, const Segment& segment) const {
  const LogIndex::Segment* stored = index_.find(id);
  return {.id = id,
          .begin = segment.begin,
          .stored = readable_end(id, segment),
          .end = segment.end,
          .fence = segment.fence,
          .certain = !stored || stored->certain,
          .bytes = stored ? stored->bytes : 0};
}

Result<SegmentInfo> SegmentStore::Impl::info(SegmentId id) const {
  const Segment* segment = find(id);
  if (!segment) return error(ErrorCode::kNotFound, "there is no " + name_of(id));
  return describe(id, *segment);
}

std::vector<SegmentInfo> SegmentStore::Impl::segments() const {
  std::vector<SegmentInfo> all;
  for (const auto& [id, segment] : segments_) {
    if (!segment.removed) all.push_back(describe(id, segment));
  }
  return all;
}

SegmentStoreStats SegmentStore::Impl::stats() const {
  SegmentStoreStats stats = stats_;
  stats.files = index_.files().size();
  stats.spares = const_cast<LogFiles&>(files_).spares().size();
  for (const auto& [sequence, file] : index_.files()) {
    stats.log_bytes += file.end.value;
    stats.live_bytes += file.live_bytes;
  }
  stats.segments = segments_.size();
  stats.index_places = index_.places();
  stats.pending_bytes = pending_bytes_;
  stats.cache_bytes = cache_.bytes();
  stats.batches = log_.stats().batches;
  stats.written_bytes = log_.stats().written_bytes;
  stats.syncs = log_.stats().syncs;
  stats.failed_syncs = log_.stats().failed_syncs;
  stats.rolls = log_.stats().rolls;
  stats.no_space = no_space_;
  stats.failed = failure_.has_value();
  return stats;
}

Task<Result<void>> SegmentStore::Impl::close() {
  STELE_ASSERT(!closing_);
  closing_ = true;
  chores_.wake_all();
  Operation clean{.kind = Operation::Kind::kControl};
  clean.control = {.type = ControlRecord::Type::kClean};
  auto closed = co_await enqueue_and_wait(std::move(clean));
  ended_ = true;
  work_.wake_all();
  co_await scope_.close();
  co_return closed;
}

SegmentStore::SegmentStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SegmentStore::~SegmentStore() = default;

Task<Result<std::unique_ptr<SegmentStore>>> SegmentStore::open(runtime::Runtime& runtime,
                                                               SegmentStoreOptions options) {
  if (options.move_below_percent > 50) {
    co_return error(ErrorCode::kInvalidArgument,
                    "log in " + options.directory + ": files of which more than half is live (" +
                        std::to_string(options.move_below_percent) + " %) are not worth moving");
  }
  runtime::Files& files = runtime.files();
  STELE_CO_CHECK(co_await files.make_directory(options.directory));
  STELE_CO_CHECK(co_await files.sync_directory(parent_of(options.directory)));
  STELE_CO_TRY(LogDirectory found, co_await list_log_directory(files, options.directory));
  RecoveryOptions recovery{.directory = options.directory,
                           .grain = {options.index_own_bytes, options.index_span_bytes}};
  auto recovered = co_await recover(files, found, std::move(recovery));
  if (!recovered) co_return std::unexpected(recovered.error().with_context("log in " + options.directory));
  RecoveredTail tail{.file = recovered->last, .synced = recovered->last_synced, .size = recovered->last_size};
  if (tail.file.value != 0) tail.end = recovered->index.files().at(tail.file).end;
  auto impl = std::make_unique<Impl>(runtime, std::move(options), *std::move(recovered), std::move(found));
  STELE_CO_CHECK(co_await impl->start(tail));
  co_return std::unique_ptr<SegmentStore>(new SegmentStore(std::move(impl)));
}

std::uint64_t SegmentStore::incarnation() const {
  return impl_->incarnation();
}
void SegmentStore::append(SegmentId segment, Epoch epoch, std::uint64_t first, std::vector<LogEntry> entries,
                          Completion done) {
  impl_->append(segment, epoch, first, std::move(entries), std::move(done));
}
bool SegmentStore::accepting() const {
  return impl_->accepting();
}
Task<Result<FenceAnswer>> SegmentStore::fence(SegmentId segment, Epoch epoch) {
  std::vector<FenceRequest> requests{{.segment = segment, .epoch = epoch}};
  auto answers = co_await impl_->fence_many(std::move(requests));
  co_return std::move(answers.front());
}
Task<std::vector<Result<FenceAnswer>>> SegmentStore::fence_many(std::vector<FenceRequest> requests) {
  return impl_->fence_many(std::move(requests));
}
Task<Result<std::vector<LogEntry>>> SegmentStore::read(SegmentId segment, std::uint64_t index,
                                                       std::size_t max_bytes) {
  return impl_->read(segment, index, max_bytes);
}
bool SegmentStore::read_cached(SegmentId segment, std::uint64_t index, std::size_t max_bytes,
                               std::vector<LogEntry>& out) {
  return impl_->read_cached(segment, index, max_bytes, out);
}
void SegmentStore::trim(SegmentId segment, std::uint64_t below) {
  impl_->trim(segment, below);
}
void SegmentStore::remove(SegmentId segment) {
  impl_->remove(segment);
}
Result<SegmentInfo> SegmentStore::info(SegmentId segment) const {
  return impl_->info(segment);
}
std::vector<SegmentInfo> SegmentStore::segments() const {
  return impl_->segments();
}
bool SegmentStore::failed() const {
  return impl_->failed();
}
SegmentStoreStats SegmentStore::stats() const {
  return impl_->stats();
}
Task<Result<void>> SegmentStore::close() {
  return impl_->close();
}

}  // namespace stele::storage
