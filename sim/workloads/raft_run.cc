// A Raft group alone: one, three, five or seven hosts, each a member of it with clients of its own
// (raft_clients.h), under all that can break a host, its disk or the network; and one of them, in a group
// that can do without it, with a disk of which sectors are lost. GroupLedger and the registers' histories say
// what may come of it.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/faults.h"
#include "sim/host.h"
#include "sim/scenario.h"
#include "sim/workloads/node_knobs.h"
#include "sim/workloads/raft_clients.h"
#include "sim/workloads/raft_options.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;
using raft::LogIndex;
using raft::testing::GroupLedger;
using raft::testing::MemberNode;
using raft::testing::MemberNodeOptions;

namespace {

constexpr Duration kCalmDown = 10min;
constexpr std::uint16_t kPort = 4400;

MemberNodeOptions options_of(const Knobs& knobs) {
  MemberNodeOptions out;
  out.member = raft_options(knobs);
  out.trail = 200;
  out.disorder_one_in = knobs["raft.disorder_one_in"];
  return out;
}

class RaftRun {
 public:
  RaftRun(const Case& of, const Observation& observe);
  ScenarioResult run();

 private:
  static std::string name(std::uint32_t id) { return "m" + std::to_string(id); }
  MemberNode* node(const Host& host) const { return dynamic_cast<MemberNode*>(host.program()); }
  // Its disk has lost something that it needs: it need not come up.
  bool excused(const Host& host) const;
  bool caught_up(const Host& host, LogIndex to) const;
  void boot();
  RunResult calm_down();
  std::uint64_t floor(const char* name) const;
  void check_enough_happened();
  ScenarioResult result(const RunResult& end);

  const Case& of_;
  World world_;
  std::optional<Observer> observer_;
  GroupLedger ledger_{[this](const std::string& what) { world_.fail(what); }};
  RaftLoad load_;
  std::vector<Host*> hosts_;
  std::optional<Faults> faults_;
};

RaftRun::RaftRun(const Case& of, const Observation& observe)
    : of_(of),
      world_(of.seed, WorldConfig::of(of.knobs)),
      load_(world_, raft_members(of.knobs), static_cast<std::uint32_t>(of.knobs["raft.clients"])) {
  for (std::uint32_t id = 1; id <= load_.members; ++id) hosts_.push_back(&world_.add_host(name(id)));
  if (observe.any()) observer_.emplace(world_, observe);
}

void RaftRun::boot() {
  MemberNodeOptions options = options_of(of_.knobs);
  for (std::uint32_t id = 1; id <= load_.members; ++id) {
    options.group[NodeId(id)] = {name(id), kPort};
    options.member.founders.voters.insert(NodeId(id));
  }
  for (std::uint32_t id = 1; id <= load_.members; ++id) {
    options.member.core.self = NodeId(id);
    hosts_[id - 1]->boot(1, [this, options](ProcessContext& process) {
      return std::make_unique<MemberNode>(
          process, options, ledger_, [this](MemberNode& self) { return run_raft_load(self, load_); },
          [this](const Error& why) { world_.note("a member ends: " + why.to_string()); });
    });
  }
}

bool RaftRun::excused(const Host& host) const {
  return &host == hosts_.front() && faults_->injected(FaultKind::kLatentSectorError) > 0;
}

bool RaftRun::caught_up(const Host& host, LogIndex to) const {
  const MemberNode* at = host.running() ? node(host) : nullptr;
  return at && at->applied() >= to;
}

std::uint64_t RaftRun::floor(const char* name) const {
  const auto found = of_.floors.find(name);
  return found == of_.floors.end() ? 0 : found->second;
}

// The faults are over: there is a leader, what is asked is answered, and all have what was answered. In an
// unlucky run hardly anybody was served before: it goes on until something is shown.
RunResult RaftRun::calm_down() {
  faults_->stop();
  const std::uint64_t writes = load_.writes, reads = load_.reads;
  RunResult result = world_.run_until(
      [&] {
        return load_.writes > writes + 10 && load_.reads > reads + 10 &&
               load_.operations() >= floor("operations");
      },
      kCalmDown);
  if (result.reason == StopReason::kTime) world_.fail("after the faults, nothing is written or read");
  if (world_.failed()) return result;
  const LogIndex goal = ledger_.acknowledged_to();
  result = world_.run_until(
      [&] {
        return std::ranges::all_of(
            hosts_, [&](const Host* host) { return excused(*host) || caught_up(*host, goal); });
      },
      kCalmDown);
  if (result.reason != StopReason::kTime) return result;
  std::string who;
  for (const Host* host : hosts_) {
    if (!excused(*host) && !caught_up(*host, goal)) who += " " + host->name();
  }
  world_.fail("after the faults, members do not catch up with entry " + std::to_string(goal.value) + ":" +
              who);
  return result;
}

void RaftRun::check_enough_happened() {
  std::uint64_t crashes = 0;
  for (const Host* host : hosts_) crashes += host->crashes();
  const auto check = [&](const char* name, std::uint64_t happened) {
    if (happened >= floor(name)) return;
    world_.fail("too little happened to show anything: " + std::to_string(happened) + " " + name);
  };
  check("operations", load_.operations());
  check("crashes", crashes);
}

ScenarioResult RaftRun::run() {
  boot();
  faults_.emplace(world_, of_.faults);
  for (Host* host : hosts_) faults_->supervise(*host);
  RunResult end = world_.run_for(of_.duration);
  if (!world_.failed() && !end.broken()) end = calm_down();
  if (!world_.failed()) judge_registers(load_);
  if (!world_.failed()) check_enough_happened();
  world_.mix(load_.operations());
  if (!end.broken()) end = world_.run_for(Duration(0));
  return result(end);
}

ScenarioResult RaftRun::result(const RunResult& end) {
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

ScenarioResult run_raft(const Case& of, const Observation& observe) {
  return RaftRun(of, observe).run();
}

}  // namespace stele::sim
