// The words of Raft: what is stored, and what the members of a group say to each other. Plain values; no I/O.
// Any core may own them, none shares them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/strong_id.h"
#include "model/ids.h"

namespace stele::raft {

// An epoch of the group with at most one leader. 0: before the first election.
using Term = StrongIndex<struct TermTag>;
// A place in the group's log; the first entry is 1, and 0 lies before it.
using LogIndex = StrongIndex<struct LogIndexTag>;

// The end of a log, or a place in it. Ordered as logs are compared in an election: by term, then by index
// (Ongaro's thesis, section 3.6.1).
struct LogPoint {
  Term term;
  LogIndex index;
  friend auto operator<=>(const LogPoint&, const LogPoint&) = default;
};

using NodeSet = std::set<NodeId>;

// Who takes part. While `voters_outgoing` is not empty the configuration is joint (thesis, section 4.3):
// every decision needs a majority of `voters` and one of `voters_outgoing`. `learners` receive the log and
// decide nothing. `learners_next` still vote in `voters_outgoing` and become learners when the joint
// configuration is left.
struct Membership {
  NodeSet voters;
  NodeSet voters_outgoing;
  NodeSet learners;
  NodeSet learners_next;
  bool auto_leave = false;  // the leader leaves the joint configuration once it is committed

  bool joint() const { return !voters_outgoing.empty(); }
  bool is_voter(NodeId node) const { return voters.contains(node) || voters_outgoing.contains(node); }
  bool is_member(NodeId node) const {
    return is_voter(node) || learners.contains(node) || learners_next.contains(node);
  }
  friend bool operator==(const Membership&, const Membership&) = default;
};

enum class EntryKind : std::uint8_t {
  kCommand,        // the payload is the state machine's; Raft never looks at it
  kConfiguration,  // `membership` counts from the moment that the entry is in the log
  kEmpty,          // the first entry of each leader
};

struct Entry {
  Term term;
  LogIndex index;
  EntryKind kind = EntryKind::kEmpty;
  Bytes payload;
  std::shared_ptr<const Membership> membership;  // of kConfiguration, else null

  // What flow control counts, in bytes: the payload and a little for the rest.
  static constexpr std::size_t kOverhead = 32;
  std::size_t size() const { return payload.size() + kOverhead; }
};

// What must be on the disk before anything that follows from it leaves the node.
struct HardState {
  Term term;
  std::optional<NodeId> vote;
  // The node may once have held a log that ended here, of which it has lost a part: see damage in core.h. (0,
  // 0) if nothing was lost.
  LogPoint doubt;
  friend bool operator==(const HardState&, const HardState&) = default;
};

// What a snapshot replaces: all entries up to `index`, the last of which is of `term`.
struct SnapshotInfo {
  LogIndex index;
  Term term;
  Membership membership;
  friend bool operator==(const SnapshotInfo&, const SnapshotInfo&) = default;
};

// Slots of the log from `first` to `last`, both included.
struct SlotRange {
  LogIndex first;
  LogIndex last;
  friend auto operator<=>(const SlotRange&, const SlotRange&) = default;
};

// --- Peer messages. All have the sender's term, but a pre-vote's request and its grant, which have the term
// that the candidate would campaign in.

struct VoteRequest {
  bool pre = false;       // asks only whether a vote would be granted; changes nothing at who is asked
  bool transfer = false;  // the leader wishes it: its lease does not stand in the way
  LogPoint last;          // end of the candidate's log
};
struct VoteAnswer {
  bool pre = false;
  bool granted = false;
};

struct Append {
  LogPoint previous;           // the entry before `entries`
  std::vector<Entry> entries;  // may be none
  LogIndex commit;             // the leader's
};
enum class AppendResult : std::uint8_t {
  kStored,     // the follower's log is the leader's up to `index`, and that is on its disk
  kRejected,   // it has another entry at `index`, or none. `hint`: the highest place where the logs may agree
  kUncertain,  // what it had at `index` is lost, or lies above such a slot. `hint`: the last place before the
               // damage
};
struct AppendAnswer {
  AppendResult result = AppendResult::kStored;
  LogIndex index;
  LogPoint hint;
};

struct Heartbeat {
  LogIndex commit;               // at most what the follower is known to have
  std::uint64_t read_round = 0;  // the latest round of ReadIndex, see core.h
};
struct HeartbeatAnswer {
  std::uint64_t read_round = 0;
};

// To a leader of an earlier term, which would otherwise never learn that there is a later one.
struct TermNotice {};

// A follower passes on a read. Counts in any term.
struct ReadRequest {
  std::uint64_t context = 0;
};
struct ReadAnswer {
  std::uint64_t context = 0;
  LogIndex index;
};

// Campaign now: the leader hands over.
struct TimeoutNow {};

// The driver sends the snapshot's data, and gives this message to the receiver's core when all of it is
// there.
struct InstallSnapshot {
  SnapshotInfo snapshot;
};

// Asks for lost entries. `next` is the entry right above them, which the asking node still has.
struct RepairRequest {
  SlotRange slots;
  LogPoint next;
};
struct RepairAnswer {
  SlotRange slots;
  LogPoint next;
  bool same_log = false;       // the sender has `next` too: by Log Matching its entries below are those lost
  std::vector<Entry> entries;  // the first of them, as many as fit; none if it has them no longer
};

using MessageBody =
    std::variant<VoteRequest, VoteAnswer, Append, AppendAnswer, Heartbeat, HeartbeatAnswer, TermNotice,
                 ReadRequest, ReadAnswer, TimeoutNow, InstallSnapshot, RepairRequest, RepairAnswer>;

struct PeerMessage {
  NodeId from;
  NodeId to;
  Term term;
  MessageBody body;
};

}  // namespace stele::raft
