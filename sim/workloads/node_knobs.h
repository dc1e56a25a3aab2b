// The knobs of a run of the node, and what they set.
#pragma once

#include <span>

#include "sim/config.h"
#include "sim/knobs.h"

namespace stele::sim {

std::span<const Knob> node_knobs();

// The world that they describe.
WorldConfig world_config(const Knobs& knobs);

}  // namespace stele::sim
