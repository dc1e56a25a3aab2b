// Receives the copy of a leader's state machine: snapshot_message.h. Parts go to `part` in its directory, one
// behind the other; when all are there, with the right checksum, the file is synced and becomes `snapshot`,
// and the member is told. One at a time; what comes of an older one is ignored.
//
// A `snapshot` that a start finds is one that the log may or may not begin behind: Member::open.
//
// Lives on one core, within its member.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "raft/core/types.h"
#include "raft/snapshot_message.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::raft {

class SnapshotReceiver {
 public:
  struct Hooks {
    std::function<void(NodeId to, SnapshotAnswer)> answer;
    // It lies at path(), durably. True: the member will take it from there, and say done(); false: it does
    // not want it.
    std::function<bool(NodeId from, Term, const SnapshotInfo&)> complete;
    // A sync failed, or what makes a rename durable.
    std::function<void(const Error&)> failed;
  };
  // `queue_bytes`: of parts that wait to be written; more are dropped.
  SnapshotReceiver(runtime::Runtime& runtime, std::string directory, std::size_t queue_bytes, Hooks hooks);
  ~SnapshotReceiver();

  // Makes the directory, and removes what is incomplete. True: there is a `snapshot`.
  runtime::Task<Result<bool>> open();
  std::string path() const { return directory_ + "/snapshot"; }
  // Removes it. What is not removed is seen by the next start.
  runtime::Task<Result<void>> discard();

  void part(NodeId from, Term term, SnapshotPart part);
  void done() { taken_ = false; }

  // Stops. No hook is called any more.
  runtime::Task<void> close();

 private:
  struct Part {
    NodeId from;
    Term term;
    SnapshotPart part;
  };
  runtime::Task<void> run();
  runtime::Task<void> take(Part part);
  runtime::Task<Result<void>> begin(const Part& part);
  runtime::Task<Result<void>> write(const SnapshotPart& part);
  runtime::Task<void> finish(Part part);
  runtime::Task<Result<void>> put_in_place();
  runtime::Task<void> give_up();
  void answer(const Part& to, SnapshotState state);
  std::string unfinished() const { return directory_ + "/part"; }
  bool stopping() const { return scope_.token().stop_requested(); }

  runtime::Runtime& runtime_;
  const std::string directory_;
  const std::size_t queue_bytes_;
  Hooks hooks_;

  std::deque<Part> queue_;
  std::size_t queued_ = 0;
  bool taken_ = false;  // the last one waits to be installed

  // What is being received.
  Term term_;
  LogPoint last_;
  SnapshotCopyId copy_;
  std::unique_ptr<runtime::File> file_;  // null: nothing is
  std::uint64_t have_ = 0;
  std::uint32_t checksum_ = 0;

  runtime::Notification came_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::raft
