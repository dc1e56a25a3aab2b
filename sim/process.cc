#include "sim/process.h"

#include <utility>

#include "base/assert.h"
#include "sim/network.h"

namespace stele::sim {
namespace {

class TaskProgram final : public Program {
 public:
  explicit TaskProgram(runtime::Task<void> task) { scope_.spawn(std::move(task)); }

 private:
  runtime::Scope scope_;
};

}  // namespace

ProgramFactory program(std::function<runtime::Task<void>(ProcessContext&)> body) {
  return [body = std::move(body)](ProcessContext& process) -> std::unique_ptr<Program> {
    return std::make_unique<TaskProgram>(body(process));
  };
}

// The first thing that core 0 does.
class Process::Boot final : public Ready {
 public:
  explicit Boot(Process& process) : process_(process) {}
  void deliver() override { process_.program_ = process_.factory_(process_); }

 private:
  Process& process_;
};

Process::Process(Host& host, std::uint32_t cores, ProgramFactory factory, std::uint64_t incarnation)
    : host_(host),
      incarnation_(incarnation),
      factory_(std::move(factory)),
      boot_(std::make_unique<Boot>(*this)) {
  STELE_ASSERT(cores > 0);
  runtime::Random& seeds = host.world().random(Concern::kProcess);
  for (std::uint32_t i = 0; i < cores; ++i) {
    cores_.push_back(std::make_unique<Core>(*this, i, seeds.fork()));
    runtimes_.push_back(cores_.back().get());
  }
}

Process::~Process() {
  STELE_ASSERT(!alive_);
}

void Process::start() {
  cores_[0]->make_ready(*boot_);
}

void Process::exit() {
  if (alive_) host_.stop(CrashMode::kKill, false);
}

void Process::silence() {
  alive_ = false;
  for (auto& core : cores_) core->silence();
}

void Process::drop_program() {
  STELE_ASSERT(!alive_);
  for (auto& core : cores_) core->forget();
  program_.reset();
  factory_ = nullptr;
}

void Process::pause_until(Time time) {
  for (auto& core : cores_) core->stand_still_until(time);
}

Running::Running(Process& process) : process_(process), outer_(process.host().world().running()) {
  STELE_ASSERT(process.alive() && outer_ == nullptr);
  process.host().world().set_running(&process);
}

Running::~Running() {
  process_.host().world().set_running(outer_);
  if (!process_.alive()) process_.host().process_ended();
}

}  // namespace stele::sim
