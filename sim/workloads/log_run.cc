// The write-ahead log of one disk that loses power, fails, and damages what it stores.
// One writer appends to a few segments, trims and reads them, and each new process reads all there is.
// StorageLedger says what may be found. A log that refuses to open for good, or has seen enough processes, is
// left for another one.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "runtime/scope.h"
#include "sim/config.h"
#include "sim/faults.h"
#include "sim/host.h"
#include "sim/scenario.h"
#include "sim/workloads/storage_ledger.h"
#include "sim/world.h"
#include "storage/segment_store.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Duration;
using runtime::Task;
using storage::SegmentStore;

namespace {

constexpr std::uint64_t kSegments = 5;
// In a run of any length.
constexpr std::int64_t kSteps = 8000;
// A log is left after so many refusals in a row, or so many processes.
constexpr std::uint64_t kRefusals = 4, kProcesses = 12;
constexpr Duration kCalmDown = 10min;
// 16 sectors of 4096 bytes, of which a group commit takes 512 at least.
constexpr std::uint64_t kLatentCommits = 128;

// What all processes of a run share.
struct Run {
  World& world;
  StorageLedger ledger{world};
  Host& host;
  std::optional<Faults> faults{};
  storage::SegmentStoreOptions store{};
  Duration pause{};  // between two steps, on average
  std::uint64_t log = 0;
  std::uint64_t opened = 0;   // processes that read all there was
  std::uint64_t refused = 0;  // in a row
  std::uint64_t processes_of_log = 0;
  std::uint64_t wiped = 0;
  // When this log was made.
  DiskEffects effects{};
  std::uint64_t spoilt = 0;
  std::uint64_t errors = 0;  // when the process began

  // Group commits that may have been hit where they are.
  std::uint64_t spoilt_ever() const {
    if (!faults) return 0;
    return faults->injected(FaultKind::kBitFlip) +
           kLatentCommits * faults->injected(FaultKind::kLatentSectorError);
  }
  static std::uint64_t vanishing(const DiskEffects& met) {
    return met.syncs_lied + met.directory_syncs_lied + met.writes_lost + met.writes_misdirected +
           met.reads_misdirected + met.reads_stale + met.files_lost;
  }
  // How many group commits may have been hit, each of them a write and a sync. What hides or covers a stretch
  // of any length may have hit any number.
  std::uint64_t commits_hit(const DiskEffects& met) const {
    const auto stretches = [](const DiskEffects& of) {
      return of.directory_syncs_lied + of.writes_misdirected + of.reads_misdirected + of.reads_stale +
             of.files_lost;
    };
    if (stretches(met) > stretches(effects)) return UINT64_MAX;
    return spoilt_ever() - spoilt + met.syncs_lied - effects.syncs_lied + met.writes_lost -
           effects.writes_lost;
  }
  DamageDone damage() const {
    const DiskEffects& met = host.disk().effects();
    return {.spoilt = spoilt_ever() > spoilt || met.writes_misdirected > effects.writes_misdirected,
            .vanished = vanishing(met) > vanishing(effects),
            .errors = met.errors() > errors,
            .commits = commits_hit(met)};
  }
  void begin_log() {
    ++log;
    refused = processes_of_log = 0;
    effects = host.disk().effects();
    spoilt = spoilt_ever();
    ledger.begin_log();
  }
  std::string directory(std::uint64_t number) const { return "/log-" + std::to_string(number); }
  runtime::Random& random() { return world.random(Concern::kWorkload); }
};

class Writer final : public Program {
 public:
  Writer(ProcessContext& process, Run& run)
      : process_(process), core_(process.core(0)), run_(run), epoch_(process.incarnation()) {
    scope_.spawn(live(*this));
  }
  void on_terminate() override { stopping_ = true; }

 private:
  static Task<void> live(Writer& self);
  static Task<void> remove_old_log(Writer& self);
  static Task<bool> open(Writer& self);
  static Task<void> read_all(Writer& self);
  static Task<void> read(Writer& self, SegmentId segment, std::uint64_t from, std::uint64_t to);
  static Task<bool> take_over(Writer& self);
  static Task<void> step(Writer& self);
  void append(SegmentId segment);
  void trim(SegmentId segment);
  SegmentId some_segment() { return SegmentId(1 + run_.random().below(kSegments)); }

