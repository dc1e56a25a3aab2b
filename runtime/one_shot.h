// OneShot: a value that comes later, once, for one waiting task. Copies share it: the one who will set it
// keeps a copy, and may outlive the waiter or never set it; a frame destroyed while it waits leaves silently.
//
// Set and awaited on one core. Copies may travel through other cores (in posted work) and end there.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "base/assert.h"

namespace stele::runtime {

template <class T>
class OneShot {
  struct State {
    std::optional<T> value;
    std::coroutine_handle<> waiter;
    bool taken = false;
  };
  struct Waiter {
    std::shared_ptr<State> state;
    bool await_ready() const { return state->value.has_value(); }
    void await_suspend(std::coroutine_handle<> waiter) {
      STELE_ASSERT(!state->waiter && !state->taken);
      state->waiter = waiter;
    }
    T await_resume() {
      state->taken = true;
      return *std::move(state->value);
    }
    ~Waiter() { state->waiter = {}; }
  };

 public:
  OneShot() : state_(std::make_shared<State>()) {}

  // Resumes the waiter before it returns.
  void set(T value) const {
    STELE_ASSERT(!state_->value.has_value());
    state_->value.emplace(std::move(value));
    const std::shared_ptr<State> state = state_;  // the waiter may destroy this copy
    if (state->waiter) std::exchange(state->waiter, {}).resume();
  }
  // co_await one_shot.wait(): the value. Awaited once.
  auto wait() const { return Waiter{state_}; }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace stele::runtime
