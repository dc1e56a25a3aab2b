// Clients that contend: several write and read the same registers at the same time, and note when they asked
// and when they were answered. Their histories must be linearizable (linearizability.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "runtime/task.h"
#include "sim/workloads/clients.h"
#include "sim/workloads/linearizability.h"

namespace stele::sim {

// What contenders did and were told. Lives as long as the world.
struct Contention {
  explicit Contention(Workload& shared) : workload(shared) {}
  Workload& workload;
  std::map<std::string, RegisterHistory> histories;  // by what the register is
  std::uint64_t values = 0;                          // that were written
  // Once it is judged: operations that overlapped others, and histories that were too much for the search.
  std::uint64_t contended = 0, undecided = 0;
};

inline constexpr std::uint32_t kContenders = 3;  // of each kind
runtime::Task<void> run_mqtt_contender(runtime::Runtime& runtime, Contention& contention,
                                       std::uint32_t number);
runtime::Task<void> run_kafka_contender(runtime::Runtime& runtime, Contention& contention,
                                        std::uint32_t number);
// When they are done: fails if a history is not linearizable, or if of none it is known.
void judge_histories(Contention& contention);

}  // namespace stele::sim
