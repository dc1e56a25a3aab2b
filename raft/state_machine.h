// What a group agrees on: commands go in, in the order of the log, the same on every member. Implemented by
// whoever uses a group; called by its member (member.h), one call at a time, on the member's core.
//
// It is durable by itself, and knows what it has applied: its files are the snapshot that lets a member
// forget its log. It is never ahead of its log, for the member applies only what the log has on the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "raft/core/types.h"
#include "runtime/task.h"

namespace stele::raft {

// A state machine as it was, to be sent to a member that lacks the log. What is applied later does not change
// it.
class SnapshotCopy {
 public:
  virtual ~SnapshotCopy() = default;
  virtual std::uint64_t bytes() const = 0;
  // [offset, offset + length), all of it, or an error.
  virtual runtime::Task<Result<Bytes>> read(std::uint64_t offset, std::size_t length) = 0;
  // Last call: what it occupies on the disk may go. A crash may leave it there; that is for the state machine
  // to tidy up when it is opened.
  virtual runtime::Task<void> close() = 0;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // The index of the last entry that is applied, durably. 0: none.
  virtual LogIndex applied() const = 0;

  // Applies entries, the first of which has index applied() + 1, and gives an answer to each. Complete when
  // that and the index of the last are durable, together: all of it, or after an error nothing. Entries that
  // are no commands change the index only. kNoSpace: it is tried again, until there is room; every other
  // error ends the member.
  virtual runtime::Task<Result<std::vector<std::string>>> apply(std::vector<Entry> entries) = 0;

  // A copy as of applied(). An error: there is none now, and the receiver waits.
  virtual runtime::Task<Result<std::unique_ptr<SnapshotCopy>>> copy() = 0;

  // Replaces everything by the copy in that file, which is whole and synced: renames it to where it belongs,
  // syncs both directories, opens it. applied() is then that of the copy. After a crash it is called again if
  // the file is still there. kNoSpace: it is tried again; every other error ends the member.
  virtual runtime::Task<Result<void>> install(std::string file) = 0;
};

}  // namespace stele::raft
