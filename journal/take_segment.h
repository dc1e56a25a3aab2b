// Takes over a segment that several replicas hold: fences them, finds the end, and copies to A what is kept.
// What is left to its caller is to seal it there (docs/replication.md). And the same for who wrote the
// segment itself and knows its end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "journal/segment_replica.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::journal {

struct TakeSegmentOptions {
  runtime::Duration give_up_after = std::chrono::seconds(30);
  // Before a replica that did not answer is asked again.
  runtime::Duration retry = std::chrono::milliseconds(200);
  std::size_t copy_bytes = 1 << 20;  // at a time
};

struct TakenSegment {
  std::uint64_t end = 0;             // A replicas have [0, end) on their disks
  std::vector<std::size_t> holders;  // who
};

// `replicas` in the order of the chain's; null: one that is gone for good, because its node has another disk
// by now, or is in the cluster no more. Fences the others, and goes on as soon as enough have answered.
// kFenced: a higher epoch is there. kUnavailable: too few answered, or could be copied to, in time; the
// segment is left fenced, and may be taken again with the same epoch or a higher one. The replicas outlive
// the task.
runtime::Task<Result<TakenSegment>> take_segment(runtime::Runtime& runtime,
                                                 std::vector<SegmentReplica*> replicas, SegmentId segment,
                                                 Epoch epoch, TakeSegmentOptions options = {});

// Of the segment's own writer, in its epoch: waits until A replicas have [0, end) on their disks, whatever
// their durability; or all that are not gone, if these are fewer. `end` is committed. Errors as above.
enum class SyncHow {
  kWait,  // for what they get from the writer, which lives
  kCopy,  // to those that lack something; the writer has ended
};
runtime::Task<Result<void>> sync_segment(runtime::Runtime& runtime, std::vector<SegmentReplica*> replicas,
                                         SegmentId segment, Epoch epoch, std::uint64_t end, SyncHow how,
                                         TakeSegmentOptions options = {});

}  // namespace stele::journal
