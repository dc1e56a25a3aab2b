// Everything that keeps a shard's log: the meta service with its database, the journal with its write-ahead
// log, and shard logs on all cores, on one disk that loses power, fails, and damages what it stores. Between
// the logs and the meta service answers are late or lost, and owners are replaced while they live. What is
// judged is what an owner promises: StorageLedger, with a shard for a segment and LSNs for its entries.
#include <algorithm>
#include <coroutine>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/client.h"
#include "journal/replicas.h"
#include "journal/server.h"
#include "journal/shard_log.h"
#include "meta/client.h"
#include "meta/service.h"
#include "runtime/scope.h"
#include "sim/workloads/far_keeper.h"
#include "sim/workloads/garble.h"
#include "sim/workloads/storage_run.h"
#include "storage/sqlite.h"
#include "storage/sqlite_vfs.h"

namespace stele::sim {

using namespace std::chrono_literals;
using journal::ShardLog;
using runtime::Duration;
using runtime::Task;

namespace {

constexpr NodeId kNode(1);
constexpr std::size_t kReplacedKept = 4;
// Of the processes, one in so many is stopped in its first moments.
constexpr std::uint64_t kStoppedOneIn = 12;

SegmentId as_segment(ShardId shard) {
  return SegmentId(shard.value + 1);
}

class StoreRun final : public StorageRun {
 public:
  StoreRun(const Case& of, const Observation& observe)
      : StorageRun(of, observe),
        shards(static_cast<std::uint32_t>(std::min<std::uint64_t>(of.knobs["node.shards"], 6))),
        in_flight_bytes(of.knobs["journal.in_flight_bytes"]) {
    log_options.segment_bytes = of.knobs["log.segment_bytes"] / 8;
    client_options.tail_bytes = of.knobs["log.tail_bytes"] / 16;
    ledger.set_acknowledged_later();  // they are posted from the journal's core
  }

  const std::uint32_t shards;
  const std::size_t in_flight_bytes;
  journal::ShardLogOptions log_options;
  journal::JournalClientOptions client_options;

  std::string journal_directory() const { return journal_directory(log()); }
  std::string meta_directory() const { return meta_directory(log()); }
  std::vector<std::string> directories(std::uint64_t log) const override {
    return {journal_directory(log), meta_directory(log)};
  }
  // A damaged database may tell of chains that were once: nothing is said of such a log, but that it does no
  // harm.
  bool chains_may_be_old() const { return host.disk().damages_under(meta_directory()) > 0; }
  void leave_log() { spent_ = true; }
  // How the chains are to be tampered with before the next start.
  std::optional<std::uint64_t> take_tampering() { return std::exchange(tampering_, std::nullopt); }

 private:
  static std::string journal_directory(std::uint64_t log) { return "/journal-" + std::to_string(log); }
  static std::string meta_directory(std::uint64_t log) { return "/meta-" + std::to_string(log); }
  bool garble(const Fault& fault) override {
    switch (fault.amount % 3) {
      case 0:
        return garble_log(host.disk(), journal_directory(), fault.amount / 3, damage().vanished);
      case 1:
        return garble_database(host.disk(), meta_directory() + "/meta.db", fault.amount / 3);
      default:
        tampering_ = fault.amount / 3;
        return true;
    }
  }
  bool spent() const override { return spent_; }
  void begin_log() override {
    StorageRun::begin_log();
    spent_ = false;
    tampering_.reset();
  }

  bool spent_ = false;
  std::optional<std::uint64_t> tampering_;
};

// Goes on in a later turn of another core.
auto go_to(runtime::Runtime& from, runtime::Runtime& to) {
  struct Awaiter {
    runtime::Runtime& from;
    CoreId to;
    bool await_ready() const { return from.core() == to; }
    void await_suspend(std::coroutine_handle<> waiter) {
      from.post(to, [waiter] { waiter.resume(); });
    }
    void await_resume() const {}
  };
  return Awaiter{from, to.core()};
}

class Store;
struct OnCore;

class Owner final : public ShardLog::Listener {
 public:
  Owner(Store& store, OnCore& core, std::unique_ptr<ShardLog> log)
      : store_(store), core_(core), log_(std::move(log)) {}
  void begin() { log_->set_listener(*this); }
  ShardLog& log() { return *log_; }
  SegmentId segment() const { return as_segment(log_->shard()); }
  void append();
  // Somebody takes the shard over; from `at` on this one commits nothing.
  void being_replaced() { leaving_ = true; }
  void replaced(Lsn at) { replaced_ = at; }
  void append_too_late() { log_->append({.head = Bytes::copy("too late"), .body = {}}); }

