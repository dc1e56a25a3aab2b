// The segment store of one disk: log segments in a write-ahead log (docs/formats/wal.md).
//
// All segments of a disk share one log, so that one sync makes durable what came for all of them: entries
// accumulate while a sync is in flight and then go out in one write and one sync. There is no timer, and a
// lone entry never waits for company.
//
// A segment is a vector of entries, written in order from index 0 by one writer at a time. A fence with a
// higher epoch shuts its present writer out for good. What was trimmed or removed leaves the disk file by
// file; entries that pin a mostly dead file are moved.
//
// Lives on one core and is called only there; other cores post to it. Give its reads time to end before
// close(); destroying it without close() is a crash: nothing more is written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "storage/log_entry.h"

namespace stele::storage {

// When an append counts as stored.
enum class Durability : std::uint8_t {
  kFsync,   // on the disk
  kFlush,   // handed to the operating system: survives the process, not the machine
  kMemory,  // accepted: survives a clean stop only
};
std::string_view to_string(Durability durability);
Result<Durability> parse_durability(std::string_view text);  // "fsync", "flush", "memory"

struct SegmentStoreOptions {
  std::string directory;
  Durability durability = Durability::kFsync;
  // Size of a log file. One entry may make a file larger, and so do the states of very many segments, which
  // each file begins with: it is at least eight times as large as they are.
  std::uint64_t file_bytes = 64 << 20;
  // A group commit takes no more than this, but at least one append.
  std::uint64_t max_batch_bytes = 4 << 20;
  // A block (the unit of checksum and of disk reads) holds no more than this, but at least one entry.
  std::uint64_t max_block_bytes = 256 << 10;
  // Entries kept in memory after they were stored, over all segments; the oldest go first.
  std::uint64_t tail_cache_bytes = 64 << 20;
  // Appends beyond this much unstored data are refused (kUnavailable). Callers hold back before: see
  // SegmentStore::accepting().
  std::uint64_t max_pending_bytes = 64 << 20;
  // The index in memory keeps one place per so many bytes of a segment, or per so many of a file.
  std::uint64_t index_own_bytes = 64 << 10;
  std::uint64_t index_span_bytes = 4 << 20;
  // One read from the disk for older entries.
  std::uint64_t read_bytes = 128 << 10;
  // Live entries of a full file are moved when they are no more than this part of `file_bytes`, at most half:
  // a file has more in it than entries, and what is moved must not be worth moving again. So many bytes at a
  // time, with a pause between.
  std::uint32_t move_below_percent = 30;
  std::uint64_t move_step_bytes = 1 << 20;
  runtime::Duration move_pause = std::chrono::milliseconds(20);
  // Log files kept for reuse.
  std::uint32_t spare_files = 2;
  // Files open for reading at a time.
  std::uint32_t max_open_files = 64;
  // An index checkpoint is written when the log grew by this many files, or by four times the size of the
  // last checkpoint, whichever is more.
  std::uint32_t checkpoint_files = 1;
};

// What a segment holds. Entries [begin, end) are stored or on their way; [begin, stored) can be read.
struct SegmentInfo {
  SegmentId id;
  std::uint64_t begin = 0;
  std::uint64_t stored = 0;
  std::uint64_t end = 0;
  Epoch fence;              // appends below it are refused
  bool certain = true;      // see FenceAnswer
  std::uint64_t bytes = 0;  // on the disk, estimated after trims
};

struct FenceRequest {
  SegmentId segment;
  Epoch epoch;
  // Of its first owner, before anything was appended to it anywhere: a segment that is not known is new, and
  // nothing of it can be missing.
  bool fresh = false;
};

// What a fenced segment holds. Everything in it is stored.
struct FenceAnswer {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  // False when entries that were acknowledged here may be missing behind `end`: the segment was unknown
  // before this fence, and that was not a fresh one, or a restart met a damaged tail, or was unclean with a
  // durability below fsync. Stays false.
  bool certain = true;
};

struct SegmentStoreStats {
  std::uint64_t files = 0;
  std::uint64_t spares = 0;
  std::uint64_t log_bytes = 0;   // valid bytes of all files
  std::uint64_t live_bytes = 0;  // of them still needed
  std::uint64_t segments = 0;
  std::uint64_t index_places = 0;
  std::uint64_t pending_bytes = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t appends = 0;
  std::uint64_t entries = 0;
  std::uint64_t entry_bytes = 0;
  std::uint64_t batches = 0;  // group commits
  std::uint64_t written_bytes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t failed_syncs = 0;
  std::uint64_t rolls = 0;
  std::uint64_t moved_bytes = 0;
  std::uint64_t freed_files = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t cached_reads = 0;
  std::uint64_t disk_reads = 0;
  std::uint64_t append_latency_us_total = 0;  // from append() to its completion, over all appends
  std::uint64_t append_latency_us_max = 0;
  bool no_space = false;
  bool failed = false;
};

class SegmentStore {
 public:
  using Completion = std::move_only_function<void(Result<void>)>;

