// How much is kept for one live subscriber.
#pragma once

#include <cstddef>

namespace stele::broker {

// What is kept for one subscriber. More that comes while a subscribe is under way is dropped; more of shared
// subscriptions is sent to it and nobody else has it if it is lost.
struct LiveLimits {
  std::size_t held_messages = 1000;
  std::size_t held_bytes = 1 << 20;
  std::size_t shared_bytes = 8 << 20;
};

}  // namespace stele::broker
