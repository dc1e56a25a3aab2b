// Reading of a shard's streams: fetches, offsets by time, and waiting for records.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/message_batch.h"
#include "broker/shard.h"
#include "model/record_batch.h"

namespace stele::broker {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// A stream may be thinly spread over its shard's log. A reader that has something is not kept waiting longer
// than this for more; its next read goes on from there.
constexpr runtime::Duration kWalkForMore = 100ms;

Error no_stream() {
  return {ErrorCode::kNotFound, "there is no such topic and partition"};
}
Error out_of_range(Offset offset) {
  return {ErrorCode::kInvalidArgument, "offset " + std::to_string(offset.value) + " is out of range"};
}

// The first bytes of a batch, up to where its header ends.
RecordBatchHeader header_of(const DataEntry& data) {
  char header[kRecordBatchHeaderSize];
  const std::size_t first = std::min(data.batch.size(), sizeof header);
  std::memcpy(header, data.batch.data(), first);
  // An empty rest has no address to copy from.
  if (first < sizeof header) std::memcpy(header + first, data.batch_rest.data(), sizeof header - first);
  RecordBatchHeader out;
  out.base_offset = Offset(load_be<std::int64_t>(header));
  out.partition_leader_epoch = load_be<std::int32_t>(header + 12);
  out.last_offset_delta = load_be<std::int32_t>(header + 23);
  out.max_timestamp_ms = load_be<std::int64_t>(header + 35);
  return out;
}

// Collects batches for a reader, to be sent one after the other. Small ones are copied together: a slice each
// costs more than the copy, and would hold the block that it lies in for as long as the reader takes.
class BatchGathering {
 public:
  explicit BatchGathering(std::vector<Bytes>& out) : out_(out) {}
  void add(const storage::LogEntry& entry, const DataEntry& data) {
    if (data.batch_size() >= kCopyBelow) {
      finish();
      for (Bytes& slice : batch_slices(entry, data)) out_.push_back(std::move(slice));
      return;
    }
    if (block_.capacity() - used_ < data.batch_size()) {
      finish();
      block_ = Buffer(std::clamp(2 * block_.capacity(), kSmallBlock, kLargeBlock));
      begin_ = used_ = 0;
    }
    for (const std::string_view part : {data.batch, data.batch_rest}) {
      if (!part.empty()) std::memcpy(block_.data() + used_, part.data(), part.size());
      used_ += part.size();
    }
  }
  void finish() {
    if (used_ > begin_) out_.push_back(block_.slice(begin_, used_ - begin_));
    begin_ = used_;
  }

 private:
  static constexpr std::size_t kCopyBelow = 1024;
  static constexpr std::size_t kSmallBlock = 2 << 10, kLargeBlock = 64 << 10;
  std::vector<Bytes>& out_;
  Buffer block_;
  std::size_t begin_ = 0, used_ = 0;
};

// What a fetch takes of the batches it walks past. Lives in the frame that walks.
struct Taking {
  struct Point {
    Offset offset;
    Lsn lsn;
  };
  const FetchRead& read;
  FetchOk& out;
  runtime::Runtime& runtime;
  const runtime::Instant until = runtime.now() + kWalkForMore;
  BatchGathering gathering{out.batches};
  std::optional<Point> first;  // of what was taken
  std::optional<Point> next;   // behind what was looked at

  bool take(Lsn lsn, const DataEntry& data, const storage::LogEntry& entry) {
    const RecordBatchHeader header = header_of(data);
    if (header.base_offset >= out.high_watermark) return false;
    if (header.last_offset() >= read.from) {
      // The first batch always, so that a reader gets on whatever its limit is.
      if (first && out.bytes + data.batch_size() > read.max_bytes) return false;
      if (!first) first = {header.base_offset, lsn};
      gathering.add(entry, data);
      out.bytes += data.batch_size();
    }
    next = {header.last_offset() + 1, lsn + 1};
    return next->offset < out.high_watermark && out.bytes < read.max_bytes;
  }
  // Asked before more is read from the disk. All below `at` was looked at.
  bool enough(Lsn at) {
    if (!first || runtime.now() < until) return false;
    STELE_MARK("shard: a reader is answered before its walk ends");
    next->lsn = at;
    return true;
  }
};

// The first record that is not older than `wanted`. Lives in the frame that walks.
struct LookingForTime {
  const std::int64_t wanted;
  const Offset start;
  OffsetAndTime found;

  bool take(Lsn, const DataEntry& data, const storage::LogEntry& entry) {
    const RecordBatchHeader header = header_of(data);
    if (header.max_timestamp_ms < wanted || header.last_offset() < start) return true;
    const Bytes batch = batch_bytes(entry, data);
    RecordBatchView view;
    auto owner = internal::open_records(batch, view);
    if (!owner) return true;
    RecordIterator records(view.header,
                           view.header.compression() == Compression::kNone ? view.records() : owner->view());
    while (records.next()) {
      const std::int64_t time =
          view.header.log_append_time() ? view.header.max_timestamp_ms : records.record().timestamp_ms;
      if (time < wanted || records.record().offset < start) continue;
      found = {records.record().offset, time, header.partition_leader_epoch};
      return false;
    }
    return true;
  }
  bool enough(Lsn) { return false; }
};

}  // namespace

