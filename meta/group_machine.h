// The meta database as the state machine of a Raft group, and of whoever reads it.
//
// The file itself is the snapshot that lets a member forget its log: what is applied is durable. A copy for
// another member is made by one job, in which nothing is applied; it is checked page by page.
//
// Lives on one core; what it does to the database are jobs, one after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/job_queue.h"
#include "meta/state_machine.h"
#include "meta/types.h"
#include "raft/state_machine.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::meta {

class GroupMachine final : public raft::StateMachine {
 public:
  // The database is `meta.db` in that directory, which is made if missing.
  static runtime::Task<Result<std::unique_ptr<GroupMachine>>> open(runtime::Runtime& runtime,
                                                                   std::string directory);

  raft::LogIndex applied() const override { return raft::LogIndex(applied_); }
  runtime::Task<Result<std::vector<std::string>>> apply(std::vector<raft::Entry> entries) override;
  runtime::Task<Result<std::unique_ptr<raft::SnapshotCopy>>> copy() override;
  runtime::Task<Result<void>> install(std::string file) override;

  // As of applied().
  std::shared_ptr<const MetaView> view() const { return view_; }
  // `callback` gets each new view, before applied() tells of what changed it.
  void on_view(std::function<void(const std::shared_ptr<const MetaView>&)> callback) {
    on_view_ = std::move(callback);
  }
  // Complete when so much is applied; false: or when nothing more will be.
  runtime::Task<bool> wait_for(std::uint64_t index);
  // Nothing more is applied: whoever waits is told.
  void stop();

  // Runs `reader` in a job, behind what is being applied. The errors of the database are the reader's.
  using Reader =
      std::move_only_function<void(meta::StateMachine&, runtime::BlockingFiles&, meta::StateMachine::Inputs)>;
  runtime::Task<void> read(Reader reader);
  std::size_t jobs() const { return jobs_.size(); }

 private:
  // Touched by the job under way alone.
  struct Database {
    std::string path;
    std::unique_ptr<meta::StateMachine> machine;
  };
  GroupMachine(runtime::Runtime& runtime, std::string directory, std::shared_ptr<Database> database);
  runtime::Task<void> run(runtime::BlockingWork job);
  meta::StateMachine::Inputs inputs();
  void take_over(std::uint64_t applied, std::shared_ptr<const MetaView> view);

  runtime::Runtime& runtime_;
  const std::string directory_;
  std::shared_ptr<Database> database_;
  std::uint64_t applied_;
  std::shared_ptr<const MetaView> view_;
  std::function<void(const std::shared_ptr<const MetaView>&)> on_view_;
  std::uint64_t copies_ = 0;
  bool stopped_ = false;
  runtime::Notification changed_;
  JobQueue jobs_;
};

}  // namespace stele::meta
