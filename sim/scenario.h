// Scenarios: a whole system under workloads and faults, from one seed, judged. A scenario is a text file in
// sim/scenarios/; with a seed it makes a case (workloads/case.h), which is run.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/buggify.h"
#include "runtime/time.h"
#include "sim/observe.h"
#include "sim/workloads/case.h"

namespace stele::sim {

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
  // Of registers, those of them of which it is not known whether they are linearizable, and how many
  // operations in them overlapped others.
  std::uint64_t histories = 0, undecided = 0, contended = 0;
  std::uint64_t events = 0;
  std::array<std::uint64_t, kBuggifyPoints> buggified{};  // how often each point did something
  std::uint64_t hash = 0;
  runtime::Duration simulated{};
};

ScenarioResult run_case(const Case& of, const Observation& observe = {});
// Of one system each: the node, or the nodes of a cluster, with clients (node_run.cc), the write-ahead log
// alone (log_run.cc), all that keeps a shard's log (store_run.cc), a group of Raft members (raft_run.cc), a
// group of meta services (meta_run.cc), journals with owners of shards (journal_run.cc).
ScenarioResult run_node(const Case& of, const Observation& observe);
ScenarioResult run_log(const Case& of, const Observation& observe);
ScenarioResult run_store(const Case& of, const Observation& observe);
ScenarioResult run_raft(const Case& of, const Observation& observe);
ScenarioResult run_meta(const Case& of, const Observation& observe);
ScenarioResult run_journal(const Case& of, const Observation& observe);
// Whether the case cannot come to its end although nothing breaks: then it says nothing about the system.
bool fails_without_faults(const Case& of);

}  // namespace stele::sim
