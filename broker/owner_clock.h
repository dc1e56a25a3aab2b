// The time a shard's owner writes into its entries: never goes back, not even across a take-over, advances by
// the monotonic clock, and slews towards wall time by at most one part in ten, so that a wall clock that
// jumps neither expires everything at once nor stops expiry. Pure.
#pragma once

#include <algorithm>

#include "model/ids.h"
#include "runtime/time.h"

namespace stele::broker {

class OwnerClock {
 public:
  // `last`: the time of the last entry of the log.
  OwnerClock(WallTime last, WallTime wall, runtime::Instant now)
      : time_ns_(std::max(last.ms, wall.ms) * kNsPerMs), at_(now) {}

  WallTime now(WallTime wall, runtime::Instant now) {
    const std::int64_t passed_ns = std::max<std::int64_t>(0, (now - at_).count());
    at_ = std::max(at_, now);
    const std::int64_t behind_ns = wall.ms * kNsPerMs - (time_ns_ + passed_ns);
    time_ns_ += passed_ns + std::clamp(behind_ns, -passed_ns / kSlew, passed_ns / kSlew);
    return WallTime{time_ns_ / kNsPerMs};
  }

 private:
  static constexpr std::int64_t kNsPerMs = 1'000'000;
  static constexpr std::int64_t kSlew = 10;
  std::int64_t time_ns_;
  runtime::Instant at_;
};

}  // namespace stele::broker
