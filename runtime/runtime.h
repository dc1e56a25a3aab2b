// Runtime: everything a core can reach outside itself. One per core, handed in by constructor; implemented by
// runtime/uv on libuv and by sim on a seed. The code above cannot tell which.
//
// A core is one thread with one event loop. Code on it is single-threaded. A turn of the loop handles what is
// ready; now() is constant within a turn, and turn-end hooks run once before the loop waits.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/network.h"
#include "runtime/random.h"
#include "runtime/stop.h"
#include "runtime/task.h"
#include "runtime/time.h"

namespace stele::runtime {

// A timer. Armed with Runtime::arm, fires once. Leaves the runtime when destroyed or disarmed.
class Timer {
 public:
  virtual ~Timer();
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual void on_timer() = 0;
  bool armed() const { return queue_ != nullptr; }
  Instant deadline() const { return deadline_; }

 private:
  friend class TimerQueue;
  class TimerQueue* queue_ = nullptr;
  std::size_t index_ = 0;
  std::uint64_t order_ = 0;
  Instant deadline_ = kNever;
};

// Runs once at the end of the turn in which it was asked for, however often it was; one asked for by another
// hook still runs in that turn. What connections and logs use to flush.
class TurnEndHook : public ListNode<> {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnEndHook() = default;
};

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError, kOff };

class Log {
 public:
  virtual ~Log() = default;
  virtual bool enabled(LogLevel level) const = 0;
  // One line. `component` is a folder or a role ("journal", "mqtt"). Never called per message.
  virtual void write(LogLevel level, std::string_view component, std::string_view line) = 0;
};

using Work = std::move_only_function<void()>;
using BlockingWork = std::move_only_function<void(BlockingFiles&)>;

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual CoreId core() const = 0;
  virtual std::uint32_t core_count() const = 0;

  virtual Instant now() const = 0;
  virtual WallTime wall_now() const = 0;
  virtual Random& random() = 0;
  // Bytes that nobody can guess who has seen any number of others: for nonces, salts, tokens. Where a seed
  // decides everything, from random().
  virtual void fill_secret(std::span<char> out);
  virtual Log& log() = 0;
  virtual Network& network() = 0;
  virtual Files& files() = 0;

  // Re-arming an armed timer moves it. Timers of one deadline fire in the order in which they were armed.
  virtual void arm(Timer& timer, Instant deadline) = 0;
  virtual void disarm(Timer& timer) = 0;

  // Runs `work` on that core in a later turn; its own core included. What other cores post to a core runs in
  // the order of posting, whichever of them posts: what is posted there by somebody who was told to, by a
  // post, runs behind what the teller had posted there before. Callers batch: one post per turn and target,
  // never one per message.
  virtual void post(CoreId to, Work work) = 0;

  virtual void at_turn_end(TurnEndHook& hook) = 0;

  // Runs `job` on a worker thread, then `done` on this core. In the simulator inline, with a simulated delay.
  virtual void offload(BlockingWork job, Work done) = 0;
};

// co_await sleep(runtime, 5ms, token): false if the token stopped it.
Task<bool> sleep(Runtime& runtime, Duration duration, StopToken stop = {});

// Runs `job` by offload and waits for it.
Task<void> run_blocking(Runtime& runtime, BlockingWork job);

}  // namespace stele::runtime
