// What the core gives its driver to do, and the limits that it is made with. The contract: docs/raft.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "raft/core/log_view.h"
#include "raft/core/progress.h"
#include "raft/core/types.h"

namespace stele::raft {

struct Options {
  NodeId self;
  std::uint64_t seed = 0;  // of the election timeouts; different on every node and start
  std::uint32_t heartbeat_ticks = 2;
  std::uint32_t election_ticks = 20;  // drawn from [election_ticks, 2 * election_ticks) each time
  std::size_t append_bytes_max = std::size_t{256}
                                 << 10;  // of the entries of one message; one entry always goes
  WindowLimits window;
  std::size_t uncommitted_bytes_max = std::size_t{16}
                                      << 20;              // proposed and not committed; beyond it is refused
  std::size_t applying_bytes_max = std::size_t{4} << 20;  // handed out for applying and not applied
  std::uint64_t apply_lag_max =
      100'000;  // entries committed and not applied; beyond it proposals are refused
  std::size_t cache_bytes = std::size_t{4} << 20;  // bodies of entries kept in memory
  std::uint64_t compaction_tail = 10'000;          // entries kept below a snapshot, for slow followers
  std::uint64_t promotion_lag_max = 1'000;  // entries that a learner may be behind when it is made a voter
};

// What a node finds at its start.
struct Restored {
  HardState hard_state;
  LogOutline log;
  LogIndex commit;   // known to be committed; 0 if nothing is known
  LogIndex applied;  // the state machine has these entries; its snapshot's index if it keeps nothing else
  std::optional<SnapshotInfo> snapshot;  // the newest; at or above the log's start
};

// To be made durable, in this order, and after every Store before it.
struct Store {
  std::optional<HardState> hard_state;
  // Replaces the whole log, which then begins after it, and the state machine unless that is further.
  std::optional<SnapshotInfo> snapshot;
  std::vector<Entry> repaired;            // into slots that were lost; what is above them stays
  std::optional<LogIndex> truncate_from;  // this slot and everything after it goes
  std::vector<Entry> entries;             // after the last entry
  // Given back to Core::stored when all of it is durable.
  Term term;
  LogIndex last;
};

// Entries that are no longer in memory. The answer is Core::entries_read, or Core::damaged and
// then Core::entries_read with none. A read sees what was handed
// out for storing before it.
struct LogRead {
  std::uint64_t id = 0;
  SlotRange slots;
  std::size_t bytes_max = 0;  // fewer entries may be given, but the first
};

struct ReadState {
  std::uint64_t context = 0;
  LogIndex index;  // the read may be served once this is applied
};

struct LeaderChange {
  Term term;
  std::optional<NodeId> leader;
};

struct Effects {
  std::optional<Store> store;
  std::vector<PeerMessage> send;  // at once, while the disk works
  // Only when everything handed out for storing so far is durable, that of these Effects included.
  std::vector<PeerMessage> send_after_store;
  // Committed, in order. To be applied when everything handed out for storing so far is durable: a state
  // machine that is ahead of its log would, after a crash, tell of commits that this log never had.
  std::vector<Entry> apply;
  std::vector<LogRead> reads;
  std::vector<ReadState> read_states;
  std::vector<std::uint64_t> reads_refused;  // contexts of reads that nobody will confirm: ask again
  // The log up to here may be deleted, after `store`: the log's new start, with who took part there.
  std::optional<SnapshotInfo> cut;
  std::optional<LeaderChange> leader_change;

  bool empty() const {
    return !store && send.empty() && send_after_store.empty() && apply.empty() && reads.empty() &&
           read_states.empty() && reads_refused.empty() && !cut && !leader_change;
  }
};

enum class Refusal : std::uint8_t {
  kNone,
  kNotLeader,        // Core::leader() may know who is
  kTransferring,     // the leader is handing over
  kUncommittedFull,  // too many bytes proposed and not committed
  kApplyBehind,      // the state machine is too far behind
  kChangeUnderWay,   // an earlier change of the membership is not done, or no entry of the own term is
                     // committed
  kNotCaughtUp,      // a new voter must be a learner first, and have the log
  kMalformed,        // a membership that cannot be
  kNoSuchVoter,      // the target of a transfer
};

struct Proposed {
  Refusal refusal = Refusal::kNone;
  LogPoint first;  // where the first of the entries is, if it is not refused
  explicit operator bool() const { return refusal == Refusal::kNone; }
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

}  // namespace stele::raft
