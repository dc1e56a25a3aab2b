// MQTT bytes to packets. Pure. Everything decoded is a view of the input, which must outlive it.
//
// A connection cuts its input into frames with next_frame, then decodes each with the version its CONNECT
// named:
//
//   FrameResult next = next_frame(input, max_packet_size);
//   if (next.status == FrameResult::Status::kFrame) { auto publish = decode_publish(next.frame, version); … }
//
// What only the direction or the session can decide is left to the caller: who may send which packet,
// subscription identifiers from a client, topic aliases and packet identifiers in use, reason codes reserved
// to one side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/mqtt/packet.h"

namespace stele::mqtt {

// One packet as it stands in the input.
struct Frame {
  std::uint8_t first_byte = 0;
  std::string_view body;       // after the remaining length
  std::size_t total_size = 0;  // fixed header and body
  PacketType type() const { return static_cast<PacketType>(first_byte >> 4); }
};

struct FrameResult {
  enum class Status : std::uint8_t { kNeedMore, kFrame, kError };
  Status status = Status::kNeedMore;
  Frame frame;
  std::size_t total_size_needed = 0;  // kNeedMore: size of the whole packet, 0 while unknown
  ReasonCode error = ReasonCode::kSuccess;
};

// The first packet of `input`. A packet may have at most `max_packet_size` bytes in all; the fixed header is
// refused as soon as it is seen to be wrong [MQTT-2.1.3-1], the packet as soon as it is known to be too
// large.
FrameResult next_frame(std::string_view input, std::uint32_t max_packet_size);

struct DecodeError {
  ReasonCode reason = ReasonCode::kMalformedPacket;  // for DISCONNECT, or for CONNACK where CONNECT failed
  std::string what;
};

template <class T>
using Decoded = std::expected<T, DecodeError>;

// The version that a CONNECT asks for, if it is one of ours: how to answer one that does not decode.
std::optional<Version> peek_connect_version(const Frame& frame);

Decoded<Connect> decode_connect(const Frame& frame);
Decoded<Connack> decode_connack(const Frame& frame, Version version);
Decoded<Publish> decode_publish(const Frame& frame, Version version);
template <PacketType T>
Decoded<Ack<T>> decode_ack(const Frame& frame, Version version);  // of the four kinds
Decoded<Subscribe> decode_subscribe(const Frame& frame, Version version);
Decoded<Suback> decode_suback(const Frame& frame, Version version);
Decoded<Unsubscribe> decode_unsubscribe(const Frame& frame, Version version);
Decoded<Unsuback> decode_unsuback(const Frame& frame, Version version);
Decoded<Pingreq> decode_pingreq(const Frame& frame, Version version);
Decoded<Pingresp> decode_pingresp(const Frame& frame, Version version);
Decoded<Disconnect> decode_disconnect(const Frame& frame, Version version);
Decoded<Auth> decode_auth(const Frame& frame, Version version);

inline Decoded<Puback> decode_puback(const Frame& f, Version v) {
  return decode_ack<PacketType::kPuback>(f, v);
}
inline Decoded<Pubrec> decode_pubrec(const Frame& f, Version v) {
  return decode_ack<PacketType::kPubrec>(f, v);
}
inline Decoded<Pubrel> decode_pubrel(const Frame& f, Version v) {
  return decode_ack<PacketType::kPubrel>(f, v);
}
inline Decoded<Pubcomp> decode_pubcomp(const Frame& f, Version v) {
  return decode_ack<PacketType::kPubcomp>(f, v);
}

// Any packet, by the type in its frame. A CONNECT brings its own version.
Decoded<Packet> decode(const Frame& frame, Version version);

}  // namespace stele::mqtt
