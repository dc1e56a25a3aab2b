// A subscription of a connected client that matches a message, and its options (packed). The subscriber is
// LiveTable's.
#pragma once

#include <cstdint>

namespace stele::broker {

struct LiveSubscriber;

struct LiveMatch {
  LiveSubscriber* subscriber;
  std::uint64_t options;
};

}  // namespace stele::broker
