// Cases from scenarios and seeds.
#include <algorithm>
#include <chrono>
#include <utility>

#include "sim/workloads/case.h"
#include "sim/workloads/client_kinds.h"
#include "sim/workloads/node_knobs.h"
#include "sim/world.h"

namespace stele::sim {

using namespace std::chrono_literals;

namespace {

Knobs knobs_of(const ScenarioFile& scenario, std::uint64_t seed) {
  Knobs knobs = Knobs::draw(node_knobs(), seed);
  // Only who logs in can be of another tenant.
  if (knobs["clients.log_in"] == 0) (void)knobs.set("clients.neighbour", 0);
  // One message at a time over a long way: nobody would be done with a run's messages.
  if (knobs["network.latency_max_ns"] > 50'000'000 && knobs["broker.session_in_flight_bytes"] < 4'096)
    (void)knobs.set("broker.session_in_flight_bytes", 4'096);
  // What parse_scenario has looked at.
  for (const auto& [name, value] : scenario.knobs) (void)knobs.set(name, value);
  return knobs;
}

std::vector<std::string> nodes_of(const ScenarioFile& scenario, const Knobs& knobs) {
  std::vector<std::string> nodes;
  if (scenario.system == System::kCluster) {
    for (std::uint32_t id = 1; id <= kClusterNodes; ++id) nodes.push_back("n" + std::to_string(id));
    return nodes;
  }
  if (scenario.system == System::kJournal) {
    for (std::uint32_t id = 1; id <= journal_nodes(knobs); ++id) nodes.push_back("j" + std::to_string(id));
    return nodes;
  }
  if (scenario.system != System::kRaft && scenario.system != System::kMeta) return {"node"};
  const std::uint32_t members = scenario.system == System::kRaft ? raft_members(knobs) : meta_members(knobs);
  for (std::uint32_t id = 1; id <= members; ++id) nodes.push_back("m" + std::to_string(id));
  return nodes;
}

std::vector<FaultMenu> menus_of(const ScenarioFile& scenario, const Knobs& knobs) {
  std::vector<std::string> clients;
  if (scenario.system == System::kNode || scenario.system == System::kCluster)
    clients.emplace_back("clients");
  const std::vector<std::string> nodes = nodes_of(scenario, knobs);
  // What a group survives of one of its members, if there is another majority.
  std::vector<std::string> damaged = nodes, others = clients;
  if (scenario.system == System::kRaft) {
    damaged.resize(nodes.size() < 3 ? 0 : 1);
    others.assign(nodes.begin() + 1, nodes.end());
  }
  // What segments survive of one of their replicas.
  if (scenario.system == System::kJournal) {
    damaged.resize(1);
    others.assign(nodes.begin() + 1, nodes.end());
  }
  std::vector<FaultMenu> menus;
  for (const std::string& name : scenario.menus) {
    FaultMenu menu =
        name == "damage" ? FaultMenu::damage(damaged, others) : FaultMenu::ordinary(nodes, clients);
    for (std::uint32_t& rate : menu.per_hour) rate *= scenario.times;
    // Of kinds that a scenario has a rate for, once: the first menu has them, but where only one of the nodes
    // may be damaged.
    const auto is_of = [&](const std::string& name, std::size_t kind) {
      const auto which = static_cast<FaultKind>(kind);
      if (scenario.system == System::kJournal &&
          (which == FaultKind::kDirectoryGone || which == FaultKind::kGarbled))
        return name == "damage";
      if (scenario.system != System::kRaft && scenario.system != System::kJournal) return menus.empty();
      return (name == "damage") == (FaultMenu::damage({}, {}).per_hour[kind] > 0);
    };
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
      const auto own = scenario.per_hour.find(std::string(to_string(static_cast<FaultKind>(i))));
      if (own != scenario.per_hour.end()) menu.per_hour[i] = is_of(name, i) ? own->second : 0;
    }
    if (knobs["node.cores"] == 1 || scenario.system == System::kRaft) menu.rate(FaultKind::kCorePauses) = 0;
    menus.push_back(std::move(menu));
  }
  return menus;
}

}  // namespace

std::span<const std::string_view> fault_menu_names() {
  static constexpr std::string_view kNames[] = {"ordinary", "damage"};
  return kNames;
}

Case draw_case(const ScenarioFile& scenario, std::uint64_t seed, std::optional<Duration> duration) {
  Case out{.scenario = scenario.name,
           .system = scenario.system,
           .seed = seed,
           .duration = duration.value_or(scenario.duration),
           .knobs = knobs_of(scenario, seed)};
  for (const auto& [name, value] : scenario.knobs)
    (void)out.knobs.set(name, value);  // the parser has done it too
  for (const std::string_view kind : client_kind_names()) {
    const auto wanted = scenario.clients.find(std::string(kind));
    if (wanted == scenario.clients.end() || !knobs_allow(kind, out.knobs)) continue;
    for (std::uint32_t number = 0; number < wanted->second; ++number)
      out.clients.push_back({std::string(kind), number});
  }
  runtime::Random paces = stream_of(seed, Concern::kWorkload);
  Pace pace = Pace::always(out.duration);
  if (scenario.messages > 0) pace = Pace::draw(paces, out.duration, scenario.messages);
  out.episodes = pace.episodes();

  // The faults of the episodes. A run without enough crashes gets some.
  runtime::Random random = stream_of(seed, Concern::kFaults);
  const std::vector<std::string> nodes = nodes_of(scenario, out.knobs);
  for (FaultMenu& menu : menus_of(scenario, out.knobs)) {
    menu.until = pace.busy();
    const std::vector<Fault> drawn = draw_faults(random, menu);
    out.faults.insert(out.faults.end(), drawn.begin(), drawn.end());
  }
  auto crashes = static_cast<std::uint64_t>(std::ranges::count_if(out.faults, [](const Fault& fault) {
    return fault.kind == FaultKind::kPowerLoss || fault.kind == FaultKind::kKill;
  }));
  for (; crashes < scenario.crashes; ++crashes) {
    out.faults.push_back({.at = Duration(random.between(0, pace.busy().count())),
                          .kind = FaultKind::kPowerLoss,
                          .host = nodes.size() == 1 ? nodes.front() : nodes[random.below(nodes.size())],
                          .lasts = Duration(random.between(1'000'000, 3'000'000'000))});
  }
  for (Fault& fault : out.faults) fault.at = pace.when(fault.at);
  std::ranges::sort(out.faults);

  // What is asked for in half an hour, and less in less.
  const auto minutes = static_cast<std::uint64_t>(out.duration / 1min);
  for (const auto& [name, at_least] : scenario.floors)
    out.floors[name] = at_least * std::min<std::uint64_t>(minutes, 30) / 30;
  return out;
}

}  // namespace stele::sim
