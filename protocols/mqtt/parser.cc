#include "protocols/mqtt/parser.h"

namespace stele::mqtt::internal {

bool is_first_byte_valid(std::uint8_t first_byte) {
  const unsigned flags = first_byte & 0x0F;
  switch (static_cast<PacketType>(first_byte >> 4)) {
    case PacketType::kPublish: {
      const unsigned qos = (flags >> 1) & 3;
      return qos != 3 && !(qos == 0 && (flags & 8));  // [MQTT-3.3.1-4], [MQTT-3.3.1-2]
    }
    case PacketType::kPubrel:
    case PacketType::kSubscribe:
    case PacketType::kUnsubscribe:
      return flags == 2;
    default:
      return first_byte >= 0x10 && flags == 0;
  }
}

void Parser::check_frame(const Frame& frame, PacketType type) {
  if (frame.type() != type) return protocol_error("not the packet type that was expected");
  if (!is_first_byte_valid(frame.first_byte)) return malformed("flags of the fixed header");
}

std::string_view Parser::topic_filter() {
  const std::string_view filter = string();
  if (!ok()) return filter;
  // `$share` is in the specification of 5.0 only, but all servers take it from 3.1.1 clients too.
  if (!parse_subscribed_filter(filter)) {
    fail(ReasonCode::kTopicFilterInvalid, "a topic filter is empty or misuses a wildcard or $share");
  }
  return filter;
}

std::string_view Parser::property_block() {
  const std::uint32_t length = read_varint(reader_);
  return reader_.bytes(length);
}

bool Parser::check_property(const EncodedProperty& property, unsigned block, std::uint64_t& seen) {
  const auto id = static_cast<std::uint8_t>(property.id);
  if (!is_property_allowed(id, block)) {
    malformed("a property that this packet cannot have");
    return false;
  }
  const bool repeatable =
      property.id == Property::kUserProperty || (property.id == Property::kSubscriptionIdentifier &&
                                                 block == static_cast<unsigned>(PacketType::kPublish));
  const std::uint64_t bit = std::uint64_t{1} << id;
  if (!repeatable && (seen & bit)) {
    protocol_error("a property appears twice");
    return false;
  }
  seen |= bit;
  const PropertyType type = property_type(id);
  const bool is_text = type == PropertyType::kString || type == PropertyType::kStringPair;
  if (is_text && !(is_valid_utf8(property.text) && is_valid_utf8(property.name))) {
    malformed("a property is not UTF-8, or has U+0000");
    return false;
  }
  return true;
}

DecodeError Parser::error() const {
  return DecodeError{reason_, what_};
}

}  // namespace stele::mqtt::internal
