// Nodes with journals and with owners whose segments have replicas on several of them: over simulated TCP,
// under faults. The chains are kept outside. What must hold, whatever happens:
//
//   - what was acknowledged is read back by every later owner, at its place, as it was appended, once;
//   - an owner that was replaced is told of nothing any more that the next one does not have;
//   - once all is well, an owner takes over and commits, also with one node down; and segments lie on nodes
//     that are there, on as many as they should if there are so many.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/shard_log.h"
#include "journal/testing/cluster_node.h"
#include "runtime/random.h"
#include "sim/network.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Random;
using runtime::Task;

constexpr std::uint32_t kShards = 2;

// What is known of a shard's log, outside of every process.
struct Ledger {
  std::vector<std::string> entries;  // as the present owner has it
  Epoch owner;
  Lsn began_at;   // where it began
  Lsn committed;  // by any owner
  Lsn trimmed;
};

struct Totals {
  std::uint64_t taken = 0, not_taken = 0, commits = 0, replaced = 0, trims = 0, reads = 0;
};

class NodeProgram;

struct Model : testing::ClusterModel {
  Model(std::uint64_t seed, Totals& sums)
      : ClusterModel(kShards), totals(sums), ledgers(kShards), world(seed, config_of(seed)) {
    Random& knobs = world.random(sim::Concern::kKnobs);
    const auto pick = [&](std::initializer_list<std::size_t> of) {
      return of.begin()[knobs.below(of.size())];
    };
    journal.store.directory = "/journal";
    journal.store.file_bytes = pick({64 << 10, 1 << 20});
    journal.store.max_batch_bytes = pick({1, 10'000, 1 << 20});
    client.tail_bytes = pick({0, 10'000, 1 << 20});
    replicas.remote.timeout = 2s;
    replicas.remote.probe = 100ms;
    replicas.remote.max_batch_bytes = pick({1, 4000, 1 << 20});
    replicas.remote.max_in_flight_bytes = pick({1, 20'000, 8 << 20});
    log.writer.max_kept_bytes = pick({20'000, 16 << 20});
    log.take.copy_bytes = pick({1, 5000, 1 << 20});
    log.take.give_up_after = 5s;
    log.replace_after = runtime::Duration(knobs.between(500'000'000, 10'000'000'000));
    log.segment_bytes = pick({5000, 100'000, 256 << 20});
    trims = knobs.chance(1, 3);  // else everything is read back in the end
    // Three with a journal, perhaps a fourth; perhaps one that has none.
    count = 3 + std::uint32_t(knobs.below(2));
    journals = count;
    if (knobs.chance(1, 3)) ++count;
    for (std::uint32_t number = 1; number <= count; ++number)
      hosts.push_back(&world.add_host(rpc::testing::host_of(number)));
    programs.resize(count);
  }
  static sim::WorldConfig config_of(std::uint64_t seed) {
    sim::WorldConfig config = sim::WorldConfig::draw(seed);
    config.network.window_bytes = std::max<std::size_t>(config.network.window_bytes, 16 << 10);
    config.network.read_bytes = std::max<std::size_t>(config.network.read_bytes, 1500);
    return config;
  }
  void require(bool holds, const std::string& what) {
    if (!holds) wrong.push_back(what);
  }

  Totals& totals;
  std::uint32_t count = 0, journals = 0;  // of nodes; of those that have one, which come first
  std::vector<Ledger> ledgers;
  std::vector<sim::Host*> hosts;
  std::vector<NodeProgram*> programs;
  ShardLogOptions log;
  bool trims = false, calm = false;
  std::vector<std::string> wrong;
  sim::World world;  // last: its programs use all of the above
};

// ---- an owner -------------------------------------------------------------------------------------------

class Owner final : public ShardLog::Listener {
 public:
  Owner(Model& model, NodeProgram& node, ShardId shard)
      : model_(model), node_(node), shard_(shard), ledger_(model.ledgers[shard.value]) {}

  // Takes the shard, and then works until it is lost, or has been replaced for a while.
  Task<void> run();
  bool taken() const { return taken_; }
  bool all_committed() const { return log_ && log_->committed() == log_->next(); }
  bool ended() const { return ended_; }
  const std::string& why_not() const { return why_not_; }
  const ShardLog* log() const { return log_.get(); }

 private:
  bool replaced() const { return ledger_.owner != log_->epoch(); }
  Task<bool> take();
  Task<bool> compare();
  Task<void> act(Random& random);
  Task<void> trim(Random& random);
  void append(Random& random);
  void on_committed(Lsn end) override;
  void on_lost(const Error& why) override;

  Model& model_;
  NodeProgram& node_;
  const ShardId shard_;
  Ledger& ledger_;
  std::unique_ptr<ShardLog> log_;
  Lsn told_;
  bool taken_ = false, ended_ = false, lost_ = false;
  std::string why_not_;
};

class NodeProgram final : public sim::Program {
 public:
  NodeProgram(sim::ProcessContext& process, Model& model, std::uint32_t number)
      : model_(model), number_(number), node_(process, model, number, number <= model.journals) {
    scope_.spawn(run());
  }
  ~NodeProgram() override {
    model_.programs[number_ - 1] = nullptr;
    model_.down.insert(NodeId(number_));
  }
  runtime::Runtime& core() const { return node_.core(); }
  ClusterReplicas& replicas() { return *node_.replicas; }
  std::shared_ptr<ChainKeeper> keeper() const { return node_.keeper(); }
  bool failed() const { return node_.failed(); }
  Owner& own(ShardId shard) {
    owners_.push_back(std::make_unique<Owner>(model_, *this, shard));
    scope_.spawn(owners_.back()->run());
    return *owners_.back();
  }
  bool ready() const { return node_.serves(); }

 private:
  Task<void> run() {
    co_await node_.start();
    model_.down.erase(NodeId(number_));
    Random random = core().random().fork();
    while (!model_.calm) {
      co_await runtime::sleep(core(), runtime::Duration(random.between(100'000'000, 8'000'000'000)));
      if (!model_.calm && owners_.size() < 40) own(ShardId(std::uint32_t(random.below(kShards))));
    }
  }

  Model& model_;
  const std::uint32_t number_;
  testing::ClusterNode node_;
  std::vector<std::unique_ptr<Owner>> owners_;
  runtime::Scope scope_;  // last
};

Task<void> Owner::run() {
  taken_ = co_await take();
  if (taken_) {
    ++model_.totals.taken;
    Random random = node_.core().random().fork();
    int left = 40;  // acts of one that was replaced
    while (!lost_ && (!replaced() || left-- > 0)) co_await act(random);
  } else {
    ++model_.totals.not_taken;
  }
  ended_ = true;
  log_.reset();
}

Task<bool> Owner::take() {
  auto logs = co_await ShardLog::take_over_all(node_.replicas(), node_.keeper(), {shard_}, model_.log);
  if (!logs) {
    why_not_ = logs.error().to_string();
    model_.require(logs.error().code != ErrorCode::kCorrupt, why_not_);
    co_return false;
  }
  log_ = std::move(logs->at(0));
  const Lsn next = log_->next();
  if (ledger_.owner < log_->epoch()) {
    model_.require(next >= ledger_.committed, "a take-over lost what was acknowledged");
    model_.require(next.value <= ledger_.entries.size(), "a take-over found what nobody appended");
    ledger_.entries.resize(next.value);
    ledger_.owner = log_->epoch();
    ledger_.began_at = next;
  }
  told_ = next;
  log_->set_listener(*this);
  co_return !replaced() && co_await compare();
}

// Whoever becomes the owner reads everything back, as it would for its state.
Task<bool> Owner::compare() {
  int misses = 0;
  const Lsn end = log_->next();
  for (Lsn at = ledger_.trimmed; at < end;) {
    ++model_.totals.reads;
    const auto entries = co_await log_->read(at, 20'000);
    if (replaced() || lost_) co_return false;
    if (at < ledger_.trimmed) {  // meanwhile
      at = ledger_.trimmed;
      continue;
    }
    if (!entries) {
      // One that holds it may be out of reach now, or a connection of before may end only now.
      model_.require(entries.error().code == ErrorCode::kUnavailable,
                     "reading: " + entries.error().to_string());
      if (model_.calm && ++misses > 20) {
        model_.require(false, "an entry below the end is nowhere: " + entries.error().to_string());
        co_return false;
      }
      co_await runtime::sleep(node_.core(), 100ms);
      if (replaced() || lost_) co_return false;
      continue;
    }
    model_.require(!entries->empty(), "no entry below the end");
    if (entries->empty()) co_return false;
    for (const LogEntry& entry : *entries) {
      if (at == end) break;
      model_.require(text_of(entry) == ledger_.entries.at(at.value),
                     "another entry than was appended, at " + std::to_string(at.value));
      ++at;
    }
  }
  co_return true;
}

Task<void> Owner::act(Random& random) {
  const bool enough = log_->next() - log_->committed() >= 60;
  if (!enough && log_->writable() && (!model_.calm || log_->next() == ledger_.began_at)) {
    for (std::uint64_t n = random.below(12); n > 0; --n) append(random);
  }
  if (random.chance(1, 20)) log_->roll();
  if (model_.trims && random.chance(1, 40)) co_await trim(random);
  if (lost_) co_return;
  co_await runtime::sleep(node_.core(), runtime::Duration(random.between(1, 60'000'000)));
}

// As a shard does: a snapshot, synced and published, and then the log may go.
Task<void> Owner::trim(Random& random) {
  const Lsn snapshot = log_->committed();
  const auto synced = co_await log_->sync();
  if (!synced || lost_ || replaced() || snapshot <= ledger_.trimmed) co_return;
  if (!model_.chains.publish(shard_, log_->epoch(), snapshot)) co_return;
  ledger_.trimmed += 1 + random.below(snapshot - ledger_.trimmed);
  log_->trim(ledger_.trimmed);
  ++model_.totals.trims;
}

void Owner::append(Random& random) {
  const std::string text = std::to_string(log_->epoch().value) + "." + std::to_string(log_->next().value) +
                           std::string(random.below(2000), 'x');
  if (!replaced() && !lost_) {
    model_.require(log_->next().value == ledger_.entries.size(), "an LSN that is not the next");
    ledger_.entries.push_back(text);
  }
  log_->append(entry_of(text));
}

void Owner::on_committed(Lsn end) {
  model_.require(end > told_ && end <= log_->next(), "a commit that makes no sense");
  ++model_.totals.commits;
  told_ = end;
  if (replaced()) {
    model_.require(end <= ledger_.began_at, "a replaced owner committed what the next one does not have");
    return;
  }
  ledger_.committed = std::max(ledger_.committed, end);
}

void Owner::on_lost(const Error& why) {
  model_.require(why.code == ErrorCode::kFenced, "ended with " + why.to_string());
  lost_ = true;
  ++model_.totals.replaced;
}

// ---- the world ------------------------------------------------------------------------------------------

class Trial {
 public:
  Trial(std::uint64_t seed, Totals& totals) : model_(seed, totals) {
    for (std::uint32_t number = 1; number <= model_.count; ++number) boot(number);
    model_.world.run_until([&] { return model_.disks.size() == model_.count; }, 1min);
  }
  std::vector<std::string> run() {
    Random& faults = model_.world.random(sim::Concern::kFaults);
    for (int i = 0; i < 60 && model_.wrong.empty(); ++i) {
      model_.world.run_for(runtime::Duration(faults.between(0, 700'000'000)));
      fault(faults);
    }
    if (model_.wrong.empty()) calm(faults);
    return model_.wrong;
  }
  std::uint64_t hash() const { return model_.world.hash(); }

 private:
  void boot(std::uint32_t number) {
    const auto cores = std::uint32_t(1 + model_.world.random(sim::Concern::kKnobs).below(2));
    model_.hosts[number - 1]->boot(cores, [this, number](sim::ProcessContext& process) {
      auto program = std::make_unique<NodeProgram>(process, model_, number);
      model_.programs[number - 1] = program.get();
      return program;
    });
  }
  void fault(Random& random) {
    sim::Fabric& fabric = model_.world.fabric();
    const std::size_t first = random.below(model_.count);
    const std::size_t second = (first + 1 + random.below(model_.count - 1)) % model_.count;
    sim::Host &a = *model_.hosts[first], &b = *model_.hosts[second];
    switch (random.below(13)) {
      case 0:
        fabric.cut_all(a, b);
        break;
      case 1:
        random.chance(1, 2) ? fabric.split(a, b) : fabric.split_one_way(a, b);
        break;
      case 2:
        fabric.half_open(a, b, random);
        break;
      case 3:
        fabric.stall_one(a, b, random);
        break;
      case 4:
        fabric.slow(a, b, 1u << random.below(8));
        break;
      case 5:
        if (a.running()) a.pause(runtime::Duration(random.between(0, 5'000'000'000)));
        break;
      case 6:
      case 7:
        if (a.running()) a.crash(random.chance(1, 2) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss);
        break;
      case 8:
        a.disk().set_free_bytes(random.chance(1, 2) ? UINT64_MAX : random.below(200'000));
        break;
      case 9:
        a.disk().faults().failing_syncs = 1;
        break;
      default:
        fabric.heal_all();
        revive();
    }
  }
  void revive() {
    for (std::uint32_t i = 0; i < model_.count; ++i) {
      if (model_.programs[i] && model_.programs[i]->failed()) model_.hosts[i]->crash(sim::CrashMode::kKill);
      if (model_.hosts[i]->down()) model_.hosts[i]->restart();
    }
  }
  // First all are there, and what is uncertain on one of them is known of the others. Then one goes down, and
  // those that are left go on.
  void calm(Random& random) {
    model_.calm = true;
    model_.world.fabric().heal_all();
    for (sim::Host* host : model_.hosts) {
      host->disk().set_free_bytes(UINT64_MAX);
      host->disk().faults() = {};
    }
    revive();
    model_.world.run_for(30s);
    const std::size_t down = random.below(model_.journals);
    settle_on((down + 2) % model_.count);
    if (!model_.wrong.empty()) return;
    model_.hosts[down]->crash(sim::CrashMode::kPowerLoss);
    settle_on((down + 1) % model_.count);
    if (!model_.wrong.empty()) return;
    model_.world.run_for(20s);
    require_places(down);
    model_.hosts[down]->restart();
    model_.world.run_for(20s);
    require_places(std::nullopt);
  }
  void settle_on(std::size_t index) {
    NodeProgram* const node = model_.programs[index];
    model_.require(node && node->ready(), "a node does not come up though all is well");
    for (std::uint32_t shard = 0; shard < kShards && node && node->ready(); ++shard)
      settle(*node, ShardId(shard));
  }
  void settle(NodeProgram& node, ShardId shard) {
    Owner* owner = nullptr;
    for (int i = 0; i < 10 && (!owner || !owner->taken()); ++i) {
      owner = nullptr;
      node.core().post(node.core().core(), [&] { owner = &node.own(shard); });
      model_.world.run_until([&] { return owner && (owner->taken() || owner->ended()); }, 1min);
    }
    model_.require(owner && owner->taken(),
                   "no owner though all is well: " + (owner ? owner->why_not() : ""));
    if (!owner || !owner->taken()) return;
    model_.world.run_for(5s);
    model_.world.run_until([&] { return owner->ended() || owner->all_committed(); }, 30s);
    model_.require(!owner->ended() && owner->all_committed(), "nothing commits though all is well");
  }
  // Open segments lie on as many nodes as they should, if there are so many, and on none that is down.
  void require_places(std::optional<std::size_t> down) {
    const std::size_t there = model_.journals - (down ? 1 : 0);
    for (const ShardId shard : model_.chains.all()) {
      const meta::Segment& segment = model_.chains.shard(shard).chain.back();
      model_.require(
          segment.replicas.size() == std::min<std::size_t>(there, 3),
          std::to_string(segment.replicas.size()) + " replicas, with " + std::to_string(there) + " nodes");
      for (const meta::Replica& replica : segment.replicas)
        model_.require(!down || replica.node != NodeId(std::uint32_t(*down + 1)),
                       "a replica on a node that is down");
    }
  }

  Model model_;
};

TEST(ReplicationInASimulation, WhatIsAcknowledgedSurvives) {
  Totals totals;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    EXPECT_EQ(Trial(seed, totals).run(), std::vector<std::string>()) << "seed " << seed;
  }
  std::printf("%lu taken, %lu not, %lu commits, %lu replaced, %lu trims, %lu reads\n", totals.taken,
              totals.not_taken, totals.commits, totals.replaced, totals.trims, totals.reads);
  EXPECT_GT(totals.taken, 200u);
  EXPECT_GT(totals.commits, 10'000u);
  EXPECT_GT(totals.replaced, 100u);
}

TEST(ReplicationInASimulation, OneSeedIsOneHistory) {
  const auto hash = [](std::uint64_t seed) {
    Totals totals;
    Trial trial(seed, totals);
    trial.run();
    return trial.hash();
  };
  EXPECT_EQ(hash(3), hash(3));
  EXPECT_NE(hash(3), hash(4));
}

}  // namespace
}  // namespace stele::journal
