// Sealed segments that lie on fewer disks than they should, or that some of their replicas do not have whole:
// what they lack is copied there, by the owner of the shard (docs/replication.md). Which segments, when, and
// what the metadata is told is shard_repair.cc's; here is the copying.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "journal/segment_replica.h"
#include "model/ids.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::journal {

// So many segments are copied at a time by all logs of one core: the rest of the disks and of the network is
// for who is acknowledged by them. Lives on that core; outlives whoever waits.
class RepairTurns : private runtime::TurnEndHook {
 public:
  RepairTurns(runtime::Runtime& runtime, std::size_t at_once) : runtime_(runtime), left_(at_once) {}
  // Holds one until it is destroyed.
  class Turn {
   public:
    explicit Turn(RepairTurns& turns) : turns_(&turns) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_) turns_->give_back();
    }

   private:
    RepairTurns* turns_;
  };
  runtime::Task<Turn> take() {
    while (left_ == 0) co_await changed_.wait();
    --left_;
    co_return Turn(*this);
  }

 private:
  void give_back() {
    ++left_;
    runtime_.at_turn_end(*this);
  }
  void on_turn_end() override { changed_.wake_all(); }
  runtime::Runtime& runtime_;
  std::size_t left_;
  runtime::Notification changed_;
};

struct RepairOptions {
  std::size_t copy_bytes = 1 << 20;  // at a time
};

struct RepairOutcome {
  std::vector<bool> complete;  // of each replica: it has the segment to its end, on its disk
  std::uint64_t copied = 0;    // entries
};

// Brings the first `targets` of them to `end`, the end that the segment was sealed at, one after the other,
// out of any that have it. Of those that do not answer, or are null, nothing is known. In the name of the
// shard's owner. kFenced: a higher epoch is there. kUnavailable: none has all of it that answers. The
// replicas outlive the task.
runtime::Task<Result<RepairOutcome>> complete_segment(std::vector<SegmentReplica*> replicas,
                                                      SegmentId segment, Epoch epoch, std::uint64_t end,
                                                      std::size_t targets, RepairOptions options = {});

}  // namespace stele::journal
