// A scenario: a whole system under workloads and faults, from one seed, judged.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/time.h"
#include "sim/observe.h"

namespace stele::sim {

struct ScenarioOptions {
  std::uint64_t seed = 1;
  runtime::Duration duration = std::chrono::minutes(30);  // virtual
  Observation observe;
};

// Of one kind: injected, of those without anything to break, and how often something met one.
struct FaultCount {
  std::string_view kind;
  std::uint64_t injected = 0, skipped = 0, met = 0;
};

struct ScenarioResult {
  bool ok = false;
  std::string why;    // what does not hold, when not ok
  std::string lines;  // the last lines of the trace, when not ok
  std::uint64_t operations = 0;
  std::uint64_t faults = 0;
  std::vector<FaultCount> fault_counts;  // of kinds that there were
  std::uint64_t crashes = 0;
  std::uint64_t events = 0;
  std::uint64_t hash = 0;
  runtime::Duration simulated{};
};

using Scenario = ScenarioResult (*)(const ScenarioOptions& options);
struct ScenarioInfo {
  std::string_view name;
  std::string_view what;
  Scenario run;
};
// The first is the default.
const std::vector<ScenarioInfo>& all_scenarios();

// One node with MQTT and Kafka clients (scenario_node.cc).
ScenarioResult run_node(const ScenarioOptions& options);
// Fails always: shows that a failure is seen as one.
ScenarioResult run_canary(const ScenarioOptions& options);

}  // namespace stele::sim
