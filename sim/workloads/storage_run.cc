#include "sim/workloads/storage_run.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "sim/config.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Duration;

namespace {

// In a run of any length.
constexpr std::int64_t kSteps = 8000;
// A log is left after so many refusals in a row, or so many processes.
constexpr std::uint64_t kRefusals = 4, kProcesses = 12;
constexpr Duration kCalmDown = 10min;
// 16 sectors of 4096 bytes, of which a group commit takes 512 at least.
constexpr std::uint64_t kLatentCommits = 128;

std::uint64_t vanishing(const DiskEffects& met) {
  return met.syncs_lied + met.directory_syncs_lied + met.writes_lost + met.writes_misdirected +
         met.reads_misdirected + met.reads_stale + met.files_lost;
}

}  // namespace

storage::SegmentStoreOptions store_options(const Knobs& knobs) {
  storage::SegmentStoreOptions options;
  options.durability = static_cast<storage::Durability>(knobs["log.durability"]);
  options.file_bytes = knobs["log.file_bytes"];
  options.max_batch_bytes = std::max<std::uint64_t>(options.file_bytes / 4, 4096);
  options.tail_cache_bytes = knobs["log.cache"] != 0 ? 16384 : 0;
  options.max_block_bytes = knobs["storage.block_bytes"];
  options.read_bytes = knobs["storage.read_bytes"];
  options.index_own_bytes = knobs["storage.index_own_bytes"];
  options.index_span_bytes = knobs["storage.index_span_bytes"];
  options.move_below_percent = static_cast<std::uint32_t>(knobs["storage.move_below_percent"]);
  options.move_step_bytes = knobs["storage.move_step_bytes"];
  options.spare_files = static_cast<std::uint32_t>(knobs["storage.spare_files"]);
  options.max_open_files = static_cast<std::uint32_t>(knobs["storage.open_files"]);
  options.max_pending_bytes = knobs["storage.pending_bytes"];
  return options;
}

StorageRun::StorageRun(const Case& of, const Observation& observe)
    : world(of.seed, WorldConfig::of(of.knobs)),
      host(world.add_host("node")),
      store(store_options(of.knobs)),
      pause(of.duration / kSteps),
      of_(of) {
  if (observe.any()) observer_.emplace(world, observe);
}

// ---- what is excused ------------------------------------------------------------------------------------

// Group commits that may have been hit where they are.
std::uint64_t StorageRun::spoilt_ever() const {
  if (!faults) return 0;
  return faults->injected(FaultKind::kBitFlip) +
         kLatentCommits * faults->injected(FaultKind::kLatentSectorError);
}

// How many group commits may have been hit, each of them a write and a sync. What hides or covers a stretch
// of any length may have hit any number.
std::uint64_t StorageRun::commits_hit(const DiskEffects& met) const {
  const auto stretches = [](const DiskEffects& of) {
    return of.directory_syncs_lied + of.writes_misdirected + of.reads_misdirected + of.reads_stale +
           of.files_lost;
  };
  if (stretches(met) > stretches(effects_) || garbled_ > 0) return UINT64_MAX;
  return spoilt_ever() - spoilt_ + met.syncs_lied - effects_.syncs_lied + met.writes_lost -
         effects_.writes_lost;
}

DamageDone StorageRun::damage() const {
  const DiskEffects& met = host.disk().effects();
  return {.spoilt =
              spoilt_ever() > spoilt_ || garbled_ > 0 || met.writes_misdirected > effects_.writes_misdirected,
          .vanished = vanishing(met) > vanishing(effects_),
          .errors = met.errors() > errors_,
          .commits = commits_hit(met)};
}

bool StorageRun::tamper(const Fault& fault) {
  bool done = false;
  if (fault.kind == FaultKind::kGarbled) {
    done = garble(fault);
  } else {
    const std::vector<std::string> there = directories(log_);
    // Without all of it there is nothing that could tell.
    if (there.size() < 2) return false;
    const std::string& gone = there[fault.amount % there.size()];
    done = !host.disk().names_in(gone).empty();
    host.disk().drop_directory(gone);
  }
  garbled_ += done;
  return done;
}

