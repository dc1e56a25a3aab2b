// What a LogStore finds at its start, put together from the records of its segments.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "raft/log_codec.h"
#include "raft/log_places.h"
#include "raft/log_store.h"
#include "runtime/task.h"
#include "storage/segment_store.h"

namespace stele::raft {

constexpr SegmentId kLogSegment{1};

struct RecoveredLog {
  LogState state;
  StoredLog found;
  LogPlaces places;
  std::uint64_t next_record = 0;
  std::optional<std::uint64_t> state_at;  // its record
};
// kCorrupt: records that contradict each other. `read_bytes` are in memory at a time, and the configurations.
runtime::Task<Result<RecoveredLog>> recover_log(storage::SegmentStore& store, std::size_t read_bytes);

}  // namespace stele::raft
