#include "sim/clock.h"

#include <chrono>

namespace stele::sim {
namespace {

constexpr std::int64_t kMillion = 1'000'000;
// Later than any run gets: deadlines beyond are never.
constexpr std::int64_t kFar = std::int64_t{1} << 61;

std::int64_t scaled(std::int64_t value, std::int64_t numerator, std::int64_t denominator, bool up) {
  const __int128 product = static_cast<__int128>(value) * numerator;
  return static_cast<std::int64_t>((product + (up ? denominator - 1 : 0)) / denominator);
}

}  // namespace

runtime::Instant HostClock::monotonic(Time now) const {
  const std::int64_t passed = (now - since_).count();
  return reading_ +
         Duration(drift_ppm_ == 0 ? passed : scaled(passed, kMillion + drift_ppm_, kMillion, false));
}

Time HostClock::when(runtime::Instant at_least) const {
  if (at_least <= reading_) return since_;
  if (at_least.time_since_epoch().count() >= kFar) return kEndOfTime;
  const std::int64_t ahead = (at_least - reading_).count();
  if (drift_ppm_ == 0) return since_ + Duration(ahead);
  return since_ + Duration(scaled(ahead, kMillion, kMillion + drift_ppm_, true));
}

WallTime HostClock::wall(Time now) const {
  const std::int64_t passed = stopped_.value_or(now).time_since_epoch().count();
  const std::int64_t drifted = scaled(passed, kMillion + drift_ppm_, kMillion, false);
  const auto since_start = std::chrono::floor<std::chrono::milliseconds>(Duration(drifted) + wall_skew_);
  return WallTime{wall_start_.ms + since_start.count()};
}

void HostClock::stop_wall(Time now) {
  if (!stopped_) stopped_ = now;
}

// Goes on from where it stood, until something sets it.
void HostClock::resume_wall(Time now) {
  if (!stopped_) return;
  wall_skew_ -= now - *stopped_;
  stopped_.reset();
}

}  // namespace stele::sim
