#include "protocols/mqtt/properties.h"

#include <array>
#include <initializer_list>

#include "base/assert.h"
#include "protocols/mqtt/reason_code.h"

namespace stele::mqtt {

namespace {

struct PropertyInfo {
  PropertyType type = PropertyType::kUnknown;
  std::uint16_t blocks = 0;
};

constexpr std::size_t kPropertyIdEnd = 0x2B;

// Section 2.2.2.2, table 2-4. Block 0 is the will's.
constexpr auto kProperties = [] {
  using enum PacketType;
  using enum PropertyType;
  using enum Property;
  std::array<PropertyInfo, kPropertyIdEnd> table{};
  const auto set = [&](Property id, PropertyType type, std::initializer_list<PacketType> packets) {
    std::uint16_t blocks = 0;
    for (PacketType p : packets) blocks |= static_cast<std::uint16_t>(1u << static_cast<unsigned>(p));
    table[static_cast<std::size_t>(id)] = {type, blocks};
  };
  constexpr auto kWill = static_cast<PacketType>(0);
  set(kPayloadFormatIndicator, kByte, {kPublish, kWill});
  set(kMessageExpiryInterval, kFourByte, {kPublish, kWill});
  set(kContentType, kString, {kPublish, kWill});
  set(kResponseTopic, kString, {kPublish, kWill});
  set(kCorrelationData, kBinary, {kPublish, kWill});
  set(kSubscriptionIdentifier, kVarint, {kPublish, kSubscribe});
  set(kSessionExpiryInterval, kFourByte, {kConnect, kConnack, kDisconnect});
  set(kAssignedClientIdentifier, kString, {kConnack});
  set(kServerKeepAlive, kTwoByte, {kConnack});
  set(kAuthenticationMethod, kString, {kConnect, kConnack, kAuth});
  set(kAuthenticationData, kBinary, {kConnect, kConnack, kAuth});
  set(kRequestProblemInformation, kByte, {kConnect});
  set(kWillDelayInterval, kFourByte, {kWill});
  set(kRequestResponseInformation, kByte, {kConnect});
  set(kResponseInformation, kString, {kConnack});
  set(kServerReference, kString, {kConnack, kDisconnect});
  set(kReasonString, kString,
      {kConnack, kPuback, kPubrec, kPubrel, kPubcomp, kSuback, kUnsuback, kDisconnect, kAuth});
  set(kReceiveMaximum, kTwoByte, {kConnect, kConnack});
  set(kTopicAliasMaximum, kTwoByte, {kConnect, kConnack});
  set(kTopicAlias, kTwoByte, {kPublish});
  set(kMaximumQos, kByte, {kConnack});
  set(kRetainAvailable, kByte, {kConnack});
  set(kUserProperty, kStringPair,
      {kConnect, kConnack, kPublish, kWill, kPuback, kPubrec, kPubrel, kPubcomp, kSubscribe, kSuback,
       kUnsubscribe, kUnsuback, kDisconnect, kAuth});
  set(kMaximumPacketSize, kFourByte, {kConnect, kConnack});
  set(kWildcardSubscriptionAvailable, kByte, {kConnack});
  set(kSubscriptionIdentifierAvailable, kByte, {kConnack});
  set(kSharedSubscriptionAvailable, kByte, {kConnack});
  return table;
}();

std::string_view read_sized(Reader& reader) {
  return reader.bytes(reader.u16_be());
}

}  // namespace

PropertyType property_type(std::uint8_t id) {
  return id < kPropertyIdEnd ? kProperties[id].type : PropertyType::kUnknown;
}

bool is_property_allowed(std::uint8_t id, unsigned block) {
  return id < kPropertyIdEnd && ((kProperties[id].blocks >> block) & 1);
}

std::uint32_t read_varint(Reader& reader) {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift <= 21; shift += 7) {
    const std::uint8_t byte = reader.u8();
    value |= std::uint32_t{byte & 0x7Fu} << shift;
    if (byte & 0x80) continue;
    if (shift > 0 && byte == 0) break;  // fewer bytes would have done
    return value;
  }
  reader.fail();
  return 0;
}

void append_varint(std::string& out, std::uint32_t value) {
  STELE_ASSERT(value <= kMaxVarint);
  Writer(out).uvarint(value);  // LEB128 is the same encoding
}

bool read_property(Reader& reader, EncodedProperty& property) {
  const std::string_view start = reader.rest();
  const std::uint8_t id = reader.u8();  // all defined identifiers are below 128: one byte
  property = {};
  property.id = static_cast<Property>(id);
  switch (property_type(id)) {
    case PropertyType::kUnknown:
      reader.fail();
      break;
    case PropertyType::kByte:
      property.number = reader.u8();
      break;
    case PropertyType::kTwoByte:
      property.number = reader.u16_be();
      break;
    case PropertyType::kFourByte:
      property.number = reader.u32_be();
      break;
    case PropertyType::kVarint:
      property.number = read_varint(reader);
      break;
    case PropertyType::kStringPair:
      property.name = read_sized(reader);
      [[fallthrough]];
    case PropertyType::kString:
    case PropertyType::kBinary:
      property.text = read_sized(reader);
      break;
  }
  if (reader.failed()) return false;
  property.raw = start.substr(0, start.size() - reader.remaining());
  return true;
}

bool append_user_property(std::string& out, std::string_view name, std::string_view value) {
  if (name.size() > 0xFFFF || value.size() > 0xFFFF) return false;
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(Property::kUserProperty));
  writer.u16_be(static_cast<std::uint16_t>(name.size())).bytes(name);
  writer.u16_be(static_cast<std::uint16_t>(value.size())).bytes(value);
  return true;
}

void append_subscription_id(std::string& out, std::uint32_t id) {
  STELE_ASSERT(id > 0);
  Writer(out).u8(static_cast<std::uint8_t>(Property::kSubscriptionIdentifier));
  append_varint(out, id);
}

}  // namespace stele::mqtt
