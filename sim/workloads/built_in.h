// The scenarios, which are files in the tree and texts in the program.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "sim/workloads/case.h"

namespace stele::sim {

// The files that are built in: their names without ".toml", and what is in them.
struct BuiltInFile {
  std::string_view name;
  std::string_view text;
};
std::span<const BuiltInFile> built_in_scenarios();
// kInvalidArgument: there is none of that name (and the nearest), or what is wrong with it.
Result<ScenarioFile> find_scenario(std::string_view name);

}  // namespace stele::sim
