// The timers of one core: a binary heap ordered by (deadline, order of arming), with each timer's place in
// the timer itself, so that arming, moving and disarming are O(log n) and allocate nothing per timer. Pure:
// the backend asks when to wake up and then lets it fire. Both backends use it, so timers of one deadline
// fire in the same order everywhere.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/runtime.h"

namespace stele::runtime {

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  ~TimerQueue();

  void arm(Timer& timer, Instant deadline);
  void disarm(Timer& timer);
  // Disarms all; also from within a timer that fires.
  void clear();

  // The earliest deadline, kNever when there is none.
  Instant next() const { return heap_.empty() ? kNever : heap_.front()->deadline_; }
  // Fires all timers due at `now` that were armed before this call. A timer may arm or destroy any timer,
  // itself too.
  void fire(Instant now);
  std::size_t size() const { return heap_.size(); }

 private:
  static bool earlier(const Timer* a, const Timer* b);
  void place(std::size_t index, Timer* timer);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);

  std::vector<Timer*> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace stele::runtime
