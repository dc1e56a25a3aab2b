#include "runtime/scope.h"

#include <exception>
#include <utility>

namespace stele::runtime {

struct Scope::RootTask {
  struct promise_type {
    Scope& scope;
    Root root;
    promise_type(Scope& s, Task<void>&) : scope(s) {}

    RootTask get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Final {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> frame) noexcept {
          return frame.promise().scope.finished(frame);
        }
        void await_resume() noexcept {}
      };
      return Final{};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> frame;
};

Scope::RootTask Scope::run(Scope&, Task<void> task) {
  co_await std::move(task);
}

void Scope::spawn(Task<void> task) {
  auto frame = run(*this, std::move(task)).frame;
  Root& root = frame.promise().root;
  root.frame = frame;
  roots_.push_back(root);
  ++running_;
  frame.resume();
}

// Frees the frame of a task that is done; gives what runs next: who joins, if this was the last.
std::coroutine_handle<> Scope::finished(std::coroutine_handle<> frame) {
  STELE_ASSERT(running_ > 0);
  --running_;
  frame.destroy();
  if (running_ == 0 && waiter_) return std::exchange(waiter_, {});
  return std::noop_coroutine();
}

Scope::~Scope() {
  while (!roots_.empty()) roots_.pop_front().frame.destroy();
}

}  // namespace stele::runtime