Offset Shard::high_watermark(StreamId stream) const {
  auto found = high_watermarks_.find(stream);
  return found == high_watermarks_.end() ? Offset(0) : found->second;
}

Offset Shard::log_start(StreamId stream) const {
  auto found = log_starts_.find(stream);
  return found == log_starts_.end() ? Offset(0) : found->second;
}

void Shard::trim_stream(StreamId stream, Offset start) {
  trimmed_.push_back({append(control::stream_trimmed(now(), stream, start)), stream, start});
}

// Walks the stream's batches from the entry at `from` on, as far as it is committed. `use->take(lsn, data,
// entry)` says whether to go on, as does `use->enough(lsn)` before more is read from the disk. An error: the
// shard was lost, or the log cannot be read.
template <class Use>
Task<Result<void>> Shard::walk_stream(StreamId stream, Lsn from, Use use) {
  const auto self = shared_from_this();
  std::vector<storage::LogEntry> entries;
  while (serving_ && from < log_->committed()) {
    entries.clear();
    constexpr std::size_t kChunk = 256 << 10;
    if (!log_->read_cached(from, kChunk, entries)) {
      if (use->enough(from)) co_return Result<void>();
      STELE_CO_TRY(entries, co_await log_->read(from, kChunk));
      if (!serving_) break;
    }
    if (entries.empty()) co_return error(ErrorCode::kCorrupt, "the shard's log has a hole");
    for (const storage::LogEntry& entry : entries) {
      if (from >= log_->committed()) co_return Result<void>();
      const Lsn lsn = from;
      from += 1;
      STELE_CO_TRY(const EntryView view, parse_entry(entry));
      if (view.kind != EntryKind::kData || view.data.stream != stream) continue;
      if (!use->take(lsn, view.data, entry)) co_return Result<void>();
    }
  }
  if (!serving_) co_return std::unexpected(starting(id_));
  co_return Result<void>();
}

Task<Result<FetchOk>> Shard::read_stream(Core& there, ShardId id, FetchRead read) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  const StreamState* stream = shard->state_.stream(read.stream);
  if (!stream) co_return std::unexpected(no_stream());
  FetchOk out;
  out.high_watermark = shard->high_watermark(read.stream);
  out.log_start = shard->log_start(read.stream);
  const bool gone = read.from < stream->start();
  if (gone || read.from > out.high_watermark) {
    // The start may have been moved by an entry that is not committed yet.
    if (gone && !co_await shard->committed(shard->state_.next()))
      co_return std::unexpected(shard->not_committed());
    co_return std::unexpected(out_of_range(read.from));
  }
  if (read.from == out.high_watermark || read.max_bytes == 0) co_return out;
  const auto place = stream->place_for(read.from);
  if (!place) co_return out;
  Taking taking{.read = read, .out = out, .runtime = there.runtime(), .first = {}, .next = {}};
  const auto points = shard->resume_points_.find(read.stream);
  const Lsn from =
      points == shard->resume_points_.end() ? place->lsn : points->second.from(read.from, place->lsn);
  if (auto walked = co_await shard->walk_stream(read.stream, from, &taking); !walked) {
    // It may have been deleted meanwhile.
    const StreamState* still = shard->serving_ ? shard->state_.stream(read.stream) : nullptr;
    if (still && read.from < still->start()) co_return std::unexpected(out_of_range(read.from));
    co_return std::unexpected(std::move(walked).error());
  }
  taking.gathering.finish();
  if (taking.next && shard->high_watermarks_.contains(read.stream)) {
    ResumePoints& noted = shard->resume_points_[read.stream];
    // Who reads the same again, since it was cut off or came too late, need not look for it again.
    if (taking.first) noted.note(taking.first->offset, taking.first->lsn);
    noted.note(taking.next->offset, taking.next->lsn);
  }
  ++there.stats().fetches;
  there.stats().fetched_bytes += out.bytes;
  co_return out;
}

void Shard::add_reader(StreamId stream, Offset beyond, CoreId core, std::uint64_t wait) {
  if (!state_.stream(stream) || high_watermark(stream) > beyond) {
    core_.send(core, CallMail([wait](Core& there) { there.wake_fetch(wait); }));
    return;
  }
  readers_[stream][{core, wait}] = beyond;
}

void Shard::remove_reader(StreamId stream, CoreId core, std::uint64_t wait) {
  auto found = readers_.find(stream);
  if (found == readers_.end()) return;
  found->second.erase({core, wait});
  if (found->second.empty()) readers_.erase(found);
}

