// Scope: the only way to run a task without awaiting it. Everything spawned belongs to a scope, and a scope
// is closed and awaited by its owner, so nothing outlives what it works on.
//
//   Scope scope;
//   scope.spawn(serve(connection, scope.token()));
//   …
//   scope.request_stop();
//   co_await scope.join();
//
// Lives on one core. Destroying a scope destroys the frames of tasks that are still suspended, silently: that
// is how the simulator drops a crashed process's memory. Production code joins first.
#pragma once

#include <coroutine>
#include <cstddef>

#include "base/intrusive_list.h"
#include "runtime/stop.h"
#include "runtime/task.h"

namespace stele::runtime {

class Scope {
 public:
  Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  // Starts the task now: it runs up to its first suspension before spawn returns.
  void spawn(Task<void> task);

  StopToken token() const { return stop_.token(); }
  void request_stop() { stop_.request_stop(); }

  std::size_t running() const { return running_; }

  // Completes when nothing runs any more. One waiter at a time.
  auto join() {
    struct Awaiter {
      Scope& scope;
      bool await_ready() const noexcept { return scope.running_ == 0; }
      void await_suspend(std::coroutine_handle<> waiter) noexcept {
        STELE_ASSERT(!scope.waiter_);
        scope.waiter_ = waiter;
      }
      void await_resume() const noexcept {}
      ~Awaiter() { scope.waiter_ = {}; }
    };
    return Awaiter{*this};
  }
  // request_stop() and join().
  Task<void> close() {
    request_stop();
    co_await join();
  }

 private:
  // A spawned task's outermost frame, listed so that the scope can destroy it.
  struct Root : ListNode<> {
    std::coroutine_handle<> frame;
  };
  struct RootTask;
  static RootTask run(Scope& scope, Task<void> task);
  std::coroutine_handle<> finished(std::coroutine_handle<> frame);

  StopSource stop_;
  IntrusiveList<Root> roots_;
  std::size_t running_ = 0;
  std::coroutine_handle<> waiter_;
};

}  // namespace stele::runtime
