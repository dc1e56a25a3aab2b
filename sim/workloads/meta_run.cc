// A group of meta services alone: three or five hosts, each with its member of the group, its database, a
// controller and clients on every core (meta_clients.h), under all that can break a host, its disk or the
// network. MetaLedger and the registers' histories say what may come of it.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/faults.h"
#include "sim/host.h"
#include "sim/scenario.h"
#include "sim/workloads/meta_clients.h"
#include "sim/workloads/meta_member.h"
#include "sim/workloads/node_knobs.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;
using runtime::Task;

namespace {

constexpr Duration kCalmDown = 10min;
constexpr Duration kBetweenLooks = 5s;  // at a database
constexpr Duration kLeaseCheck = 50ms;
constexpr std::uint32_t kRegisterClients = 2;  // of each member
constexpr std::uint32_t kShards = 6;

class MetaNode final : public Program {
 public:
  MetaNode(ProcessContext& process, const MetaMemberOptions& options, NodeId self, MetaLoad& load)
      : process_(process), load_(load), member_(process, options, self) {
    member_.on_incarnation = [this](meta::Incarnation incarnation) {
      load_.ledger.incarnation_given(member_.self(), incarnation);
    };
    scope_.spawn(run(*this));
  }
  void on_terminate() override {
    if (std::exchange(stopping_, true)) return;
    scope_.spawn(stop(*this));
  }
  const MetaMember& member() const { return member_; }
  bool serving() const { return member_.serving() && !stopping_; }
  // Once nothing is under way: false until it is done, and has found the database to be what others have.
  bool looked() const { return looked_; }
  void look() { scope_.spawn(look_once(*this)); }

 private:
  static Task<void> run(MetaNode& self);
  static Task<void> stop(MetaNode& self);
  static Task<void> look_once(MetaNode& self) {
    self.looked_ = co_await look_at_database(self.clients(), true);
  }
  static Task<void> work(MetaNode& self, std::size_t core);
  MetaClients clients() { return {.member = member_, .load = load_, .stopping = stopping_}; }

  ProcessContext& process_;
  MetaLoad& load_;
  bool stopping_ = false, looked_ = false;
  MetaMember member_;
  std::vector<std::unique_ptr<runtime::Scope>> workers_;  // of each core
  runtime::Scope scope_;                                  // last
};

Task<void> MetaNode::work(MetaNode& self, std::size_t core) {
  runtime::Runtime& first = self.member_.core(0);
  co_await go_to(first, self.member_.core(core));
  self.workers_[core]->spawn(run_meta_worker(self.clients(), core));
  co_await go_to(self.member_.core(core), first);
}

Task<void> MetaNode::run(MetaNode& self) {
  co_await self.member_.listen({});
  if (!co_await self.member_.serve()) co_return self.process_.exit();
  self.member_.enter(0);
  for (std::size_t core = 0; core < self.member_.cores(); ++core)
    self.workers_.push_back(std::make_unique<runtime::Scope>());
  for (std::size_t core = 0; core < self.member_.cores(); ++core) co_await work(self, core);
  for (std::uint32_t number = 0; number < kRegisterClients; ++number)
    self.workers_.front()->spawn(run_register_client(self.clients(), number));
  self.workers_.front()->spawn(take_assigned_shards(self.clients()));
  while (!self.stopping_ && !self.load_.over) {
    (void)co_await look_at_database(self.clients(), false);
    co_await runtime::sleep(self.member_.core(0), kBetweenLooks);
  }
}

// In good order, with commands under way.
Task<void> MetaNode::stop(MetaNode& self) {
  co_await self.member_.close();
  self.process_.exit();
}

class MetaRun {
 public:
  MetaRun(const Case& of, const Observation& observe);
  ScenarioResult run();

 private:
  static std::string name(std::uint32_t number) { return "m" + std::to_string(number); }
  const MetaNode* node(const Host& host) const {
    return host.running() ? dynamic_cast<const MetaNode*>(host.program()) : nullptr;
  }
  void boot();
  void check_leases();
  bool all_equal() const;
  void calm_down(RunResult& result);
  void wait_for(RunResult& result, const std::function<bool()>& done, const std::string& otherwise);
  void check_enough_happened();
  std::uint64_t floor(const char* name) const;
  ScenarioResult result(const RunResult& end);

