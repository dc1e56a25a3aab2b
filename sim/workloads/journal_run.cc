// Three to five nodes with journals, of which the first three vote for the metadata, and owners of shards on
// all of them: segment stores, replicas over rpc, meta services, controllers and leases as in a cluster, and
// nothing of a broker. Shards are moved all the time, nodes crash and are cut off, the last one comes later,
// some are to leave, and the first one loses its journal now and then: all of it, or its tail. JournalLedger
// says what may come of it; in the end all segments have all their replicas again, and each of these has all.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/quorum.h"
#include "journal/replica_service.h"
#include "journal/server.h"
#include "runtime/scope.h"
#include "sim/faults.h"
#include "sim/host.h"
#include "sim/scenario.h"
#include "sim/workloads/garble.h"
#include "sim/workloads/journal_clients.h"
#include "sim/workloads/meta_member.h"
#include "sim/workloads/node_knobs.h"
#include "sim/workloads/storage_run.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;
using journal::ShardLog;
using runtime::Task;

namespace {

constexpr Duration kCalmDown = 10min;
constexpr std::uint32_t kVoters = 3, kShards = 3;
constexpr std::int64_t kActs = 1500;  // of an owner, in a run of any length
constexpr std::size_t kOwnersKept = 8;
constexpr Duration kBetweenMoves = 12s;  // on average, of each node
constexpr Duration kBetweenLooks = 1s;   // at the chains
const std::string kJournal = "/journal";

std::string host_of(std::uint32_t number) {
  return "j" + std::to_string(number);
}

struct NodeOptions {
  MetaMemberOptions meta;
  journal::JournalOptions journal;
  journal::JournalClientOptions client;
  journal::ClusterReplicasOptions replicas;
};

NodeOptions node_options(const Knobs& knobs) {
  NodeOptions out;
  out.meta = meta_options(knobs, kVoters, journal_nodes(knobs), host_of);
  out.meta.shards = kShards;
  out.journal.store = store_options(knobs);
  out.journal.store.durability = storage::Durability::kFsync;
  out.journal.store.directory = kJournal;
  out.journal.max_in_flight_bytes = knobs["journal.in_flight_bytes"];
  out.client.tail_bytes = knobs["log.tail_bytes"] / 16;
  out.replicas.remote.timeout = 2s;
  out.replicas.remote.probe = 200ms;
  out.replicas.remote.max_batch_bytes = knobs["journal.batch_bytes"];
  out.replicas.remote.max_in_flight_bytes = knobs["journal.peer_in_flight_bytes"];
  return out;
}

journal::ShardLogOptions log_options(const Knobs& knobs) {
  journal::ShardLogOptions out;
  out.segment_bytes = knobs["log.segment_bytes"] / 8;
  out.replace_after = Duration(knobs["journal.replace_after_ns"]);
  out.repair_after = Duration(knobs["journal.repair_after_ns"]);
  out.look_after = 2s;
  out.repair.copy_bytes = out.take.copy_bytes = knobs["journal.copy_bytes"];
  out.writer.max_kept_bytes = knobs["journal.kept_bytes"];
  out.take.give_up_after = 5s;
  return out;
}

class JournalRun;

class JournalNode final : public Program {
 public:
  JournalNode(ProcessContext& process, JournalRun& run, const NodeOptions& options, NodeId self);
  void on_terminate() override {
    if (std::exchange(stopping_, true)) return;
    scope_.spawn(stop(*this));
  }

  const MetaMember& member() const { return member_; }
  bool serving() const { return serving_ && !stopping_; }
  std::uint64_t disk() const { return journal_ ? journal_->store().incarnation() : 0; }
  const journal::JournalServer* journal() const { return journal_.get(); }
  // Of the shard, in the highest epoch that this process has taken; null: none.
  JournalOwner* owner(ShardId shard) const;
  // Reads every replica of the shards that it owns.
  void look() {
    looked_.reset();
    last_core().post(last_core().core(), [this] { owners_scope_->spawn(look_once(*this)); });
  }
  std::optional<bool> looked() const { return looked_; }

