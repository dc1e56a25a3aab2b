// Time inside Stele. Instants of the monotonic clock and durations are int64 nanoseconds with their own
// types; wall time is stele::WallTime (milliseconds since 1970) and is only ever shown or stored, never used
// to wait.
#pragma once

#include <chrono>
#include <cstdint>

namespace stele::runtime {

using Duration = std::chrono::nanoseconds;

// Only tells Instants of different clocks apart; has no now(): ask Runtime::now().
struct MonotonicClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using Instant = MonotonicClock::time_point;

constexpr Instant kNever = Instant::max();

}  // namespace stele::runtime
