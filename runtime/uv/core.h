// One core: a libuv loop and everything the code on it reaches through Runtime.
//
// A turn, in terms of libuv's phases: what timers fire is one turn, what the own core posted another, what
// the poll found ready a third. Each ends by running the turn-end hooks, and the next one reads the clock
// anew. The loop never waits with a hook, a post or a due timer pending.
//
//   timers ─ idle: end turn, own posts ─ prepare: end turn, set the one timer ─ poll ─ check: end turn
#pragma once

#include <uv.h>

#include <array>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/runtime.h"
#include "runtime/timer_queue.h"
#include "runtime/uv/buffers.h"
#include "runtime/uv/system_files.h"

namespace stele::runtime::uv {

struct LaterTag;
// Something to do on this core in a later turn, asked for without allocating.
class LaterHook : public ListNode<LaterTag> {
 public:
  virtual void on_later() = 0;

 protected:
  ~LaterHook() = default;
};

class UvCore final : public Runtime {
 public:
  // `cores` is the process's list of cores; it is complete before the first runs.
  UvCore(const std::vector<std::unique_ptr<UvCore>>& cores, CoreId core, std::uint64_t seed, Log& log);
  // After finish().
  ~UvCore() override;

  // Runs the loop on this thread until stop().
  void run();
  // From any thread: the loop ends after its current turn.
  void stop();
  // Waits for jobs under way, drops their completions and what is posted, and closes the loop. Connections,
  // listeners and files of this core are destroyed before. Other cores may still post, to no effect.
  void finish();
  // From any thread: `work` runs on this core in a later turn, in the order of asking.
  void post_from_outside(Work work);

  CoreId core() const override { return core_; }
  std::uint32_t core_count() const override { return static_cast<std::uint32_t>(cores_.size()); }
  Instant now() const override;
  WallTime wall_now() const override;
  Random& random() override { return random_; }
  void fill_secret(std::span<char> out) override;
  Log& log() override { return log_; }
  Network& network() override { return *network_; }
  Files& files() override { return *files_; }
  void arm(Timer& timer, Instant deadline) override { timers_.arm(timer, deadline); }
  void disarm(Timer& timer) override { timers_.disarm(timer); }
  void post(CoreId to, Work work) override;
  void at_turn_end(TurnEndHook& hook) override;
  void offload(BlockingWork job, Work done) override;

  // For the rest of the backend.
  void later(LaterHook& hook);
  uv_loop_t* loop() { return &loop_; }
  ReadSlab& read_slab() { return read_slab_; }
  OutputPool& outputs() { return outputs_; }
  // The thread of a file, from its start to its end; told_to_end() once nothing more is asked of it.
  void adopt(std::thread thread);
  void told_to_end() { --file_threads_; }
  void reap(std::thread::id ended);
  // Counts what must be gone before the core is.
  void count_handle(int change) { handles_ += change; }

 private:
  struct Offloaded;
  // Runtime is used on its own core only; before and after run(), by whoever owns the process.
  bool on_own_thread() const {
    return running_on_ == std::thread::id() || running_on_ == std::this_thread::get_id();
  }
  void end_turn();
  void run_posted();
  void run_inbox();
  void set_timer();

  const std::vector<std::unique_ptr<UvCore>>& cores_;
  const CoreId core_;
  Log& log_;
  Random random_;

  uv_loop_t loop_;
  uv_timer_t timer_;
  uv_async_t wake_up_;
  uv_idle_t idle_;
  uv_prepare_t prepare_;
  uv_check_t check_;

  TimerQueue timers_;
  Instant timer_set_for_ = kNever;
  mutable Instant now_{};
  mutable bool now_known_ = false;
  mutable WallTime wall_now_;
  mutable bool wall_now_known_ = false;
  std::thread::id running_on_;
  bool ending_ = false;  // read by other threads under inbox_mutex_
  int handles_ = 0;

  IntrusiveList<TurnEndHook> hooks_;
  IntrusiveList<LaterHook, LaterTag> later_;
  std::vector<Work> posted_, posted_running_;

  std::mutex inbox_mutex_;
  std::vector<Work> inbox_;  // guarded by inbox_mutex_
  std::vector<Work> inbox_running_;

  ReadSlab read_slab_;
  OutputPool outputs_;
  SystemFiles blocking_files_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Files> files_;
  std::vector<std::thread> threads_;
  int file_threads_ = 0;  // not told to end yet
};

}  // namespace stele::runtime::uv
