// Raft's core: one member of a group, as a machine without I/O, clock or coroutines. Ticks, peer messages
// and the disk's completions go in; what to store, send and apply comes out. The same calls give the same
// effects.
//
// Source: Ongaro, "Consensus: Bridging Theory and Practice" (2014), called the thesis below; etcd's raft
// for pre-vote with check-quorum and for the states of a progress; "Protocol-Aware Recovery" (FAST 2018)
// for the question that damage asks.
//
// The problem. A group of nodes shall agree on one log, while nodes crash and come back, disks are slow,
// and messages are lost, repeated, late and out of order. The idea: a leader, elected by a majority for a
// term, alone appends; an entry is committed when a majority has it and it, or one after it, is of the
// leader's own term; nobody votes for a node whose log is behind its own. The invariants, which
// group_test.cc checks:
//
//   Election Safety        at most one leader in a term
//   Log Matching           two entries of the same term and index are the same, and so is all before them
//   Leader Completeness    what is committed is in the log of every later leader
//   State Machine Safety   no two nodes apply different entries at an index
//
// Storing. A node promises by three messages: a vote, a request for votes (its own vote is in it, and a
// claim what its log is), and an acknowledgement of entries. They leave when everything handed out before
// them is durable. All else may leave at once; in particular a leader's appends, whose own disk works
// beside the network. It counts itself when its disk is done: `stored` brings back term and last index of
// the Store. A completion that was handed out in an earlier term says nothing about this term's log, as
// what it stored may have been overwritten since, and is not counted; no Store is forgotten by it, for each
// new term has a Store of its own, and they are done in order.
//
// Elections. Pre-vote: nobody raises the term before a majority would vote for it. The lease: who has heard
// of a leader within the least election timeout ignores requests for votes, so that a node that was away
// cannot depose a leader that serves, and a removed node cannot either. Check-quorum: a leader that has not
// heard of a majority for that time steps down. A transfer says so in its requests, and passes the lease.
//
// Reading. A read asks for an index that is at least every commit before it. The leader's commit index is
// one only if an entry of its own term is committed, and only if it still leads: reads of one turn share a
// round, heartbeats carry the round's number, and a quorum that answered the round confirms it (thesis,
// section 6.4).
//
// Membership. A configuration counts from the moment it is in the log, so a truncation takes it back.
// Changes of voters go through a joint configuration, which the leader leaves once that is committed. A
// leader that is not a voter commits by the others' majority, and steps down when the configuration without
// it is committed.
//
// Damage. Slots of the log may turn out unreadable: not a torn tail, which nobody was told of, but entries
// that may have been acknowledged. If the node took its log for shorter than it was it would break its
// promise: it could elect a leader that lacks a committed entry. What it lost it therefore neither denies
// nor counts:
//
//   - What is lost at the log's end is cut off, and the place where the log may have ended is kept in
//     `doubt`, in the hard state. Its term is at most the node's own. Until the log has reached `doubt`
//     again (as logs are compared: by term, then by index) the node does not campaign, and judges others'
//     logs by `doubt` if that is higher than its log's end. Why it is enough: let entry e be committed
//     with this node's acknowledgement, and U the first later leader that lacks e. U's log was at least
//     `doubt` when this node voted, hence at least the log that was lost, and that had e. Then by the
//     usual argument (thesis, section 3.6.3: the last term of U's log is that of a leader which had e, or
//     U's log has more of the same term) U has e. And a log that has reached `doubt` has e by the same
//     argument.
//   - What is lost below readable entries leaves the log's end known, so votes are judged as ever. The
//     node does not campaign and acknowledges nothing beyond the hole. The hole is filled by proof:
//     whoever has the entry right above it, with that term, has by Log Matching the very entries that are
//     lost. So any peer can give them, with no leader, and a leader's appends do when they reach across.
//     If the leader says that it lacks that entry, nothing from there on is committed (Leader
//     Completeness), and the log is cut below the hole, with `doubt` at its former end.
//   - To a leader that asks about a lost slot the answer is "uncertain", which makes it send from there
//     again.
//
// A disk that has failed once ends the core: `storage_failed`. From then it says nothing at all, because
// what it stored is not known. The node starts again with what its disk still has for certain, the rest of
// what it may have acknowledged given as damaged; if the hard state is lost it must come back as a new
// member.
//
// All calls from one core. Input from peers that cannot be is ignored; what the driver does wrong is
// asserted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "raft/core/effects.h"
#include "raft/core/log_view.h"
#include "raft/core/membership.h"
#include "raft/core/progress.h"
#include "raft/core/types.h"

