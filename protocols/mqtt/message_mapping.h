// MQTT's application messages as the broker's, and back. Pure; views stay where they lie.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/message.h"
#include "protocols/mqtt/packet.h"

namespace stele::mqtt {

// Views of the packet, which must stay. `now_ms`: its arrival, which is its time, and from which its expiry
// counts.
MessageView message_of(const Publish& packet, std::int64_t now_ms);
// Without its expiry: that counts from the publication of the will.
MessageView message_of(const Will& will);

// Fills in all of a PUBLISH but its flags and packet identifier. `scratch` is overwritten; the packet has
// views of it. An expired message is the caller's to drop.
void fill_publish(Publish& packet, const MessageView& message, Version version, std::int64_t now_ms,
                  std::span<const std::uint32_t> subscription_ids, std::string& scratch);

}  // namespace stele::mqtt
