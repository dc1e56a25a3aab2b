#include "sim/faults.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "sim/disk.h"
#include "sim/fault_acts.h"
#include "sim/member_event.h"
#include "sim/network.h"

namespace stele::sim {
namespace {

constexpr Duration kUsualDowntime = std::chrono::seconds(1);

bool is_planned_crash(FaultKind kind) {
  return kind == FaultKind::kCrashInFileOperation || kind == FaultKind::kKillInFileOperation ||
         kind == FaultKind::kCrashInSync;
}

bool is_tampering(FaultKind kind) {
  return kind == FaultKind::kGarbled || kind == FaultKind::kDirectoryGone;
}

bool ends_process(FaultKind kind) {
  return is_planned_crash(kind) || kind == FaultKind::kPowerLoss || kind == FaultKind::kKill ||
         kind == FaultKind::kCrashInStart || kind == FaultKind::kTerminate || kind == FaultKind::kDiskLost ||
         kind == FaultKind::kStartFails || is_tampering(kind);
}

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
  return ends_process(fault.kind) ? inject_crash(fault, host) : act(world_, fault, host, other);
}

bool Faults::inject_crash(const Fault& fault, Host& host) {
  const bool planned = is_planned_crash(fault.kind);
  if (!host.running() || (planned && (host.crash_planned() || fault.amount == 0))) return false;
  if (is_tampering(fault.kind) && !tamper_) return false;
  const bool on_other_cores = !planned && fault.kind != FaultKind::kCrashInStart &&
                              fault.kind != FaultKind::kStartFails && !is_tampering(fault.kind);
  supervisor_of(host)->plan(fault.kind, planned ? kUsualDowntime : fault.lasts,
                            on_other_cores ? fault.amount : 0);
  switch (fault.kind) {
    case FaultKind::kKill:
      host.crash(CrashMode::kKill);
      return true;
    case FaultKind::kCrashInFileOperation:
      host.crash_at_file_operation(fault.amount, CrashMode::kPowerLoss);
      return true;
    case FaultKind::kKillInFileOperation:
      host.crash_at_file_operation(fault.amount, CrashMode::kKill);
      return true;
    case FaultKind::kCrashInSync:
      host.crash_at_sync(fault.amount);
      return true;
    case FaultKind::kCrashInStart:
      host.crash();
      host.crash_next_process_at(std::max<std::uint64_t>(fault.amount, 1));
      return true;
    case FaultKind::kStartFails:
      host.crash();
      host.disk().faults().fails_at = std::max<std::uint64_t>(fault.amount, 1);
      return true;
    case FaultKind::kTerminate:
      host.terminate();
      return true;
    case FaultKind::kDiskLost:
      host.crash();
      host.disk().wipe();
      return true;
    case FaultKind::kGarbled:
    case FaultKind::kDirectoryGone:
      host.crash();
      return tamper_(fault, host);
    default:
      host.crash();
      return true;
  }
}

void Faults::undo(const Fault& fault, Host& host, Host* other) {
  if (!is_planned_crash(fault.kind)) return undo_act(world_, fault, host, other);
  if (!host.crash_planned()) return;
  host.cancel_planned_crash();
  supervisor_of(host)->forget_plan();
}

void Faults::stop() {
  stopped_ = true;
  world_.end_buggify();
  for (auto& entry : entries_) {
    entry->begins.cancel();
    entry->ends.cancel();
    if (std::exchange(entry->active, false)) undo(entry->fault, entry->host, entry->other);
  }
  world_.fabric().heal_all();
  for (auto& supervised : supervised_) {
    supervised->host().disk().faults() = {};
    supervised->host().disk().heal_sectors();
    supervised->host().disk().heal_stale();
    supervised->host().stall_next_operation(Duration(0));
    supervised->host().cancel_planned_crash();
    supervised->start_now();
  }
}

std::uint64_t Faults::injected() const {
  return std::accumulate(injected_.begin(), injected_.end(), std::uint64_t{0});
}

std::uint64_t Faults::met(FaultKind kind) const {
  const bool by_starting = ends_process(kind) && kind != FaultKind::kCrashInStart;
  if (by_starting) return met_[static_cast<std::size_t>(kind)];
  return times_met(world_, kind, injected(kind));
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
