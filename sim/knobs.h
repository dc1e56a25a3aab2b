// Knobs: what differs between runs besides faults. Each is declared once, with what is usual, its range, and
// the values at which things break. A run draws all of them; a scenario or a case may set some.
//
//   const Knob kKnobs[] = {{.name = "log.file_bytes", .usual = 1 << 20, .low = 16384, .high = 1 << 21}};
//   Knobs knobs = Knobs::draw(kKnobs, seed);
//   config.file_bytes = knobs["log.file_bytes"];
//
// Every knob draws from a stream of its own, so that one more does not shift the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stele::sim {

struct Knob {
  std::string_view name;  // with its unit: "disk.sync_max_ns"
  std::uint64_t usual = 0;
  // The extreme values, or, without a range, all there are.
  std::vector<std::uint64_t> choices = {};
  // Drawn between these, every order of magnitude as often as another. Equal: there is no range.
  std::uint64_t low = 0, high = 0;
  bool drawn = true;  // otherwise it is as usual, where a scenario or a case does not set it
  bool allows(std::uint64_t value) const;
};

class Knobs {
 public:
  // All at their usual values. What is declared lives on.
  explicit Knobs(std::span<const Knob> declared);
  static Knobs draw(std::span<const Knob> declared, std::uint64_t seed);

  // Of one that is declared.
  std::uint64_t operator[](std::string_view name) const;
  // kInvalidArgument: there is no such knob (and what it may be called), or it does not take that value.
  Result<void> set(std::string_view name, std::uint64_t value);

  std::span<const Knob> declared() const { return declared_; }
  friend bool operator==(const Knobs& a, const Knobs& b) { return a.values_ == b.values_; }

 private:
  std::span<const Knob> declared_;
  std::map<std::string_view, std::uint64_t> values_;
};

}  // namespace stele::sim
