// The log of the meta service on a node of a cluster: a member of the Raft group (raft/member.h), whose state
// machine is the meta database (group_machine.h).
//
// A command may be given to any member: it goes to the one that leads, and is answered when it is applied
// here too, so that whoever hears of it finds it in this node's view. It is proposed again, in the same form,
// until its outcome is known or patience is over; the database knows what it has applied before (proposal.h).
// So a command is applied once, also when leaders and connections come and go meanwhile.
//
// Lives on one core.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "meta/group_machine.h"
#include "meta/log.h"
#include "raft/member.h"
#include "raft/peer_transport.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::meta {

// What became of a proposal, and how far the one who tells had applied the log then.
struct ProposalAnswer {
  std::string answer;
  std::uint64_t applied = 0;
};

// How a member asks the one that leads.
class LeaderLink {
 public:
  virtual ~LeaderLink() = default;
  // Gives the proposal to GroupLog::take() of that node. After any error it may have been applied, or not.
  virtual runtime::Task<Result<ProposalAnswer>> propose(NodeId leader, Bytes proposal) = 0;
  // Controller::renew() of that node, for this one.
  virtual runtime::Task<Result<bool>> renew(NodeId leader, Incarnation incarnation) = 0;
};

struct GroupOptions {
  std::string directory;       // of the database; the Raft log is in `raft` below it
  raft::MemberOptions member;  // without its directory and on_failure
  // The group begins here: what a node alone has written to the database is where it begins. Only until it
  // has; from then on a database without its log is one whose log is lost.
  bool begins = false;
  // How long a command or a read waits for a leader and its answer.
  runtime::Duration patience = std::chrono::seconds(30);
  // Between two attempts.
  runtime::Duration pause = std::chrono::milliseconds(100);
};

struct GroupLogStats {
  std::uint64_t proposed = 0;   // commands
  std::uint64_t forwarded = 0;  // attempts at another node
  std::uint64_t again = 0;      // attempts after the first
  std::uint64_t given_up = 0;   // commands and reads whose patience was over
};

class GroupLog final : public MetaLog {
 public:
  // `transport` and `link` outlive it.
  static runtime::Task<Result<std::unique_ptr<GroupLog>>> open(runtime::Runtime& runtime,
                                                               GroupOptions options,
                                                               raft::PeerTransport& transport,
                                                               LeaderLink& link);
  GroupLog(const GroupLog&) = delete;
  GroupLog& operator=(const GroupLog&) = delete;
  ~GroupLog() override = default;

  // kTimedOut: it may have been applied, or may still be. kUnavailable: it is not.
  runtime::Task<Result<std::string>> propose(std::string command) override;
  runtime::Task<Result<void>> read(Reader reader) override;
  std::shared_ptr<const MetaView> view() const override { return machine_->view(); }
  void on_view(OnView callback) override { machine_->on_view(std::move(callback)); }
  void on_failure(OnFailure callback) override { on_failure_ = std::move(callback); }
  runtime::Task<void> close() override;

  // What another node's link brings. Complete when it is applied here. kUnavailable: this is not the leader.
  runtime::Task<Result<ProposalAnswer>> take(Bytes proposal);
  // A command of this member itself: applied if it leads and goes on to lead, and not otherwise.
  runtime::Task<Result<std::string>> propose_here(std::string command);
  // Like read(), of what this member has applied, which others may be ahead of; so it needs no leader.
  runtime::Task<Result<void>> read_here(Reader reader);
  // For what the transport brings, for status, and for changes of the group.
  raft::Member& member() { return *member_; }
  const raft::Member& member() const { return *member_; }
  const GroupLogStats& stats() const { return stats_; }

 private:
  GroupLog(runtime::Runtime& runtime, GroupOptions options, LeaderLink& link)
      : runtime_(runtime), options_(std::move(options)), link_(link) {}
  runtime::Task<Result<ProposalAnswer>> attempt(Bytes proposal, bool* sent);
  void failed(const Error& why);
  Error closed() const;

  runtime::Runtime& runtime_;
  const GroupOptions options_;
  LeaderLink& link_;
  OnFailure on_failure_;
  std::optional<Error> failure_;
  GroupLogStats stats_;
  bool closed_ = false;
  std::unique_ptr<GroupMachine> machine_;
  std::unique_ptr<raft::Member> member_;
};

}  // namespace stele::meta
