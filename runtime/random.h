// Random numbers. Production seeds from the system, the simulator from its seed; both give this generator, so
// that drawing costs no call. xoshiro256** (Blackman, Vigna 2018), state filled by SplitMix64.
#pragma once

#include <array>
#include <cstdint>

#include "base/assert.h"
#include "base/hash.h"

namespace stele::runtime {

class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (auto& word : state_) word = mix64(seed += 0x9e3779b97f4a7c15ULL);
  }

  std::uint64_t next() {
    const std::uint64_t result = rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotl(state_[3], 45);
    return result;
  }
  // Uniform in [0, bound). Lemire's multiplication; its bias is below 2^-32 for the bounds used here.
  std::uint64_t below(std::uint64_t bound) {
    STELE_ASSERT(bound > 0);
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  // Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    STELE_ASSERT(low <= high);
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  // True with probability `numerator` / `denominator`.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) { return below(denominator) < numerator; }
  // A generator of its own, so that draws of one concern do not shift those of another.
  Random fork() { return Random(next()); }

 private:
  static std::uint64_t rotl(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace stele::runtime
