// From what the command line says to what a node is made of.
#pragma once

#include "server/config.h"
#include "server/node.h"

namespace stele::server {

// Everything but the metrics of the process.
NodeConfig to_node_config(const Config& config);

}  // namespace stele::server
