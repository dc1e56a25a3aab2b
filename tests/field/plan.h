// The faults of a field run: the kinds of sim/faults.h that can be done to a process and to sockets, drawn
// from the seed, printed and read in the same words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/workloads/pace.h"

namespace stele::field {

// What there is to do it with.
struct Means {
  bool library = false;     // preloaded into the node: its disk can fail, and its threads stand still
  bool clock = false;       // its wall clock can be set
  bool small_disk = false;  // the file system of its data can be filled
};

// Whether it can be done outside of the simulator.
bool can_be_done(sim::FaultKind kind, const Means& means);
// The names of the others, with commas.
std::string what_cannot(const Means& means);

// `at` counts from the beginning of the load. The process is killed twice at least, and a small disk is full
// once.
std::vector<sim::Fault> draw_plan(runtime::Random& random, const sim::Pace& pace, const Means& means);

}  // namespace stele::field
