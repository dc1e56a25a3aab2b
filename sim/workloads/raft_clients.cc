#include "sim/workloads/raft_clients.h"

#include <chrono>
#include <string>

namespace stele::sim {

using namespace std::chrono_literals;
using raft::testing::MemberNode;
using runtime::Task;

namespace {

constexpr std::uint64_t kRegisters = 2;  // at a time
constexpr Duration kLifeOfARegister = 15s;
// Clients work in bursts, all at the same moments: what overlaps nothing shows little. The more there are,
// the rarer.
constexpr Duration kBetweenBursts = 200ms;  // for each client
constexpr std::uint64_t kMostInABurst = 4;
constexpr Duration kBetweenChanges = 15s;
constexpr std::uint64_t kMaxSteps = 500'000;

std::uint64_t some_register(const RaftLoad& load, runtime::Random& random) {
  const auto life = static_cast<std::uint64_t>(load.world.elapsed() / kLifeOfARegister);
  return life * kRegisters + random.below(kRegisters);
}

Task<void> write(MemberNode& node, RaftLoad& load, const std::string& client) {
  const std::uint64_t number = some_register(load, node.runtime().random());
  const std::uint64_t value = ++load.values;
  RegisterHistory& history = load.histories[number];
  const auto call = history.writing(client, value, load.world.now());
  const auto written = co_await node.write(number, value);
  if (!written) co_return;
  history.wrote(call, load.world.now());
  ++load.writes;
}

Task<void> read(MemberNode& node, RaftLoad& load, const std::string& client) {
  const std::uint64_t number = some_register(load, node.runtime().random());
  RegisterHistory& history = load.histories[number];
  const auto call = history.reading(client, load.world.now());
  const auto value = co_await node.read(number);
  if (!value) co_return;
  history.read(call, *value, load.world.now());
  ++load.reads;
}

Task<void> run_client(MemberNode& node, RaftLoad& load, std::string name) {
  runtime::Random& random = node.runtime().random();
  while (!node.stopping()) {
    const Duration period = kBetweenBursts * load.members * load.clients_per_member;
    const Duration late = Duration(random.between(0, Duration(2ms).count()));
    co_await runtime::sleep(node.runtime(), period - load.world.elapsed() % period + late,
                            node.scope().token());
    for (std::uint64_t left = 1 + random.below(kMostInABurst); left > 0 && !node.stopping(); --left) {
      // Who does not lead writes only now and then: it is refused.
      if (random.chance(1, 2) && (node.leads() || random.chance(1, 20))) {
        co_await write(node, load, name);
      } else {
        co_await read(node, load, name);
      }
    }
  }
}

// All vote, or some do not, who learn until they are caught up and asked to vote again. Three are left at
// least, or two who can be relied on.
Task<void> change(MemberNode& node, RaftLoad& load) {
  runtime::Random& random = node.runtime().random();
  const raft::Membership now = node.member()->status().membership;
  raft::MembershipTarget target;
  for (std::uint32_t id = 1; id <= load.members; ++id) target.voters.insert(NodeId(id));
  if (now.learners.empty()) {
    for (std::uint64_t left = load.members == 3 ? 1 : 1 + random.below(load.members - 3); left > 0; --left) {
      const NodeId out =
          load.members == 3 ? NodeId(1) : NodeId(1 + static_cast<std::uint32_t>(random.below(load.members)));
      target.voters.erase(out);
      target.learners.insert(out);
    }
  }
  const auto changed = co_await node.member()->change_membership(std::move(target));
  load.changes += changed.has_value();
}

Task<void> hand_over(MemberNode& node, RaftLoad& load) {
  const NodeId to(1 + static_cast<std::uint32_t>(node.runtime().random().below(load.members)));
  const auto handed_over = co_await node.member()->transfer_leadership(to);
  load.transfers += handed_over.has_value();
}

Task<void> run_operator(MemberNode& node, RaftLoad& load) {
  runtime::Random& random = node.runtime().random();
  while (!node.stopping()) {
    co_await runtime::sleep(node.runtime(), Duration(random.between(0, 2 * kBetweenChanges.count())),
                            node.scope().token());
    if (node.stopping() || !node.leads()) continue;
    if (load.members >= 3 && random.chance(1, 2)) {
      co_await change(node, load);
    } else {
      co_await hand_over(node, load);
    }
  }
}

}  // namespace

Task<void> run_raft_load(MemberNode& node, RaftLoad& load) {
  const std::string name = "m" + std::to_string(node.self().value) + "-";
  for (std::uint32_t i = 0; i < load.clients_per_member; ++i)
    node.scope().spawn(run_client(node, load, name + std::to_string(i)));
  co_await run_operator(node, load);
}

void judge_registers(RaftLoad& load) {
  std::uint64_t judged = 0;
  for (const auto& [number, history] : load.histories) {
    const Judgement judgement = judge_register(history.operations(), kMaxSteps);
    load.contended += history.contended();
    load.world.mix(judgement.steps);
    if (judgement.verdict == Verdict::kNotLinearizable) {
      std::string why = "register " + std::to_string(number) + " is not linearizable:";
      for (const RegisterOperation& operation : judgement.conflict) why += "\n  " + to_string(operation);
      load.world.fail(why);
      return;
    }
    ++(judgement.verdict == Verdict::kUndecided ? load.undecided : judged);
  }
  if (judged == 0 && !load.histories.empty())
    load.world.fail("of no history it is known whether it is linearizable");
}

}  // namespace stele::sim
