// A node's settings, out of a run's knobs.
#pragma once

#include <string>

#include "server/node.h"
#include "sim/knobs.h"

namespace stele::sim {

// Of a node on the host with that address. `knobs` are of node_knobs().
server::NodeConfig node_config(const Knobs& knobs, const std::string& ip);

}  // namespace stele::sim
