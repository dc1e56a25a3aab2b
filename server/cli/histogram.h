// Durations counted in log-linear steps, after Gil Tene's HdrHistogram: 128 steps per doubling, so a value is
// known within 1 %, in 57 KiB whatever comes. Pure.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace stele::server::cli {

class Histogram {
 public:
  void add(std::uint64_t value) {
    ++counts_[place(value)];
    ++count_;
    if (value > max_) max_ = value;
  }
  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  // The value that `share` (0 to 1) of all values do not exceed, rounded up by no more than a step. 0 if
  // there is none.
  std::uint64_t percentile(double share) const {
    const double wanted = share * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size() && count_ > 0; ++i) {
      seen += counts_[i];
      if (counts_[i] > 0 && static_cast<double>(seen) >= wanted) return highest(i) < max_ ? highest(i) : max_;
    }
    return max_;
  }

 private:
  static constexpr int kBits = 7;
  static constexpr std::size_t kSteps = 1 << kBits;
  // Values below kSteps have a place each; above, the top kBits + 1 bits choose it.
  static std::size_t place(std::uint64_t value) {
    if (value < kSteps) return value;
    const int shift = std::bit_width(value) - kBits - 1;
    return static_cast<std::size_t>(shift) * kSteps + (value >> shift);
  }
  static std::uint64_t highest(std::size_t place) {
    if (place < 2 * kSteps) return place;
    const auto shift = static_cast<int>(place / kSteps) - 1;
    return (((place % kSteps + kSteps) + 1) << shift) - 1;
  }
  std::array<std::uint64_t, (64 - kBits + 1) * kSteps> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace stele::server::cli
