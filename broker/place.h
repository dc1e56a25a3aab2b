// Where somebody of the broker is, as a core sees it: on a core of its own process, or on another node, whose
// cores are its own business.
#pragma once

#include <compare>
#include <cstdint>

#include "base/assert.h"
#include "model/ids.h"

namespace stele::broker {

class Place {
 public:
  Place() = default;
  Place(CoreId core) : value_(core.value) {}          // NOLINT(google-explicit-constructor)
  Place(NodeId node) : value_(kNode | node.value) {}  // NOLINT(google-explicit-constructor)
  static Place from(std::uint64_t value) {
    Place place;
    place.value_ = value;
    return place;
  }
  // For from().
  std::uint64_t value() const { return value_; }

  bool here() const { return value_ < kNode; }  // in this process
  CoreId core() const {
    STELE_ASSERT(here());
    return CoreId(static_cast<std::uint32_t>(value_));
  }
  NodeId node() const {
    STELE_ASSERT(!here());
    return NodeId(static_cast<std::uint32_t>(value_));
  }
  friend auto operator<=>(const Place&, const Place&) = default;

 private:
  static constexpr std::uint64_t kNode = 1ULL << 32;
  std::uint64_t value_ = 0;
};

}  // namespace stele::broker