 private:
  static Task<void> run(JournalNode& self);
  static Task<bool> open_journal(JournalNode& self);
  static Task<void> stop(JournalNode& self);
  static Task<void> own(JournalNode& self);
  static Task<void> take(JournalNode& self, std::vector<ShardId> shards);
  static Task<void> act_as_operator(JournalNode& self);
  static Task<void> move_some(JournalNode& self);
  static Task<void> drain_some(JournalNode& self);
  static Task<void> watch_chains(JournalNode& self);
  static Task<void> look_once(JournalNode& self);
  runtime::Runtime& last_core() const { return member_.core(member_.cores() - 1); }
  meta::MetaClient& meta() const { return member_.client(member_.cores() - 1); }
  bool everybody_is_there() const;

  ProcessContext& process_;
  JournalRun& run_;
  const NodeOptions& options_;
  bool stopping_ = false, serving_ = false, looking_ = false;
  std::optional<bool> looked_;
  std::unique_ptr<journal::JournalServer> journal_;
  std::vector<std::unique_ptr<journal::JournalClient>> clients_;  // of each core
  std::vector<std::unique_ptr<journal::ReplicaService>> services_;
  MetaMember member_;
  std::unique_ptr<journal::ClusterReplicas> replicas_;  // on the last core, like all that follows
  meta::MetaClient::Watch watch_;
  std::vector<std::unique_ptr<JournalOwner>> owners_;
  std::unique_ptr<runtime::Scope> owners_scope_;
  runtime::Scope scope_;  // last
};

class JournalRun {
 public:
  JournalRun(const Case& of, const Observation& observe);
  ScenarioResult run();

  const std::uint32_t nodes;
  const Knobs& knobs() const { return of_.knobs; }
  JournalLoad& load() { return load_; }
  World& world() { return world_; }
  // Its journal was damaged, or taken away, and it may refuse to open.
  bool may_be_damaged(NodeId node) const { return node == NodeId(1) && tampered_ > 0; }

 private:
  JournalNode* node(const Host& host) const {
    return host.running() ? dynamic_cast<JournalNode*>(host.program()) : nullptr;
  }
  JournalNode* node(NodeId id) const { return node(*hosts_.at(id.value - 1)); }
  JournalOwner* owner(ShardId shard) const;
  void boot();
  bool tamper(const Fault& fault, Host& host);
  JournalLoad::Holders holders(const meta::Segment& segment, std::uint64_t end) const;
  bool has(const meta::Replica& which, SegmentId segment, std::uint64_t end) const;
  bool is_beyond_repair(ShardId shard) const;
  std::string unsettled(ShardId shard) const;
  std::string unsettled() const;
  void wait_for(RunResult& result, const std::function<bool()>& done, const std::string& otherwise);
  void calm_down(RunResult& result);
  void read_replicas(RunResult& result);
  void check_enough_happened();
  std::uint64_t floor(const char* name) const;
  ScenarioResult result(const RunResult& end);

