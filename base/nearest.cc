#include "base/nearest.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace stele {
namespace {

constexpr std::size_t kLongestCompared = 256;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Damerau's distance in its restricted form (optimal string alignment), three rows at a time.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
  name = name.substr(0, kLongestCompared);
  std::string_view best;
  std::size_t fewest = SIZE_MAX;
  for (std::string_view candidate : candidates) {
    const std::size_t changes = distance(name, candidate);
    if (changes < fewest) fewest = changes, best = candidate;
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
  name = name.substr(0, kLongestCompared);
  const std::string_view best = nearest(name, candidates);
  if (best.empty() || distance(name, best) > std::max<std::size_t>(2, best.size() / 2)) return {};
  return " (did you mean '" + std::string(best) + "'?)";
}

}  // namespace stele
