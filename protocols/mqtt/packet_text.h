// Packets as one line of text, both ways, for tests whose conversations are files.
//
//   publish topic=a/b qos=1 id=7 payload=hello     →  a packet to send
//   PUBLISH topic=a/b qos=1 id=7 payload="hello"   ←  a packet that came
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "protocols/mqtt/packet.h"

namespace stele::mqtt {

std::string to_text(const Packet& packet);

// "connect v5 id=a keep=60 …", "publish …", "raw 30 05 …": the encoded packet, appended. A `connect` sets the
// version; the others use it. Text that is no packet ends the test.
void append_packet(std::string& out, std::string_view text, Version& version);

// The message of a "publish …". It has views of the text and of `storage`.
Publish parse_publish(std::string_view text, std::deque<std::string>& storage);

}  // namespace stele::mqtt