  ProcessContext& process_;
  runtime::Runtime& core_;
  Run& run_;
  const Epoch epoch_;
  bool stopping_ = false;
  std::unique_ptr<SegmentStore> store_;
  runtime::Scope scope_;  // last
};

Task<void> Writer::live(Writer& self) {
  co_await remove_old_log(self);
  if (co_await open(self)) {
    co_await read_all(self);
    ++self.run_.opened;
    bool takes = co_await take_over(self);
    while (takes && !self.stopping_ && !self.store_->failed()) {
      co_await runtime::sleep(self.core_,
                              Duration(self.run_.random().between(0, 2 * self.run_.pause.count())));
      co_await step(self);
    }
    if (self.store_->failed()) {
      self.run_.ledger.write_failed({ErrorCode::kIo, "the log failed"}, self.run_.damage());
    } else {
      (void)co_await self.store_->close();
    }
  } else {
    co_await runtime::sleep(self.core_, 100ms);
  }
  self.process_.exit();
}

// Of its files nothing is needed, and what does not go stays.
Task<void> Writer::remove_old_log(Writer& self) {
  const std::string old = self.run_.directory(self.run_.log - 1);
  auto entries = co_await self.core_.files().list(old);
  if (!entries) co_return;
  for (const auto& entry : *entries) (void)co_await self.core_.files().remove(old + "/" + entry.name);
  (void)co_await self.core_.files().remove(old);
}

Task<bool> Writer::open(Writer& self) {
  Run& run = self.run_;
  storage::SegmentStoreOptions options = run.store;
  options.directory = run.directory(run.log);
  auto opened = co_await SegmentStore::open(self.core_, options);
  if (!opened) {
    self.core_.log().write(runtime::LogLevel::kWarn, "writer", opened.error().to_string());
    run.ledger.refused(opened.error(), run.damage());
    ++run.refused;
    co_return false;
  }
  self.store_ = *std::move(opened);
  run.refused = 0;
  run.ledger.opened(self.store_->segments(), run.damage());
  co_return true;
}

Task<void> Writer::read_all(Writer& self) {
  for (const storage::SegmentInfo& info : self.store_->segments())
    co_await read(self, info.id, info.begin, info.end);
}

// Damage is passed by, entry by entry.
Task<void> Writer::read(Writer& self, SegmentId segment, std::uint64_t from, std::uint64_t to) {
  StorageLedger& ledger = self.run_.ledger;
  while (from < to) {
    auto entries = co_await self.store_->read(segment, from, self.run_.random().below(8000));
    if (!entries) {
      ledger.read_failed(segment, from++, entries.error(), self.run_.damage());
      continue;
    }
    if (entries->empty()) {
      co_return self.run_.world.fail("segment " + std::to_string(segment.value) + " holds nothing at " +
                                     std::to_string(from) + ", and says so of its end only at " +
                                     std::to_string(to));
    }
    for (const storage::LogEntry& entry : *entries) {
      ledger.read(segment, from++, std::string(entry.head.view()) + std::string(entry.body.view()));
    }
  }
}

Task<bool> Writer::take_over(Writer& self) {
  std::vector<storage::FenceRequest> requests;
  for (std::uint64_t id = 1; id <= kSegments; ++id) {
    requests.push_back({SegmentId(id), self.epoch_});
    self.run_.ledger.fencing(SegmentId(id));
  }
  const std::vector<storage::FenceRequest> asked = requests;
  const auto answers = co_await self.store_->fence_many(std::move(requests));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i]) {
      self.run_.ledger.write_failed(answers[i].error(), self.run_.damage());
      co_return false;
    }
    self.run_.ledger.fenced(asked[i].segment, asked[i].epoch);
  }
  co_return true;
}

Task<void> Writer::step(Writer& self) {
  runtime::Random& random = self.run_.random();
  const std::uint64_t choice = random.below(12);
  if (choice == 0) {
    self.trim(self.some_segment());
  } else if (choice <= 2) {
    const auto info = self.store_->info(self.some_segment());
    if (!info || info->begin == info->stored) co_return;
    const std::uint64_t from = info->begin + random.below(info->stored - info->begin);
    co_await read(self, info->id, from, std::min(from + random.below(20), info->stored));
  } else {
    for (std::uint64_t times = 1 + random.below(3); times-- > 0;) self.append(self.some_segment());
  }
}