  // Recovers what `options.directory` holds; makes it if missing. kCorrupt names file and position when there
  // is damage anywhere but in the torn tail of the last file, kUnsupported a format newer than this program,
  // kInvalidArgument when options.move_below_percent is above 50.
  static runtime::Task<Result<std::unique_ptr<SegmentStore>>> open(runtime::Runtime& runtime,
                                                                   SegmentStoreOptions options);
  ~SegmentStore();

  // A random number given when the store was first made: tells this disk's content from another's.
  std::uint64_t incarnation() const;

  // Appends entries [first, first + entries.size()) in the name of `epoch`. `done` runs in a later turn, in
  // order of append, when they are stored. A segment exists from its first append or fence on, and an append
  // raises its fence to `epoch`. kFenced: a higher epoch was here. kInvalidArgument: `first` is not the
  // segment's end, or there are no entries. kNotFound: the segment is being removed. kNoSpace: the disk is
  // full; nothing of it was stored, and it fails what was queued behind it too. kUnavailable: too much is
  // pending. kIo: the log failed. After an error the segment's end is what info() says.
  void append(SegmentId segment, Epoch epoch, std::uint64_t first, std::vector<LogEntry> entries,
              Completion done);
  // False while so much is pending that callers should wait for completions before they append more.
  bool accepting() const;

  // Refuses all epochs below `epoch` from now on. Answers once the fence and everything before it is stored;
  // kFenced if a higher epoch was here already.
  runtime::Task<Result<FenceAnswer>> fence(SegmentId segment, Epoch epoch);
  // The same for many segments in one group commit; answers in the order of the requests.
  runtime::Task<std::vector<Result<FenceAnswer>>> fence_many(std::vector<FenceRequest> requests);

  // Stored entries from `index` on: at least one if there is any, no more than fit `max_bytes` after the
  // first. Empty at the end. kNotFound: no such segment, or `index` is trimmed. kCorrupt: damage on the disk.
  runtime::Task<Result<std::vector<LogEntry>>> read(SegmentId segment, std::uint64_t index,
                                                    std::size_t max_bytes);
  // The same without waiting, appended to `out`. False: not in memory, or an error; use read().
  bool read_cached(SegmentId segment, std::uint64_t index, std::size_t max_bytes, std::vector<LogEntry>& out);

  // Nothing below `below` is needed any more (no more than what is stored). Unknown segments are ignored.
  void trim(SegmentId segment, std::uint64_t below);
  // Forgets the segment entirely. Its id must never be used again.
  void remove(SegmentId segment);

  // kNotFound if there is no such segment.
  Result<SegmentInfo> info(SegmentId segment) const;
  std::vector<SegmentInfo> segments() const;  // ordered by id

  // True once the log could not be written although a new file was tried: every append and fence answers kIo,
  // and reads go on.
  bool failed() const;
  SegmentStoreStats stats() const;

  // Stores what is pending, syncs whatever the durability is, and marks the log as cleanly closed.
  runtime::Task<Result<void>> close();

 private:
  class Impl;
  explicit SegmentStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::storage
