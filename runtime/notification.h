// Notification: tasks wait, somebody wakes them all. One core. A frame destroyed while it waits leaves
// silently; so does everybody when the Notification itself is destroyed.
#pragma once

#include <coroutine>

#include "base/intrusive_list.h"

namespace stele::runtime {

class Notification {
  struct Waiter : ListNode<> {
    Notification* owner;
    std::coroutine_handle<> handle;
    explicit Waiter(Notification* o) : owner(o) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      handle = h;
      owner->waiters_.push_back(*this);
    }
    void await_resume() const {}
  };

 public:
  // co_await notification.wait(): until the next wake_all().
  auto wait() { return Waiter(this); }
  // Resumes everybody who waits now, in the order of waiting. Who waits again is not resumed in this call. A
  // resumed task may destroy the Notification.
  void wake_all() {
    IntrusiveList<Waiter> now;
    while (!waiters_.empty()) now.push_back(waiters_.pop_front());
    while (!now.empty()) now.pop_front().handle.resume();
  }
  bool anybody() const { return !const_cast<IntrusiveList<Waiter>&>(waiters_).empty(); }

 private:
  IntrusiveList<Waiter> waiters_;
};

}  // namespace stele::runtime
