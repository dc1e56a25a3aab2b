// Virtual time. The world has one clock that every host derives its own from: a Time never meets a
// runtime::Instant, which is a reading of some host's monotonic clock.
#pragma once

#include <chrono>
#include <cstdint>

#include "runtime/random.h"
#include "runtime/time.h"

namespace stele::sim {

using runtime::Duration;

// Only tells Times from other instants; World::now() gives them.
struct WorldClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<WorldClock>;
  static constexpr bool is_steady = true;
};
using Time = WorldClock::time_point;

constexpr Time kEndOfTime = Time::max();

// How long something takes: uniform between the two, and now and then (1 in 128) up to ten times the upper
// one, because it is the rare slow case that turns the order of things around.
struct Latency {
  Duration min{};
  Duration max{};
  Duration draw(runtime::Random& random) const {
    const std::int64_t usual = random.between(min.count(), max.count());
    return Duration(random.chance(1, 128) ? usual * random.between(1, 10) : usual);
  }
};

}  // namespace stele::sim
