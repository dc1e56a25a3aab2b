// A host's clocks, derived from the world's. The monotonic one starts anywhere at each power-on and drifts;
// the wall clock is off by a skew, and faults may make it jump or stand still.
#pragma once

#include <optional>

#include "model/ids.h"
#include "runtime/time.h"
#include "sim/time.h"

namespace stele::sim {

class HostClock {
 public:
  HostClock(WallTime wall_start, Duration wall_skew, std::int64_t drift_ppm)
      : usual_drift_ppm_(drift_ppm), drift_ppm_(drift_ppm), wall_start_(wall_start), wall_skew_(wall_skew) {}

  // Power on: the monotonic clock reads `reading` now.
  void power_on(Time now, runtime::Instant reading) {
    since_ = now;
    reading_ = reading;
  }
  runtime::Instant monotonic(Time now) const;
  // The earliest time of the world at which the monotonic clock reads `at_least`.
  Time when(runtime::Instant at_least) const;

  WallTime wall(Time now) const;
  void jump_wall(Duration by) { wall_skew_ += by; }
  // The wall clock is so far ahead besides; zero is normal.
  void set_leap(Duration leap) { leap_ = leap; }
  void stop_wall(Time now);
  void resume_wall(Time now);
  // From now on both go so much too fast, in millionths; without one as they usually do. Neither jumps.
  void set_drift(Time now, std::optional<std::int64_t> ppm);

 private:
  Duration drifted(Duration passed) const;

  Time since_{};
  runtime::Instant reading_{};
  const std::int64_t usual_drift_ppm_;
  std::int64_t drift_ppm_;
  WallTime wall_start_;
  Duration wall_skew_;
  Duration leap_{};
  std::optional<Time> stopped_;
};

}  // namespace stele::sim
