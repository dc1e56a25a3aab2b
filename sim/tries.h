// Runs of cases in processes of their own, several at once: what one of them does, an assertion that fails or
// a run that never ends, stays there. Of the program `sim` alone: it starts processes of the machine.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "sim/workloads/case.h"

namespace stele::sim {

// How each of them failed (kind_of_failure), or none if all was well or the time was over.
std::vector<std::optional<std::string>> try_cases(const std::vector<Case>& cases, std::chrono::seconds limit);

}  // namespace stele::sim
