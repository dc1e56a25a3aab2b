#include "protocols/mqtt/properties.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocols/mqtt/decode.h"

namespace stele::mqtt {
namespace {

using namespace std::string_literals;

TEST(Varint, GrowsWhereTheSpecificationSays) {  // section 1.5.5, table 1-1
  const std::pair<std::uint32_t, std::string> cases[] = {{0, "\x00"s},
                                                         {127, "\x7F"},
                                                         {128, "\x80\x01"},
                                                         {16'383, "\xFF\x7F"},
                                                         {16'384, "\x80\x80\1"},
                                                         {2'097'151, "\xFF\xFF\x7F"},
                                                         {2'097'152, "\x80\x80\x80\1"},
                                                         {268'435'455, "\xFF\xFF\xFF\x7F"}};
  for (const auto& [value, bytes] : cases) {
    std::string out;
    append_varint(out, value);
    EXPECT_EQ(out, bytes);
    EXPECT_EQ(varint_size(value), bytes.size());
    Reader reader(bytes);
    EXPECT_EQ(read_varint(reader), value);
    EXPECT_TRUE(reader.ok() && reader.at_end());
  }
}

TEST(Varint, RefusesWhatIsPaddedLongOrCut) {  // [MQTT-1.5.5-1]
  for (const auto& bytes :
       {"\x80\x00"s, "\xFF\x80\x00"s, "\x80\x80\x80\x80\x01"s, "\xFF\xFF\xFF\xFF"s, "\x80"s, ""s}) {
    Reader reader(bytes);
    EXPECT_EQ(read_varint(reader), 0u);
    EXPECT_TRUE(reader.failed());
  }
}

// The properties as sections 3.1 to 3.15 list them, packet by packet; the code has table 2-4, property by
// property.
struct Block {
  const char* packet;
  unsigned number;
  std::set<unsigned> properties;
};
const std::vector<Block>& blocks() {
  static const std::vector<Block> all = {
      {"will", 0, {0x18, 0x01, 0x02, 0x03, 0x08, 0x09, 0x26}},
      {"CONNECT", 1, {0x11, 0x21, 0x27, 0x22, 0x19, 0x17, 0x26, 0x15, 0x16}},
      {"CONNACK",
       2,
       {0x11, 0x21, 0x24, 0x25, 0x27, 0x12, 0x22, 0x1F, 0x26, 0x28, 0x29, 0x2A, 0x13, 0x1A, 0x1C, 0x15,
        0x16}},
      {"PUBLISH", 3, {0x01, 0x02, 0x23, 0x08, 0x09, 0x26, 0x0B, 0x03}},
      {"PUBACK", 4, {0x1F, 0x26}},
      {"PUBREC", 5, {0x1F, 0x26}},
      {"PUBREL", 6, {0x1F, 0x26}},
      {"PUBCOMP", 7, {0x1F, 0x26}},
      {"SUBSCRIBE", 8, {0x0B, 0x26}},
      {"SUBACK", 9, {0x1F, 0x26}},
      {"UNSUBSCRIBE", 10, {0x26}},
      {"UNSUBACK", 11, {0x1F, 0x26}},
      {"PINGREQ", 12, {}},
      {"PINGRESP", 13, {}},
      {"DISCONNECT", 14, {0x11, 0x1F, 0x26, 0x1C}},
      {"AUTH", 15, {0x15, 0x16, 0x1F, 0x26}},
  };
  return all;
}

TEST(Properties, EachBlockHasItsOwn) {  // section 2.2.2.2
  std::set<unsigned> known;
  for (const Block& block : blocks()) {
    for (unsigned id = 0; id < 256; ++id) {
      EXPECT_EQ(is_property_allowed(static_cast<std::uint8_t>(id), block.number),
                block.properties.contains(id))
          << block.packet << " 0x" << std::hex << id;
    }
    known.insert(block.properties.begin(), block.properties.end());
  }
  EXPECT_EQ(known.size(), 27u);
  for (unsigned id = 0; id < 256; ++id) {
    EXPECT_EQ(property_type(static_cast<std::uint8_t>(id)) != PropertyType::kUnknown, known.contains(id))
        << id;
  }
}

// A body of that packet type with this property block and nothing else amiss.
std::string body_with(unsigned packet, const std::string& property) {
  std::string block;
  append_varint(block, static_cast<std::uint32_t>(property.size()));
  block += property;
  switch (packet) {
    case 0:
      return "\0\4MQTT\5\6\0\0\0\0\1c"s + block + "\0\1t\0\0"s;
    case 1:
      return "\0\4MQTT\5\2\0\0"s + block + "\0\1c"s;
    case 2:
      return "\0\0"s + block;
    case 3:
      return "\0\1t"s + block;
    case 8:
      return "\0\1"s + block + "\0\1t\0"s;
    case 9:
    case 11:
      return "\0\1"s + block + "\0"s;
    case 10:
      return "\0\1"s + block + "\0\1t"s;
    case 14:
    case 15:
      return "\0"s + block;
    default:
      return "\0\1\0"s + block;  // the four of the QoS exchanges
  }
}

std::string valid_property(unsigned id) {
  const std::string head(1, static_cast<char>(id));
  switch (property_type(static_cast<std::uint8_t>(id))) {
    case PropertyType::kByte:
    case PropertyType::kVarint:
      return head + "\1";
    case PropertyType::kTwoByte:
      return head + "\0\1"s;
    case PropertyType::kFourByte:
      return head + "\0\0\0\1"s;
    case PropertyType::kStringPair:
      return head + "\0\1k\0\1v"s;
    default:
      return head + "\0\1x"s;
  }
}

TEST(Properties, TheDecoderTakesAllOfTheBlockAndNoOthers) {
  for (const Block& block : blocks()) {
    if (block.properties.empty()) continue;
    const unsigned type = std::max(block.number, 1u);
    const auto flags = type == 6 || type == 8 || type == 10 ? 2u : 0u;
    const std::string method = block.number == 15 ? valid_property(0x15) : "";  // AUTH must have one
    std::deque<std::string> bodies;  // what was decoded points into them
    const auto outcome = [&](const std::string& property) {
      const std::string& body = bodies.emplace_back(body_with(block.number, property));
      return decode({static_cast<std::uint8_t>(type << 4 | flags), body, 2 + body.size()}, Version::kV5);
    };
    ASSERT_TRUE(outcome(method)) << block.packet << outcome(method).error().what;
    for (unsigned id = 0; id < 128; ++id) {
      if (block.number == 15 && id == 0x15) continue;
      const std::string with = id == 0x16 && block.number <= 2 ? valid_property(0x15) : method;
      const auto decoded = outcome(with + valid_property(id));
      EXPECT_EQ(decoded.has_value(), block.properties.contains(id))
          << block.packet << " 0x" << std::hex << id;
      if (!decoded) {
        EXPECT_EQ(decoded.error().reason, ReasonCode::kMalformedPacket);
        continue;
      }
      EXPECT_NE(*decoded, *outcome(with)) << "property 0x" << std::hex << id << " is lost";
      const auto twice = outcome(with + valid_property(id) + valid_property(id));
      const bool repeatable = id == 0x26 || (id == 0x0B && block.number == 3);
      EXPECT_EQ(twice.has_value(), repeatable) << block.packet << " 0x" << std::hex << id;
      if (!twice) {
        EXPECT_EQ(twice.error().reason, ReasonCode::kProtocolError);
      }
    }
  }
}

// As the tables of sections 3.2 to 3.15 have them, packet by packet; the code has table 2-6, reason by
// reason.
TEST(ReasonCode, EachPacketHasItsOwn) {
  const std::pair<PacketType, std::set<unsigned>> tables[] = {
      {PacketType::kConnect, {}},
      {PacketType::kConnack, {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                              0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}},
      {PacketType::kPublish, {}},
      {PacketType::kPuback, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
      {PacketType::kPubrec, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
      {PacketType::kPubrel, {0x00, 0x92}},
      {PacketType::kPubcomp, {0x00, 0x92}},
      {PacketType::kSubscribe, {}},
      {PacketType::kSuback, {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}},
      {PacketType::kUnsubscribe, {}},
      {PacketType::kUnsuback, {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}},
      // 0x8C stands in table 2-6 for DISCONNECT, though not in that of 3.14.2.1: a failed re-authentication
      // says it.
      {PacketType::kDisconnect,
       {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
        0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}},
      {PacketType::kAuth, {0x00, 0x18, 0x19}},
  };
  for (const auto& [type, reasons] : tables) {
    for (unsigned code = 0; code < 256; ++code) {
      EXPECT_EQ(is_reason_allowed(type, static_cast<ReasonCode>(code)), reasons.contains(code))
          << to_string(type) << " 0x" << std::hex << code;
    }
  }
}

}  // namespace
}  // namespace stele::mqtt
