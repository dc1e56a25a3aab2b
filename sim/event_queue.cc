#include "sim/event_queue.h"

#include "base/assert.h"

namespace stele::sim {

Event::~Event() {
  cancel();
}

void Event::cancel() {
  if (queue_) queue_->cancel(*this);
}

EventQueue::~EventQueue() {
  for (Entry& entry : heap_) entry.event->queue_ = nullptr;
}

bool EventQueue::earlier(const Entry& a, const Entry& b) {
  if (a.at != b.at) return a.at < b.at;
  if (a.tie_break != b.tie_break) return a.tie_break < b.tie_break;
  return a.order < b.order;
}

void EventQueue::place(std::size_t index, const Entry& entry) {
  heap_[index] = entry;
  entry.event->index_ = index;
}

void EventQueue::sift_up(std::size_t index, Entry entry) {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!earlier(entry, heap_[parent])) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void EventQueue::sift_down(std::size_t index, Entry entry) {
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && earlier(heap_[child + 1], heap_[child])) ++child;
    if (!earlier(heap_[child], entry)) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, entry);
}

void EventQueue::schedule(Event& event, Time at, std::uint64_t tie_break) {
  if (event.queue_) {
    STELE_ASSERT(event.queue_ == this);
    cancel(event);
  }
  event.queue_ = this;
  event.at_ = at;
  heap_.emplace_back();
  sift_up(heap_.size() - 1, Entry{at, tie_break, next_order_++, &event});
}

void EventQueue::cancel(Event& event) {
  STELE_ASSERT(event.queue_ == this && heap_[event.index_].event == &event);
  event.queue_ = nullptr;
  const std::size_t index = event.index_;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (last.event == &event) return;
  if (index > 0 && earlier(last, heap_[(index - 1) / 2])) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

Event& EventQueue::pop() {
  STELE_ASSERT(!heap_.empty());
  Event& event = *heap_.front().event;
  cancel(event);
  return event;
}

}  // namespace stele::sim
