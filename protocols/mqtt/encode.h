// Packets to MQTT bytes, appended to a string. Pure. For a version before 5.0 whatever only 5.0 has is left
// out, so a PUBLISH that came in one version is written for another by encoding the same struct.
//
// Each function returns false, and leaves `out` as it was, if a string is longer than its 16-bit length can
// say or the packet longer than 268,435,455 bytes. Otherwise the packet is taken to keep the rules the
// decoder enforces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "protocols/mqtt/packet.h"

namespace stele::mqtt {

bool encode(std::string& out, const Connect& packet);  // by its own version
// 3.1.1: a reason without a return code goes out as "server unavailable"; see connack_return_code_v3.
bool encode(std::string& out, const Connack& packet, Version version);
[[nodiscard]] bool encode(std::string& out, const Publish& packet, Version version);
template <PacketType T>
bool encode(std::string& out, const Ack<T>& packet, Version version);
bool encode(std::string& out, const Subscribe& packet, Version version);
bool encode(std::string& out, const Suback& packet, Version version);
bool encode(std::string& out, const Unsubscribe& packet, Version version);
bool encode(std::string& out, const Unsuback& packet, Version version);
bool encode(std::string& out, const Pingreq& packet, Version version);
bool encode(std::string& out, const Pingresp& packet, Version version);
bool encode(std::string& out, const Disconnect& packet, Version version);  // 3.1.1: only clients send it
bool encode(std::string& out, const Auth& packet, Version version);        // 5.0 only: else false
bool encode(std::string& out, const Packet& packet, Version version);

// All of a PUBLISH that comes before its payload, which the caller sends behind it as a slice of its own;
// packet.payload is not looked at. A fan-out encodes once and patches a copy per subscriber.
struct PublishHeader {
  bool ok = false;
  std::size_t first_byte_at = 0;  // index in `out`: DUP, QoS and RETAIN
  std::size_t packet_id_at = 0;   // index in `out` of the 16-bit packet identifier; 0 with QoS 0
  std::size_t expiry_at = 0;      // index in `out` of the 32-bit message expiry interval; 0 if it has none
};
[[nodiscard]] PublishHeader encode_publish_header(std::string& out, const Publish& packet, Version version,
                                                  std::size_t payload_size);
void patch_packet_id(std::string& out, const PublishHeader& header, std::uint16_t packet_id);
void patch_expiry(std::string& out, const PublishHeader& header, std::uint32_t interval_s);

// Size of the whole packet with a payload of that size: to hold against the receiver's maximum packet size
// [MQTT-3.1.2-24] before it is written.
std::size_t encoded_publish_size(const Publish& packet, Version version, std::size_t payload_size);

}  // namespace stele::mqtt
