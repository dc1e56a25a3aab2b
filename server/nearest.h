// "Did you mean …": the nearest of some names, by edit distance. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace stele::server {

// Insertions, deletions, substitutions and swaps of neighbours that make `b` of `a` (optimal string
// alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The first of the nearest; none if nothing is near enough to be what was meant.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> names);

}  // namespace stele::server
