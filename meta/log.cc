#include "meta/log.h"

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "base/marks.h"
#include "storage/durable_directory.h"

namespace stele::meta {

using runtime::BlockingFiles;
using runtime::Task;

struct OneNodeLog::Batch {
  std::vector<meta::Proposal> commands;
  std::vector<runtime::OneShot<Result<std::string>>> waiting;
  // Set by the job.
  Result<std::vector<std::string>> answers;
  std::shared_ptr<const MetaView> view;
};

namespace {

struct Opening {
  Result<std::unique_ptr<StateMachine>> machine;
};

}  // namespace

Task<Result<std::unique_ptr<OneNodeLog>>> OneNodeLog::open(runtime::Runtime& runtime, std::string directory,
                                                           Limits limits) {
  STELE_CO_CHECK(co_await storage::make_durable_directory(runtime.files(), directory));
  auto opening = std::make_shared<Opening>();
  const StateMachine::Inputs inputs{.now = runtime.wall_now(), .random_seed = runtime.random().next()};
  co_await runtime::run_blocking(runtime,
                                 [opening, path = directory + "/meta.db", inputs](BlockingFiles& files) {
                                   opening->machine = StateMachine::open(files, path, inputs);
                                 });
  STELE_CO_TRY(std::unique_ptr<StateMachine> machine, std::move(opening->machine));
  co_return std::unique_ptr<OneNodeLog>(new OneNodeLog(runtime, limits, std::move(machine)));
}

OneNodeLog::OneNodeLog(runtime::Runtime& runtime, Limits limits, std::shared_ptr<StateMachine> machine)
    : runtime_(runtime),
      limits_(limits),
      machine_(std::move(machine)),
      applied_(machine_->applied()),
      view_(machine_->view()),
      self_(std::make_shared<OneNodeLog*>(this)) {}

OneNodeLog::~OneNodeLog() {
  *self_ = nullptr;
}

Result<void> OneNodeLog::check_room(std::size_t bytes) const {
  if (closed_) return error(ErrorCode::kClosed, "the meta service stops");
  if (queue_.size() >= limits_.queued || queued_bytes_ + bytes > limits_.queued_bytes) {
    STELE_MARK("meta: log queue full");
    return error(ErrorCode::kUnavailable, "the meta service has too much to do; try again later");
  }
  return {};
}

Task<Result<std::string>> OneNodeLog::propose(std::string command) {
  STELE_CO_CHECK(check_room(command.size()));
  queued_bytes_ += command.size();
  runtime::OneShot<Result<std::string>> answer;
  queue_.push_back(Proposal{.command = std::move(command), .answer = answer});
  pump();
  co_return co_await answer.wait();
}

Task<Result<void>> OneNodeLog::read(Reader reader) {
  STELE_CO_CHECK(check_room(0));
  runtime::OneShot<Result<void>> done;
  queue_.push_back(Read{.reader = std::move(reader), .done = done});
  pump();
  co_return co_await done.wait();
}

Task<void> OneNodeLog::close() {
  closed_ = true;
  while (running_ || !queue_.empty()) co_await idle_.wait();
}

StateMachine::Inputs OneNodeLog::inputs() {
  return {.now = runtime_.wall_now(), .random_seed = runtime_.random().next()};
}

// One job at a time: the state machine is its own while it runs.
void OneNodeLog::pump() {
  if (running_ || queue_.empty()) return;
  running_ = true;
  std::holds_alternative<Proposal>(queue_.front()) ? start_batch() : start_read();
}

void OneNodeLog::start_batch() {
  auto batch = std::make_shared<Batch>();
  std::size_t bytes = 0;
  while (!queue_.empty() && batch->commands.size() < limits_.batch) {
    auto* proposal = std::get_if<Proposal>(&queue_.front());
    if (!proposal || (bytes > 0 && bytes + proposal->command.size() > limits_.batch_bytes)) break;
    bytes += proposal->command.size();
    batch->commands.push_back({.command = std::move(proposal->command)});
    batch->waiting.push_back(std::move(proposal->answer));
    queue_.pop_front();
  }
  queued_bytes_ -= bytes;
  runtime_.offload(
      [machine = machine_, batch, first = applied_ + 1, inputs = inputs()](BlockingFiles& files) {
        batch->answers = machine->apply(files, first, batch->commands, inputs);
        batch->view = machine->view();
      },
      [self = self_, batch] {
        if (*self) (*self)->finish_batch(*batch);
      });
}

void OneNodeLog::finish_batch(Batch& batch) {
  const std::shared_ptr<OneNodeLog*> self = self_;  // who is answered may destroy this
  if (batch.answers) {
    applied_ += batch.answers->size();
    if (batch.view != view_) {
      view_ = batch.view;
      if (on_view_) on_view_(view_);
    }
  } else if (runtime_.log().enabled(runtime::LogLevel::kError)) {
    runtime_.log().write(runtime::LogLevel::kError, "meta", batch.answers.error().to_string());
  }
  finished();
  for (std::size_t i = 0; i < batch.waiting.size() && *self; ++i) {
    if (batch.answers) {
      batch.waiting[i].set(std::move((*batch.answers)[i]));
    } else {
      batch.waiting[i].set(std::unexpected(batch.answers.error()));
    }
  }
  if (*self && !running_ && queue_.empty()) idle_.wake_all();
}

void OneNodeLog::start_read() {
  auto read = std::make_shared<Read>(std::get<Read>(std::move(queue_.front())));
  queue_.pop_front();
  runtime_.offload([machine = machine_, read,
                    inputs = inputs()](BlockingFiles& files) { read->reader(*machine, files, inputs); },
                   [self = self_, read] {
                     if (!*self) return;
                     (*self)->finished();
                     read->done.set({});
                     if (*self && !(*self)->running_ && (*self)->queue_.empty()) (*self)->idle_.wake_all();
                   });
}

// The job is done: the next may begin.
void OneNodeLog::finished() {
  STELE_ASSERT(running_);
  running_ = false;
  if (on_failure_ && machine_->failed()) {
    STELE_MARK("meta: database failed");
    const Error& failure = *machine_->failed();
    const Error why{failure.code == ErrorCode::kCorrupt ? ErrorCode::kCorrupt : ErrorCode::kIo,
                    "the meta database failed: " + failure.message};
    runtime_.post(runtime_.core(), [tell = std::exchange(on_failure_, {}), why] { tell(why); });
  }
  pump();
}

}  // namespace stele::meta