namespace stele::raft {

class Core {
 public:
  Core(const Options& options, Restored restored);

  // Time passes. The driver decides how long a tick is; nothing is correct or not because of it.
  void tick();
  void step(const PeerMessage& message);
  // What has come of all calls since the last take. Empty after storage_failed.
  Effects take_effects();

  // All or none of the payloads become entries, one after the other. They may still be lost, with the
  // leadership.
  Proposed propose(std::span<const Bytes> payloads);
  Proposed propose(const Bytes& payload) { return propose(std::span(&payload, 1)); }
  Proposed propose_membership(const MembershipTarget& target);
  // Hands over to a voter, within an election timeout or not at all. Proposals are refused meanwhile.
  Refusal transfer_leadership(NodeId target);
  void abort_transfer();
  // Asks for a ReadState. False if there is no leader. `context` must never have been used by this node
  // before, not even before a restart: an answer may be late. It may also never come, if a message is lost:
  // ask again with another.
  bool read_index(std::uint64_t context);
  void campaign();  // at once, with a pre-vote

  // --- The driver tells.
  // A Store is durable, and with it all before it.
  void stored(Term term, LogIndex last);
  // The state machine has applied everything up to `index`.
  void applied(LogIndex index);
  // A write or sync failed: nothing is known of what was not confirmed.
  void storage_failed();
  // Slots that were stored turn out to be unreadable.
  void damaged(SlotRange slots);
  void entries_read(std::uint64_t read, std::vector<Entry> entries);
  // What a snapshot of the state after `index` stands for. `index`: applied, and not cut off.
  SnapshotInfo snapshot_at(LogIndex index) const;
  // That snapshot is durable. The log below it may go, but for a tail.
  void snapshot_taken(const SnapshotInfo& snapshot);
  // The data of an InstallSnapshot was sent, all of it or not.
  void snapshot_sent(NodeId to, bool delivered);

  // --- To look at.
  NodeId self() const { return options_.self; }
  Role role() const { return role_; }
  Term term() const { return hard_.term; }
  const HardState& hard_state() const { return hard_; }
  std::optional<NodeId> leader() const { return leader_; }
  LogIndex commit() const { return commit_; }
  const LogView& log() const { return log_; }
  const Membership& membership() const { return log_.membership(); }
  const std::map<NodeId, Progress>& progress() const { return progress_; }
  std::optional<NodeId> transferee() const { return transferee_; }
  std::optional<SnapshotInfo> snapshot() const { return snapshot_; }
  std::size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  bool failed() const { return failed_; }
  bool in_doubt() const { return hard_.doubt > log_.last(); }

 private:
  // core.cc
  bool admit(const PeerMessage& message);
  void send(NodeId to, MessageBody body);
  void send_after_store(NodeId to, MessageBody body);
  void commit_to(LogIndex index);
  void hand_out_committed(Effects& out);
  std::optional<Store> take_store();
  void append(EntryKind kind, Bytes payload, std::shared_ptr<const Membership> membership);
  void truncate(LogIndex from);
  std::uint64_t start_read(SlotRange slots, std::size_t bytes_max);

  // election.cc
  std::uint64_t random();
  void reset(Term term);
  bool may_campaign() const;
  bool leased() const;
  void become_follower(Term term, std::optional<NodeId> leader);
  void start_campaign(bool pre, bool transfer);
  void become_leader();
  void count_vote(NodeId from, bool granted);
  void on(const PeerMessage& from, const VoteRequest& request);
  void on(const PeerMessage& from, const VoteAnswer& answer);
  void on(const PeerMessage& from, const TimeoutNow& now);
  void on(const PeerMessage& from, const TermNotice& notice);