  const Case& of_;
  World world_;
  std::optional<Observer> observer_;
  MetaLoad load_;
  std::vector<Host*> hosts_;
  std::optional<Faults> faults_;
};

MetaRun::MetaRun(const Case& of, const Observation& observe)
    : of_(of), world_(of.seed, meta_world(of.knobs)), load_(world_, meta_members(of.knobs), kShards) {
  for (std::uint32_t number = 1; number <= load_.members; ++number)
    hosts_.push_back(&world_.add_host(name(number)));
  if (observe.any()) observer_.emplace(world_, observe);
}

void MetaRun::boot() {
  MetaMemberOptions options = meta_options(of_.knobs, load_.members, load_.members, name);
  options.shards = kShards;
  const auto cores = static_cast<std::uint32_t>(std::min<std::uint64_t>(of_.knobs["node.cores"], 2));
  for (std::uint32_t number = 1; number <= load_.members; ++number) {
    hosts_[number - 1]->boot(cores, [this, options, number](ProcessContext& process) {
      return std::make_unique<MetaNode>(process, options, NodeId(number), load_);
    });
  }
  world_.after(kLeaseCheck, [this] { check_leases(); });
}

// Whoever has ended in the eyes of anybody knows it by then.
void MetaRun::check_leases() {
  for (const Host* host : hosts_) {
    const MetaNode* at = node(*host);
    if (!at || !at->serving()) continue;
    for (const auto& [id, known] : at->member().client(0).view()->nodes()) {
      Host& other = *hosts_.at(id.value - 1);
      const MetaNode* of = node(other);
      if (known.lives || !of || !of->serving()) continue;
      const auto until = of->member().holds_until(known.incarnation);
      if (until && other.clock().monotonic(world_.now()) < *until)
        world_.fail("node " + std::to_string(id.value) + " holds a lease that has ended, as " + host->name() +
                    " knows");
    }
  }
  world_.after(kLeaseCheck, [this] { check_leases(); });
}

bool MetaRun::all_equal() const {
  std::optional<raft::LogIndex> applied;
  for (const Host* host : hosts_) {
    const MetaNode* at = node(*host);
    if (!at || !at->serving()) return false;
    const raft::MemberStatus status = at->member().log().member().status();
    if (status.applied != status.last || (applied && *applied != status.applied)) return false;
    applied = status.applied;
    for (std::size_t core = 0; core < at->member().cores(); ++core) {
      if (at->member().client(core).view()->version() != at->member().log().view()->version()) return false;
    }
  }
  return true;
}

std::uint64_t MetaRun::floor(const char* name) const {
  const auto found = of_.floors.find(name);
  return found == of_.floors.end() ? 0 : found->second;
}

void MetaRun::wait_for(RunResult& result, const std::function<bool()>& done, const std::string& otherwise) {
  if (world_.failed() || result.broken()) return;
  result = world_.run_until(done, kCalmDown);
  if (result.reason == StopReason::kTime) world_.fail("after the faults, " + otherwise);
}

// The faults are over: there is a leader, what is asked is answered, and all come to have the same.
void MetaRun::calm_down(RunResult& result) {
  faults_->stop();
  const std::uint64_t writes = load_.writes, reads = load_.reads, answers = load_.ledger.answers();
  wait_for(
      result,
      [&] {
        return load_.writes > writes + 5 && load_.reads > reads + 5 &&
               load_.ledger.answers() > answers + 10 && load_.operations() >= floor("operations");
      },
      "nothing is written or read");
  load_.over = true;
  wait_for(result, [&] { return load_.busy == 0; }, "clients are not answered");
  wait_for(result, [&] { return all_equal(); }, "members do not come to have the same");
  if (world_.failed() || result.broken()) return;
  for (Host* host : hosts_) {
    auto* const at = dynamic_cast<MetaNode*>(host->program());
    runtime::Runtime& core = at->member().core(0);
    core.post(core.core(), [at] { at->look(); });
  }
  wait_for(
      result,
      [&] {
        return std::ranges::all_of(hosts_,
                                   [&](const Host* host) { return node(*host) && node(*host)->looked(); });
      },
      "a database cannot be read");
  if (world_.failed() || result.broken()) return;
  for (const Host* host : hosts_) {
    for (std::size_t core = 0; core < node(*host)->member().cores(); ++core) {
      const auto view = node(*host)->member().client(core).view();
      load_.ledger.check_known(*view, host->name());
      const auto first = node(*hosts_.front())->member().log().view();
      if (view->version() != first->version())
        world_.fail("in the end core " + std::to_string(core) + " of " + host->name() + " has version " +
                    std::to_string(view->version()) + " and not " + std::to_string(first->version()));
    }
  }
}

void MetaRun::check_enough_happened() {
  std::uint64_t crashes = 0;
  for (const Host* host : hosts_) crashes += host->crashes();
  const auto check = [&](const char* name, std::uint64_t happened) {
    if (happened >= floor(name)) return;
    world_.fail("too little happened to show anything: " + std::to_string(happened) + " " + name);
  };
  check("operations", load_.operations());
  check("crashes", crashes);
}

ScenarioResult MetaRun::run() {
  boot();
  faults_.emplace(world_, of_.faults);
  for (Host* host : hosts_) faults_->supervise(*host);
  RunResult end = world_.run_for(of_.duration);
  calm_down(end);
  if (!world_.failed() && !end.broken()) judge_registers(load_);
  if (!world_.failed() && !end.broken()) check_enough_happened();
  world_.mix(load_.operations());
  if (!end.broken()) end = world_.run_for(Duration(0));
  return result(end);
}

ScenarioResult MetaRun::result(const RunResult& end) {
  ScenarioResult out;
  out.ok = !world_.failed() && !end.broken();
  out.why = end.detail;
  if (!out.ok) out.lines = world_.trace().lines();
  out.operations = load_.operations();
  out.faults = faults_->injected();
  for (const auto& [kind, injected, skipped, met] : faults_->counts())
    out.fault_counts.push_back({to_string(kind), injected, skipped, met});
  for (const Host* host : hosts_) out.crashes += host->crashes();
  out.histories = load_.histories.size();
  out.undecided = load_.undecided;
  out.contended = load_.contended;
  out.events = world_.counters().events;
  out.buggified = world_.counters().buggified;
  out.hash = world_.hash();
  out.simulated = world_.elapsed();
  return out;
}

}  // namespace

ScenarioResult run_meta(const Case& of, const Observation& observe) {
  return MetaRun(of, observe).run();
}

}  // namespace stele::sim
