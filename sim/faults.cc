#include "sim/faults.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "sim/disk.h"
#include "sim/member_event.h"
#include "sim/network.h"

namespace stele::sim {
namespace {

constexpr Duration kUsualDowntime = std::chrono::seconds(1);

}  // namespace

// One fault of the plan, with its two moments.
struct Faults::Entry {
  Entry(Faults& faults, const Fault& fault)
      : faults(faults),
        fault(fault),
        host(*faults.world_.find_host(fault.host)),
        other(fault.other.empty() ? nullptr : faults.world_.find_host(fault.other)),
        begins(EventKind::kFault, Subject{host.id().value, static_cast<std::uint32_t>(fault.kind)}, *this),
        ends(EventKind::kFault, Subject{host.id().value, static_cast<std::uint32_t>(fault.kind)}, *this) {}
  void begin() { faults.begin(*this); }
  void end() { faults.end(*this); }

  Faults& faults;
  const Fault& fault;
  Host& host;
  Host* other;
  bool active = false;
  MemberEvent<Entry, &Entry::begin> begins;
  MemberEvent<Entry, &Entry::end> ends;
};

// Starts what ended.
class Faults::Supervised {
 public:
  Supervised(Faults& faults, Host& host)
      : faults_(faults), host_(host), start_(EventKind::kBoot, Subject{host.id().value, 0}, *this) {
    host_.set_on_down([this] { down(); });
  }
  ~Supervised() { host_.set_on_down(nullptr); }
  Host& host() { return host_; }
  // What goes down now or in a planned crash stays down so long, then starts on so many cores (0: as before).
  void plan(FaultKind kind, Duration downtime, std::uint64_t cores) {
    kind_ = kind;
    planned_ = true;
    downtime_ = downtime;
    next_cores_ = cores;
  }
  void forget_plan() { planned_ = false; }
  void start_now() {
    if (host_.down()) faults_.world_.schedule_after(start_, Duration(0));
  }

 private:
  void down() {
    if (!planned_) downtime_ = kUsualDowntime, next_cores_ = 0;
    faults_.world_.schedule_after(start_, faults_.stopped_ ? Duration(0) : downtime_);
  }
  void start() {
    if (!host_.down()) return;
    if (std::exchange(planned_, false)) ++faults_.met_[static_cast<std::size_t>(kind_)];
    if (next_cores_ == 0) {
      host_.restart();
    } else {
      host_.restart(static_cast<std::uint32_t>(next_cores_));
    }
  }

