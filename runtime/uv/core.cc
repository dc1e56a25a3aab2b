#include "runtime/uv/core.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "runtime/uv/files.h"
#include "runtime/uv/network.h"

namespace stele::runtime::uv {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

UvCore& core_of(void* data) {
  return *static_cast<UvCore*>(data);
}

template <class Handle>
uv_handle_t* as_handle(Handle& handle) {
  return reinterpret_cast<uv_handle_t*>(&handle);
}

}  // namespace

// A job on libuv's pool and its completion.
struct UvCore::Offloaded {
  uv_work_t request;
  UvCore& core;
  BlockingWork job;
  Work done;

  Offloaded(UvCore& core, BlockingWork job, Work done)
      : core(core), job(std::move(job)), done(std::move(done)) {
    request.data = this;
  }
  static void run(uv_work_t* request) {
    auto* self = static_cast<Offloaded*>(request->data);
    self->job(self->core.blocking_files_);
    self->job = nullptr;
  }
  static void complete(uv_work_t* request, int) {
    std::unique_ptr<Offloaded> self(static_cast<Offloaded*>(request->data));
    if (!self->core.ending_) self->done();
  }
};

UvCore::UvCore(const std::vector<std::unique_ptr<UvCore>>& cores, CoreId core, std::uint64_t seed, Log& log)
    : cores_(cores), core_(core), log_(log), random_(seed) {
  STELE_ASSERT(uv_loop_init(&loop_) == 0);
  loop_.data = timer_.data = wake_up_.data = idle_.data = prepare_.data = check_.data = this;
  STELE_ASSERT(uv_timer_init(&loop_, &timer_) == 0);
  STELE_ASSERT(uv_async_init(&loop_, &wake_up_, [](uv_async_t* h) { core_of(h->data).run_inbox(); }) == 0);
  STELE_ASSERT(uv_idle_init(&loop_, &idle_) == 0);
  STELE_ASSERT(uv_prepare_init(&loop_, &prepare_) == 0);
  STELE_ASSERT(uv_check_init(&loop_, &check_) == 0);
  uv_prepare_start(&prepare_, [](uv_prepare_t* h) {
    core_of(h->data).end_turn();
    core_of(h->data).set_timer();
  });
  uv_check_start(&check_, [](uv_check_t* h) { core_of(h->data).end_turn(); });
  network_ = std::make_unique<UvNetwork>(*this);
  files_ = std::make_unique<UvFiles>(*this);
}

UvCore::~UvCore() {
  STELE_ASSERT(ending_);
}

void UvCore::finish() {
  std::vector<Work> dropped;
  {
    std::lock_guard lock(inbox_mutex_);
    ending_ = true;
    std::swap(dropped, inbox_);
  }
  STELE_ASSERT(file_threads_ == 0);  // an open file outlives its core
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  dropped.clear();
  posted_.clear();
  uv_close(as_handle(timer_), nullptr);
  uv_close(as_handle(wake_up_), nullptr);
  uv_close(as_handle(idle_), nullptr);
  uv_close(as_handle(prepare_), nullptr);
  uv_close(as_handle(check_), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);  // until handles are closed and jobs are done
  STELE_ASSERT(handles_ == 0);     // a connection or listener outlives its core
  STELE_ASSERT(uv_loop_close(&loop_) == 0);
}

void UvCore::run() {
  running_on_ = std::this_thread::get_id();
  uv_run(&loop_, UV_RUN_DEFAULT);
  end_turn();
  running_on_ = {};
}

void UvCore::stop() {
  post_from_outside([this] { uv_stop(&loop_); });
}

Instant UvCore::now() const {
  if (!now_known_) {
    now_ = Instant(Duration(static_cast<std::int64_t>(uv_hrtime())));
    now_known_ = true;
  }
  return now_;
}

void UvCore::fill_secret(std::span<char> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    STELE_ASSERT(got > 0 || errno == EINTR);
    if (got > 0) out = out.subspan(static_cast<std::size_t>(got));
  }
}