// Those whose records are there, or all if there will be none any more.
void Shard::wake_readers(StreamId stream) {
  auto found = readers_.find(stream);
  if (found == readers_.end()) return;
  const bool over = !serving_ || !state_.stream(stream);
  const Offset end = high_watermark(stream);
  // Who is woken may come back with another wait at once: nothing is told while the list is walked.
  std::vector<std::pair<CoreId, std::uint64_t>> woken;
  auto& readers = found->second;
  for (auto it = readers.begin(); it != readers.end();) {
    if (!over && end <= it->second) {
      ++it;
      continue;
    }
    woken.push_back(it->first);
    it = readers.erase(it);
  }
  if (readers.empty()) readers_.erase(found);
  for (const auto& [core, wait] : woken) {
    core_.send(core, CallMail([wait](Core& there) { there.wake_fetch(wait); }));
  }
}

Task<Result<OffsetAndTime>> Shard::list_offset(Core& there, ShardId id, StreamId stream_id,
                                               std::int64_t timestamp_ms) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  const StreamState* stream = shard->state_.stream(stream_id);
  if (!stream) co_return std::unexpected(no_stream());
  const Offset high_watermark =
      mutant(Mutant::kEndBeforeCommit) ? stream->next() : shard->high_watermark(stream_id);
  if (timestamp_ms == kLatestTimestamp) {
    const std::int32_t epoch = high_watermark > stream->start() ? stream->epoch_at(high_watermark - 1) : -1;
    co_return OffsetAndTime{high_watermark, -1, epoch};
  }
  if (timestamp_ms == kEarliestTimestamp) {
    const Offset earliest = stream->earliest();
    const std::int32_t epoch = earliest < stream->next() ? stream->epoch_at(earliest) : -1;
    // The start may have been moved by an entry that is not committed yet.
    if (!co_await shard->committed(shard->state_.next())) co_return std::unexpected(shard->not_committed());
    co_return OffsetAndTime{earliest, -1, epoch};
  }
  const std::int64_t wanted = timestamp_ms == kMaxTimestamp ? stream->max_timestamp_ms() : timestamp_ms;
  if (wanted < 0 || stream->start() == high_watermark) co_return OffsetAndTime{};
  const auto place = stream->place_for_timestamp(wanted);
  if (!place) co_return OffsetAndTime{};
  LookingForTime looking{.wanted = wanted, .start = stream->start(), .found = {}};
  STELE_CO_CHECK(co_await shard->walk_stream(stream_id, place->lsn, &looking));
  co_return looking.found;
}

Task<Result<StreamStatus>> Shard::stream_status(Core& there, ShardId id, StreamId stream_id) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  const StreamState* stream = shard->state_.stream(stream_id);
  if (!stream) co_return std::unexpected(no_stream());
  StreamStatus status;
  status.shard = id;
  status.epoch = shard->log_->epoch();
  status.log_start = shard->log_start(stream_id);
  status.high_watermark = shard->high_watermark(stream_id);
  status.bytes = stream->bytes();
  co_return status;
}

Result<Offset> Shard::delete_records(StreamId stream_id, Offset before) {
  STELE_CHECK(writable());
  const StreamState* stream = state_.stream(stream_id);
  if (!stream) return std::unexpected(no_stream());
  const Offset end = high_watermark(stream_id);
  const Offset start = before == Offset(-1) ? end : before;
  if (start < Offset(0) || start > end) {
    return error(ErrorCode::kInvalidArgument, "records up to offset " + std::to_string(start.value) +
                                                  " cannot be deleted, there are " +
                                                  std::to_string(end.value));
  }
  if (start <= stream->start()) return stream->start();
  STELE_MARK("shard: records deleted by a client");
  trim_stream(stream_id, start);
  return start;
}

Task<Result<void>> Shard::kept(Kept what) {
  if (!co_await what.shard->committed(what.end)) co_return std::unexpected(what.shard->not_committed());
  co_return Result<void>();
}

Task<Result<EpochEnd>> Shard::epoch_end(Core& there, ShardId id, StreamId stream_id, std::int32_t asked) {
  const std::shared_ptr<Shard> shard = there.shard_ptr(id);
  if (!shard) co_return std::unexpected(starting(id));
  const StreamState* stream = shard->state_.stream(stream_id);
  if (!stream) co_return std::unexpected(no_stream());
  const Offset high_watermark = shard->high_watermark(stream_id);
  const std::int32_t current = decide::Owner{{}, shard->log_->epoch()}.leader_epoch();
  EpochEnd out;
  if (asked == current) {
    out = {current, high_watermark};
  } else if (asked >= 0 && asked < current) {
    // Of what is not there any more, nothing is known but where the rest begins.
    const auto found = stream->epoch_end(asked);
    out = found ? EpochEnd{found->epoch, found->offset} : EpochEnd{asked, stream->start()};
    out.end = std::min(out.end, high_watermark);
  }
  // The start may have been moved by an entry that is not committed yet.
  if (!co_await shard->committed(shard->state_.next())) co_return std::unexpected(shard->not_committed());
  co_return out;
}

}  // namespace stele::broker
