// Three nodes, each with a journal and with owners whose segments have a replica on every node: over
// simulated TCP, under faults. The chains are kept outside. What must hold, whatever happens:
//
//   - what was acknowledged is read back by every later owner, at its place, as it was appended, once;
//   - an owner that was replaced is told of nothing any more that the next one does not have;
//   - once all is well, an owner takes over and commits, also with one node down.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/quorum_writer.h"
#include "journal/take_segment.h"
#include "journal/testing/replica_node.h"
#include "rpc/peers.h"
#include "runtime/random.h"
#include "sim/network.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Random;
using runtime::Task;

constexpr std::uint32_t kNodes = 3;
constexpr std::uint32_t kShards = 2;

// What is known of a shard's log, outside of every process.
struct Ledger {
  std::vector<std::string> entries;  // as the present owner has it
  Epoch owner;
  Lsn began_at;   // where it began
  Lsn committed;  // by any owner
};

struct Totals {
  std::uint64_t taken = 0, commits = 0, rolls = 0, replaced = 0, not_taken = 0;
};

class NodeProgram;

struct Model {
  Model(std::uint64_t seed, Totals& sums)
      : totals(sums), chains(kShards), ledgers(kShards), world(seed, config_of(seed)) {
    Random& knobs = world.random(sim::Concern::kKnobs);
    const auto pick = [&](std::initializer_list<std::size_t> of) {
      return of.begin()[knobs.below(of.size())];
    };
    journal.store.directory = "/journal";
    journal.store.file_bytes = pick({64 << 10, 1 << 20});
    journal.store.max_batch_bytes = pick({1, 10'000, 1 << 20});
    remote.timeout = 2s;
    remote.probe = 100ms;
    remote.max_batch_bytes = pick({1, 4000, 1 << 20});
    remote.max_in_flight_bytes = pick({1, 20'000, 8 << 20});
    writer.max_kept_bytes = pick({20'000, 16 << 20});
    take.copy_bytes = pick({1, 5000, 1 << 20});
    take.give_up_after = 5s;
    for (std::uint32_t number = 1; number <= kNodes; ++number)
      hosts.push_back(&world.add_host(rpc::testing::host_of(number)));
    programs.resize(kNodes);
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
  ModelChains chains;
  std::vector<Ledger> ledgers;
  std::map<NodeId, std::uint64_t> disks;  // as nodes have registered them
  std::vector<sim::Host*> hosts;
  std::vector<NodeProgram*> programs;
  JournalOptions journal;
  RemoteReplicaOptions remote;
  QuorumWriterOptions writer;
  TakeSegmentOptions take;
  bool calm = false;
  std::vector<std::string> wrong;
  sim::World world;  // last: its programs use all of the above
};

// ---- an owner -------------------------------------------------------------------------------------------

class Owner final : public AppendListener {
 public:
  Owner(Model& model, NodeProgram& node, ShardId shard)
      : model_(model), node_(node), shard_(shard), ledger_(model.ledgers[shard.value]) {}

  // Takes the shard, and then works until it is lost, or has been replaced for a while.
  Task<void> run();
  bool taken() const { return taken_; }
  bool all_committed() const { return committed_ == next_; }
  bool ended() const { return ended_; }
  const std::string& why_not() const { return why_not_; }

 private:
  bool replaced() const { return ledger_.owner != epoch_; }
  Task<bool> take();
  Task<bool> compare(const meta::Segment& segment, Lsn end);
  Task<bool> open(std::optional<SegmentId> last, Lsn end);
  void append(std::string text);
  void on_stored(std::uint64_t end) override;
  void on_append_failed(const Error& why) override;

  Model& model_;
  NodeProgram& node_;
  const ShardId shard_;
  Ledger& ledger_;
  Epoch epoch_;
  meta::Segment segment_;          // the open one
  std::vector<std::string> tail_;  // not committed
  Lsn committed_, next_;
  bool taken_ = false, ended_ = false, lost_ = false, roll_ = false;
  std::size_t ask_ = 0;  // whoever had something to read
  std::string why_not_;
  std::unique_ptr<SegmentWriter> writer_;
};

class NodeProgram final : public sim::Program {
 public:
  NodeProgram(sim::ProcessContext& process, Model& model, std::uint32_t number)
      : model_(model), number_(number) {
    node.process = &process;
    node.chains = &model.chains;
    self_ = rpc::testing::identity(number);
    self_.incarnation = process.incarnation();
    scope_.spawn(run());
  }
  ~NodeProgram() override { model_.programs[number_ - 1] = nullptr; }
  runtime::Runtime& core() const { return node.core(std::uint32_t(node.process->cores().size()) - 1); }
  std::shared_ptr<ChainKeeper> keeper() const {
    return std::make_shared<ModelKeeper>(core(), model_.chains, NodeId(number_));
  }
  bool failed() const { return node.server && node.server->store().failed(); }
  // Of those that a chain names; null: another disk is in its place here.
  std::vector<SegmentReplica*> find(const std::vector<meta::Replica>& named) {
    std::vector<SegmentReplica*> found;
    for (const meta::Replica& replica : named) {
      if (replica.node == NodeId(number_)) {
        JournalClient& here = *node.clients.back();
        found.push_back(here.disk() == replica.disk ? &here : nullptr);
        continue;
      }
      auto& remote = remotes_[replica];
      if (!remote)
        remote = std::make_unique<RemoteReplica>(core(), *peers_->find(replica.node), replica, model_.remote);
      found.push_back(remote.get());
    }
    return found;
  }
  Owner& own(ShardId shard) {
    owners_.push_back(std::make_unique<Owner>(model_, *this, shard));
    scope_.spawn(owners_.back()->run());
    return *owners_.back();
  }
  bool ready() const { return ready_; }

  TestNode node;

 private:
  Task<void> run() {
    while (!co_await node.open(model_.journal, {})) co_await runtime::sleep(node.core(0), 50ms);
    co_await go_to(node.core(0), core().core());
    model_.disks[NodeId(number_)] = node.server->store().incarnation();
    peers_ = std::make_unique<rpc::Peers>(core(), self_, rpc::ChannelOptions{});
    for (std::uint32_t other = 1; other <= kNodes; ++other) {
      if (other != number_) peers_->set(NodeId(other), {rpc::testing::host_of(other), rpc::testing::kPort});
    }
    rpc_ =
        std::make_unique<rpc::Server>(core(), self_, rpc::ServerOptions{.open_without_certificates = true});
    service_ = std::make_unique<ReplicaService>(*rpc_, *node.clients.back());
    STELE_ASSERT(rpc_->listen(core().network(), {"0.0.0.0", rpc::testing::kPort}));
    while (!co_await remove_orphans(*node.clients.back(), keeper(), model_.chains.all()))
      co_await runtime::sleep(core(), 50ms);
    ready_ = true;
    Random random = core().random().fork();
    while (!model_.calm) {
      co_await runtime::sleep(core(), runtime::Duration(random.between(100'000'000, 8'000'000'000)));
      if (!model_.calm && owners_.size() < 40) own(ShardId(std::uint32_t(random.below(kShards))));
    }
  }

  Model& model_;
  const std::uint32_t number_;
  rpc::Identity self_;
  bool ready_ = false;
  std::unique_ptr<rpc::Peers> peers_;
  std::unique_ptr<ReplicaService> service_;
  std::unique_ptr<rpc::Server> rpc_;
  std::map<meta::Replica, std::unique_ptr<RemoteReplica>> remotes_;
  std::vector<std::unique_ptr<Owner>> owners_;
  runtime::Scope scope_;  // last
};

Task<void> Owner::run() {
  taken_ = co_await take();
  if (!taken_) {
    ++model_.totals.not_taken;
    ended_ = true;
    co_return;
  }
  ++model_.totals.taken;
  runtime::Runtime& core = node_.core();
  Random random = core.random().fork();
  int left = 40;  // acts of one that was replaced
  while (!lost_ && (!replaced() || left-- > 0)) {
    if (tail_.size() < 60 && (!model_.calm || next_ == ledger_.began_at)) {
      for (std::uint64_t n = random.below(12); n > 0; --n)
        append(std::to_string(epoch_.value) + "." + std::to_string(next_.value) +
               std::string(random.below(2000), 'x'));
    }
    if (roll_ || (committed_ > segment_.base && random.chance(1, 20))) {
      // Frozen from here on: nothing of the old segment counts.
      writer_.reset();
      roll_ = false;
      ++model_.totals.rolls;
      if (!co_await open(segment_.id, committed_)) break;
    }
    co_await runtime::sleep(core, runtime::Duration(random.between(1, 60'000'000)));
  }
  writer_.reset();
  ended_ = true;
}

Task<bool> Owner::take() {
  auto shards = co_await node_.keeper()->take({shard_});
  if (!shards) co_return false;
  epoch_ = shards->at(0).epoch;
  const std::vector<meta::Segment> chain = shards->at(0).chain;
  Lsn end(0);
  if (!chain.empty()) {
    const auto taken = co_await take_segment(node_.core(), node_.find(chain.back().replicas), chain.back().id,
                                             epoch_, model_.take);
    if (!taken) {
      why_not_ = taken.error().to_string();
      co_return false;
    }
    end = chain.back().base + taken->end;
  }
  if (!co_await open(chain.empty() ? std::nullopt : std::optional(chain.back().id), end)) co_return false;
  for (const meta::Segment& segment : chain) {
    if (!co_await compare(segment, segment.end.value_or(end))) co_return false;
  }
  co_return !replaced();
}

// Seals and opens; of a take-over this is the moment from which it is the owner.
Task<bool> Owner::open(std::optional<SegmentId> last, Lsn end) {
  std::vector<meta::Replica> replicas;
  for (const auto& [node, disk] : model_.disks) replicas.push_back({node, disk});
  auto answers = co_await node_.keeper()->seal_and_open(
      {{.shard = shard_, .epoch = epoch_, .last = last, .end = end, .replicas = replicas}});
  if (!answers || !answers->at(0)) co_return false;
  segment_ = answers->at(0)->opened;
  if (ledger_.owner < epoch_) {
    model_.require(end >= ledger_.committed, "a take-over lost what was acknowledged");
    model_.require(end.value <= ledger_.entries.size(), "a take-over found what nobody appended");
    ledger_.entries.resize(end.value);
    ledger_.owner = epoch_;
    ledger_.began_at = committed_ = next_ = end;
  }
  if (replaced()) co_return false;
  const auto found = node_.find(segment_.replicas);
  if (!co_await begin_segment(node_.core(), found, segment_.id, epoch_)) co_return false;
  writer_ = std::make_unique<QuorumWriter>(node_.core(), found, segment_.id, epoch_, *this, model_.writer);
  for (const std::string& text : tail_) writer_->append(entry_of(text));
  co_return true;
}

// Whoever becomes the owner reads everything back, as it would for its state.
Task<bool> Owner::compare(const meta::Segment& segment, Lsn end) {
  int misses = 0;
  for (Lsn at = segment.base; at < end;) {
    Result<std::vector<LogEntry>> entries = error(ErrorCode::kUnavailable, "nobody to ask");
    const auto replicas = node_.find(segment.replicas);
    for (std::size_t tries = 0; tries < replicas.size(); ++tries, ++ask_) {
      SegmentReplica* const replica = replicas[ask_ % replicas.size()];
      if (!replica) continue;
      entries = co_await replica->read(segment.id, index_in(segment, at), 20'000);
      if (entries && !entries->empty()) break;
    }
    if (replaced() || lost_) co_return false;
    if (!entries || entries->empty()) {
      // One that holds it may be out of reach now, or a connection of before may end only now.
      if (model_.calm && ++misses > 20) {
        model_.require(false, "an entry below the end is nowhere");
        co_return false;
      }
      co_await runtime::sleep(node_.core(), 100ms);
      continue;
    }
    for (const LogEntry& entry : *entries) {
      if (at == end) break;
      model_.require(text_of(entry) == ledger_.entries.at(at.value),
                     "another entry than was appended, at " + std::to_string(at.value));
      ++at;
    }
  }
  co_return true;
}

void Owner::append(std::string text) {
  if (!replaced()) ledger_.entries.push_back(text);
  writer_->append(entry_of(text));
  tail_.push_back(std::move(text));
  ++next_;
}

void Owner::on_stored(std::uint64_t end) {
  const Lsn lsn = segment_.base + end;
  model_.require(lsn > committed_ && lsn <= next_, "a commit that makes no sense");
  ++model_.totals.commits;
  tail_.erase(tail_.begin(), tail_.begin() + std::ptrdiff_t(lsn - committed_));
  committed_ = lsn;
  if (replaced()) {
    model_.require(lsn <= ledger_.began_at, "a replaced owner committed what the next one does not have");
    return;
  }
  ledger_.committed = std::max(ledger_.committed, lsn);
}

void Owner::on_append_failed(const Error& why) {
  if (why.code == ErrorCode::kUnavailable) {
    roll_ = committed_ > segment_.base;
    lost_ = !roll_;
    return;
  }
  model_.require(why.code == ErrorCode::kFenced, "ended with " + why.to_string());
  lost_ = true;
  ++model_.totals.replaced;
}

// ---- the world ------------------------------------------------------------------------------------------

class Trial {
 public:
  Trial(std::uint64_t seed, Totals& totals) : model_(seed, totals) {
    for (std::uint32_t number = 1; number <= kNodes; ++number) boot(number);
    model_.world.run_until([&] { return model_.disks.size() == kNodes; }, 1min);
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
    const std::size_t first = random.below(kNodes), second = (first + 1 + random.below(kNodes - 1)) % kNodes;
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
    for (std::uint32_t i = 0; i < kNodes; ++i) {
      if (model_.programs[i] && model_.programs[i]->failed()) model_.hosts[i]->crash(sim::CrashMode::kKill);
      if (model_.hosts[i]->down()) model_.hosts[i]->restart();
    }
  }
  // First all are there, and what is uncertain on one of them is known of the others. Then one goes down, and
  // the two that are left go on.
  void calm(Random& random) {
    model_.calm = true;
    model_.world.fabric().heal_all();
    for (sim::Host* host : model_.hosts) {
      host->disk().set_free_bytes(UINT64_MAX);
      host->disk().faults() = {};
    }
    revive();
    model_.world.run_for(30s);
    const std::size_t down = random.below(kNodes);
    settle_on((down + 2) % kNodes);
    if (!model_.wrong.empty()) return;
    model_.hosts[down]->crash(sim::CrashMode::kPowerLoss);
    settle_on((down + 1) % kNodes);
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
    model_.world.run_until([&] { return owner->all_committed(); }, 30s);
    model_.require(owner->all_committed() && !owner->ended(), "nothing commits though all is well");
  }

  Model model_;
};

TEST(ReplicationInASimulation, WhatIsAcknowledgedSurvives) {
  Totals totals;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    EXPECT_EQ(Trial(seed, totals).run(), std::vector<std::string>()) << "seed " << seed;
  }
  std::printf("%llu taken, %llu not, %llu commits, %llu rolls, %llu replaced\n",
              static_cast<unsigned long long>(totals.taken),
              static_cast<unsigned long long>(totals.not_taken),
              static_cast<unsigned long long>(totals.commits), static_cast<unsigned long long>(totals.rolls),
              static_cast<unsigned long long>(totals.replaced));
  EXPECT_GT(totals.taken, 200u);
  EXPECT_GT(totals.commits, 10'000u);
  EXPECT_GT(totals.rolls, 300u);
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
