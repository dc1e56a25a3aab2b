#include "sim/workloads/clients.h"

#include <chrono>

namespace stele::sim {

using namespace std::chrono_literals;

runtime::Duration short_pause(runtime::Runtime& runtime, std::int64_t max_ms) {
  return std::chrono::microseconds(runtime.random().between(100, max_ms * 1000));
}

runtime::Task<void> wait_while_quiet(runtime::Runtime& runtime, Workload& workload) {
  while (!workload.busy() && !workload.stopping) co_await runtime::sleep(runtime, 500ms);
}

}  // namespace stele::sim
