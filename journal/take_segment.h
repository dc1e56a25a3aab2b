// Takes over a segment that several replicas hold: fences them, finds the end, and copies to A what is kept.
// What is left to its caller is to seal it there (docs/replication.md).
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

// Makes a new segment known to its replicas, so that of one that holds nothing it is certain that nothing is
// missing. Before its first append. Waits for A of them, or until all have answered; how many know it.
// kFenced: a higher epoch is there.
runtime::Task<Result<std::size_t>> begin_segment(runtime::Runtime& runtime,
                                                 std::vector<SegmentReplica*> replicas, SegmentId segment,
                                                 Epoch epoch);

}  // namespace stele::journal
