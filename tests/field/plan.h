// The faults of a field run: the kinds of sim/faults.h that can be done to a process and to sockets, drawn
// from the seed, printed and read in the same words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/workloads/pace.h"

namespace stele::field {

// Whether it can be done outside of the simulator. `disk`: the node's disk can fail.
bool can_be_done(sim::FaultKind kind, bool disk);
// The names of the others, with commas.
std::string what_cannot(bool disk);

// `at` counts from the beginning of the load. The process is killed twice at least.
std::vector<sim::Fault> draw_plan(runtime::Random& random, const sim::Pace& pace, bool disk);

}  // namespace stele::field
