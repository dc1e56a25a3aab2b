#include "sim/host.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sim/network.h"
#include "sim/process.h"

namespace stele::sim {
namespace {

HostClock draw_clock(World& world) {
  const ClockConfig& config = world.config().clock;
  runtime::Random& random = world.random(Concern::kClock);
  const std::int64_t skew = config.wall_skew_max.count();
  const std::int64_t drift = config.drift_ppm_max;
  const Duration wall_skew(random.between(-skew, skew));
  return HostClock(config.start, wall_skew, random.between(-drift, drift));
}

}  // namespace

Host::Host(World& world, HostId id, std::string name, std::string ip)
    : world_(world),
      id_(id),
      name_(std::move(name)),
      ip_(std::move(ip)),
      clock_(draw_clock(world)),
      disk_(world.config().disk, world.random(Concern::kDisk).fork()) {}

Host::~Host() = default;

bool Host::running() const {
  return process_ && process_->alive();
}

Program* Host::program() const {
  return running() ? process_->program() : nullptr;
}

void Host::boot(std::uint32_t cores, ProgramFactory factory) {
  STELE_ASSERT(!process_);
  factory_ = std::move(factory);
  cores_ = cores;
  if (!powered_) {
    powered_ = true;
    const std::int64_t uptime = world_.random(Concern::kClock).between(1, 1'000'000'000'000);
    clock_.power_on(world_.now(), runtime::Instant(Duration(uptime)));
    world_.fabric().paths_changed();
  }
  if (const std::uint64_t k = std::exchange(next_process_crashes_at_, 0); k > 0) {
    crash_at_file_operation(k);
    crash_is_of_start_ = true;
  }
  ++incarnation_;
  ++world_.count().boots;
  world_.trace().line(world_.now(), EventKind::kBoot, Subject{id_.value, 0},
                      "process " + std::to_string(incarnation_) + " on " + std::to_string(cores) + " cores");
  process_ = std::make_unique<Process>(*this, cores, factory_, incarnation_);
  process_->start();
}

void Host::restart(std::optional<std::uint32_t> cores) {
  STELE_ASSERT(factory_);
  boot(cores.value_or(cores_), factory_);
}

void Host::crash(CrashMode mode) {
  if (!running()) return;
  ++crashes_;
  ++world_.count().crashes;
  stop(mode, true);
}

void Host::stop(CrashMode mode, bool crashed) {
  const std::string_view how = !crashed                        ? "exits"
                               : mode == CrashMode::kPowerLoss ? "loses power"
                                                               : "is killed";
  world_.trace().line(world_.now(), EventKind::kCrash, Subject{id_.value, 0}, how);
  operations_until_crash_ = syncs_until_crash_ = 0;
  process_->silence();
  disk_.release_locks();
  if (mode == CrashMode::kPowerLoss) {
    powered_ = false;
    disk_.lose_power();
  }
  world_.fabric().process_gone(*process_, mode);
  if (world_.running() != process_.get()) process_ended();
}

void Host::process_ended() {
  process_->drop_program();
  dead_.push_back(std::move(process_));
  if (on_down_) on_down_();
}

void Host::crash_at_file_operation(std::uint64_t k, CrashMode mode) {
  STELE_ASSERT(k > 0);
  operations_until_crash_ = k;
  planned_mode_ = mode;
  crash_is_of_start_ = false;
}

void Host::crash_at_sync(std::uint64_t k, CrashMode mode) {
  STELE_ASSERT(k > 0);
  syncs_until_crash_ = k;
  planned_mode_ = mode;
}

Host::OperationFate Host::next_file_operation(bool syncs) {
  ++world_.count().file_operations;
  const bool operation = operations_until_crash_ > 0 && --operations_until_crash_ == 0;
  const bool sync = syncs && syncs_until_crash_ > 0 && --syncs_until_crash_ == 0;
  if (!operation && !sync) return OperationFate::kNormal;
  if (operation && std::exchange(crash_is_of_start_, false)) ++crashes_in_start_;
  return world_.random(Concern::kFaults).chance(1, 2) ? OperationFate::kCrashBefore
                                                      : OperationFate::kCrashAfter;
}

Duration Host::file_operation_takes(const Latency& usual, bool syncs) {
  const Duration wait = std::max(disk_stalled_until_ - world_.now(), Duration(0)) +
                        std::exchange(next_operation_stall_, Duration(0));
  return wait + usual.draw(world_.random(Concern::kDisk)) * disk_slowness_ * (syncs ? sync_slowness_ : 1);
}

// What waits for a moment of the clock waits for another moment of the world.
void Host::drift_clock(std::optional<std::int64_t> ppm) {
  clock_.set_drift(world_.now(), ppm);
  if (running()) process_->pause_until(world_.now());
}

void Host::terminate() {
  if (!running()) return;
  Core& core = process_->core_at(0);
  Process* process = process_.get();
  core.post(CoreId(0), [process] {
    if (process->program()) process->program()->on_terminate();
  });
}

void Host::pause(Duration duration) {
  if (running()) process_->pause_until(world_.now() + duration);
}

void Host::pause_core(std::uint64_t number, Duration duration) {
  if (!running()) return;
  process_->core_at(static_cast<std::uint32_t>(number % process_->core_count()))
      .stand_still_until(world_.now() + duration);
}

}  // namespace stele::sim
