// Inside a host: a process and its cores.
//
// A core's turn: what became ready (due timers first, then I/O in the order in which it became ready), then
// posted work, then the turn-end hooks until none is left. What becomes ready meanwhile waits for a later
// turn. A turn keeps the core busy for a drawn while, in which arrivals gather: that is how batches form, and
// a pause is nothing but a very long turn.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "runtime/runtime.h"
#include "runtime/timer_queue.h"
#include "sim/event_queue.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::sim {

class Core;

// Something that a core's next turn delivers, once. Leaves the core when destroyed.
class Ready : public ListNode<> {
 public:
  virtual void deliver() = 0;

 protected:
  ~Ready() = default;

 private:
  friend class Core;
  std::uint64_t turn_ = 0;
};

class CoreLog final : public runtime::Log {
 public:
  explicit CoreLog(Core& core) : core_(core) {}
  bool enabled(runtime::LogLevel level) const override;
  void write(runtime::LogLevel level, std::string_view component, std::string_view line) override;

 private:
  Core& core_;
};

class Core final : public runtime::Runtime, private Event {
 public:
  Core(Process& process, std::uint32_t index, runtime::Random random);
  ~Core() override;

  CoreId core() const override { return CoreId(index_); }
  std::uint32_t core_count() const override;
  runtime::Instant now() const override;
  WallTime wall_now() const override;
  runtime::Random& random() override { return random_; }
  runtime::Log& log() override { return log_; }
  runtime::Network& network() override { return *network_; }
  runtime::Files& files() override { return *files_; }
  void arm(runtime::Timer& timer, runtime::Instant deadline) override;
  void disarm(runtime::Timer& timer) override;
  void post(CoreId to, runtime::Work work) override;
  void at_turn_end(runtime::TurnEndHook& hook) override;
  void offload(runtime::BlockingWork job, runtime::Work done) override;

  // For the parts of the engine.
  Process& process() { return process_; }
  World& world() { return world_; }
  Host& host() { return host_; }
  bool alive() const;
  Subject subject() const { return Event::subject(); }
  std::uint64_t turn() const { return turn_; }
  bool in_turn() const { return in_turn_; }
  void make_ready(Ready& ready);
  void stand_still_until(Time time);
  // Nothing happens on this core any more; what was to happen is destroyed by forget(), once none of its code
  // is on the stack.
  void silence();
  void forget();
  // Where arriving bytes are handed over from; shared by the core's connections.
  struct Slab {
    Buffer buffer;
    std::size_t used = 0;
  };
  Slab& slab() { return slab_; }

 private:
  class Offload;
  struct Posted {
    Time visible;
    std::uint64_t turn;  // in which it was posted
    runtime::Work work;
  };
  void fire() override;
  void run_turn();
  void shuffle_hooks();
  void receive(std::uint32_t from, Posted work);
  void wake_by(Time time);
  void plan_next_turn();

  Process& process_;
  Host& host_;
  World& world_;
  const std::uint32_t index_;
  runtime::Random random_;
  CoreLog log_;
  std::unique_ptr<runtime::Network> network_;
  std::unique_ptr<runtime::Files> files_;
  runtime::TimerQueue timers_;
  IntrusiveList<Ready> ready_;
  IntrusiveList<runtime::TurnEndHook> hooks_;
  std::deque<Posted> posted_;          // by when they are seen
  Time own_up_to_{}, others_up_to_{};  // the latest that is in there, of this core and of all others
  IntrusiveList<Offload, Offload> offloads_;
  Slab slab_;
  bool in_turn_ = false;
  std::uint64_t turn_ = 1;
  runtime::Instant turn_now_{};
  runtime::Instant last_now_{};  // what a dead process goes on reading
  Time busy_until_{};
};

class Process final : public ProcessContext {
 public:
  Process(Host& host, std::uint32_t cores, ProgramFactory factory, std::uint64_t incarnation);
  ~Process() override;

  std::span<runtime::Runtime* const> cores() const override { return runtimes_; }
  Host& host() const override { return host_; }
  std::uint64_t incarnation() const override { return incarnation_; }
  void exit() override;

  bool alive() const { return alive_; }
  Core& core_at(std::uint32_t index) { return *cores_[index]; }
  std::uint32_t core_count() const { return static_cast<std::uint32_t>(cores_.size()); }
  Program* program() { return program_.get(); }
  void start();
  // From now on nothing of it happens.
  void silence();
  // Destroys the program. Not while its code is on the stack.
  void drop_program();
  void pause_until(Time time);

  // A blocking job is running: file operations inside it add up to how long it takes.
  void begin_job() { job_time_ = Duration(0), in_job_ = true; }
  Duration end_job() { return in_job_ = false, job_time_; }
  bool in_job() const { return in_job_; }
  void job_takes(Duration more) { job_time_ += more; }

 private:
  class Boot;
  Host& host_;
  const std::uint64_t incarnation_;
  ProgramFactory factory_;
  bool alive_ = true;
  bool in_job_ = false;
  Duration job_time_{};
  std::vector<std::unique_ptr<Core>> cores_;
  std::vector<runtime::Runtime*> runtimes_;
  std::unique_ptr<Boot> boot_;
  std::unique_ptr<Program> program_;
};

// Marks the code of a process as being on the stack, and lets a crash asked for meanwhile happen at the end.
class Running {
 public:
  explicit Running(Process& process);
  ~Running();

 private:
  Process& process_;
  Process* outer_;
};

}  // namespace stele::sim
