// The end of the log: the one file that is written to, and the step to the next one.
//
// A file whose write or sync failed is never written to or trusted again beyond its last good sync; what was
// in that write goes to a new file, whose header names the old one and its valid end. Only when that fails
// too is the log at its end.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/task.h"
#include "storage/batch_encoder.h"
#include "storage/block.h"
#include "storage/log_files.h"
#include "storage/log_index.h"

namespace stele::storage {

struct LogWriterOptions {
  std::uint64_t file_bytes = 0;
  std::uint64_t incarnation = 0;
  std::uint8_t durability = 0;  // written down for the next recovery
};

struct LogWriterStats {
  std::uint64_t batches = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t failed_syncs = 0;
  std::uint64_t rolls = 0;
};

class LogWriter {
 public:
  // Blocks at the end of a file belong to control records: a full disk must not keep out what frees space.
  static constexpr std::uint64_t kControlReserve = 4096;
  // A file is at least so many times its prologue, which holds the states of all segments: with a small file
  // size and many segments the log would otherwise be nothing but prologues, each roll followed by the next.
  static constexpr std::uint64_t kPrologueShare = 8;

  struct Written {
    FileSequence file;
    std::vector<PlacedBlock> blocks;
    std::uint64_t bytes = 0;
  };
  enum class Content { kEntries, kControlsOnly };

  // Keeps the files of `index` up to date.
  LogWriter(LogFiles& files, LogIndex& index, LogWriterOptions options)
      : files_(files), index_(index), options_(options) {}

  // Begins a new file. kNoSpace: nothing has changed, and it may be tried again. Any other error is final.
  runtime::Task<Result<void>> open_next(std::uint64_t needed_bytes);

  // Writes what `encode` puts into a batch; `encode` is called once for each try. One call at a time. An
  // empty batch is nothing but a sync. Errors as of open_next.
  runtime::Task<Result<Written>> write(std::function<void(BatchEncoder&)> encode, Content content, bool sync);

  // The next batch goes into a new file, though there may be room in this one.
  void begin_new_file() { new_file_ = true; }

  FileSequence current() const { return sequence_; }
  Position position() const { return position_; }
  std::uint64_t limit() const { return limit_; }
  // Files that a new one has found dead since they were last taken.
  std::vector<FileSequence> take_dead() { return std::exchange(dead_, {}); }
  // Set when the log ended while entries were acknowledged and not synced: from here on that file may lie.
  std::optional<std::pair<FileSequence, Position>> untrusted() const { return untrusted_; }
  const LogWriterStats& stats() const { return stats_; }

 private:
  runtime::Task<Result<void>> seal();
  runtime::Task<Result<void>> begin_file(FileSequence next, std::optional<std::uint64_t> spare,
                                         std::uint64_t needed_bytes);
  runtime::Task<Result<void>> put(std::vector<Bytes> slices, Position end, bool sync);
  void poison();
  std::string prologue(FileSequence next, Position& end) const;

  LogFiles& files_;
  LogIndex& index_;
  const LogWriterOptions options_;
  LogWriterStats stats_;

  std::unique_ptr<runtime::File> file_;  // null: poisoned, or none yet
  FileSequence sequence_;
  Position position_;              // where the next write goes
  Position synced_;                // everything before it is synced
  Position last_batch_;            // where the last write began
  bool unsynced_entries_ = false;  // behind synced_, acknowledged
  bool new_file_ = false;          // begin_new_file() was called
  bool named_ = false;             // the new file has its name: no way back
  std::uint64_t limit_ = 0;        // the file ends here
  std::vector<FileSequence> dead_;
  std::optional<std::pair<FileSequence, Position>> untrusted_;
};

}  // namespace stele::storage