WallTime UvCore::wall_now() const {
  if (!wall_now_known_) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    wall_now_ = WallTime{now.tv_sec * 1000 + now.tv_nsec / kMillisecond};
    wall_now_known_ = true;
  }
  return wall_now_;
}

void UvCore::post(CoreId to, Work work) {
  STELE_ASSERT(on_own_thread() && to.value < cores_.size());
  if (to == core_) {
    posted_.push_back(std::move(work));
    uv_idle_start(&idle_, [](uv_idle_t* h) { core_of(h->data).run_posted(); });
  } else {
    cores_[to.value]->post_from_outside(std::move(work));
  }
}

void UvCore::later(LaterHook& hook) {
  if (hook.linked()) return;
  later_.push_back(hook);
  uv_idle_start(&idle_, [](uv_idle_t* h) { core_of(h->data).run_posted(); });
}

void UvCore::at_turn_end(TurnEndHook& hook) {
  if (!hook.linked()) hooks_.push_back(hook);
}

void UvCore::offload(BlockingWork job, Work done) {
  STELE_ASSERT(on_own_thread());
  auto* work = new Offloaded(*this, std::move(job), std::move(done));
  STELE_ASSERT(uv_queue_work(&loop_, &work->request, &Offloaded::run, &Offloaded::complete) == 0);
}

void UvCore::post_from_outside(Work work) {
  {
    std::lock_guard lock(inbox_mutex_);
    if (ending_) return;
    const bool first = inbox_.empty();
    inbox_.push_back(std::move(work));
    if (first) uv_async_send(&wake_up_);  // under the lock: not after finish() closes it
  }
}

void UvCore::end_turn() {
  while (!hooks_.empty()) hooks_.pop_front().on_turn_end();
  now_known_ = wall_now_known_ = false;
}

// Runs while something is posted, and makes the poll not wait. What this turn posts runs in the next one.
void UvCore::run_posted() {
  end_turn();  // of the timers that fired
  IntrusiveList<LaterHook, LaterTag> now_due;
  while (!later_.empty()) now_due.push_back(later_.pop_front());
  std::swap(posted_, posted_running_);
  while (!now_due.empty()) now_due.pop_front().on_later();
  for (Work& work : posted_running_) work();
  posted_running_.clear();
  if (posted_.empty() && later_.empty()) uv_idle_stop(&idle_);
}

void UvCore::run_inbox() {
  if (ending_) return;
  {
    std::lock_guard lock(inbox_mutex_);
    std::swap(inbox_, inbox_running_);
  }
  for (Work& work : inbox_running_) work();
  inbox_running_.clear();
}

// libuv's clock counts milliseconds: rounding the deadline up, the timer never fires before it.
void UvCore::set_timer() {
  const Instant next = timers_.next();
  if (next == timer_set_for_) return;
  timer_set_for_ = next;
  if (next == kNever) {
    uv_timer_stop(&timer_);
    return;
  }
  const std::int64_t due_ns = next.time_since_epoch().count();
  const std::int64_t due_ms = due_ns / kMillisecond + (due_ns % kMillisecond > 0);
  const std::int64_t wait_ms = std::max<std::int64_t>(0, due_ms - static_cast<std::int64_t>(uv_now(&loop_)));
  uv_timer_start(
      &timer_,
      [](uv_timer_t* h) {
        UvCore& core = core_of(h->data);
        core.timer_set_for_ = kNever;
        core.timers_.fire(core.now());
      },
      static_cast<std::uint64_t>(wait_ms), 0);
}

void UvCore::adopt(std::thread thread) {
  threads_.push_back(std::move(thread));
  ++file_threads_;
}

void UvCore::reap(std::thread::id ended) {
  const auto found = std::ranges::find(threads_, ended, [](const std::thread& t) { return t.get_id(); });
  STELE_ASSERT(found != threads_.end());
  found->join();
  threads_.erase(found);
}

}  // namespace stele::runtime::uv
