// From one core of a process to another and back: a task runs there, and its value comes here.
//
// `there` is a struct with `runtime` and `calls` (a Scope, by pointer) of the other core. What is under way
// is dropped when either core's part of it goes: the frame there with the scope, the waiter here silently.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::server {

namespace internal {
// Value and waiter are touched on the calling core only.
template <class T>
struct Call {
  std::optional<T> value;
  std::coroutine_handle<> waiter;
};
template <class T>
struct CallAwaiter {
  std::shared_ptr<Call<T>> call;
  bool await_ready() const { return call->value.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) { call->waiter = waiter; }
  T await_resume() { return *std::move(call->value); }
  ~CallAwaiter() { call->waiter = {}; }
};
template <class T, class There, class Make>
runtime::Task<void> run_call(There& there, Make make, CoreId back, std::shared_ptr<Call<T>> call) {
  T value = co_await make(there);
  there.runtime.post(back, [call = std::move(call), value = std::move(value)]() mutable {
    call->value.emplace(std::move(value));
    if (call->waiter) std::exchange(call->waiter, {}).resume();
  });
}
}  // namespace internal

// Runs `make(there)`, a Task<T>, on its core.
template <class T, class There, class Make>
runtime::Task<T> call_core(runtime::Runtime& here, There& there, Make make) {
  auto call = std::make_shared<internal::Call<T>>();
  here.post(there.runtime.core(), [&there, make = std::move(make), back = here.core(), call]() mutable {
    there.calls->spawn(internal::run_call<T>(there, std::move(make), back, std::move(call)));
  });
  co_return co_await internal::CallAwaiter<T>{std::move(call)};
}

}  // namespace stele::server