void Writer::append(SegmentId segment) {
  if (!store_->accepting()) return;
  const auto info = store_->info(segment);
  const std::uint64_t first = info ? info->end : 0;
  std::vector<storage::LogEntry> entries;
  for (std::uint64_t count = 1 + run_.random().below(4); entries.size() < count;) {
    entries.push_back({.head = Bytes::copy(run_.ledger.append(segment, first + entries.size())), .body = {}});
  }
  const std::uint64_t end = first + entries.size();
  store_->append(segment, epoch_, first, std::move(entries), [this, segment, end](Result<void> stored) {
    if (stored) return run_.ledger.acknowledged(segment, end);
    run_.ledger.write_failed(stored.error(), run_.damage());
  });
}

void Writer::trim(SegmentId segment) {
  const auto info = store_->info(segment);
  if (!info || info->begin == info->stored) return;
  const std::uint64_t below = info->begin + run_.random().below(info->stored - info->begin + 1);
  run_.ledger.trimmed(segment, below);
  store_->trim(segment, below);
}

storage::SegmentStoreOptions store_options(const Knobs& knobs) {
  storage::SegmentStoreOptions options;
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
  return options;
}

std::uint64_t damages(const Faults& faults) {
  FaultMenu damage = FaultMenu::damage({}, {});
  std::uint64_t injected = 0;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    if (damage.rate(kind) > 0) injected += faults.injected(kind);
  }
  return injected;
}

void check_enough_happened(Run& run, const Case& of) {
  const auto check = [&](const char* floor, std::uint64_t happened) {
    const auto at_least = of.floors.find(floor);
    if (at_least == of.floors.end() || happened >= at_least->second) return;
    run.world.fail("too little happened to show anything: " + std::to_string(happened) + " " + floor);
  };
  check("operations", run.ledger.acknowledged_count());
  check("crashes", run.host.crashes());
  check("damages", damages(*run.faults));
}

void boot(Run& run) {
  run.begin_log();
  run.host.boot(1, [&run](ProcessContext& process) {
    const std::uint64_t wiped = run.faults ? run.faults->injected(FaultKind::kDiskLost) : 0;
    const bool lost = std::exchange(run.wiped, wiped) != wiped;
    if (lost || run.refused >= kRefusals || ++run.processes_of_log > kProcesses) run.begin_log();
    run.errors = run.host.disk().effects().errors();
    return std::make_unique<Writer>(process, run);
  });
}

// The faults are over: the log opens or another one is made, entries are stored, and the next process has
// them.
RunResult calm_down(Run& run) {
  World& world = run.world;
  run.faults->stop();
  const std::uint64_t acknowledged = run.ledger.acknowledged_count();
  RunResult result = world.run_until(
      [&] { return run.host.running() && run.ledger.acknowledged_count() > acknowledged + 10; }, kCalmDown);
  if (result.reason == StopReason::kTime) world.fail("after the faults, nothing is stored");
  if (world.failed()) return result;
  run.host.crash();
  const std::uint64_t opened = run.opened, noticed = run.ledger.noticed();
  result = world.run_until([&] { return run.opened > opened || run.ledger.noticed() > noticed; }, kCalmDown);
  if (result.reason == StopReason::kTime) world.fail("after the faults, no process reads what is there");
  return result;
}

}  // namespace

ScenarioResult run_log(const Case& of, const Observation& observe) {
  World world(of.seed, WorldConfig::of(of.knobs));
  std::optional<Observer> observer;
  if (observe.any()) observer.emplace(world, observe);
  Run run{.world = world, .host = world.add_host("node")};
  run.store = store_options(of.knobs);
  run.pause = of.duration / kSteps;
  boot(run);
  run.faults.emplace(world, of.faults);
  run.faults->supervise(run.host);
  RunResult result = world.run_for(of.duration);
  if (!world.failed() && !result.broken()) result = calm_down(run);
  if (!world.failed()) check_enough_happened(run, of);
  world.mix(run.ledger.acknowledged_count() ^ mix64(run.ledger.read_count()));
  if (!result.broken()) result = world.run_for(Duration(0));
  ScenarioResult out;
  out.ok = !world.failed() && !result.broken();
  out.why = result.detail;
  if (!out.ok) out.lines = world.trace().lines();
  out.operations = run.ledger.acknowledged_count();
  out.faults = run.faults->injected();
  for (const auto& [kind, injected, skipped, met] : run.faults->counts())
    out.fault_counts.push_back({to_string(kind), injected, skipped, met});
  out.crashes = run.host.crashes();
  out.events = world.counters().events;
  out.buggified = world.counters().buggified;
  out.hash = world.hash();
  out.simulated = world.elapsed();
  return out;
}

}  // namespace stele::sim