  Faults& faults_;
  Host& host_;
  bool planned_ = false;
  FaultKind kind_{};
  Duration downtime_{};
  std::uint64_t next_cores_ = 0;
  MemberEvent<Supervised, &Supervised::start> start_;
};

Faults::Faults(World& world, std::vector<Fault> plan) : world_(world), plan_(std::move(plan)) {
  for (const Fault& fault : plan_) {
    STELE_ASSERT(world.find_host(fault.host));
    STELE_ASSERT(fault.other.empty() || world.find_host(fault.other));
    entries_.push_back(std::make_unique<Entry>(*this, fault));
    if (fault.other.empty()) supervise(entries_.back()->host);
    world.schedule(entries_.back()->begins, Time(fault.at));
  }
}

Faults::~Faults() = default;

Faults::Supervised* Faults::supervisor_of(const Host& host) {
  for (auto& supervised : supervised_) {
    if (&supervised->host() == &host) return supervised.get();
  }
  return nullptr;
}

void Faults::supervise(Host& host) {
  if (!supervisor_of(host)) supervised_.push_back(std::make_unique<Supervised>(*this, host));
}

void Faults::begin(Entry& entry) {
  const auto kind = static_cast<std::size_t>(entry.fault.kind);
  if (!inject(entry.fault, entry.host, entry.other)) {
    ++skipped_[kind];
    return;
  }
  ++injected_[kind];
  std::string text = format_faults({entry.fault});
  text.pop_back();  // the line's end
  world_.trace().line(world_.now(), EventKind::kFault, Subject{entry.host.id().value, 0}, text);
  if (entry.fault.lasts <= Duration(0)) return;
  entry.active = true;
  world_.schedule_after(entry.ends, entry.fault.lasts);
}

void Faults::end(Entry& entry) {
  entry.active = false;
  if (!covered_by_another(entry)) undo(entry.fault, entry.host, entry.other);
}

// The same is still wrong for another reason.
bool Faults::covered_by_another(const Entry& entry) const {
  return std::ranges::any_of(entries_, [&](const std::unique_ptr<Entry>& other) {
    return other->active && other->fault.kind == entry.fault.kind && &other->host == &entry.host &&
           other->other == entry.other;
  });
}

// False: there was nothing to break.
bool Faults::inject(const Fault& fault, Host& host, Host* other) {
  Fabric& fabric = world_.fabric();
  runtime::Random& random = world_.random(Concern::kFaults);
  const auto factor = static_cast<std::uint32_t>(std::max<std::uint64_t>(fault.amount, 1));
  switch (fault.kind) {
    case FaultKind::kPowerLoss:
    case FaultKind::kKill:
      if (!host.running()) return false;
      supervisor_of(host)->plan(fault.kind, fault.lasts, fault.amount);
      host.crash(fault.kind == FaultKind::kKill ? CrashMode::kKill : CrashMode::kPowerLoss);
      return true;
    case FaultKind::kTerminate:
      if (!host.running()) return false;
      supervisor_of(host)->plan(fault.kind, fault.lasts, fault.amount);
      host.terminate();
      return true;
    case FaultKind::kCrashInFileOperation:
    case FaultKind::kKillInFileOperation:
      if (!host.running() || host.crash_planned() || fault.amount == 0) return false;
      supervisor_of(host)->plan(fault.kind, kUsualDowntime, 0);
      host.crash_at_file_operation(fault.amount, fault.kind == FaultKind::kKillInFileOperation
                                                     ? CrashMode::kKill
                                                     : CrashMode::kPowerLoss);
      return true;
    case FaultKind::kPause:
      if (!host.running()) return false;
      host.pause(fault.lasts);
      return true;
    case FaultKind::kCorePauses:
      if (!host.running()) return false;
      host.pause_core(fault.amount, fault.lasts);
      return true;
    case FaultKind::kSlowNode:
      host.set_slowness(factor);
      return true;
    case FaultKind::kClockJump: {
      const auto by = std::chrono::milliseconds(static_cast<std::int64_t>(fault.amount));
      host.clock().jump_wall(fault.amount % 2 ? -Duration(by) : Duration(by));
      return true;
    }
    case FaultKind::kClockStands:
      host.clock().stop_wall(world_.now());
      return true;
    case FaultKind::kCut:
      return fabric.cut(host, *other, random) > 0;
    case FaultKind::kCutAll:
      return fabric.cut_all(host, *other) > 0;
    case FaultKind::kSplit:
      fabric.split(host, *other);
      return true;
    case FaultKind::kSplitOneWay:
      fabric.split_one_way(host, *other);
      return true;
    case FaultKind::kSlowLink:
      fabric.slow(host, *other, factor);
      return true;
    case FaultKind::kRefuse:
      fabric.refuse(host, true);
      return true;
    case FaultKind::kUnresolvable:
      fabric.unresolvable(host.name(), true);
      return true;
    default:
      return inject_disk(fault, host);
  }
}

bool Faults::inject_disk(const Fault& fault, Host& host) {
  Disk& disk = host.disk();
  const auto times = static_cast<std::uint32_t>(fault.amount);
  switch (fault.kind) {
    case FaultKind::kSyncFails:
      disk.faults().failing_syncs = times;
      return true;
    case FaultKind::kReadFails:
      disk.faults().failing_reads = times;
      return true;
    case FaultKind::kWriteFails:
      disk.faults().failing_writes = times;
      return true;
    case FaultKind::kNoSpace:
      disk.set_free_bytes(fault.amount);
      return true;
    case FaultKind::kSlowDisk:
      host.set_disk_slowness(std::max(times, 1u));
      return true;
    case FaultKind::kDiskStalls:
      host.stall_disk(fault.lasts);
      return true;
    case FaultKind::kOperationStalls:
      host.stall_next_operation(fault.lasts);
      return true;
    case FaultKind::kBitFlip:
      return disk.flip_bit(world_.random(Concern::kFaults));
    default:
      STELE_ASSERT(false);
  }
  return false;
}

void Faults::undo(const Fault& fault, Host& host, Host* other) {
  Fabric& fabric = world_.fabric();
  switch (fault.kind) {
    case FaultKind::kCrashInFileOperation:
    case FaultKind::kKillInFileOperation:
      if (!host.crash_planned()) return;
      host.cancel_planned_crash();
      return supervisor_of(host)->forget_plan();
    case FaultKind::kSlowNode:
      return host.set_slowness(1);
    case FaultKind::kClockStands:
      return host.clock().resume_wall(world_.now());
    case FaultKind::kSplit:
      return fabric.heal(host, *other);
    case FaultKind::kSplitOneWay:
      return fabric.heal_one_way(host, *other);
    case FaultKind::kSlowLink:
      return fabric.slow(host, *other, 1);
    case FaultKind::kRefuse:
      return fabric.refuse(host, false);
    case FaultKind::kUnresolvable:
      return fabric.unresolvable(host.name(), false);
    case FaultKind::kNoSpace:
      return host.disk().set_free_bytes(UINT64_MAX);
    case FaultKind::kSlowDisk:
      return host.set_disk_slowness(1);
    default:
      return;  // over by itself
  }
}

void Faults::stop() {
  stopped_ = true;
  for (auto& entry : entries_) {
    entry->begins.cancel();
    entry->ends.cancel();
    if (std::exchange(entry->active, false)) undo(entry->fault, entry->host, entry->other);
  }
  world_.fabric().heal_all();
  for (auto& supervised : supervised_) {
    supervised->host().disk().faults() = {};
    supervised->host().stall_next_operation(Duration(0));
    supervised->host().cancel_planned_crash();
    supervised->start_now();
  }
}

std::uint64_t Faults::injected() const {
  return std::accumulate(injected_.begin(), injected_.end(), std::uint64_t{0});
}

std::uint64_t Faults::met(FaultKind kind) const {
  DiskEffects disk;
  for (const auto& host : world_.hosts()) {
    const DiskEffects& effects = host->disk().effects();
    disk.syncs_failed += effects.syncs_failed;
    disk.reads_failed += effects.reads_failed;
    disk.writes_failed += effects.writes_failed;
    disk.no_space += effects.no_space;
  }
  const FabricEffects& net = world_.fabric().effects();
  switch (kind) {
    case FaultKind::kSyncFails:
      return disk.syncs_failed;
    case FaultKind::kReadFails:
      return disk.reads_failed;
    case FaultKind::kWriteFails:
      return disk.writes_failed;
    case FaultKind::kNoSpace:
      return disk.no_space;
    case FaultKind::kCut:
    case FaultKind::kCutAll:
      return net.cut;
    case FaultKind::kSplit:
    case FaultKind::kSplitOneWay:
      return net.held;
    case FaultKind::kSlowLink:
      return net.slowed;
    case FaultKind::kRefuse:
      return net.refused;
    case FaultKind::kUnresolvable:
      return net.unresolved;
    case FaultKind::kPowerLoss:
    case FaultKind::kKill:
    case FaultKind::kCrashInFileOperation:
    case FaultKind::kKillInFileOperation:
    case FaultKind::kTerminate:
      return met_[static_cast<std::size_t>(kind)];
    default:
      return injected(kind);
  }
}

std::vector<Faults::Count> Faults::counts() const {
  std::vector<Count> out;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (injected_[i] + skipped_[i] == 0) continue;
    const auto kind = static_cast<FaultKind>(i);
    out.push_back({kind, injected_[i], skipped_[i], met(kind)});
  }
  return out;
}

}  // namespace stele::sim
