// Shard logs against vectors, in worlds that crash, run out of space, lose answers of the keeper of chains,
// and have second owners while the first still lives. What must hold, whatever happens:
//
//   - what was committed is read back by every later owner, as it was appended, until it is trimmed;
//   - LSNs are dense: an owner begins where the log of the one before ends, and what lies there is a prefix
//   of
//     what that one appended;
//   - an owner that has been replaced commits nothing any more;
//   - once nothing goes wrong any longer, everything commits.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "journal/shard_log.h"
#include "journal/testing/test_node.h"
#include "runtime/scope.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Task;

// What is known of one shard's log, outside of every process.
struct Ledger {
  std::vector<std::string> entries;  // as the present owner has it
  Epoch owner;
  Lsn began_at;   // where the present owner began
  Lsn committed;  // by any owner
  Lsn safe;       // of that, what is on the disk
  Lsn held;       // what survives the process; the machine too, if it is on the disk
  Lsn trimmed;
  std::uint64_t takes = 0, commits = 0, reads = 0, trims = 0;
};

struct Knobs {
  JournalOptions journal;
  JournalClientOptions client;
  ShardLogOptions log;
  std::size_t entry_bytes = 0;
};

Knobs draw(runtime::Random& random) {
  Knobs knobs;
  const auto pick = [&](std::initializer_list<std::size_t> of) {
    return of.begin()[random.below(of.size())];
  };
  knobs.journal.store.directory = "/journal";
  knobs.journal.store.file_bytes = pick({32 << 10, 256 << 10, 4 << 20});
  knobs.journal.store.max_batch_bytes = pick({1, 4000, 1 << 20});
  knobs.journal.store.tail_cache_bytes = pick({0, 10'000, 1 << 20});
  knobs.journal.max_in_flight_bytes = pick({1, 5000, 1 << 20});
  knobs.client.tail_bytes = pick({0, 3000, 100'000});
  knobs.client.max_pending_bytes = pick({1000, 20'000, 1 << 20});
  knobs.log.segment_bytes = pick({1, 500, 10'000, 200'000});
  knobs.log.max_pending_bytes = pick({500, 5000, 1 << 20});
  knobs.entry_bytes = pick({10, 100, 2000});
  knobs.journal.store.durability =
      random.chance(1, 4) ? storage::Durability::kFlush : storage::Durability::kFsync;
  return knobs;
}

class ModelProgram;

struct Model {
  static constexpr std::uint32_t kShards = 3;
  explicit Model(std::uint64_t seed)
      : world(seed, sim::WorldConfig::draw(seed)),
        random(seed),
        host(world.add_host("node")),
        chains(kShards),
        ledgers(kShards),
        knobs(draw(random)) {
    chains.later = [this](std::function<void()> act) {
      world.after(runtime::Duration(random.between(1, 1'000'000'000)), [act] { act(); });
    };
  }
  bool fsync() const { return knobs.journal.store.durability == storage::Durability::kFsync; }

  sim::World world;
  runtime::Random random;
  sim::Host& host;
  ModelChains chains;
  std::vector<Ledger> ledgers;
  Knobs knobs;
  ModelProgram* program = nullptr;  // of the process that runs
  bool quiet = false;               // nothing goes wrong any more, and nothing new is begun
  bool failed = false;              // the process is of no use any more
  std::uint64_t owners_lost = 0, starts_failed = 0;
};

// ---- an owner -------------------------------------------------------------------------------------------

class Owner final : public ShardLog::Listener {
 public:
  Owner(Model& model, runtime::Runtime& core, std::unique_ptr<ShardLog> log)
      : model_(model),
        core_(core),
        ledger_(model.ledgers[log->shard().value]),
        log_(std::move(log)),
        epoch_(log_->epoch()) {}

  // Reads everything back, and from then on it is the owner.
  Task<bool> begin() {
    EXPECT_GT(epoch_, ledger_.owner);
    const Lsn next = log_->next();
    EXPECT_GE(next, std::max(ledger_.safe, ledger_.held)) << "lost what was committed";
    EXPECT_LE(next.value, ledger_.entries.size()) << "entries that nobody appended";
    EXPECT_LE(log_->begin(), std::max(ledger_.trimmed, log_->snapshot() ? log_->snapshot()->lsn : Lsn(0)));
    if (testing::Test::HasFailure()) co_return false;
    // An owner before may go on for a while: what it appends is not in this log.
    ledger_.owner = epoch_;
    ledger_.began_at = next;
    ledger_.entries.resize(next.value);
    ledger_.committed = std::min(ledger_.committed, next);
    ledger_.safe = ledger_.held = next;  // a fence syncs
    ++ledger_.takes;
    log_->set_listener(*this);
    co_await compare(ledger_.trimmed, next);
    co_return !testing::Test::HasFailure();
  }

  Task<void> act() {
    runtime::Random& random = core_.random();
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
        if (model_.quiet || log_->congested() || !log_->writable()) break;
        for (std::uint64_t n = random.below(20) + 1; n > 0; --n) append(random);
        break;
      case 3:
        co_await compare_some(random);
        break;
      case 4:
        log_->roll();
        break;
      case 5:
        if (random.chance(1, 4)) co_await trim(random);
        break;
      case 6:
        if (random.chance(1, 8)) co_await sync();
        break;
      default:
        co_await runtime::sleep(core_, runtime::Duration(random.between(1, 20'000'000)));
    }
    co_await runtime::sleep(core_, runtime::Duration(random.between(1, 2'000'000)));
  }

  bool lost() const { return lost_; }
  bool replaced() const { return ledger_.owner != epoch_; }
  ShardId shard() const { return log_->shard(); }
  bool all_committed() const { return log_->committed() == log_->next(); }

 private:
  void append(runtime::Random& random) {
    std::string text = std::to_string(epoch_.value) + "." + std::to_string(log_->next().value) + ":";
    text.append(random.below(model_.knobs.entry_bytes), static_cast<char>('a' + random.below(26)));
    if (!replaced() && !log_->lost()) {
      EXPECT_EQ(log_->next().value, ledger_.entries.size());
      ledger_.entries.push_back(text);
    }
    log_->append(entry_of(text));
  }

  Task<void> compare_some(runtime::Random& random) {
    if (replaced()) co_return;
    const Lsn begin = ledger_.trimmed, end = log_->next();
    if (begin == end) co_return;
    const Lsn from = begin + random.below(end - begin);
    co_await compare(from, std::min(end, from + 1 + random.below(30)));
  }

  Task<void> compare(Lsn from, Lsn to) {
    while (from < to && !replaced()) {
      ++ledger_.reads;
      const std::size_t bytes = core_.random().below(5000);
      auto entries = co_await log_->read(from, bytes);
      if (from < ledger_.trimmed || replaced()) co_return;  // meanwhile
      if (!entries) {
        ADD_FAILURE() << "reading " << from.value << ": " << entries.error().to_string();
        co_return;
      }
      EXPECT_FALSE(entries->empty());
      if (entries->empty()) co_return;
      for (const LogEntry& entry : *entries) {
        EXPECT_EQ(text_of(entry), ledger_.entries.at(from.value)) << "entry " << from.value;
        ++from;
      }
    }
  }

  Task<void> sync() {
    const Lsn until = log_->committed();
    auto synced = co_await log_->sync();
    if (synced && !replaced()) ledger_.safe = std::max(ledger_.safe, until);
  }

  // As a shard does: a snapshot, synced and published, and then the log may go.
  Task<void> trim(runtime::Random& random) {
    const Lsn snapshot = log_->committed();
    if (!co_await log_->sync() || replaced() || log_->lost()) co_return;
    if (!model_.chains.publish(shard(), epoch_, snapshot)) co_return;
    ledger_.safe = std::max(ledger_.safe, snapshot);
    if (snapshot <= ledger_.trimmed) co_return;
    ledger_.trimmed += 1 + random.below(snapshot - ledger_.trimmed);
    log_->trim(ledger_.trimmed);
    ++ledger_.trims;
  }

  void on_committed(Lsn end) override {
    EXPECT_FALSE(lost_);
    ++ledger_.commits;
    if (replaced()) {
      EXPECT_LE(end, ledger_.began_at) << "an owner before committed what the present one does not have";
      return;
    }
    EXPECT_GT(end, ledger_.committed);
    ledger_.committed = end;
    ledger_.held = end;
    if (model_.fsync()) ledger_.safe = end;
  }

  void on_lost(const Error& why) override {
    EXPECT_FALSE(lost_);
    EXPECT_TRUE(why.code == ErrorCode::kFenced || why.code == ErrorCode::kIo) << why.to_string();
    lost_ = true;
    ++model_.owners_lost;
  }

  Model& model_;
  runtime::Runtime& core_;
  Ledger& ledger_;
  std::unique_ptr<ShardLog> log_;
  const Epoch epoch_;
  bool lost_ = false;
};

// ---- a process ------------------------------------------------------------------------------------------

struct CoreOfModel {
  std::vector<std::unique_ptr<Owner>> owners;
  runtime::Scope scope;
};

struct ProcessOfModel {
  TestNode node;
  std::vector<std::unique_ptr<CoreOfModel>> cores;
};

Task<bool> take(Model& model, ProcessOfModel& process, std::uint32_t core, std::vector<ShardId> shards);

Task<void> own(Model& model, ProcessOfModel& process, std::uint32_t core, Owner* owner) {
  if (!co_await owner->begin()) co_return;
  runtime::Runtime& here = process.node.core(core);
  int acts_left = 30;  // of one that was replaced
  while (!owner->lost() && !testing::Test::HasFailure()) {
    if (owner->replaced() && acts_left-- == 0) co_return;
    co_await owner->act();
    if (!model.quiet && !owner->replaced() && here.random().chance(1, 300)) {
      co_await take(model, process, core, {owner->shard()});
    }
  }
  // Lost although nobody else has it: begin again.
  while (owner->lost() && !owner->replaced() && !testing::Test::HasFailure()) {
    co_await runtime::sleep(here, 20ms);
    if (co_await take(model, process, core, {owner->shard()})) co_return;
  }
}

Task<bool> take(Model& model, ProcessOfModel& process, std::uint32_t core, std::vector<ShardId> shards) {
  CoreOfModel& mine = *process.cores[core];
  if (mine.owners.size() > 100) co_return false;
  auto logs = co_await ShardLog::take_over_all(process.node.replicas(core), process.node.keeper(core), shards,
                                               model.knobs.log);
  if (!logs) {
    EXPECT_TRUE(logs.error().code != ErrorCode::kCorrupt) << logs.error().to_string();
    ++model.starts_failed;
    co_return false;
  }
  for (auto& log : *logs) {
    mine.owners.push_back(std::make_unique<Owner>(model, process.node.core(core), std::move(log)));
    mine.scope.spawn(own(model, process, core, mine.owners.back().get()));
  }
  co_return true;
}

Task<void> run_core(Model& model, ProcessOfModel& process, std::uint32_t core) {
  co_await go_to(process.node.core(0), CoreId(core));
  std::vector<ShardId> shards;
  for (std::uint32_t id = core; id < Model::kShards; id += static_cast<std::uint32_t>(process.cores.size()))
    shards.push_back(ShardId(id));
  while (!shards.empty() && !co_await take(model, process, core, shards))
    co_await runtime::sleep(process.node.core(core), 50ms);
}

class ModelProgram final : public sim::Program {
 public:
  ModelProgram(Model& model, sim::ProcessContext& process) : model_(model) {
    process_.node.process = &process;
    process_.node.chains = &model.chains;
    for (std::size_t i = 0; i < process.cores().size(); ++i)
      process_.cores.push_back(std::make_unique<CoreOfModel>());
    model_.program = this;
    scope_.spawn(run());
  }
  ~ModelProgram() override {
    model_.program = nullptr;
    for (auto& core : process_.cores) core.reset();
  }
  // The store has given up; nothing but another process helps.
  bool failed() const { return process_.node.server && process_.node.server->store().failed(); }
  bool all_committed() const {
    std::size_t owners = 0;
    for (const auto& core : process_.cores) {
      for (const auto& owner : core->owners) {
        if (owner->replaced()) continue;
        ++owners;
        if (owner->lost() || !owner->all_committed()) return false;
      }
    }
    return owners == Model::kShards;
  }

 private:
  Task<void> run() {
    while (true) {
      auto opened = co_await process_.node.open(model_.knobs.journal, model_.knobs.client);
      if (opened) break;
      EXPECT_TRUE(opened.error().code != ErrorCode::kCorrupt) << opened.error().to_string();
      ++model_.starts_failed;
      co_await runtime::sleep(process_.node.core(0), 50ms);
    }
    [[maybe_unused]] auto orphans =
        co_await remove_orphans(process_.node.client(0), process_.node.keeper(0), model_.chains.all());
    for (std::uint32_t core = 0; core < process_.cores.size(); ++core)
      scope_.spawn(run_core(model_, process_, core));
  }

  Model& model_;
  ProcessOfModel process_;
  runtime::Scope scope_;
};

// ---- the world ------------------------------------------------------------------------------------------

void disturb(Model& model) {
  runtime::Random& random = model.random;
  switch (random.below(10)) {
    case 0:
    case 1:
      model.chains.reachable = !model.chains.reachable;
      break;
    case 2:
      model.chains.lost_answers_of_8 = static_cast<std::uint32_t>(random.below(9));
      model.chains.late_of_8 = static_cast<std::uint32_t>(random.below(9));
      break;
    case 3:
      model.host.disk().set_free_bytes(random.chance(1, 2) ? UINT64_MAX : random.below(100'000));
      break;
    case 4:
      if (model.fsync()) model.host.disk().faults().failing_syncs = 1;
      break;
    case 5:
    case 6:
      if (model.host.running()) {
        auto mode = random.chance(1, 2) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss;
        if (random.chance(1, 2)) {
          if (!model.fsync()) mode = sim::CrashMode::kKill;
          model.host.crash_at_file_operation(1 + random.below(30), mode);
        } else {
          if (mode == sim::CrashMode::kPowerLoss) {
            for (Ledger& ledger : model.ledgers) ledger.held = ledger.safe;
          }
          model.host.crash(mode);
        }
      }
      break;
    default:
      break;
  }
  if (model.program && model.program->failed()) model.host.crash(sim::CrashMode::kKill);
  if (!model.host.running()) model.host.restart(static_cast<std::uint32_t>(1 + random.below(3)));
}

void heal(Model& model) {
  model.quiet = true;
  model.chains.reachable = true;
  model.chains.lost_answers_of_8 = 0;
  model.host.disk().set_free_bytes(UINT64_MAX);
  model.host.disk().faults() = {};
  model.host.cancel_planned_crash();
  if (model.program && model.program->failed()) model.host.crash(sim::CrashMode::kKill);
  if (!model.host.running()) model.host.restart();
}

struct Totals {
  std::uint64_t takes = 0, commits = 0, reads = 0, trims = 0, crashes = 0, lost = 0;
};

std::uint64_t run_model(std::uint64_t seed, Totals* totals) {
  Model model(seed);
  model.host.boot(
      1, [&](sim::ProcessContext& process) { return std::make_unique<ModelProgram>(model, process); });
  for (int i = 0; i < 60 && !testing::Test::HasFailure(); ++i) {
    const auto result = model.world.run_for(runtime::Duration(model.random.between(1'000'000, 400'000'000)));
    EXPECT_FALSE(result.broken()) << result.detail;
    disturb(model);
  }
  heal(model);
  const auto result = model.world.run_until(
      [&] { return testing::Test::HasFailure() || (model.program && model.program->all_committed()); }, 2min);
  EXPECT_EQ(result.reason, sim::StopReason::kDone)
      << "no progress: " << result.detail << model.world.trace().text();
  for (const Ledger& ledger : model.ledgers) {
    totals->takes += ledger.takes, totals->commits += ledger.commits, totals->reads += ledger.reads;
    totals->trims += ledger.trims;
  }
  totals->crashes += model.host.crashes();
  totals->lost += model.owners_lost;
  return model.world.hash();
}

TEST(ShardLogModel, HoldsWhateverHappens) {
  Totals totals;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run_model(seed, &totals);
    if (HasFailure()) return;
  }
  std::printf("takes=%lu commits=%lu reads=%lu trims=%lu crashes=%lu lost=%lu\n", totals.takes,
              totals.commits, totals.reads, totals.trims, totals.crashes, totals.lost);
  // Too little would prove nothing.
  EXPECT_GT(totals.takes, 1000u);
  EXPECT_GT(totals.commits, 10'000u);
  EXPECT_GT(totals.reads, 10'000u);
  EXPECT_GT(totals.trims, 300u);
  EXPECT_GT(totals.crashes, 300u);
  EXPECT_GT(totals.lost, 100u);
}

TEST(ShardLogModel, OneSeedOneHash) {
  Totals totals;
  for (std::uint64_t seed : {3u, 4u}) EXPECT_EQ(run_model(seed, &totals), run_model(seed, &totals));
}

}  // namespace
}  // namespace stele::journal
