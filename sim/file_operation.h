// One asynchronous file operation: what a task awaits, living in its frame.
#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "sim/process.h"

namespace stele::sim {

// How one goes: it takes so long, in so many stages, of which the last may be a sync.
struct FileCall {
  Latency usual;
  bool syncs = false;
  int stages = 1;
};

// `Apply` does the operation: called with the stage, 0 up to `stages`-1, each of them a moment at which it
// may be cut off by a crash. A stage that fails is the last.
template <class Apply>
class FileOperation final : private Event, private Ready {
 public:
  using Value = std::invoke_result_t<Apply&, int>;

  FileOperation(Core& core, FileCall call, Apply apply)
      : Event(EventKind::kDisk, core.subject()), core_(core), call_(call), apply_(std::move(apply)) {}
  ~FileOperation() override {
    while (asked_ && stage_ < call_.stages && core_.alive()) perform();
  }

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    if (!core_.alive()) return;
    waiter_ = waiter;
    asked_ = true;
    World& world = core_.world();
    const Duration takes = core_.host().file_operation_takes(call_.usual, call_.syncs);
    while (stage_ < call_.stages && world.random(Concern::kDisk).chance(1, 2)) {
      perform();
      if (!core_.alive()) return;
    }
    world.schedule_after(*this, takes);
  }
  Value await_resume() { return *std::move(result_); }

 private:
  // A crash in here destroys this object unless code of the process is on the stack.
  void perform() {
    Host& host = core_.host();
    const Host::OperationFate fate = host.next_file_operation(call_.syncs && stage_ + 1 == call_.stages);
    if (fate == Host::OperationFate::kCrashBefore) return host.planned_crash();
    result_.emplace(apply_(stage_));
    stage_ = *result_ ? stage_ + 1 : call_.stages;
    if (fate == Host::OperationFate::kCrashAfter) host.planned_crash();
  }
  void fire() override {
    Core& core = core_;
    while (stage_ < call_.stages) {
      perform();
      if (!core.alive()) return;
    }
    core.make_ready(*this);
  }
  void deliver() override { waiter_.resume(); }

  Core& core_;
  const FileCall call_;
  Apply apply_;
  int stage_ = 0;
  bool asked_ = false;
  std::coroutine_handle<> waiter_;
  std::optional<Value> result_;
};

}  // namespace stele::sim
