// What must hold at the end of a run, as far as it has clients who read what others write.
#pragma once

#include <functional>
#include <string>

#include "sim/workloads/clients.h"

namespace stele::sim {

// Of clients that are not done: what they have not been given of what was acknowledged, in words. `describe`:
// what is known of a session besides; may be empty.
std::string missing_at_the_end(const Workload& workload,
                               const std::function<std::string(const std::string&)>& describe);

// Once all are done: what was produced is where the answer said, all that was acknowledged was read, and what
// has QoS 2 is once where it is kept.
void check_end(Workload& workload);

}  // namespace stele::sim