// ---- processes ------------------------------------------------------------------------------------------

void StorageRun::begin_log() {
  ++log_;
  refused_ = processes_ = garbled_ = 0;
  effects_ = host.disk().effects();
  spoilt_ = spoilt_ever();
  ledger.begin_log();
}

void StorageRun::refused(const Error& why) {
  ledger.refused(why, damage());
  ++refused_;
}

void StorageRun::opened(const std::vector<storage::SegmentInfo>& segments) {
  refused_ = 0;
  ledger.opened(segments, damage());
}

void StorageRun::boot(Factory make, std::uint32_t cores) {
  begin_log();
  host.boot(cores, [this, make = std::move(make)](ProcessContext& process) {
    const std::uint64_t wiped = faults ? faults->injected(FaultKind::kDiskLost) : 0;
    const bool lost = std::exchange(wiped_, wiped) != wiped;
    if (lost || spent() || refused_ >= kRefusals || ++processes_ > kProcesses) begin_log();
    errors_ = host.disk().effects().errors();
    return make(process);
  });
}

// The faults are over: the log opens or another one is made, entries are stored, and the next process has
// them.
RunResult StorageRun::calm_down() {
  calm_ = true;
  faults->stop();
  const std::uint64_t acknowledged = ledger.acknowledged_count();
  RunResult result = world.run_until(
      [&] { return host.running() && ledger.acknowledged_count() > acknowledged + 10; }, kCalmDown);
  if (result.reason == StopReason::kTime) world.fail("after the faults, nothing is stored");
  if (world.failed()) return result;
  host.crash();
  const std::uint64_t read = read_, noticed = ledger.noticed();
  result = world.run_until([&] { return read_ > read || ledger.noticed() > noticed; }, kCalmDown);
  if (result.reason == StopReason::kTime) world.fail("after the faults, no process reads what is there");
  return result;
}

std::uint64_t damages_of(const Faults& faults) {
  FaultMenu damage = FaultMenu::damage({}, {});
  std::uint64_t injected = faults.injected(FaultKind::kGarbled) + faults.injected(FaultKind::kDirectoryGone);
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    if (damage.rate(kind) > 0) injected += faults.injected(kind);
  }
  return injected;
}

void StorageRun::check_enough_happened() {
  const auto check = [&](const char* floor, std::uint64_t happened) {
    const auto at_least = of_.floors.find(floor);
    if (at_least == of_.floors.end() || happened >= at_least->second) return;
    world.fail("too little happened to show anything: " + std::to_string(happened) + " " + floor);
  };
  check("operations", ledger.acknowledged_count());
  check("crashes", host.crashes());
  check("damages", damages_of(*faults));
}

ScenarioResult StorageRun::run(Factory make, std::uint32_t cores) {
  boot(std::move(make), cores);
  faults.emplace(world, of_.faults);
  faults->set_tamperer([this](const Fault& fault, Host&) { return tamper(fault); });
  faults->supervise(host);
  RunResult end = world.run_for(of_.duration);
  if (!world.failed() && !end.broken()) end = calm_down();
  if (!world.failed()) check_enough_happened();
  world.mix(ledger.acknowledged_count() ^ mix64(ledger.read_count()));
  if (!end.broken()) end = world.run_for(Duration(0));
  return result(end);
}

ScenarioResult StorageRun::result(const RunResult& end) {
  ScenarioResult out;
  out.ok = !world.failed() && !end.broken();
  out.why = end.detail;
  if (!out.ok) out.lines = world.trace().lines();
  out.operations = ledger.acknowledged_count();
  out.faults = faults->injected();
  for (const auto& [kind, injected, skipped, met] : faults->counts())
    out.fault_counts.push_back({to_string(kind), injected, skipped, met});
  out.crashes = host.crashes();
  out.events = world.counters().events;
  out.buggified = world.counters().buggified;
  out.hash = world.hash();
  out.simulated = world.elapsed();
  return out;
}

}  // namespace stele::sim
