// Sends copies of the state machine to members that lack the log: snapshot_message.h. One copy serves all,
// one transfer at a time goes to each; of each, a window of parts is under way.
//
// Lives on one core, within its member.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "base/result.h"
#include "raft/core/types.h"
#include "raft/snapshot_message.h"
#include "raft/state_machine.h"
#include "runtime/notification.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::raft {

struct SnapshotSenderOptions {
  std::size_t part_bytes = 0;
  std::size_t window = 1;  // parts
  std::uint32_t retry_ticks = 1;
  std::uint32_t patience_ticks = 1;
  std::uint32_t kept_ticks = 1;
};

class SnapshotSender {
 public:
  struct Hooks {
    std::function<void(NodeId to, Term, SnapshotPart)> send;
    // Nothing more goes to it. May start the next.
    std::function<void(NodeId to, bool delivered)> ended;
    // A copy is wanted: copy_made() or copy_failed(), later.
    std::function<void()> want_copy;
  };
  SnapshotSender(SnapshotSenderOptions options, Hooks hooks);
  ~SnapshotSender();

  // `to` shall have what lies at or above `least`, for the leader of `term`.
  void start(NodeId to, Term term, LogIndex least);
  void answered(NodeId from, const SnapshotAnswer& answer);
  void copy_made(const SnapshotInfo& of, std::unique_ptr<SnapshotCopy> copy);
  void copy_failed();
  void tick();
  // All transfers end without a word, or those to nodes that are not in `members`: nobody asks any more.
  void drop_all();
  void keep_only(const NodeSet& members);
  std::size_t running() const { return transfers_.size(); }

  // drop_all(), and gives back the copy.
  runtime::Task<void> close();

 private:
  struct Copy {
    SnapshotInfo of;
    SnapshotCopyId id;
    std::unique_ptr<SnapshotCopy> data;
    std::uint32_t readers = 0;
    bool unwanted = false;  // its last reader gives it back
  };
  struct Transfer {
    NodeId to;
    Term term;
    LogIndex least;
    std::shared_ptr<Copy> copy;  // null until there is one
    std::uint64_t acknowledged = 0;
    std::uint64_t next = 0;        // to be sent
    bool ask = true;               // send once, even if there is nothing to send
    bool asking = true;            // where the receiver is; until it is known, one part goes
    std::uint32_t quiet = 0;       // ticks since it got further
    std::uint32_t unanswered = 0;  // ticks since it was sent, or answered
    bool over = false;
    runtime::Notification changed;
  };
  using TransferPtr = std::shared_ptr<Transfer>;

  bool fits(const Copy& copy, const Transfer& transfer) const { return copy.of.index >= transfer.least; }
  void begin(const TransferPtr& transfer);
  bool may_send(const Transfer& transfer) const;
  runtime::Task<void> prepare(std::shared_ptr<Copy> copy);
  runtime::Task<void> run(TransferPtr transfer);
  runtime::Task<void> send(Transfer& transfer, Copy& copy);
  void end(NodeId to, bool delivered);
  void drop(Transfer& transfer);
  void put_copy_away();
  static runtime::Task<void> close(std::shared_ptr<Copy> copy);

  SnapshotSenderOptions options_;
  Hooks hooks_;
  std::map<NodeId, TransferPtr> transfers_;
  std::shared_ptr<Copy> copy_;
  bool copy_wanted_ = false;
  std::uint32_t unused_ = 0;  // ticks
  runtime::Scope scope_;      // last
};

}  // namespace stele::raft
