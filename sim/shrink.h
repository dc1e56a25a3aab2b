// Makes a case that fails smaller: fewer faults, clients, episodes and messages, usual knobs, shorter times,
// as long as it still fails in the same way. Pure: how a case is tried is handed in.
//
// Delta debugging (Zeller, Hildebrandt, TSE 2002) over the lists, then over the numbers, until nothing helps
// any more or the tries are used up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/workloads/case.h"

namespace stele::sim {

// Of several cases, the first that still fails in the same way; none if none does.
using TryCases = std::function<std::optional<std::size_t>(const std::vector<Case>&)>;

struct ShrinkOptions {
  std::size_t at_once = 1;      // so many are handed to the function together
  std::uint64_t tries = 2'000;  // at most
};
Case shrink(Case failing, const TryCases& still_fails, const ShrinkOptions& options);

// What two failures have in common that are one: the text without numbers, and without what is listed in it.
std::string kind_of_failure(const std::string& why);

}  // namespace stele::sim
