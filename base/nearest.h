// The right name for a misspelt one: error messages name it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace stele {

// The candidate that takes the fewest changes (a letter put in, left out, replaced, or swapped with its
// neighbour) to become `name`, the first of equals; empty if there are no candidates. Compares letters of
// either case as equal.
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);

// " (did you mean 'retention.ms'?)", or empty when nothing is near enough to be meant.
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace stele
