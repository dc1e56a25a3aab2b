// A machine: a disk that survives its process, clocks, at most one process, and the power switch.
//
// A crash drops the process's memory between two of its steps: no event, timer, post, job or byte of it
// happens any more, its Program is destroyed, and destructors find a runtime in which every call does
// nothing. What was not synced is decided by draw. Asked for while code of the process is on the stack, the
// crash silences it at once and drops it as soon as that code returns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "sim/clock.h"
#include "sim/disk.h"
#include "sim/world.h"

namespace stele::sim {

class Core;
class Process;
class ProcessContext;

// What a process runs. Made in a turn of core 0; its destructor must be silent.
class Program {
 public:
  virtual ~Program() = default;
  // SIGTERM: stop in good order, then call ProcessContext::exit().
  virtual void on_terminate() {}
};
using ProgramFactory = std::function<std::unique_ptr<Program>(ProcessContext&)>;

// A program that is one coroutine, on core 0. The task may end; the process then stays, idle.
ProgramFactory program(std::function<runtime::Task<void>(ProcessContext&)> body);

enum class CrashMode : std::uint8_t {
  kPowerLoss,  // the machine stops: what was not synced is lost by draw, peers hear nothing (or a reset)
  kKill,       // the process alone: the system keeps its files and closes its sockets
};

// Handed to the factory; lives as long as the process, and is harmless after.
class ProcessContext {
 public:
  virtual ~ProcessContext() = default;
  virtual std::span<runtime::Runtime* const> cores() const = 0;
  runtime::Runtime& core(std::uint32_t index) const { return *cores()[index]; }
  virtual Host& host() const = 0;
  // Counts the processes of this host from 1.
  virtual std::uint64_t incarnation() const = 0;
  // Ends the process: nothing of it runs after the current step; files stay as they are.
  virtual void exit() = 0;
};

using HostId = StrongId<struct HostIdTag, std::uint32_t>;  // from 1

class Host {
 public:
  Host(World& world, HostId id, std::string name, std::string ip);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  HostId id() const { return id_; }
  const std::string& name() const { return name_; }
  const std::string& ip() const { return ip_; }
  World& world() { return world_; }
  Disk& disk() { return disk_; }
  HostClock& clock() { return clock_; }

  // Starts a process; none may be running. The factory is kept for restart().
  void boot(std::uint32_t cores, ProgramFactory factory);
  // Another process with the last factory, on as many cores or on `cores`.
  void restart(std::optional<std::uint32_t> cores = std::nullopt);
  void crash(CrashMode mode = CrashMode::kPowerLoss);
  // Crashes in the k-th file operation from now (1: the next), in its middle: it took effect, or did not.
  void crash_at_file_operation(std::uint64_t k, CrashMode mode = CrashMode::kPowerLoss);
  // The same, of syncs alone.
  void crash_at_sync(std::uint64_t k, CrashMode mode = CrashMode::kPowerLoss);
  void cancel_planned_crash() { operations_until_crash_ = syncs_until_crash_ = next_process_crashes_at_ = 0; }
  bool crash_planned() const { return operations_until_crash_ + syncs_until_crash_ > 0; }
  // The next process, once it starts, loses power in its k-th file operation.
  void crash_next_process_at(std::uint64_t k) { next_process_crashes_at_ = k; }
  // SIGTERM.
  void terminate();
  // All cores stand still for so long and find everything due when they go on.
  void pause(Duration duration);
  // One core alone, as when the system runs something else there: core `number` modulo how many there are.
  void pause_core(std::uint64_t number, Duration duration);
  // Every turn takes so many times as long; 1 is normal.
  void set_slowness(std::uint32_t factor) { slowness_ = factor; }

  // File operations take so many times as long; 1 is normal.
  void set_disk_slowness(std::uint32_t factor) { disk_slowness_ = factor; }
  // Syncs take so many times as long besides; 1 is normal.
  void set_sync_slowness(std::uint32_t factor) { sync_slowness_ = factor; }
  // No file operation ends before then.
  void stall_disk(Duration duration) { disk_stalled_until_ = world_.now() + duration; }
  // The next one alone takes so much longer, and others pass it.
  void stall_next_operation(Duration duration) { next_operation_stall_ = duration; }

  // The clocks go so much too fast (millionths), or as they usually do.
  void drift_clock(std::optional<std::int64_t> ppm);

  // Called when a process has ended, for whatever reason: it may schedule, not act.
  void set_on_down(std::function<void()> callback) { on_down_ = std::move(callback); }

  bool running() const;                                // a process is alive
  Program* program() const;                            // what it runs; null if none, or before it is made
  bool down() const { return !process_ && factory_; }  // one was, and may be restarted
  bool powered() const { return powered_; }
  std::uint64_t crashes() const { return crashes_; }
  std::uint64_t crashes_in_start() const { return crashes_in_start_; }  // by crash_next_process_at()
  std::uint64_t incarnation() const { return incarnation_; }
  std::uint32_t slowness() const { return slowness_; }

  // For the parts of the engine.
  enum class OperationFate : std::uint8_t { kNormal, kCrashBefore, kCrashAfter };
  OperationFate next_file_operation(bool syncs);
  // How long one takes that starts now.
  Duration file_operation_takes(const Latency& usual, bool syncs);
  void planned_crash() { crash(planned_mode_); }
  void process_ended();
  void stop(CrashMode mode, bool crashed);
  Process* process() { return process_.get(); }

 private:
  World& world_;
  const HostId id_;
  const std::string name_, ip_;
  HostClock clock_;
  Disk disk_;
  bool powered_ = false;
  std::uint32_t slowness_ = 1;
  std::uint32_t disk_slowness_ = 1;
  std::uint32_t sync_slowness_ = 1;
  Time disk_stalled_until_{};
  Duration next_operation_stall_{};
  std::uint32_t cores_ = 0;
  std::uint64_t crashes_ = 0;
  std::uint64_t crashes_in_start_ = 0;
  std::uint64_t incarnation_ = 0;
  std::uint64_t operations_until_crash_ = 0;
  std::uint64_t syncs_until_crash_ = 0;
  std::uint64_t next_process_crashes_at_ = 0;
  bool crash_is_of_start_ = false;
  CrashMode planned_mode_ = CrashMode::kPowerLoss;
  ProgramFactory factory_;
  std::function<void()> on_down_;
  std::unique_ptr<Process> process_;
  // Dead processes without their programs: somebody may still hold a connection, a file or a timer of theirs.
  std::vector<std::unique_ptr<Process>> dead_;
};

}  // namespace stele::sim
