// Blocking jobs, one after the other, for what one job at a time may touch. Lives on one core.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::meta {

class JobQueue {
 public:
  explicit JobQueue(runtime::Runtime& runtime)
      : runtime_(runtime), self_(std::make_shared<JobQueue*>(this)) {}
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;
  // What runs goes on without it, and nobody hears of it; what waits is dropped.
  ~JobQueue() { *self_ = nullptr; }

  // `done` runs in a later turn, and may destroy the queue.
  void run(runtime::BlockingWork job, runtime::Work done);
  std::size_t size() const { return queue_.size() + (running_ ? 1 : 0); }

 private:
  struct Item {
    runtime::BlockingWork job;
    runtime::Work done;
  };
  void pump();

  runtime::Runtime& runtime_;
  std::deque<Item> queue_;
  bool running_ = false;
  std::shared_ptr<JobQueue*> self_;
};

}  // namespace stele::meta
