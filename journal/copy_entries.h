// From one replica of a segment to another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/result.h"
#include "journal/segment_replica.h"
#include "model/ids.h"
#include "runtime/task.h"

namespace stele::journal {

// Entries [begin, end) of `from`, which has them, to the end of `to`, which is at `begin`. A piece at a time,
// so that no more than `piece_bytes` and one entry are in memory. Ends early when `over` says so. Both
// outlive the task.
runtime::Task<Result<void>> copy_entries(SegmentReplica& from, SegmentReplica& to, SegmentId segment,
                                         Epoch epoch, std::uint64_t begin, std::uint64_t end,
                                         std::size_t piece_bytes, const std::function<bool()>& over);

// Brings `to` from `begin` to `end` without the entries, which are trimmed there: nobody needs them.
runtime::Task<Result<void>> skip_entries(SegmentReplica& to, SegmentId segment, Epoch epoch,
                                         std::uint64_t begin, std::uint64_t end);

}  // namespace stele::journal
