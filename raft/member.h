// A member of a Raft group: the core (core/core.h) with its log on a disk, its state machine, a clock and a
// way to the others. docs/raft.md has the contract that it keeps with the core.
//
//   auto member = co_await Member::open(runtime, options, machine, transport);
//   …
//   auto answer = co_await (*member)->propose("command");   // applied here, and by a majority stored
//   co_await (*member)->read_barrier();                     // what is read now is not stale
//
// A leader's proposals of one turn leave together; entries are applied in batches. A member whose disk has
// failed says nothing more, neither to the others nor here; the process has to start again.
//
// Errors of what is asked: kUnavailable: it has not happened and will not; ask again, perhaps the leader
// (status().leader). kTimedOut: it may have happened, or may still. kClosed: the member stops.
//
// Lives on one core. Waiting tasks are resumed within calls of the member; they may call it, but must not
// destroy it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "raft/core/effects.h"
#include "raft/core/membership.h"
#include "raft/core/progress.h"
#include "raft/core/types.h"
#include "raft/log_store.h"
#include "raft/peer_transport.h"
#include "raft/state_machine.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::raft {

struct MemberOptions {
  // Of self, and the limits of the core; its seed is drawn by the member.
  Options core;
  // The log is in `log` below it, snapshots that are being received in `received`.
  std::string directory;
  LogStoreOptions log;  // without the directory

  // Who founded the group: the same at every member, those that come later included, as long as it lives.
  Membership founders;
  runtime::Duration tick = std::chrono::milliseconds(50);

  std::size_t proposals_max = 4096;  // that are not answered
  std::size_t proposals_bytes_max = std::size_t{32} << 20;
  std::size_t command_bytes_max = std::size_t{4} << 20;  // of one
  // How long a proposal, a change of members or a barrier is waited for, in ticks.
  std::uint32_t patience_ticks = 200;
  std::size_t barriers_max = 4096;
  // Entries are applied so many bytes at a time, or one that is larger.
  std::size_t apply_bytes = std::size_t{1} << 20;
  // So many entries are applied between two snapshots. The log keeps core.compaction_tail below the last.
  std::uint64_t snapshot_every = 10'000;

  std::size_t snapshot_part_bytes = std::size_t{128} << 10;
  std::size_t snapshot_window = 8;              // parts that are sent and not answered
  std::uint32_t snapshot_retry_ticks = 10;      // without an answer, until parts are sent again
  std::uint32_t snapshot_patience_ticks = 100;  // without an answer, until the transfer is given up
  // How long a copy is kept that nobody receives, in ticks.
  std::uint32_t snapshot_kept_ticks = 200;
  // How long to wait before a full disk, or one that cannot be read, is tried again.
  runtime::Duration disk_pause = std::chrono::milliseconds(200);
  // Told once, when this member is of no use any more, in a later turn.
  std::function<void(const Error&)> on_failure;
};

struct MemberStatus {
  NodeId self;
  Role role = Role::kFollower;
  Term term;
  std::optional<NodeId> leader;
  LogIndex first, last;  // of the log
  LogIndex commit;
  LogIndex applied;
  Membership membership;
  bool failed = false;
  bool in_doubt = false;  // the end of its log is lost: core.h
  std::uint64_t lost_slots = 0;
  // Of a leader.
  struct Peer {
    ProgressState state = ProgressState::kProbe;
    LogIndex match, next;
    bool active = false;
  };
  std::map<NodeId, Peer> peers;
};

// Since the start.
struct MemberStats {
  std::uint64_t elections_won = 0;
  std::uint64_t leader_changes = 0;
  std::uint64_t proposals = 0;          // taken
  std::uint64_t proposals_refused = 0;  // not taken
  std::uint64_t proposals_unknown = 0;  // answered with kTimedOut
  std::uint64_t barriers = 0;
  std::uint64_t applied = 0;  // entries
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t messages_malformed = 0;  // or not for this member
  std::uint64_t snapshots_sent = 0;
  std::uint64_t snapshots_given_up = 0;
  std::uint64_t snapshots_received = 0;
  std::uint64_t snapshots_installed = 0;
  std::uint64_t slots_damaged = 0;
};

class Member {
 public:
  // `machine` and `transport` outlive it. kCorrupt: the log is damaged, or log and state machine do not fit
  // together; kIo and the like.
  static runtime::Task<Result<std::unique_ptr<Member>>> open(runtime::Runtime& runtime, MemberOptions options,
                                                             StateMachine& machine, PeerTransport& transport);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // What a peer sent. Who is at the other end is for the transport to know.
  void deliver(NodeId from, const Bytes& message);

  // The state machine's answer, once the command is applied here. Also kUnavailable if there is too much to
  // do, or this is not the leader; kInvalidArgument: too large.
  runtime::Task<Result<std::string>> propose(std::string command);
  // Complete when the state machine has applied everything that anybody was answered before this was called.
  runtime::Task<Result<void>> read_barrier();
  // Complete when `target` alone counts. kInvalidArgument: it cannot be.
  runtime::Task<Result<void>> change_membership(MembershipTarget target);
  // Complete when `to` leads, or another.
  runtime::Task<Result<void>> transfer_leadership(NodeId to);
  // At once, with a pre-vote.
  void campaign();

  MemberStatus status() const;
  std::optional<NodeId> leader() const;
  LogIndex applied() const;
  const MemberStats& stats() const;
  LogStoreStats log_stats() const;

  // Takes no more, answers what is open, and completes when nothing is under way and the log is closed.
  runtime::Task<Result<void>> close();

 private:
  class Impl;
  explicit Member(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::raft
