// Channel: values pass from tasks, or plain code, to tasks, in order; at most `capacity` wait in it. Each
// value goes to one receiver. A closed channel takes no more; what it holds may still be received.
//
// One core; not for hot paths. Who waits is resumed within the call that it waited for, and may destroy the
// channel; then nobody else is resumed. A frame destroyed while it waits leaves silently.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "base/assert.h"
#include "base/result.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::runtime {

template <class T>
class Channel {
 public:
  explicit Channel(std::size_t capacity) : capacity_(capacity) { STELE_ASSERT(capacity > 0); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // False, and the value is gone: it is full or closed.
  bool try_send(T value) {
    if (closed_ || full()) return false;
    values_.push_back(std::move(value));
    changed_.wake_all();
    return true;
  }
  // Waits while it is full. kClosed.
  Task<Result<void>> send(T value) {
    while (!closed_ && full()) co_await changed_.wait();
    if (!try_send(std::move(value))) co_return closed();
    co_return Result<void>();
  }
  // kClosed once it is closed and empty; kTimedOut.
  Task<Result<T>> receive(Runtime& runtime, Instant deadline = kNever) {
    Alarm alarm(changed_);
    while (values_.empty()) {
      if (closed_) co_return closed();
      if (runtime.now() >= deadline) co_return error(ErrorCode::kTimedOut, "nothing came");
      if (deadline != kNever) runtime.arm(alarm, deadline);
      co_await changed_.wait();
    }
    T value = std::move(values_.front());
    values_.pop_front();
    changed_.wake_all();
    co_return value;
  }
  // Wakes all who wait.
  void close() {
    closed_ = true;
    changed_.wake_all();
  }

  bool is_closed() const { return closed_; }
  std::size_t size() const { return values_.size(); }
  bool full() const { return values_.size() >= capacity_; }

 private:
  struct Alarm final : Timer {
    explicit Alarm(Notification& n) : notification(n) {}
    void on_timer() override { notification.wake_all(); }
    Notification& notification;
  };
  static std::unexpected<Error> closed() { return error(ErrorCode::kClosed, "the channel is closed"); }

  const std::size_t capacity_;
  std::deque<T> values_;
  bool closed_ = false;
  Notification changed_;
};

}  // namespace stele::runtime
