// The log, the term and the vote of a member of a Raft group, on its disk.
//
// They lie in a segment store of their own (storage/segment_store.h), which brings group commit, checksums,
// what to do after a failed sync, and recovery; in one segment of it, for only the records of one segment
// reach the disk in the order in which they were appended. Records are states (term, vote, where the log
// begins), entries, and what makes earlier entries void. What is older than the newest state and the oldest
// entry that counts is trimmed.
//
// Always synced, whatever the durability of the node's messages: a vote that is forgotten is a broken
// promise. A torn tail is not damage: nothing of it was told to anybody.
//
// A full disk makes stores wait, in order; any other error is final (raft.md, "failed disk"): this member
// must say nothing more. Lives on one core.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "raft/core/effects.h"
#include "raft/core/log_view.h"
#include "raft/core/types.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "storage/segment_store.h"

namespace stele::raft {

struct LogStoreOptions {
  std::string directory;
  // Of a file of the log on the disk, in bytes.
  std::uint64_t file_bytes = std::uint64_t{16} << 20;
  // Of a read at a start, in bytes.
  std::size_t read_bytes = std::size_t{1} << 20;
  // How long a store waits on a full disk before it tries again.
  runtime::Duration full_disk_pause = std::chrono::milliseconds(200);
};

// What there was at the start.
struct StoredLog {
  HardState hard_state;
  LogOutline log;
};

// For a group that begins with a state machine that has entries already, which no log has: makes a log that
// begins behind `start`, in its term. Nothing where there is a log; so it may be called again after a crash.
runtime::Task<Result<void>> begin_log(runtime::Runtime& runtime, LogStoreOptions options, SnapshotInfo start);

struct LogStoreStats {
  std::uint64_t stores = 0;
  std::uint64_t entries = 0;
  std::uint64_t syncs = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t waiting = 0;  // stores that are not durable yet
  bool no_space = false;
};

class LogStore {
 public:
  // kCorrupt names the file or the record and what is wrong with it, kUnsupported a newer version.
  static runtime::Task<Result<std::unique_ptr<LogStore>>> open(runtime::Runtime& runtime,
                                                               LogStoreOptions options);
  ~LogStore();

  // What was found, once.
  StoredLog take_found();

  // `done` runs in a later turn, in order of the calls: durable, or the error after which nothing more is
  // stored. Not after this is destroyed, which it must not do itself.
  using Completion = std::move_only_function<void(Result<void>)>;
  void store(Store what, Completion done);
  // The log up to there is not needed any more (Effects::cut). Behind every store before it.
  void cut(const SnapshotInfo& to);

  // Entries from slots.first on, as many as fit `bytes_max`, but one at least. Sees what was given to store()
  // before, as far as it is durable: the core has the rest in memory. kNotFound: there is none. kCorrupt:
  // damaged; kIo.
  runtime::Task<Result<std::vector<Entry>>> read(SlotRange slots, std::size_t bytes_max);

  LogStoreStats stats() const;
  // Waits for what is to be stored, but on a full disk for no more than another try: kNoSpace, and it is not
  // stored.
  runtime::Task<Result<void>> close();

 private:
  class Impl;
  explicit LogStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::raft