 private:
  void on_committed(Lsn end) override;
  void on_lost(const Error& why) override;

  Store& store_;
  OnCore& core_;
  std::unique_ptr<ShardLog> log_;
  bool leaving_ = false;
  std::optional<Lsn> replaced_;
};

struct OnCore {
  explicit OnCore(runtime::Runtime& runtime) : runtime(runtime) {}
  runtime::Runtime& runtime;
  std::unique_ptr<meta::MetaClient> meta;
  std::unique_ptr<journal::JournalClient> journal;
  std::unique_ptr<journal::Replicas> replicas;
  std::shared_ptr<journal::ChainKeeper> keeper, earlier;  // the latter of a process that there was before
  std::vector<ShardId> shards;
  std::vector<std::unique_ptr<Owner>> owners, replaced;
  bool working = false;
  runtime::Scope scope;  // last
};

class Store final : public Program {
 public:
  Store(ProcessContext& process, StoreRun& run) : process_(process), run_(run) {
    for (std::uint32_t i = 0; i < process.cores().size(); ++i) {
      cores_.push_back(std::make_unique<OnCore>(process.core(i)));
    }
    for (std::uint32_t id = 0; id < run.shards; ++id) {
      cores_[id % cores_.size()]->shards.push_back(ShardId(id));
    }
    scope_.spawn(live(*this));
  }
  void on_terminate() override;

  StoreRun& run() { return run_; }
  bool judged() const { return judged_; }
  bool ending() const { return stopping_ || failed_; }
  // The journal is closed, or about to be.
  bool closing() const { return closing_; }
  void fail() { failed_ = true; }

 private:
  using Logs = std::vector<std::unique_ptr<ShardLog>>;
  static Task<void> live(Store& self);
  static Task<void> stop_soon(Store& self);
  static Task<void> remove_old_log(Store& self);
  static Task<Result<void>> start(Store& self);
  static Task<Result<void>> tamper(Store& self, std::uint64_t how);
  static Task<Result<void>> open_meta(Store& self);
  static Task<Result<void>> open_journal(Store& self);
  static Task<Result<void>> look_at_ends(Store& self);
  static Task<Result<void>> take_all(Store& self);
  static Task<Result<Logs>> take(Store& self, OnCore& core, std::vector<ShardId> shards);
  static Task<void> stop(Store& self);
  static Task<void> close_journal(Store& self);
  void tell_opened();
  static Task<void> read_all(Store& self, OnCore& core);
  static Task<void> read(Store& self, Owner& owner, Lsn from, Lsn to);
  static Task<void> work(Store& self, OnCore& core);
  static Task<void> step(Store& self, OnCore& core);
  static Task<void> sync(Store& self, Owner& owner);
  static Task<void> trim(Store& self, OnCore& core, Owner& owner);
  struct Rival {
    Logs logs;
    bool done = false;
  };
  static Task<void> rival(OnCore& core, ShardId shard, bool of_before, StoreRun& run,
                          std::shared_ptr<Rival> rival);
  static Task<bool> superseded(OnCore& core, const ShardLog& log);
  static Task<void> replace(Store& self, OnCore& core, std::size_t which);

