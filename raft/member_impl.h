// The inside of a member: driving.cc (what the core wants done), applying.cc (the state machine), asking.cc
// (what is asked of the member), member.cc (beginning and end).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/core/core.h"
#include "raft/log_store.h"
#include "raft/member.h"
#include "raft/message_codec.h"
#include "raft/snapshot_receiver.h"
#include "raft/snapshot_sender.h"
#include "runtime/notification.h"
#include "runtime/one_shot.h"
#include "runtime/scope.h"

namespace stele::raft {

class Member::Impl final : private runtime::Timer, private runtime::TurnEndHook {
 public:
  Impl(runtime::Runtime& runtime, MemberOptions options, StateMachine& machine, PeerTransport& transport);
  ~Impl() override;

  // member.cc
  runtime::Task<Result<void>> open();
  runtime::Task<void> abandon();  // what did not open
  runtime::Task<Result<void>> close();
  void deliver(NodeId from, const Bytes& message);
  MemberStatus status() const;
  const Core& core() const { return *core_; }
  LogIndex applied() const { return applied_; }
  const MemberStats& stats() const { return stats_; }
  LogStoreStats log_stats() const { return log_->stats(); }

  // asking.cc
  runtime::Task<Result<std::string>> propose(std::string command);
  runtime::Task<Result<void>> read_barrier();
  runtime::Task<Result<void>> change_membership(MembershipTarget target);
  runtime::Task<Result<void>> transfer_leadership(NodeId to);
  void campaign();

 private:
  using Answer = runtime::OneShot<Result<std::string>>;
  struct NewProposal {
    Bytes command;
    Answer answer;
    std::uint64_t deadline;  // in ticks
  };
  struct Proposal {
    Term term;
    std::size_t bytes;
    Answer answer;
    std::uint64_t deadline;
  };
  struct Barrier {
    runtime::OneShot<Result<void>> done;
    std::uint64_t deadline;
  };
  struct ReadRound {
    std::uint64_t asked;  // in ticks
    std::vector<Barrier> barriers;
  };
  // For the state machine, in order, once `after` stores are durable.
  struct Work {
    std::uint64_t after = 0;
    std::vector<Entry> entries;
    std::optional<SnapshotInfo> install;
  };
  struct Held {
    std::uint64_t after = 0;
    std::vector<PeerMessage> messages;
  };

  // member.cc
  runtime::Task<Result<Restored>> restore(StoredLog found, bool snapshot_found);
  void on_timer() override;
  void on_turn_end() override { drive(); }
  void on_snapshot_message(SnapshotMessage message);
  void on_snapshot_part(NodeId from, Term term, SnapshotPart part);
  bool take_snapshot(NodeId from, Term term, const SnapshotInfo& snapshot);
  void fail(const Error& why);
  runtime::Task<void> tell_failure();
  bool stopping() const { return closing_ || failure_.has_value(); }
  Error why_stopping() const;

  // driving.cc
  void drive_later() { runtime_.at_turn_end(*this); }
  void drive();
  void perform(Effects effects);
  void store(Store what);
  void stored(Term term, LogIndex last, Result<void> result);
  void transmit(const PeerMessage& message);
  void release_held();
  void follow_leader();
  void give_way_if_full();
  runtime::Task<void> read(LogRead what, std::uint64_t after);

  // applying.cc
  runtime::Task<void> work();
  runtime::Task<void> apply_some();
  runtime::Task<void> install(SnapshotInfo snapshot);
  runtime::Task<void> make_copy();
  void applied_to(LogIndex index);
  void maybe_compact();

  // asking.cc
  Result<void> check_open() const;
  void hand_in_proposals();
  void await_entry(LogIndex index, Proposal proposal);
  void ask_barriers();
  void on_read_states(const std::vector<ReadState>& states);
  void on_reads_refused(const std::vector<std::uint64_t>& contexts);
  void answer(const Entry& entry, std::string what);
  void answer_unknown_up_to(LogIndex index);
  void release_barriers();
  void check_patience();
  void answer_all();
  void finish(Proposal proposal, Result<std::string> result);
  Error refusal(Refusal why) const;
  runtime::Task<Result<void>> wait_for_change(Term term);

  runtime::Runtime& runtime_;
  MemberOptions options_;
  StateMachine& machine_;
  PeerTransport& transport_;
  std::unique_ptr<LogStore> log_;
  std::optional<Core> core_;
  MemberStats stats_;
  std::optional<Error> failure_;
  bool closing_ = false;
  std::uint64_t ticks_ = 0;
  Term leading_;  // the term in which this member leads, or led

  // Stores: how many were handed to the log, and how many of them are durable.
  std::uint64_t handed_stores_ = 0, durable_stores_ = 0;
  std::deque<Held> held_;
  runtime::Notification durable_;

  LogIndex applied_;
  LogIndex compacted_;  // the last snapshot
  std::deque<Work> work_;
  bool copy_wanted_ = false;
  bool applying_waits_ = false;   // for room on the disk
  std::uint32_t full_ticks_ = 0;  // that this member has led so
  runtime::Notification work_came_;
  runtime::Notification progress_;  // applied, ticked, or over

  std::vector<NewProposal> new_proposals_;
  std::map<LogIndex, Proposal> proposals_;
  std::size_t open_proposals_ = 0, open_proposal_bytes_ = 0;
  std::vector<Barrier> new_barriers_;
  std::map<std::uint64_t, ReadRound> rounds_;           // by context
  std::map<LogIndex, std::vector<Barrier>> confirmed_;  // not applied yet
  std::size_t open_barriers_ = 0;
  std::uint64_t next_context_ = 0;

  std::unique_ptr<SnapshotReceiver> receiver_;
  std::optional<SnapshotInfo> offered_;  // to the core, at this moment
  bool offer_taken_ = false;
  std::unique_ptr<SnapshotSender> sender_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::raft
