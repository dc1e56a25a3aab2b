// What is held against the ledger when a run is over. Each reports what does not hold to the world.
#pragma once

#include <string>

namespace stele::sim {

struct Case;
struct Workload;
class Shadow;

// What clients that are not done still wait for, for people.
std::string unfinished(const Workload& workload, const Shadow& shadow);
// What a producer was told is where it is, as far as the case has somebody who reads there.
void check_produced(Workload& workload, const Case& of);
// No message with QoS 2 is twice in the topic that captures it, and none that was refused is there at all.
void check_exactly_once(Workload& workload);

}  // namespace stele::sim
