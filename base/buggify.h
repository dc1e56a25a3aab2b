// Points at which the system may do something that is rare but always allowed: a file that ends early, a
// cache that misses, an answer that holds less than it could. In a build with STELE_BUGGIFY the simulator
// decides, run by run, which of them happen and how often; in any other build buggify(…) is the constant
// false and no trace of it is left. After FoundationDB's BUGGIFY (Zhou et al., SIGMOD 2021, section 4).
//
// A point must be safe to happen at any time. One that delays or refuses is silent once a run's faults are
// over, so that liveness can be judged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace stele {

enum class Buggify : std::uint8_t {
  kSmallGroupCommit,
  kEarlyLogFile,
  kEarlyCheckpoint,
  kCacheMiss,
  kEarlyRoll,
  kEarlySnapshot,
  kSlowTakeOver,
  kShortRead,
  kShortFetch,
  kGroupBusy,
};
constexpr std::size_t kBuggifyPoints = 10;

struct BuggifyInfo {
  Buggify point;
  std::string_view knob;  // how the simulator's knobs name it: "buggify.cache_miss"
  std::string_view what;
  std::uint64_t most_one_in = 2;  // more often it costs more than it shows
};
// All of them, in order; in every build.
std::span<const BuggifyInfo> all_buggify_points();

#ifdef STELE_BUGGIFY
constexpr bool kBuggifyBuilt = true;
// Asked each time a point is passed; empty: none happens. One thread only: the simulator's.
void set_buggify(std::function<bool(Buggify)> decide);
bool buggify(Buggify point);
#else
constexpr bool kBuggifyBuilt = false;
inline void set_buggify(std::function<bool(Buggify)>) {}
constexpr bool buggify(Buggify) {
  return false;
}
#endif

}  // namespace stele
