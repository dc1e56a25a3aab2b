// The log of the meta service: commands go in, are ordered, applied to the state machine, and answered.
//
// Raft will implement it for groups; OneNodeLog is a group of one, which needs no log of its own: the
// database is written in the order of proposals, and its transaction makes a command durable.
//
// Lives on one core. A task of it that is destroyed while it waits gives up the answer, not the command.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "base/result.h"
#include "meta/state_machine.h"
#include "meta/types.h"
#include "runtime/notification.h"
#include "runtime/one_shot.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::meta {

class MetaLog {
 public:
  virtual ~MetaLog() = default;

  // An encoded command; gives its encoded answer once it is durable and applied. kUnavailable: too many are
  // queued, this one was not taken. kClosed. kNoSpace: not applied. kIo, kCorrupt: the database failed, and
  // whether it is applied is seen after a restart.
  virtual runtime::Task<Result<std::string>> propose(std::string command) = 0;

  // Runs `reader` in a job, on a state machine that has applied every command that was answered before.
  using Reader = std::move_only_function<void(StateMachine&, runtime::BlockingFiles&, StateMachine::Inputs)>;
  virtual runtime::Task<Result<void>> read(Reader reader) = 0;

  virtual std::shared_ptr<const MetaView> view() const = 0;
  // `callback` gets each new view before the commands that changed it are answered. One, set once.
  using OnView = std::function<void(const std::shared_ptr<const MetaView>&)>;
  virtual void on_view(OnView callback) = 0;

  // `callback` is told, once, when the database has failed for good.
  using OnFailure = std::function<void(const Error&)>;
  virtual void on_failure(OnFailure callback) = 0;

  // Takes no more, and completes when everything that was taken is answered; then it may be destroyed.
  virtual runtime::Task<void> close() = 0;
};

class OneNodeLog final : public MetaLog {
 public:
  struct Limits {
    std::size_t queued = 4096;            // proposals and reads that wait
    std::size_t queued_bytes = 64 << 20;  // of proposals that wait
    std::size_t batch = 128;              // proposals in one transaction
    std::size_t batch_bytes = 1 << 20;    // or one larger one
  };

  // The database is `meta.db` in that directory, which is made if missing.
  static runtime::Task<Result<std::unique_ptr<OneNodeLog>>> open(runtime::Runtime& runtime,
                                                                 std::string directory, Limits limits);
  OneNodeLog(const OneNodeLog&) = delete;
  OneNodeLog& operator=(const OneNodeLog&) = delete;
  ~OneNodeLog() override;

  runtime::Task<Result<std::string>> propose(std::string command) override;
  runtime::Task<Result<void>> read(Reader reader) override;
  std::shared_ptr<const MetaView> view() const override { return view_; }
  void on_view(OnView callback) override { on_view_ = std::move(callback); }
  void on_failure(OnFailure callback) override { on_failure_ = std::move(callback); }
  runtime::Task<void> close() override;

 private:
  struct Proposal {
    std::string command;
    runtime::OneShot<Result<std::string>> answer;
  };
  struct Read {
    Reader reader;
    runtime::OneShot<Result<void>> done;
  };
  using Item = std::variant<Proposal, Read>;
  struct Batch;

  OneNodeLog(runtime::Runtime& runtime, Limits limits, std::shared_ptr<StateMachine> machine);
  Result<void> check_room(std::size_t bytes) const;
  StateMachine::Inputs inputs();
  void pump();
  void start_batch();
  void start_read();
  void finish_batch(Batch& batch);
  void finished();

  runtime::Runtime& runtime_;
  Limits limits_;
  std::shared_ptr<StateMachine> machine_;  // shared with the job under way, which touches it alone
  std::uint64_t applied_ = 0;
  std::shared_ptr<const MetaView> view_;
  OnView on_view_;
  OnFailure on_failure_;
  std::deque<Item> queue_;
  std::size_t queued_bytes_ = 0;
  bool running_ = false;
  bool closed_ = false;
  runtime::Notification idle_;
  std::shared_ptr<OneNodeLog*> self_;  // holds null once this is destroyed: for completions that come later
};

}  // namespace stele::meta
