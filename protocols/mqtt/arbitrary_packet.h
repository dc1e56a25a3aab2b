// Random packets that keep the specification's rules, for properties of the codec. To be called within
// rc::check.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "protocols/mqtt/packet.h"

namespace stele::mqtt {

// Keeps the text that packets point to.
class TextPool {
 public:
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }

 private:
  std::deque<std::string> texts_;  // never moves its elements
};

// One that a peer of that version may send, without anything that the version does not have.
Packet arbitrary_packet(TextPool& pool, PacketType type, Version version);
Publish arbitrary_publish(TextPool& pool, Version version);
std::string arbitrary_topic_name();
std::string arbitrary_topic_filter();

}  // namespace stele::mqtt
