#include "broker/owner_clock.h"

#include <gtest/gtest.h>

namespace stele::broker {
namespace {

using namespace std::chrono_literals;
using runtime::Instant;

TEST(OwnerClock, NeverGoesBackAcrossATakeOver) {
  OwnerClock clock(WallTime{5000}, WallTime{1000}, Instant(1s));
  EXPECT_EQ(clock.now(WallTime{1000}, Instant(1s)).ms, 5000);
  EXPECT_GE(clock.now(WallTime{1001}, Instant(1001ms)).ms, 5000);
}

TEST(OwnerClock, SlewsTowardsWallTimeByATenth) {
  OwnerClock clock(WallTime{0}, WallTime{0}, Instant(0s));
  EXPECT_EQ(clock.now(WallTime{1'000'000}, Instant(10s)).ms, 11'000);  // wall jumped forward
  EXPECT_EQ(clock.now(WallTime{0}, Instant(20s)).ms, 20'000);          // and back
  EXPECT_EQ(clock.now(WallTime{30'000}, Instant(30s)).ms, 30'000);
}

TEST(OwnerClock, StandsStillWhenTheMonotonicClockDoes) {
  OwnerClock clock(WallTime{0}, WallTime{7}, Instant(3s));
  EXPECT_EQ(clock.now(WallTime{9000}, Instant(3s)).ms, 7);
}

}  // namespace
}  // namespace stele::broker
