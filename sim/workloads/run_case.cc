#include "sim/scenario.h"

namespace stele::sim {

ScenarioResult run_case(const Case& of, const Observation& observe) {
  switch (of.system) {
    case System::kLog:
      return run_log(of, observe);
    case System::kStore:
      return run_store(of, observe);
    case System::kRaft:
      return run_raft(of, observe);
    case System::kMeta:
      return run_meta(of, observe);
    case System::kJournal:
      return run_journal(of, observe);
    case System::kNode:
    case System::kCluster:
      break;
  }
  return run_node(of, observe);
}

bool fails_without_faults(const Case& of) {
  Case quiet = of;
  quiet.faults.clear();
  (void)quiet.knobs.set("node.start_crash_one_in", 0);
  for (const char* floor : {"faults", "crashes"}) quiet.floors.erase(floor);
  return !run_case(quiet).ok;
}

}  // namespace stele::sim
