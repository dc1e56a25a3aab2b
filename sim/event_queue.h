// The one queue of everything that will happen in a world, ordered by (time, tie-break). The tie-break is
// drawn from the seed when an event is scheduled, so that events of one instant happen in an order that
// differs from seed to seed and from nothing else. An event lives in what it is about (a core, a connection,
// a coroutine's frame) and leaves the queue with it: what a crash destroys never happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/time.h"
#include "sim/trace.h"

namespace stele::sim {

class Event {
 public:
  Event(EventKind kind, Subject subject) : kind_(kind), subject_(subject) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  virtual ~Event();

  // May destroy the event, or schedule it again.
  virtual void fire() = 0;

  bool scheduled() const { return queue_ != nullptr; }
  Time at() const { return at_; }  // while scheduled
  EventKind kind() const { return kind_; }
  Subject subject() const { return subject_; }
  void cancel();

 private:
  friend class EventQueue;
  class EventQueue* queue_ = nullptr;
  std::size_t index_ = 0;
  Time at_{};
  EventKind kind_;
  Subject subject_;
};

class EventQueue {
 public:
  EventQueue() = default;
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;
  ~EventQueue();

  // Moves the event if it is scheduled already.
  void schedule(Event& event, Time at, std::uint64_t tie_break);
  void cancel(Event& event);
  bool empty() const { return heap_.empty(); }
  Time next() const { return heap_.empty() ? kEndOfTime : heap_.front().at; }
  Event& pop();
  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Time at;
    std::uint64_t tie_break;
    std::uint64_t order;  // settles equal tie-breaks
    Event* event;
  };
  static bool earlier(const Entry& a, const Entry& b);
  void place(std::size_t index, const Entry& entry);
  void sift_up(std::size_t index, Entry entry);
  void sift_down(std::size_t index, Entry entry);

  std::vector<Entry> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace stele::sim
