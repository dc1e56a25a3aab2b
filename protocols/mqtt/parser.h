// Reads the body of one packet. Private to the decoder: the first thing wrong decides the reason, later reads
// give zeros and empty views.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/wire.h"
#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/topic.h"
#include "protocols/mqtt/utf8.h"

namespace stele::mqtt::internal {

// The block number of the will's properties; other blocks have the number of their packet type.
constexpr unsigned kWillBlock = 0;

class Parser {
 public:
  Parser(const Frame& frame, PacketType type, Version version) : reader_(frame.body), version_(version) {
    check_frame(frame, type);
  }

  bool v5() const { return version_ == Version::kV5; }
  bool ok() const { return reader_.ok(); }
  bool at_end() const { return reader_.at_end(); }
  std::size_t remaining() const { return reader_.remaining(); }
  void set_version(Version version) { version_ = version; }

  // `what` is a literal.
  void fail(ReasonCode reason, const char* what) {
    if (reader_.failed()) return;
    reader_.fail();
    reason_ = reason;
    what_ = what;
  }
  void malformed(const char* what) { fail(ReasonCode::kMalformedPacket, what); }
  void protocol_error(const char* what) { fail(ReasonCode::kProtocolError, what); }
  void malformed_if(bool wrong, const char* what) {
    if (wrong) [[unlikely]]
      malformed(what);
  }
  void protocol_error_if(bool wrong, const char* what) {
    if (wrong) [[unlikely]]
      protocol_error(what);
  }

  std::uint8_t u8() { return reader_.u8(); }
  std::uint16_t u16() { return reader_.u16_be(); }
  std::string_view binary() { return reader_.bytes(reader_.u16_be()); }
  std::string_view take_rest() { return reader_.bytes(reader_.remaining()); }
  std::string_view string() {
    const std::string_view text = binary();
    malformed_if(!is_valid_utf8(text), "a string is not UTF-8, or has U+0000");
    return text;
  }
  std::uint16_t packet_id() {
    const std::uint16_t id = u16();
    if (ok()) protocol_error_if(id == 0, "packet identifier 0");
    return id;
  }
  std::string_view topic_name() {
    const std::string_view topic = string();
    if (ok() && !is_valid_topic_name(topic)) {
      fail(ReasonCode::kTopicNameInvalid, "a topic name is empty or has a wildcard");
    }
    return topic;
  }
  std::string_view topic_filter();
  ReasonCode reason(PacketType type) {
    const auto code = static_cast<ReasonCode>(u8());
    if (ok()) protocol_error_if(!is_reason_allowed(type, code), "reason code not defined for this packet");
    return code;
  }

  // Reads a property block, length first, and calls on_property(const EncodedProperty&) for each one, in
  // order. Nothing in versions before 5.0.
  template <class F>
  void properties(unsigned block, F&& on_property) {
    if (!v5()) return;
    Reader rest(property_block());
    std::uint64_t seen = 0;
    EncodedProperty property;
    while (ok() && !rest.at_end()) {
      if (!read_property(rest, property)) return malformed("a property is unknown or cut short");
      if (!check_property(property, block, seen)) return;
      on_property(std::as_const(property));
    }
  }

  // Values of properties.
  bool flag(const EncodedProperty& p) {
    protocol_error_if(p.number > 1, "a property that is 0 or 1 has another value");
    return p.number == 1;
  }
  std::uint16_t u16_not_0(const EncodedProperty& p) { return static_cast<std::uint16_t>(u32_not_0(p)); }
  std::uint32_t u32_not_0(const EncodedProperty& p) {
    protocol_error_if(p.number == 0, "a property is 0 that must not be");
    return p.number;
  }

  // The packet, if all of the body was read and nothing was wrong.
  template <class T>
  Decoded<T> finish(T&& packet) {
    if (ok() && !at_end()) malformed("bytes follow the packet's end");
    if (!ok()) [[unlikely]]
      return std::unexpected(error());
    return std::forward<T>(packet);
  }
  DecodeError error() const;

 private:
  void check_frame(const Frame& frame, PacketType type);
  std::string_view property_block();
  bool check_property(const EncodedProperty& property, unsigned block, std::uint64_t& seen);

  Reader reader_;
  Version version_;
  ReasonCode reason_ = ReasonCode::kMalformedPacket;
  const char* what_ = "the packet ends early";
};

// Whether the flags of the fixed header fit the packet type [MQTT-2.1.3-1].
bool is_first_byte_valid(std::uint8_t first_byte);

}  // namespace stele::mqtt::internal
