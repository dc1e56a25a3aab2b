#include "runtime/timer_queue.h"

#include "base/assert.h"

namespace stele::runtime {

Timer::~Timer() {
  if (queue_) queue_->disarm(*this);
}

TimerQueue::~TimerQueue() {
  clear();
}

void TimerQueue::clear() {
  for (Timer* timer : heap_) timer->queue_ = nullptr;
  heap_.clear();
}

bool TimerQueue::earlier(const Timer* a, const Timer* b) {
  return a->deadline_ != b->deadline_ ? a->deadline_ < b->deadline_ : a->order_ < b->order_;
}

void TimerQueue::place(std::size_t index, Timer* timer) {
  heap_[index] = timer;
  timer->index_ = index;
}

void TimerQueue::sift_up(std::size_t index) {
  Timer* timer = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!earlier(timer, heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, timer);
}

void TimerQueue::sift_down(std::size_t index) {
  Timer* timer = heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && earlier(heap_[child + 1], heap_[child])) ++child;
    if (!earlier(heap_[child], timer)) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, timer);
}

void TimerQueue::arm(Timer& timer, Instant deadline) {
  if (timer.queue_) {
    STELE_ASSERT(timer.queue_ == this);
    disarm(timer);
  }
  timer.queue_ = this;
  timer.deadline_ = deadline;
  timer.order_ = next_order_++;
  heap_.push_back(&timer);
  sift_up(heap_.size() - 1);
}

void TimerQueue::disarm(Timer& timer) {
  if (!timer.queue_) return;
  STELE_ASSERT(timer.queue_ == this && heap_[timer.index_] == &timer);
  const std::size_t index = timer.index_;
  timer.queue_ = nullptr;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  place(index, last);
  sift_up(index);
  sift_down(last->index_);
}

void TimerQueue::fire(Instant now) {
  const std::uint64_t armed_before = next_order_;
  while (!heap_.empty() && heap_.front()->deadline_ <= now && heap_.front()->order_ < armed_before) {
    Timer* timer = heap_.front();
    disarm(*timer);
    timer->on_timer();
  }
}

}  // namespace stele::runtime