  ProcessContext& process_;
  StoreRun& run_;
  bool judged_ = true;
  bool stopping_ = false, failed_ = false, closing_ = false, closed_ = false;
  std::map<ShardId, bool> certain_;  // of the last segments, before they were taken over
  std::unique_ptr<meta::MetaService> meta_;
  std::unique_ptr<journal::JournalServer> journal_;
  meta::Incarnation incarnation_;
  std::vector<std::unique_ptr<OnCore>> cores_;
  runtime::Scope scope_;  // last
};

// ---- owners ---------------------------------------------------------------------------------------------

void Owner::append() {
  if (!log_->writable() || log_->congested() || log_->lost()) return;
  const std::string bytes = store_.run().ledger.append(segment(), log_->next().value);
  const std::size_t half = bytes.size() / 2;
  log_->append({.head = Bytes::copy(bytes.substr(0, half)), .body = Bytes::copy(bytes.substr(half))});
}

void Owner::on_committed(Lsn end) {
  StoreRun& run = store_.run();
  if (!store_.judged()) return;
  if (replaced_) {
    if (end > *replaced_) run.world.fail("an owner that was replaced has committed an entry");
    return;
  }
  if (run.fsync()) run.ledger.acknowledged(segment(), end.value);
  // What is committed makes others decide.
  if (!store_.ending() && run.random().chance(1, 3)) {
    core_.owners[run.random().below(core_.owners.size())]->append();
  }
}

void Owner::on_lost(const Error& why) {
  if (replaced_ || leaving_ || store_.closing()) return;
  store_.fail();
  if (!store_.judged()) return;
  if (why.code == ErrorCode::kFenced && !store_.run().damage().any()) {
    store_.run().world.fail("an owner is fenced, and there is no other: " + why.to_string());
  } else {
    store_.run().ledger.write_failed(why, store_.run().damage());
  }
}

// ---- start ----------------------------------------------------------------------------------------------

Task<void> Store::live(Store& self) {
  co_await remove_old_log(self);
  self.judged_ = !self.run_.chains_may_be_old();
  if (!self.judged_) self.run_.leave_log();
  if (!self.run_.calm() && self.run_.random().chance(1, kStoppedOneIn)) self.scope_.spawn(stop_soon(self));
  auto started = co_await start(self);
  if (!started && !self.stopping_) {
    self.process_.core(0).log().write(runtime::LogLevel::kWarn, "store", started.error().to_string());
    if (self.judged_) self.run_.refused(started.error());
    co_await runtime::sleep(self.process_.core(0), 100ms);
  }
  if (started) {
    if (self.judged_) self.tell_opened();
    for (auto& core : self.cores_) co_await read_all(self, *core);
    if (self.judged_ && !self.ending()) self.run_.read_everything();
    for (auto& core : self.cores_) {
      if (!self.judged_ || self.ending()) break;
      co_await go_to(self.process_.core(0), core->runtime);
      core->working = true;
      core->scope.spawn(work(self, *core));
      co_await go_to(core->runtime, self.process_.core(0));
    }
    const auto working = [](const std::unique_ptr<OnCore>& core) { return core->working; };
    while (std::ranges::any_of(self.cores_, working)) co_await runtime::sleep(self.process_.core(0), 50ms);
  }
  co_await stop(self);
  self.process_.exit();
}

// SIGTERM, while it starts or soon after.
Task<void> Store::stop_soon(Store& self) {
  co_await runtime::sleep(self.process_.core(0),
                          Duration(self.run_.random().between(0, Duration(2s).count())));
  self.on_terminate();
}

// Of its files nothing is needed, and what does not go stays.
Task<void> Store::remove_old_log(Store& self) {
  if (self.run_.log() == 1) co_return;
  runtime::Files& files = self.process_.core(0).files();
  for (const std::string& old : self.run_.directories(self.run_.log() - 1)) {
    auto entries = co_await files.list(old);
    if (!entries) continue;
    for (const auto& entry : *entries) (void)co_await files.remove(old + "/" + entry.name);
    (void)co_await files.remove(old);
  }
}

Task<Result<void>> Store::start(Store& self) {
  if (const auto how = self.run_.take_tampering()) STELE_CO_CHECK(co_await tamper(self, *how));
  STELE_CO_CHECK(co_await open_meta(self));
  STELE_CO_CHECK(co_await open_journal(self));
  STELE_CO_CHECK(co_await look_at_ends(self));
  OnCore& first = *self.cores_.front();
  std::vector<ShardId> all;
  for (std::uint32_t id = 0; id < self.run_.shards; ++id) all.push_back(ShardId(id));
  (void)co_await journal::remove_orphans(*first.journal, first.keeper, all);
  co_return co_await take_all(self);
}

// Through SQLite, as somebody with a shell would.
Task<Result<void>> Store::tamper(Store& self, std::uint64_t how) {
  runtime::Runtime& core = self.process_.core(0);
  auto held = co_await core.files().list(self.run_.meta_directory());
  if (!held || held->empty()) co_return Result<void>();
  const storage::SqliteVfs::Inputs inputs{.now = core.wall_now(), .random_seed = core.random().next()};
  co_await runtime::run_blocking(
      core, [path = self.run_.meta_directory() + "/meta.db", inputs, how](runtime::BlockingFiles& files) {
        storage::SqliteVfs vfs;
        const storage::SqliteVfs::Job job(vfs, files, inputs);
        if (auto database = storage::Database::open(vfs, path)) {
          (*database)->run_script(chain_tampering(how));
        }
      });
  co_return Result<void>();
}

Task<Result<void>> Store::open_meta(Store& self) {
  runtime::Runtime& core = self.process_.core(0);
  // As a node does: a cluster was there before the first entry of a journal.
  STELE_CO_CHECK(co_await core.files().make_directory(self.run_.journal_directory()));
  STELE_CO_CHECK(co_await core.files().sync_directory("/"));
  STELE_CO_TRY(const auto held, co_await core.files().list(self.run_.journal_directory()));
  meta::MetaServiceOptions options;
  options.directory = self.run_.meta_directory();
  options.shard_count = self.run_.shards;
  options.may_be_new = held.empty();
  options.on_failure = [&self](const Error&) { self.failed_ = true; };
  STELE_CO_TRY(self.meta_, co_await meta::MetaService::open(core, std::move(options)));
  for (auto& there : self.cores_) {
    co_await go_to(core, there->runtime);
    auto connected = co_await meta::MetaClient::connect(there->runtime, self.meta_->state());
    if (connected) there->meta = *std::move(connected);
    co_await go_to(there->runtime, core);
    if (!connected) co_return std::unexpected(connected.error());
  }
  STELE_CO_TRY(const meta::Node node, co_await self.cores_.front()->meta->execute(
                                          meta::RegisterNode{.node = kNode, .addresses = {}}));
  self.incarnation_ = node.incarnation;
  co_return Result<void>();
}

Task<Result<void>> Store::open_journal(Store& self) {
  runtime::Runtime& core = self.process_.core(0);
  journal::JournalOptions options;
  options.store = self.run_.store;
  options.store.directory = self.run_.journal_directory();
  options.max_in_flight_bytes = self.run_.in_flight_bytes;
  options.on_failure = [&self](const Error&) { self.failed_ = true; };
  STELE_CO_TRY(self.journal_, co_await journal::JournalServer::open(core, std::move(options)));
  for (auto& there : self.cores_) {
    co_await go_to(core, there->runtime);
    there->journal =
        std::make_unique<journal::JournalClient>(there->runtime, *self.journal_, self.run_.client_options);
    there->replicas = std::make_unique<journal::LocalReplicas>(*there->journal, kNode);
    const auto keeper = [&](meta::Incarnation incarnation) {
      return std::make_shared<FarKeeper>(self.run_, there->runtime,
                                         journal::keep_chains_in(*there->meta, kNode, incarnation));
    };
    there->keeper = keeper(self.incarnation_);
    there->earlier = keeper(meta::Incarnation(self.incarnation_.value - 1));
    co_await go_to(there->runtime, core);
  }
  co_return Result<void>();
}

// Whether the log knows where the segments end that are about to be sealed.
Task<Result<void>> Store::look_at_ends(Store& self) {
  OnCore& core = *self.cores_.front();
  std::vector<ShardId> all;
  for (std::uint32_t id = 0; id < self.run_.shards; ++id) all.push_back(ShardId(id));
  STELE_CO_TRY(const auto shards, co_await core.meta->read_shards(all));
  for (const meta::Shard& shard : shards) {
    const auto info = shard.chain.empty() ? std::nullopt
                                          : std::optional(self.journal_->store().info(shard.chain.back().id));
    self.certain_[shard.id] = info && *info && (*info)->certain;
  }
  co_return Result<void>();
}

Task<Result<void>> Store::take_all(Store& self) {
  runtime::Runtime& first = self.process_.core(0);
  for (auto& core : self.cores_) {
    if (core->shards.empty()) continue;
    co_await go_to(first, core->runtime);
    auto logs = co_await take(self, *core, core->shards);
    if (logs) {
      for (auto& log : *logs) core->owners.push_back(std::make_unique<Owner>(self, *core, std::move(log)));
    }
    co_await go_to(core->runtime, first);
    if (!logs) co_return std::unexpected(logs.error());
  }
  co_return Result<void>();
}

// Again and again while the keeper does not answer.
Task<Result<Store::Logs>> Store::take(Store& self, OnCore& core, std::vector<ShardId> shards) {
  while (true) {
    auto logs = co_await ShardLog::take_over_all(*core.replicas, core.keeper, shards, self.run_.log_options);
    if (logs || self.ending()) co_return logs;
    const ErrorCode code = logs.error().code;
    if (code != ErrorCode::kUnavailable && code != ErrorCode::kFenced && code != ErrorCode::kNoSpace) {
      co_return logs;
    }
    co_await runtime::sleep(core.runtime, 20ms);
  }
}

void Store::tell_opened() {
  std::vector<storage::SegmentInfo> infos;
  for (auto& core : cores_) {
    for (auto& owner : core->owners) {
      ShardLog& log = owner->log();
      run_.ledger.fencing(owner->segment());
      infos.push_back({.id = owner->segment(),
                       .begin = log.begin().value,
                       .stored = log.committed().value,
                       .end = log.committed().value,
                       .fence = log.epoch(),
                       .certain = certain_[log.shard()]});
    }
  }
  run_.opened(infos);
  for (const storage::SegmentInfo& info : infos) run_.ledger.fenced(info.id, info.fence);
}

// ---- end ------------------------------------------------------------------------------------------------

void Store::on_terminate() {
  stopping_ = true;
  // A stop that does not wait: what is under way hears that the journal is closed.
  if (journal_ && !closing_ && run_.random().chance(1, 2)) {
    closing_ = true;
    scope_.spawn(close_journal(*this));
  }
}

Task<void> Store::close_journal(Store& self) {
  (void)co_await self.journal_->close();
  self.closed_ = true;
}

Task<void> Store::stop(Store& self) {
  runtime::Runtime& first = self.process_.core(0);
  for (auto& core : self.cores_) {
    co_await go_to(first, core->runtime);
    co_await core->scope.close();
    core->owners.clear();
    core->replaced.clear();
    core->replicas.reset();
    core->journal.reset();
    co_await go_to(core->runtime, first);
  }
  if (self.journal_ && !std::exchange(self.closing_, true)) co_await close_journal(self);
  while (self.journal_ && !self.closed_) co_await runtime::sleep(first, 10ms);
  if (self.meta_) co_await self.meta_->close();
}

// ---- work -----------------------------------------------------------------------------------------------

Task<void> Store::read_all(Store& self, OnCore& core) {
  co_await go_to(self.process_.core(0), core.runtime);
  for (auto& owner : core.owners) {
    owner->begin();
    co_await read(self, *owner, owner->log().begin(), owner->log().committed());
  }
  co_await go_to(core.runtime, self.process_.core(0));
}

// Damage is passed by, entry by entry.
Task<void> Store::read(Store& self, Owner& owner, Lsn from, Lsn to) {
  StorageLedger& ledger = self.run_.ledger;
  while (from < to && !self.ending()) {
    auto entries = co_await owner.log().read(from, self.run_.random().below(8000));
    if (!self.judged_) {
      from += entries ? std::max<std::uint64_t>(entries->size(), 1) : 1;
      continue;
    }
    if (!entries && self.closing()) co_return;
    if (!entries) {
      ledger.read_failed(owner.segment(), from.value, entries.error(), self.run_.damage());
      ++from;
      continue;
    }
    if (entries->empty()) {
      co_return self.run_.world.fail("shard " + std::to_string(owner.log().shard().value) +
                                     " holds nothing at " + std::to_string(from.value) +
                                     ", and says that it does");
    }
    for (const storage::LogEntry& entry : *entries) {
      ledger.read(owner.segment(), from.value,
                  std::string(entry.head.view()) + std::string(entry.body.view()));
      ++from;
    }
  }
}

Task<void> Store::work(Store& self, OnCore& core) {
  while (!self.ending() && !core.owners.empty()) {
    const std::int64_t pause = self.run_.pause.count();
    co_await runtime::sleep(core.runtime, Duration(self.run_.random().between(0, 2 * pause)));
    if (!self.ending()) co_await step(self, core);
  }
  core.working = false;
}

Task<void> Store::step(Store& self, OnCore& core) {
  runtime::Random& random = self.run_.random();
  const std::size_t which = random.below(core.owners.size());
  Owner& owner = *core.owners[which];
  const std::uint64_t choice = random.below(32);
  if (!core.replaced.empty() && random.chance(1, 8)) {
    core.replaced[random.below(core.replaced.size())]->append_too_late();
  }
  if (choice < 2) {
    co_await trim(self, core, owner);
  } else if (choice < 3) {
    co_await sync(self, owner);
  } else if (choice < 5) {
    owner.log().roll();
  } else if (choice < 6) {
    co_await replace(self, core, which);
  } else if (choice < 12) {
    const Lsn begin = owner.log().begin(), end = owner.log().committed();
    if (begin == end) co_return;
    const Lsn from = begin + random.below(end - begin);
    co_await read(self, owner, from, std::min(from + random.below(20), end));
  } else {
    for (std::uint64_t times = 1 + random.below(6); times-- > 0;) owner.append();
  }
}

Task<void> Store::sync(Store& self, Owner& owner) {
  const Lsn until = owner.log().committed();
  if (co_await owner.log().sync()) self.run_.ledger.acknowledged(owner.segment(), until.value);
}

// As a shard does: a snapshot, synced and published, and then the log may go.
Task<void> Store::trim(Store& self, OnCore& core, Owner& owner) {
  ShardLog& log = owner.log();
  const Lsn until = log.committed();
  if (!co_await log.sync()) co_return;
  self.run_.ledger.acknowledged(owner.segment(), until.value);
  auto set = co_await core.meta->execute(meta::SetSnapshot{
      .shard = log.shard(), .epoch = log.epoch(), .snapshot = {.lsn = until, .file = "none"}});
  if (!set || log.lost() || log.begin() == until) co_return;
  const Lsn below = log.begin() + 1 + self.run_.random().below(until - log.begin());
  self.run_.ledger.trimmed(owner.segment(), below.value);
  log.trim(below);
}

// Takes over once, for itself, and what it has is gone when it is replaced.
Task<void> Store::rival(OnCore& core, ShardId shard, bool of_before, StoreRun& run,
                        std::shared_ptr<Rival> rival) {
  auto logs = co_await ShardLog::take_over_all(*core.replicas, of_before ? core.earlier : core.keeper,
                                               {shard}, run.log_options);
  if (logs && of_before) run.world.fail("a process that there was before has taken a shard");
  if (logs) rival->logs = *std::move(logs);
  rival->done = true;
}

Task<bool> Store::superseded(OnCore& core, const ShardLog& log) {
  auto shards = co_await core.meta->read_shards({log.shard()});
  co_return shards && shards->front().epoch != log.epoch();
}

// Another owner of a shard, while the present one lives; perhaps two at once, of which the later one stays.
Task<void> Store::replace(Store& self, OnCore& core, std::size_t which) {
  StoreRun& run = self.run_;
  Owner& old = *core.owners[which];
  const ShardId shard = old.log().shard();
  old.being_replaced();
  auto other = std::make_shared<Rival>();
  other->done = !run.random().chance(1, 2);
  if (!other->done) core.scope.spawn(rival(core, shard, run.random().chance(1, 4), run, other));
  auto taken = co_await take(self, core, {shard});
  while (!other->done) co_await runtime::sleep(core.runtime, 5ms);
  // Whatever became of the rival, who came last may have to come again.
  while (taken && co_await superseded(core, *taken->front())) taken = co_await take(self, core, {shard});
  if (!taken) {
    self.fail();
    if (!self.stopping_) run.ledger.write_failed(taken.error(), run.damage());
    co_return;
  }
  const Lsn next = taken->front()->next();
  run.ledger.taken_over(old.segment(), next.value);
  old.replaced(next);
  core.replaced.push_back(std::move(core.owners[which]));
  core.owners[which] = std::make_unique<Owner>(self, core, std::move(taken->front()));
  core.owners[which]->begin();
  if (core.replaced.size() > kReplacedKept) core.replaced.erase(core.replaced.begin());
}

}  // namespace

ScenarioResult run_store(const Case& of, const Observation& observe) {
  StoreRun run(of, observe);
  return run.run([&run](ProcessContext& process) { return std::make_unique<Store>(process, run); },
                 static_cast<std::uint32_t>(of.knobs["node.cores"]));
}

}  // namespace stele::sim
