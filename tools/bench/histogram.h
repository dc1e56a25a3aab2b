// Log-linear histogram of nanoseconds: 64 steps per octave, so a value is known within 1.6 %.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace stele::bench {

class Histogram {
 public:
  void add(std::uint64_t value) {
    ++steps_[index(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  // The smallest value that at least `share` (0..1) of all values do not exceed.
  std::uint64_t percentile(double share) const {
    if (count_ == 0) return 0;
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_ - 1));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      seen += steps_[i];
      if (seen > wanted) return value(i);
    }
    return max_;
  }

 private:
  static std::size_t index(std::uint64_t value) {
    if (value < 64) return value;
    const int octave = std::bit_width(value) - 7;
    return static_cast<std::size_t>(octave + 1) * 64 + ((value >> octave) - 64);
  }
  static std::uint64_t value(std::size_t index) {
    if (index < 64) return index;
    return std::uint64_t{index % 64 + 64} << (index / 64 - 1);
  }

  std::array<std::uint64_t, std::size_t{64} * 60> steps_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace stele::bench