  const Case& of_;
  World world_;
  std::optional<Observer> observer_;
  JournalLoad load_;
  NodeOptions options_;
  std::vector<Host*> hosts_;
  std::optional<Faults> faults_;
  std::uint64_t tampered_ = 0;
};

// ---- a node ---------------------------------------------------------------------------------------------

JournalNode::JournalNode(ProcessContext& process, JournalRun& run, const NodeOptions& options, NodeId self)
    : process_(process),
      run_(run),
      options_(options),
      member_(process, options.meta, self),
      owners_scope_(std::make_unique<runtime::Scope>()) {
  scope_.spawn(JournalNode::run(*this));
}

JournalOwner* JournalNode::owner(ShardId shard) const {
  JournalOwner* best = nullptr;
  for (const auto& one : owners_) {
    if (one->shard() == shard && (!best || best->epoch() < one->epoch())) best = one.get();
  }
  return best;
}

// A journal that refuses to open because it was damaged is taken away, as somebody would who looks after it:
// the node comes back with an empty disk.
Task<bool> JournalNode::open_journal(JournalNode& self) {
  runtime::Runtime& first = self.member_.core(0);
  journal::JournalOptions options = self.options_.journal;
  options.on_failure = [&self](const Error&) { self.process_.exit(); };
  auto opened = co_await journal::JournalServer::open(first, options);
  if (opened) {
    self.journal_ = *std::move(opened);
    co_return true;
  }
  if (opened.error().code != ErrorCode::kCorrupt) co_return false;
  if (!self.run_.may_be_damaged(self.member_.self())) {
    self.run_.load().judge.fail("a journal does not open: " + opened.error().to_string());
    co_return false;
  }
  auto held = co_await first.files().list(kJournal);
  if (!held) co_return false;
  for (const auto& entry : *held) (void)co_await first.files().remove(kJournal + "/" + entry.name);
  (void)co_await first.files().sync_directory(kJournal);
  co_return false;
}

// In the order of a node: what there is is served before anything new may be begun here.
Task<void> JournalNode::run(JournalNode& self) {
  runtime::Runtime& first = self.member_.core(0);
  if (!co_await open_journal(self)) {
    co_await runtime::sleep(first, 50ms);
    co_return self.process_.exit();
  }
  for (std::size_t i = 0; i < self.member_.cores(); ++i) {
    co_await go_to(first, self.member_.core(i));
    self.clients_.push_back(
        std::make_unique<journal::JournalClient>(self.member_.core(i), *self.journal_, self.options_.client));
    co_await go_to(self.member_.core(i), first);
  }
  co_await self.member_.listen([&self](std::size_t core, rpc::Server& server) {
    self.services_.push_back(std::make_unique<journal::ReplicaService>(server, *self.clients_[core]));
  });
  if (!co_await self.member_.serve()) co_return self.process_.exit();
  self.member_.enter(self.disk());

  co_await go_to(first, self.last_core());
  self.replicas_ = std::make_unique<journal::ClusterReplicas>(
      self.last_core(), self.member_.identity(), self.clients_.back().get(), self.options_.replicas);
  self.replicas_->learn(self.meta().view());
  self.watch_ = self.meta().on_change(
      [&self](const std::shared_ptr<const meta::MetaView>& view) { self.replicas_->learn(view); });
  while (!self.stopping_ &&
         !co_await journal::remove_orphans(*self.clients_.back(), self.meta(), self.member_.self())) {
    co_await runtime::sleep(self.last_core(), 100ms);
  }
  if (self.stopping_) co_return;
  self.serving_ = true;
  self.scope_.spawn(watch_chains(self));
  self.owners_scope_->spawn(own(self));
  self.owners_scope_->spawn(act_as_operator(self));
}

// In good order. Owners see that it stops.
Task<void> JournalNode::stop(JournalNode& self) {
  runtime::Runtime& first = self.member_.core(0);
  co_await runtime::sleep(first, Duration(first.random().between(0, Duration(2s).count())));
  co_await self.member_.close();
  if (self.journal_) (void)co_await self.journal_->close();
  self.process_.exit();
}

// With fewer a segment would have fewer replicas than can be lost.
bool JournalNode::everybody_is_there() const {
  std::size_t there = 0;
  for (const auto& [id, node] : meta().view()->nodes()) there += node.disk != 0;
  return there >= kVoters;
}

// What is assigned to this node is taken; so is now and then what it has.
Task<void> JournalNode::own(JournalNode& self) {
  runtime::Random& random = self.last_core().random();
  while (!self.stopping_) {
    co_await runtime::sleep(self.last_core(), 150ms);
    if (self.stopping_ || !self.everybody_is_there()) continue;
    if (!self.looking_) std::erase_if(self.owners_, [](const auto& owner) { return owner->ended(); });
    if (self.owners_.size() >= kOwnersKept || !self.member_.holds_lease()) continue;
    std::vector<ShardId> wanted;
    const auto view = self.meta().view();
    for (std::uint32_t i = 0; i < view->shards().size(); ++i) {
      const meta::ShardPlace& place = view->shards()[i];
      const JournalOwner* const owner = self.owner(ShardId(i));
      const bool has = owner && !owner->lost() && owner->epoch() == place.epoch;
      const bool again = !self.run_.load().calm && random.chance(1, 100);
      if (place.assigned == self.member_.self() && (!has || again)) wanted.emplace_back(i);
    }
    if (!wanted.empty()) co_await take(self, std::move(wanted));
  }
}

Task<void> JournalNode::take(JournalNode& self, std::vector<ShardId> shards) {
  auto taken =
      co_await ShardLog::take_over_each(*self.replicas_, self.meta(), self.member_.self(),
                                        self.member_.incarnation(), std::move(shards), self.run_.load().log);
  const auto look_at = [&self](const Error& why) {
    self.run_.world().note("node " + std::to_string(self.member_.self().value) +
                           " does not get a shard: " + why.to_string());
    if (why.code == ErrorCode::kCorrupt || why.code == ErrorCode::kInvalidArgument)
      self.run_.load().judge.fail("a shard cannot be taken over: " + why.to_string());
  };
  if (!taken) co_return look_at(taken.error());
  for (auto& log : *taken) {
    if (!log) {
      look_at(log.error());
      continue;
    }
    const OwnerPlace place{.runtime = self.last_core(),
                           .meta = self.meta(),
                           .replicas = *self.replicas_,
                           .stopping = self.stopping_};
    self.run_.world().note("node " + std::to_string(self.member_.self().value) + " owns a shard in an epoch",
                           {(*log)->shard().value, (*log)->epoch().value});
    self.owners_.push_back(std::make_unique<JournalOwner>(self.run_.load(), place, *std::move(log)));
    self.owners_scope_->spawn(JournalOwner::run(*self.owners_.back()));
  }
}

// Somebody who moves shards about, and lets nodes leave that come back.
Task<void> JournalNode::act_as_operator(JournalNode& self) {
  runtime::Random& random = self.last_core().random();
  while (!self.stopping_) {
    co_await runtime::sleep(self.last_core(), Duration(random.between(0, 2 * kBetweenMoves.count())));
    if (self.stopping_) co_return;
    if (self.run_.load().calm || random.chance(1, 6)) {
      co_await drain_some(self);
    } else {
      co_await move_some(self);
    }
  }
}

Task<void> JournalNode::move_some(JournalNode& self) {
  runtime::Random& random = self.last_core().random();
  const ShardId shard(static_cast<std::uint32_t>(random.below(kShards)));
  const auto view = self.meta().view();
  const NodeId to(1 + static_cast<std::uint32_t>(random.below(self.run_.nodes)));
  const auto found = view->nodes().find(to);
  if (found == view->nodes().end() || !found->second.lives || found->second.draining) co_return;
  (void)co_await self.meta().execute(meta::AssignShards{
      .items = {{.shard = shard, .before = view->shards().at(shard.value).assigned, .to = to}}});
}

// Of the nodes that do not vote, if there are any: three are left. All come back in the end.
Task<void> JournalNode::drain_some(JournalNode& self) {
  const auto view = self.meta().view();
  for (const auto& [id, node] : view->nodes()) {
    if (id.value <= kVoters) continue;
    const bool leaving = !self.run_.load().calm && self.last_core().random().chance(1, 2);
    if (leaving == node.leaving && node.draining == leaving) continue;
    (void)co_await self.meta().execute(meta::DrainNode{.node = id, .draining = leaving, .leaving = leaving});
  }
}

// What the chains are, for who judges. On core 0, where the database is.
Task<void> JournalNode::watch_chains(JournalNode& self) {
  co_await go_to(self.last_core(), self.member_.core(0));
  std::vector<ShardId> all;
  for (std::uint32_t id = 0; id < kShards; ++id) all.emplace_back(id);
  while (!self.stopping_) {
    struct Seen {
      std::uint64_t applied = 0;
      std::vector<meta::Shard> shards;
    };
    auto seen = std::make_shared<Seen>();
    (void)co_await self.member_.log().read_here([seen, all](meta::StateMachine& machine,
                                                            runtime::BlockingFiles& files,
                                                            meta::StateMachine::Inputs inputs) {
      auto shards = machine.read_shards(files, all, inputs);
      if (shards) seen->shards = *std::move(shards);
      seen->applied = machine.applied();
    });
    if (!seen->shards.empty()) self.run_.load().chains.seen(seen->applied, seen->shards);
    co_await runtime::sleep(self.member_.core(0), kBetweenLooks);
  }
}

Task<void> JournalNode::look_once(JournalNode& self) {
  bool good = true;
  self.looking_ = true;
  for (std::uint32_t i = 0; i < kShards; ++i) {
    JournalOwner* const owner = self.owner(ShardId(i));
    if (owner && owner->serves() && self.run_.load().ledger.owns(owner->shard(), owner->epoch()))
      good = co_await JournalOwner::read_replicas(*owner) && good;
  }
  self.looking_ = false;
  self.looked_ = good;
}

// ---- the run --------------------------------------------------------------------------------------------

JournalRun::JournalRun(const Case& of, const Observation& observe)
    : nodes(journal_nodes(of.knobs)),
      of_(of),
      world_(of.seed, meta_world(of.knobs)),
      load_(world_, kShards, of.knobs["journal.entry_bytes"]),
      options_(node_options(of.knobs)) {
  load_.log = log_options(of.knobs);
  load_.pause = of.duration / kActs;
  load_.trims = of.knobs["journal.trims"] != 0;
  load_.holders = [this](const meta::Segment& segment, std::uint64_t end) { return holders(segment, end); };
  for (std::uint32_t number = 1; number <= nodes; ++number)
    hosts_.push_back(&world_.add_host(host_of(number)));
  if (observe.any()) observer_.emplace(world_, observe);
}

// The last of more than three comes later.
void JournalRun::boot() {
  const auto cores = static_cast<std::uint32_t>(std::min<std::uint64_t>(of_.knobs["node.cores"], 2));
  for (std::uint32_t number = 1; number <= nodes; ++number) {
    const auto begin = [this, number, cores] {
      hosts_[number - 1]->boot(cores, [this, number](ProcessContext& process) {
        return std::make_unique<JournalNode>(process, *this, options_, NodeId(number));
      });
    };
    if (number <= kVoters || number < nodes) {
      begin();
    } else {
      world_.after(Duration(world_.random(Concern::kWorkload).between(0, of_.duration.count() / 2)), begin);
    }
  }
}

// Of the first node: the journal is gone, or the end of its last file says nothing any more.
bool JournalRun::tamper(const Fault& fault, Host& host) {
  const std::vector<std::string> names = host.disk().names_in(kJournal);
  if (names.empty()) return false;
  if (fault.kind == FaultKind::kDirectoryGone) {
    host.disk().drop_directory(kJournal);
    ++tampered_;
    return true;
  }
  const bool done = damage_tail(host.disk(), kJournal, fault.amount);
  tampered_ += done;
  return done;
}

bool JournalRun::has(const meta::Replica& which, SegmentId segment, std::uint64_t end) const {
  const JournalNode* const at = node(which.node);
  if (!at || !at->journal() || at->disk() != which.disk) return false;
  const auto info = at->journal()->store().info(segment);
  return end == 0 || (info && info->stored >= end);
}

JournalLoad::Holders JournalRun::holders(const meta::Segment& segment, std::uint64_t end) const {
  JournalLoad::Holders out;
  for (const meta::Replica& which : segment.replicas) {
    const JournalNode* const at = node(which.node);
    if (!at || !at->journal() || at->disk() != which.disk) {
      ++out.unknown;
    } else if (has(which, segment.id, end)) {
      ++out.have;
    } else if (may_be_damaged(which.node)) {
      ++out.unknown;
    }
  }
  return out;
}

JournalOwner* JournalRun::owner(ShardId shard) const {
  for (const Host* host : hosts_) {
    const JournalNode* const at = node(*host);
    JournalOwner* const owner = at && at->serving() ? at->owner(shard) : nullptr;
    if (owner && owner->serves() && load_.ledger.owns(shard, owner->epoch())) return owner;
  }
  return nullptr;
}

// More replicas of its last segment are gone than the configuration promises to survive, of two one, and one
// that is left is not certain of what it had: then nobody ever is.
bool JournalRun::is_beyond_repair(ShardId shard) const {
  const meta::Shard* const seen = load_.chains.latest(shard);
  if (!seen || seen->chain.empty()) return false;
  const meta::Segment& last = seen->chain.back();
  const std::size_t acks = journal::Quorum::of(last.replicas.size()).acks;
  std::size_t gone = 0, certain = 0;
  for (const meta::Replica& which : last.replicas) {
    const JournalNode* const at = node(which.node);
    if (!at || !at->journal()) continue;
    const auto info = at->journal()->store().info(last.id);
    gone += at->disk() != which.disk;
    certain += at->disk() == which.disk && info && info->certain;
  }
  if (gone <= last.replicas.size() - acks) return false;
  return gone >= acks || gone + certain < last.replicas.size();
}

// What a shard still lacks; empty: nothing.
std::string JournalRun::unsettled(ShardId shard) const {
  const std::string name = " shard " + std::to_string(shard.value);
  const JournalOwner* const owner = this->owner(shard);
  if (!owner && load_.calm && is_beyond_repair(shard)) return "";
  if (!owner) return name + " has no owner;";
  if (!owner->log().writable()) return name + " is not writable;";
  for (const meta::Segment& segment : owner->log().chain().segments()) {
    const std::uint64_t end = segment.end ? *segment.end - segment.base
                                          : std::max(owner->log().committed(), segment.base) - segment.base;
    std::size_t whole = 0;
    std::string lacking;
    for (const meta::Replica& which : segment.replicas) {
      const bool has_all = has(which, segment.id, end);
      whole += has_all;
      if (!has_all) lacking += " " + std::to_string(which.node.value);
    }
    if (whole < std::min<std::size_t>(nodes, 3) || whole < segment.replicas.size())
      return name + (segment.end ? ", segment " : ", open segment ") + std::to_string(segment.id.value) +
             " of " + std::to_string(end) + " entries, is whole on " + std::to_string(whole) + " of " +
             std::to_string(segment.replicas.size()) + " replicas, and not on" + lacking + ";";
  }
  return "";
}

std::string JournalRun::unsettled() const {
  std::string out;
  for (const Host* host : hosts_) {
    if (!node(*host) || !node(*host)->serving()) out += " " + host->name() + " does not serve;";
  }
  for (std::uint32_t shard = 0; shard < kShards; ++shard) out += unsettled(ShardId(shard));
  return out;
}

std::uint64_t JournalRun::floor(const char* name) const {
  const auto found = of_.floors.find(name);
  return found == of_.floors.end() ? 0 : found->second;
}

void JournalRun::wait_for(RunResult& result, const std::function<bool()>& done,
                          const std::string& otherwise) {
  if (world_.failed() || result.broken()) return;
  result = world_.run_until(done, kCalmDown);
  if (result.reason == StopReason::kTime) world_.fail(otherwise + ":" + unsettled());
}

// Every replica by itself, after nothing is appended any more. Who is replaced meanwhile is followed by
// another, who begins anew.
void JournalRun::read_replicas(RunResult& result) {
  for (int tries = 0; tries < 10; ++tries) {
    wait_for(result, [&] { return unsettled().empty(); }, "in the end segments lack replicas");
    if (world_.failed() || result.broken()) return;
    std::vector<JournalNode*> looking;
    for (const Host* host : hosts_) looking.push_back(node(*host));
    for (JournalNode* at : looking) at->look();
    const auto all = [&](const auto& is) {
      return std::ranges::all_of(hosts_, [&](const Host* host) { return node(*host) && is(*node(*host)); });
    };
    wait_for(
        result, [&] { return all([](const JournalNode& at) { return at.looked().has_value(); }); },
        "in the end replicas are not read");
    if (world_.failed() || result.broken()) return;
    if (all([](const JournalNode& at) { return *at.looked(); })) return;
  }
  world_.fail("in the end owners replace each other");
}

// The faults are over: every shard is served, what is appended commits, and all segments have all replicas
// again. Then all nodes lose power at once, and have everything.
void JournalRun::calm_down(RunResult& result) {
  load_.calm = true;
  faults_->stop();
  const std::uint64_t commits = load_.ledger.commits();
  wait_for(
      result,
      [&] {
        bool none = true;
        for (std::uint32_t shard = 0; shard < kShards; ++shard)
          none = none && !owner(ShardId(shard)) && is_beyond_repair(ShardId(shard));
        return none ||
               (load_.ledger.commits() > commits + 20 && load_.ledger.commits() >= floor("operations"));
      },
      "after the faults, nothing commits");
  load_.over = true;
  wait_for(
      result,
      [&] {
        for (std::uint32_t shard = 0; shard < kShards; ++shard) {
          const JournalOwner* const at = owner(ShardId(shard));
          if (at ? !at->all_committed() : !is_beyond_repair(ShardId(shard))) return false;
        }
        return true;
      },
      "after the faults, not everything commits");
  read_replicas(result);
  if (world_.failed() || result.broken()) return;
  for (Host* host : hosts_) {
    if (host->running()) host->crash(CrashMode::kPowerLoss);
  }
  read_replicas(result);
}

void JournalRun::check_enough_happened() {
  std::uint64_t crashes = 0;
  for (const Host* host : hosts_) crashes += host->crashes();
  const auto check = [&](const char* name, std::uint64_t happened) {
    if (happened >= floor(name)) return;
    world_.fail("too little happened to show anything: " + std::to_string(happened) + " " + name);
  };
  check("operations", load_.ledger.commits());
  check("crashes", crashes);
}

ScenarioResult JournalRun::run() {
  boot();
  faults_.emplace(world_, of_.faults);
  faults_->set_tamperer([this](const Fault& fault, Host& host) { return tamper(fault, host); });
  for (Host* host : hosts_) faults_->supervise(*host);
  RunResult end = world_.run_for(of_.duration);
  calm_down(end);
  if (!world_.failed() && !end.broken()) check_enough_happened();
  world_.mix(load_.ledger.commits() ^ load_.ledger.reads());
  if (!end.broken()) end = world_.run_for(Duration(0));
  return result(end);
}

ScenarioResult JournalRun::result(const RunResult& end) {
  ScenarioResult out;
  out.ok = !world_.failed() && !end.broken();
  out.why = end.detail;
  if (!out.ok) out.lines = world_.trace().lines();
  out.operations = load_.ledger.commits();
  out.faults = faults_->injected();
  for (const auto& [kind, injected, skipped, met] : faults_->counts())
    out.fault_counts.push_back({to_string(kind), injected, skipped, met});
  for (const Host* host : hosts_) out.crashes += host->crashes();
  out.events = world_.counters().events;
  out.buggified = world_.counters().buggified;
  out.hash = world_.hash();
  out.simulated = world_.elapsed();
  return out;
}

}  // namespace

ScenarioResult run_journal(const Case& of, const Observation& observe) {
  return JournalRun(of, observe).run();
}

}  // namespace stele::sim
