// For tests of what judges runs: what a world failed with.
#pragma once

#include <chrono>
#include <string>

#include "sim/world.h"

namespace stele::sim::testing {

// Empty if it has not failed.
inline std::string failure_of(World& world) {
  if (!world.failed()) return "";
  return world.run_for(std::chrono::seconds(1)).detail;
}

}  // namespace stele::sim::testing
