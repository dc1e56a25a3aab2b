// Writes a segment to all its replicas at once, and commits what a quorum of them has stored.
//
// A SegmentWriter over others, one for each replica (a lane). A lane that ends for what passes (kUnavailable,
// kNoSpace) is opened again when its replica says so, and gets what it lacks from what is kept in memory
// for it; one that is too far behind for that, or ends for good, is out until the next segment. Others
// go on meanwhile: only below A of them nothing commits.
//
// Each replica is told of the segment, by a fence that says that it is new, before it gets an entry, and
// until it knows: of a segment that it has never heard of a replica is never certain, and without this a
// segment whose owner dies before it appended anything would need all R to be taken over.
//
// To freeze the segment is to destroy the writer: what the listener was told is the commit position, and
// nothing counts any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/fifo.h"
#include "base/result.h"
#include "journal/quorum.h"
#include "journal/segment_replica.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::journal {

struct QuorumWriterOptions {
  // Entries kept for replicas that have not stored them: committed ones leave, the slowest replica with them,
  // beyond this. Well below what a RemoteReplica's writer may hold.
  std::size_t max_kept_bytes = 16 << 20;
};

// Lives on one core. The replicas and the listener outlive it.
class QuorumWriter final : public SegmentWriter, private runtime::TurnEndHook {
 public:
  // Of a new segment that the chain has, from its first entry on, in the epoch that opened it. `replicas` are
  // in the order of the chain's; null: one that is gone for good.
  //
  // The listener's on_stored tells the commit position. on_append_failed: kFenced, another owner is there;
  // kUnavailable, fewer than A replicas are left that could ever store more of this segment: seal it, and go
  // on in another with other replicas. Neither before the end of the turn.
  QuorumWriter(runtime::Runtime& runtime, const std::vector<SegmentReplica*>& replicas, SegmentId segment,
               Epoch epoch, AppendListener& listener, QuorumWriterOptions options = {});
  ~QuorumWriter() override;

  void append(storage::LogEntry entry) override;

  // Called at the end of a turn in which replicas ceased to take entries, or take them again. May destroy
  // this.
  void set_on_change(std::function<void()> changed) { on_change_ = std::move(changed); }

  // Replicas that take entries now. Below A nothing commits until one comes back.
  std::size_t healthy() const { return acks_.healthy(); }
  bool can_commit() const { return acks_.can_commit(); }
  // Why replicas take nothing, the last that was heard. None: they always did.
  const std::optional<Error>& last_trouble() const { return trouble_; }
  // That are out until the next segment.
  std::size_t out() const;
  const SegmentAcks& acks() const { return acks_; }
  std::size_t kept_bytes() const { return kept_bytes_; }

 private:
  class Lane;
  void on_turn_end() override;
  void open(Lane& lane);
  runtime::Task<void> make_known(Lane& lane);
  void stored(Lane& lane, std::uint64_t end);
  void lane_failed(Lane& lane, const Error& why);
  void put_out(Lane& lane);
  void note_change();
  void forget_stored();
  void limit_kept();
  void fail(Error why);

  runtime::Runtime& runtime_;
  const Quorum quorum_;
  const SegmentId segment_;
  const Epoch epoch_;
  AppendListener& listener_;
  const QuorumWriterOptions options_;
  SegmentAcks acks_;
  Fifo<storage::LogEntry> kept_;
  std::uint64_t kept_from_ = 0;  // index of the first of these
  std::size_t kept_bytes_ = 0;
  std::uint64_t told_ = 0;  // to the listener
  std::optional<Error> failed_;
  bool ended_ = false;  // the listener has heard of it
  std::optional<Error> trouble_;
  bool changed_ = false;
  std::function<void()> on_change_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  runtime::Scope scope_;  // last: its tasks use all of the above
};

}  // namespace stele::journal
