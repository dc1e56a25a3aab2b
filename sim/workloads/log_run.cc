// The write-ahead log of one disk that loses power, fails, and damages what it stores.
// One writer appends to a few segments, trims and reads them, and each new process reads all there is.
// StorageLedger says what may be found.
#include <algorithm>
#include <memory>
#include <utility>

#include "runtime/scope.h"
#include "sim/workloads/garble.h"
#include "sim/workloads/storage_run.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Duration;
using runtime::Task;
using storage::SegmentStore;

namespace {

constexpr std::uint64_t kSegments = 5;
constexpr std::uint32_t kReadsMeanwhile = 6;

class LogRun final : public StorageRun {
 public:
  using StorageRun::StorageRun;
  std::string directory(std::uint64_t log) const { return "/log-" + std::to_string(log); }

 private:
  std::vector<std::string> directories(std::uint64_t log) const override { return {directory(log)}; }
  bool garble(const Fault& fault) override {
    return garble_log(host.disk(), directory(log()), fault.amount, damage().vanished);
  }
};

class Writer final : public Program {
 public:
  Writer(ProcessContext& process, LogRun& run)
      : process_(process), core_(process.core(0)), run_(run), epoch_(process.incarnation()) {
    scope_.spawn(live(*this));
  }
  void on_terminate() override { stopping_ = true; }

 private:
  static Task<void> live(Writer& self);
  static Task<void> come_too_late(Writer& self);
  static Task<void> remove_old_log(Writer& self);
  static Task<bool> open(Writer& self);
  static Task<void> read_all(Writer& self);
  static Task<void> read(Writer& self, SegmentId segment, std::uint64_t from, std::uint64_t to);
  static Task<void> read_meanwhile(Writer& self, SegmentId segment, std::uint64_t from, std::uint64_t to);
  static Task<bool> fence_all(Writer& self);
  static Task<void> step(Writer& self);
  void append(SegmentId segment);
  void trim(SegmentId segment);
  SegmentId some_segment() { return SegmentId(1 + run_.random().below(kSegments)); }

  ProcessContext& process_;
  runtime::Runtime& core_;
  LogRun& run_;
  const Epoch epoch_;
  bool stopping_ = false;
  std::uint32_t reads_ = 0;  // that others do not wait for
  std::unique_ptr<SegmentStore> store_;
  runtime::Scope scope_;  // last
};

Task<void> Writer::live(Writer& self) {
  co_await remove_old_log(self);
  if (co_await open(self)) {
    co_await read_all(self);
    self.run_.read_everything();
    bool takes = co_await fence_all(self);
    while (takes && !self.stopping_ && !self.store_->failed()) {
      co_await runtime::sleep(self.core_,
                              Duration(self.run_.random().between(0, 2 * self.run_.pause.count())));
      co_await step(self);
    }
    if (self.store_->failed()) {
      self.run_.ledger.write_failed({ErrorCode::kIo, "the log failed"}, self.run_.damage());
    } else {
      while (self.reads_ > 0) co_await runtime::sleep(self.core_, 10ms);
      (void)co_await self.store_->close();
      co_await come_too_late(self);
    }
  } else {
    co_await runtime::sleep(self.core_, 100ms);
  }
  self.process_.exit();
}

// What comes after the close is refused, and who is gone hears nothing.
Task<void> Writer::come_too_late(Writer& self) {
  self.store_->append(SegmentId(1), self.epoch_, 0, {},
                      [&self](Result<void>) { self.run_.world.fail("a log that is gone has answered"); });
  self.store_.reset();
  co_await runtime::sleep(self.core_, 1ms);
}

// Of its files nothing is needed, and what does not go stays.
Task<void> Writer::remove_old_log(Writer& self) {
  const std::string old = self.run_.directory(self.run_.log() - 1);
  auto entries = co_await self.core_.files().list(old);
  if (!entries) co_return;
  for (const auto& entry : *entries) (void)co_await self.core_.files().remove(old + "/" + entry.name);
  (void)co_await self.core_.files().remove(old);
}

Task<bool> Writer::open(Writer& self) {
  LogRun& run = self.run_;
  storage::SegmentStoreOptions options = run.store;
  options.directory = run.directory(run.log());
  auto opened = co_await SegmentStore::open(self.core_, options);
  if (!opened) {
    self.core_.log().write(runtime::LogLevel::kWarn, "writer", opened.error().to_string());
    run.refused(opened.error());
    co_return false;
  }
  self.store_ = *std::move(opened);
  run.opened(self.store_->segments());
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

// While entries are trimmed and moved, and files are used again.
Task<void> Writer::read_meanwhile(Writer& self, SegmentId segment, std::uint64_t from, std::uint64_t to) {
  ++self.reads_;
  co_await read(self, segment, from, to);
  --self.reads_;
}

// Which also syncs, whatever the durability.
Task<bool> Writer::fence_all(Writer& self) {
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
    self.run_.ledger.acknowledged(asked[i].segment, answers[i]->end);
  }
  co_return true;
}

Task<void> Writer::step(Writer& self) {
  runtime::Random& random = self.run_.random();
  const std::uint64_t choice = random.below(12);
  if (choice == 0 && !self.run_.fsync() && random.chance(1, 4)) {
    (void)co_await fence_all(self);
  } else if (choice == 0) {
    self.trim(self.some_segment());
  } else if (choice <= 2) {
    const auto info = self.store_->info(self.some_segment());
    if (!info || info->begin == info->stored) co_return;
    const std::uint64_t from = info->begin + random.below(info->stored - info->begin);
    const std::uint64_t to = std::min(from + random.below(20), info->stored);
    if (self.reads_ < kReadsMeanwhile && random.chance(1, 2)) {
      self.scope_.spawn(read_meanwhile(self, info->id, from, to));
    } else {
      co_await read(self, info->id, from, to);
    }
  } else {
    for (std::uint64_t times = 1 + random.below(3); times-- > 0;) self.append(self.some_segment());
  }
}

void Writer::append(SegmentId segment) {
  // Who does not hold back is refused.
  const bool accepting = store_->accepting();
  if (!accepting && run_.random().chance(3, 4)) return;
  const auto info = store_->info(segment);
  const std::uint64_t first = info ? info->end : 0;
  std::vector<storage::LogEntry> entries;
  for (std::uint64_t count = 1 + run_.random().below(4); entries.size() < count;) {
    entries.push_back({.head = Bytes::copy(run_.ledger.append(segment, first + entries.size())), .body = {}});
  }
  const std::uint64_t end = first + entries.size();
  store_->append(segment, epoch_, first, std::move(entries),
                 [this, segment, end, accepting](Result<void> stored) {
                   if (stored && run_.fsync()) run_.ledger.acknowledged(segment, end);
                   if (stored || (!accepting && stored.error().code == ErrorCode::kUnavailable)) return;
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

}  // namespace

ScenarioResult run_log(const Case& of, const Observation& observe) {
  LogRun run(of, observe);
  return run.run([&run](ProcessContext& process) { return std::make_unique<Writer>(process, run); }, 1);
}

}  // namespace stele::sim
