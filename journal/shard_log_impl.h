// Inside of ShardLog. shard_log.cc: appending and losing; shard_log_read.cc: reading; segment_change.cc:
// rolling and trimming; take_over.cc: the beginning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "journal/chain.h"
#include "journal/chain_keeper.h"
#include "journal/replicas.h"
#include "journal/segment_replica.h"
#include "journal/shard_log.h"
#include "journal/tail_cache.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::journal {

// The replicas of a segment, in the order of its chain; null: gone for good.
std::vector<SegmentReplica*> find_all(Replicas& replicas, const meta::Segment& segment);
// The one of this process, if the segment has no other: then nothing is done for the sake of several.
SegmentReplica* only_local(Replicas& replicas, const meta::Segment& segment);

// What a take-over gives.
struct TakenShard {
  ShardId shard;
  Epoch epoch;
  Chain chain;  // its open segment is new, and this owner's
  std::optional<meta::Snapshot> snapshot;
  Lsn begin;
};

class ShardLog::Impl final : private AppendListener,
                             private SpaceListener,
                             private ReliefListener,
                             private NodesListener,
                             private runtime::TurnEndHook {
 public:
  Impl(Replicas& replicas, std::shared_ptr<ChainKeeper> keeper, TakenShard taken, ShardLogOptions options);

  void set_listener(Listener& listener);
  ShardId shard() const { return shard_; }
  Epoch epoch() const { return epoch_; }
  const std::optional<meta::Snapshot>& snapshot() const { return snapshot_; }
  Lsn begin() const { return begin_; }
  Lsn committed() const { return tail_.committed(); }
  Lsn next() const { return tail_.end(); }
  bool lost() const { return state_ == State::kLost; }
  const Chain& chain() const { return chain_; }
  std::size_t pending_bytes() const { return tail_.pending_bytes(); }
  bool congested() const { return congested_ || replicas_.tails().congested(); }
  bool writable() const;
  Error why_not_writable() const;

  Lsn append(LogEntry entry);
  bool read_cached(Lsn from, std::size_t max_bytes, std::vector<LogEntry>& out) const;
  runtime::Task<Result<std::vector<LogEntry>>> read(Lsn from, std::size_t max_bytes) const;
  runtime::Task<Result<void>> sync() const;
  void trim(Lsn below);
  void roll();

 private:
  enum class State {
    kOpen,     // entries go to the open segment
    kNoSpace,  // they wait until the one replica has room
    kOut,      // they wait for the next segment: too few replicas of this one are left
    kFrozen,   // they wait for the next segment; no answer of the last one counts any more
    kLost,
  };
  bool replicated() const { return !only_; }
  // What became of the swap that seals the segment and opens the next.
  enum class Swap { kDone, kNotYet, kLost };

  // ---- shard_log.cc
  void open_writer();
  void close_writer();
  void on_stored(std::uint64_t end) override;
  void on_append_failed(const Error& why) override;
  void on_space() override;
  void on_relief() override;
  void on_nodes_changed() override;
  void on_replicas_changed();
  void on_turn_end() override;
  void tell_unblocked();
  void lose(Error why);
  std::string name() const;

  // ---- segment_change.cc
  void begin_change();
  runtime::Task<void> change_segment();
  runtime::Task<bool> may_change();
  runtime::Task<Result<void>> sync_to_seal(Lsn end);
  runtime::Task<Swap> try_swap(Lsn end);
  runtime::Task<Swap> learn_swap(Lsn end);
  Swap adopt(Lsn end, meta::Segment opened);
  bool lacks_replicas() const;
  bool others_are_better() const;
  bool need_not_wait() const;
  void look_after_replicas();
  runtime::Task<void> replace_lost();
  runtime::Task<void> trim_chain();

  // ---- shard_repair.cc
  struct Care {  // of a sealed segment
    // Those of its replicas that were asked, and have all of it.
    std::vector<meta::Replica> whole;
    std::optional<runtime::Instant> lacking_since;
    runtime::Instant not_before;
    runtime::Duration pause = runtime::Duration::zero();
  };
  struct Next {
    runtime::Instant at;
    meta::Segment segment;
  };
  std::size_t kept(const meta::Segment& segment) const;
  std::optional<runtime::Instant> look_after_at(const meta::Segment& segment);
  std::optional<Next> next_to_look_after();
  runtime::Task<void> look_after_chain();
  runtime::Task<bool> look_after(meta::Segment segment);
  runtime::Task<bool> move_segment(const meta::Segment& segment, std::vector<meta::Replica> after);

  Replicas& replicas_;
  runtime::Runtime& runtime_;
  const std::shared_ptr<ChainKeeper> keeper_;
  const ShardLogOptions options_;
  const ShardId shard_;
  const Epoch epoch_;
  const std::optional<meta::Snapshot> snapshot_;
  Chain chain_;
  Lsn begin_;
  Lsn trimmed_;  // as far as replica and chain were told
  TailCache tail_;
  State state_ = State::kOpen;
  std::optional<Error> why_lost_;  // until the listener has heard
  bool unblocked_ = false;         // the same
  Listener* listener_ = nullptr;
  std::unique_ptr<SegmentWriter> writer_;
  SegmentReplica* only_ = nullptr;                 // of the open segment: as of only_local()
  QuorumWriter* quorum_ = nullptr;                 // writer_, unless there is only that one
  bool could_commit_ = true;                       // when it was last looked at
  std::optional<runtime::Instant> lacking_since_;  // replicas
  bool replacing_ = false;
  std::uint64_t segment_bytes_ = 0;  // committed, of the open segment
  std::uint64_t roll_at_bytes_;
  bool congested_ = false;
  bool changing_segment_ = false;
  std::optional<Error> stuck_;  // the segment has to be changed, and why it is not yet
  bool trimming_ = false;
  const runtime::Instant begun_;
  std::map<SegmentId, Care> cares_;      // of the chain's sealed segments, if anything is looked after
  runtime::Notification chain_changed_;  // or the nodes
  runtime::Scope scope_;                 // last: its tasks use all of the above
};

}  // namespace stele::journal
