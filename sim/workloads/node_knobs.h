// The knobs of a run of the node: those of its world, of the node, and of its clients.
#pragma once

#include <span>

#include "sim/knobs.h"

namespace stele::sim {

std::span<const Knob> node_knobs();

}  // namespace stele::sim
