// What each kind of fault does to a host and its network, and how it is undone; faults.cc says when.
#pragma once

#include "sim/faults.h"

namespace stele::sim {

// Of all kinds but those that end a process or plan to. False: there was nothing to break.
bool act(World& world, const Fault& fault, Host& host, Host* other);
// Heals what does not end by itself.
void undo_act(World& world, const Fault& fault, Host& host, Host* other);
// How often somebody met a fault of the kind, as hosts and network count it; `injected`: of a kind that
// cannot but be met.
std::uint64_t times_met(World& world, FaultKind kind, std::uint64_t injected);

}  // namespace stele::sim
