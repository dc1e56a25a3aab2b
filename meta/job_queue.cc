#include "meta/job_queue.h"

namespace stele::meta {

void JobQueue::run(runtime::BlockingWork job, runtime::Work done) {
  queue_.push_back({std::move(job), std::move(done)});
  pump();
}

void JobQueue::pump() {
  if (running_ || queue_.empty()) return;
  running_ = true;
  Item item = std::move(queue_.front());
  queue_.pop_front();
  runtime_.offload(std::move(item.job), [self = self_, done = std::move(item.done)]() mutable {
    if (!*self) return;
    (*self)->running_ = false;
    (*self)->pump();
    done();
  });
}

}  // namespace stele::meta
