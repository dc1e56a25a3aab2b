// Cancellation on one core. A StopSource is asked to stop once; callbacks registered with its tokens then
// run, in the order in which they were registered, within request_stop(). Single-threaded: source, tokens and
// callbacks live on one core. Disk I/O is never cancelled.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/intrusive_list.h"

namespace stele::runtime {

class StopCallback;

namespace internal {
struct StopState {
  bool stopped = false;
  IntrusiveList<StopCallback> callbacks;
};
}  // namespace internal

class StopToken {
 public:
  StopToken() = default;  // never stops
  bool stop_requested() const { return state_ && state_->stopped; }

 private:
  friend class StopSource;
  friend class StopCallback;
  explicit StopToken(std::shared_ptr<internal::StopState> state) : state_(std::move(state)) {}
  std::shared_ptr<internal::StopState> state_;
};

// Runs `callback` when the token stops, at once if it already has. Unregistered by its destructor.
class StopCallback : public ListNode<> {
 public:
  StopCallback(const StopToken& token, std::function<void()> callback);

 private:
  friend class StopSource;
  std::shared_ptr<internal::StopState> state_;
  std::function<void()> callback_;
};

class StopSource {
 public:
  StopSource() : state_(std::make_shared<internal::StopState>()) {}
  StopToken token() const { return StopToken(state_); }
  bool stop_requested() const { return state_->stopped; }
  void request_stop() {
    if (std::exchange(state_->stopped, true)) return;
    auto state = state_;  // a callback may destroy the source
    while (!state->callbacks.empty()) state->callbacks.pop_front().callback_();
  }

 private:
  std::shared_ptr<internal::StopState> state_;
};

inline StopCallback::StopCallback(const StopToken& token, std::function<void()> callback)
    : state_(token.state_), callback_(std::move(callback)) {
  if (!state_) return;
  if (state_->stopped) {
    callback_();
  } else {
    state_->callbacks.push_back(*this);
  }
}

}  // namespace stele::runtime
