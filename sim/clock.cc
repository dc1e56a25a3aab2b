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

// What the clocks see of a time that passed.
Duration HostClock::drifted(Duration passed) const {
  if (drift_ppm_ == 0) return passed;
  return Duration(scaled(passed.count(), kMillion + drift_ppm_, kMillion, false));
}

runtime::Instant HostClock::monotonic(Time now) const {
  return reading_ + drifted(now - since_);
}

Time HostClock::when(runtime::Instant at_least) const {
  if (at_least <= reading_) return since_;
  if (at_least.time_since_epoch().count() >= kFar) return kEndOfTime;
  const std::int64_t ahead = (at_least - reading_).count();
  if (drift_ppm_ == 0) return since_ + Duration(ahead);
  return since_ + Duration(scaled(ahead, kMillion, kMillion + drift_ppm_, true));
}

WallTime HostClock::wall(Time now) const {
  const Duration passed = drifted(stopped_.value_or(now).time_since_epoch());
  const auto since_start = std::chrono::floor<std::chrono::milliseconds>(passed + wall_skew_ + leap_);
  return WallTime{wall_start_.ms + since_start.count()};
}

void HostClock::stop_wall(Time now) {
  if (!stopped_) stopped_ = now;
}

// Goes on from where it stood, until something sets it.
void HostClock::resume_wall(Time now) {
  if (!stopped_) return;
  wall_skew_ -= drifted(now.time_since_epoch()) - drifted(stopped_->time_since_epoch());
  stopped_.reset();
}

void HostClock::set_drift(Time now, std::optional<std::int64_t> ppm) {
  reading_ = monotonic(now);
  since_ = now;
  const Duration of_wall = stopped_.value_or(now).time_since_epoch();
  const Duration before = drifted(of_wall);
  drift_ppm_ = ppm.value_or(usual_drift_ppm_);
  wall_skew_ += before - drifted(of_wall);
}

}  // namespace stele::sim
