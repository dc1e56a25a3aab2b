// What a field run and the node's disk (disk_faults.cc, in the node's process) tell each other: a file that
// both map. All zero but for `room`: the disk is well.
#pragma once

#include <atomic>
#include <cstdint>

namespace stele::field {

struct DiskControl {
  // From the run. Counts of operations that are still to fail.
  std::atomic<std::int64_t> syncs_to_fail, reads_to_fail, writes_to_fail;
  std::atomic<std::int64_t> room;         // bytes that may still be written
  std::atomic<std::int64_t> stall_until;  // of the monotonic clock, in ns: nothing ends before
  std::atomic<std::int64_t> next_takes;   // ns: the next operation alone takes so much longer
  std::atomic<std::int64_t> takes;        // ns: each one
  std::atomic<std::int64_t> kill_in;      // in the so-manieth operation from now the process dies; 0: in none
  // From the node: how often something met one.
  std::atomic<std::int64_t> failed, stalled;
  // Writes that failed, and that stopped short, because the file system has no room.
  std::atomic<std::int64_t> full, stopped;

  static constexpr std::int64_t kUnlimited = INT64_MAX / 2;
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

// Names the file in the node's environment.
inline constexpr const char* kDiskControlVariable = "FIELD_DISK_CONTROL";

}  // namespace stele::field