  // leading.cc
  void lead_tick();
  void check_quorum();
  void send_heartbeat(NodeId to, Progress& progress);
  void send_appends();
  void send_appends(NodeId to, Progress& progress);
  bool send_append(NodeId to, Progress& progress);
  void send_entries(NodeId to, Progress& progress, std::vector<Entry> entries);
  void send_snapshot(NodeId to, Progress& progress);
  void advance_commit();
  std::uint64_t quorum(std::uint64_t (*of)(const Progress&)) const;
  void on(const PeerMessage& from, const AppendAnswer& answer);
  void on(const PeerMessage& from, const HeartbeatAnswer& answer);
  void release_uncommitted();

  // following.cc
  void hear_leader(NodeId leader);
  LogIndex surely_committed() const;
  void on(const PeerMessage& from, const Append& append);
  void on(const PeerMessage& from, const Heartbeat& heartbeat);
  void on(const PeerMessage& from, const InstallSnapshot& install);
  bool take_entries(std::span<const Entry> entries);
  void refuse_append(NodeId leader, LogPoint previous);
  void install(const SnapshotInfo& snapshot);

  // reading.cc
  void flush_reads();
  void release_reads();
  void confirm(NodeId reader, std::uint64_t context, LogIndex index);
  void refuse_reads();
  void on(const PeerMessage& from, const ReadRequest& request);
  void on(const PeerMessage& from, const ReadAnswer& answer);

  // changing.cc
  void membership_changed();
  void after_commit_of_membership();
  bool caught_up(NodeId node) const;
  void maybe_hand_over();

  // repairing.cc
  static LogPoint with_doubt(LogPoint doubt, LogPoint lost);
  static HardState without_lost_end(Restored& restored);
  void cut_lost(LogIndex from);
  void ask_for_lost();
  bool fill_from(std::span<const Entry> entries);
  void fill(std::vector<Entry> entries);
  void on(const PeerMessage& from, const RepairRequest& request);
  void on(const PeerMessage& from, const RepairAnswer& answer);

  struct PendingRead {
    NodeId reader;
    std::uint64_t context;
  };
  struct ReadRound {
    std::uint64_t round;
    LogIndex index;
    std::vector<PendingRead> reads;
  };
  enum class ReadFor : std::uint8_t { kApply, kAppend, kRepair };
  struct PendingLogRead {
    ReadFor purpose;
    NodeId node;  // whom the entries are sent to
    Term term;
    SlotRange slots;
    LogPoint next;  // of a repair
  };

  Options options_;
  HardState hard_;
  LogView log_;
  Role role_ = Role::kFollower;
  std::optional<NodeId> leader_;
  LogIndex commit_;
  bool failed_ = false;
  std::uint64_t random_state_;

  // Time since the election timer was set, in ticks.
  std::uint32_t election_elapsed_ = 0;
  std::uint32_t heartbeat_elapsed_ = 0;
  std::uint32_t election_timeout_ = 0;
  std::map<NodeId, bool> votes_;

  // Of a leader.
  std::map<NodeId, Progress> progress_;
  std::optional<NodeId> transferee_;
  bool timeout_now_sent_ = false;
  std::deque<std::pair<LogIndex, std::size_t>> uncommitted_;  // what was proposed to it: last index and bytes
  std::size_t uncommitted_bytes_ = 0;
  std::vector<PendingRead> pending_reads_;  // not in a round yet
  std::deque<ReadRound> rounds_;            // not confirmed yet
  std::uint64_t read_round_ = 0;
  std::set<std::uint64_t> forwarded_reads_;  // of a follower: its own, at the leader

  // The way to the disk.
  HardState handed_hard_;
  LogIndex first_unsaved_;
  std::optional<LogIndex> truncate_from_;
  std::optional<SnapshotInfo> install_;
  std::vector<Entry> repaired_;
  LogPoint stored_;  // term of the Store, not of its last entry

  // The way to the state machine.
  LogIndex handed_;   // handed out for applying
  LogIndex applied_;  // applied
  bool apply_read_ = false;
  std::deque<std::pair<LogIndex, std::size_t>> applying_;
  std::size_t applying_bytes_ = 0;
  std::optional<SnapshotInfo> snapshot_;

  std::map<std::uint64_t, PendingLogRead> log_reads_;
  std::uint64_t next_log_read_ = 1;
  std::vector<PeerMessage> send_after_store_;
  Effects out_;
  LeaderChange told_leader_;
};

}  // namespace stele::raft
