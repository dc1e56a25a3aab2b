#include "protocols/mqtt/sample_frames.h"

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "protocols/mqtt/properties.h"

namespace stele::mqtt {

namespace {

using namespace std::string_literals;
using enum ReasonCode;

std::string u8(unsigned v) {
  return std::string(1, static_cast<char>(v));
}
std::string u16(unsigned v) {
  return u8(v >> 8) + u8(v & 0xFF);
}
std::string u32(std::uint32_t v) {
  return u16(v >> 16) + u16(v & 0xFFFF);
}
std::string str(std::string_view s) {
  return u16(static_cast<unsigned>(s.size())) + std::string(s);
}

std::string frame(unsigned first_byte, const std::string& body) {
  std::string out = u8(first_byte);
  append_varint(out, static_cast<std::uint32_t>(body.size()));
  return out + body;
}
// A property block.
std::string props(const std::string& encoded = "") {
  std::string out;
  append_varint(out, static_cast<std::uint32_t>(encoded.size()));
  return out + encoded;
}
// Single properties.
std::string byte_prop(Property id, unsigned v) {
  return u8(static_cast<unsigned>(id)) + u8(v);
}
std::string u16_prop(Property id, unsigned v) {
  return u8(static_cast<unsigned>(id)) + u16(v);
}
std::string u32_prop(Property id, std::uint32_t v) {
  return u8(static_cast<unsigned>(id)) + u32(v);
}
std::string str_prop(Property id, std::string_view v) {
  return u8(static_cast<unsigned>(id)) + str(v);
}
std::string user(std::string_view name, std::string_view value) {
  return str_prop(Property::kUserProperty, name) + str(value);
}
std::string sub_id(std::uint32_t id) {
  std::string out = u8(static_cast<unsigned>(Property::kSubscriptionIdentifier));
  append_varint(out, id);
  return out;
}

class Samples {
 public:
  std::vector<SampleFrame> list;
  void good(Version version, const char* name, const char* section, std::string bytes) {
    list.push_back({label(version) + name, section, version, std::move(bytes), std::nullopt, ""});
  }
  void bad(Version version, const char* name, const char* section, ReasonCode reason, const char* what,
           std::string bytes) {
    list.push_back({label(version) + "bad_" + name, section, version, std::move(bytes), reason, what});
  }

 private:
  static std::string label(Version version) { return version == Version::kV5 ? "v5_" : "v3_"; }
};

constexpr Version kV3 = Version::kV311;
constexpr Version kV5 = Version::kV5;

std::string connect(std::string_view name, unsigned level, unsigned flags, const std::string& rest) {
  return frame(0x10, str(name) + u8(level) + u8(flags) + u16(60) + rest);
}
std::string connect3(unsigned flags, const std::string& rest) {
  return connect("MQTT", 4, flags, rest);
}
std::string connect5(unsigned flags, const std::string& properties, const std::string& rest = str("c")) {
  return connect("MQTT", 5, flags, props(properties) + rest);
}

void add_connect(Samples& s) {
  s.good(kV3, "connect", "3.1", connect3(0x02, str("client")));
  s.good(kV3, "connect_no_id_clean", "MQTT-3.1.3-7", connect3(0x02, str("")));
  s.good(kV3, "connect_all", "3.1",
         connect3(0xF6, str("c") + str("w/t") + str("bye") + str("me") + str("pw")));
  s.good(kV3, "connect_mqisdp", "3.1.2.1", connect("MQIsdp", 3, 0x02, str("old")));
  s.bad(kV3, "connect_mqisdp_no_id", "3.1 of MQTT 3.1", kClientIdentifierNotValid, "client identifier",
        connect("MQIsdp", 3, 0x02, str("")));
  s.bad(kV3, "connect_no_id_kept", "MQTT-3.1.3-8 (3.1.1)", kClientIdentifierNotValid, "client identifier",
        connect3(0x00, str("")));
  s.bad(kV3, "connect_password_alone", "MQTT-3.1.2-22 (3.1.1)", kMalformedPacket, "password",
        connect3(0x42, str("c") + str("pw")));
  s.bad(kV3, "connect_level_6", "MQTT-3.1.2-2", kUnsupportedProtocolVersion, "level",
        connect("MQTT", 6, 2, str("c")));
  s.bad(kV3, "connect_mqisdp_4", "MQTT-3.1.2-2", kUnsupportedProtocolVersion, "level",
        connect("MQIsdp", 4, 2, str("c")));
  s.bad(kV3, "connect_name", "MQTT-3.1.2-1", kUnsupportedProtocolVersion, "name",
        connect("HTTP", 4, 2, str("c")));
  s.bad(kV3, "connect_reserved_flag", "MQTT-3.1.2-3", kMalformedPacket, "reserved", connect3(0x03, str("c")));
  s.bad(kV3, "connect_will_qos_3", "MQTT-3.1.2-12", kMalformedPacket, "QoS 3",
        connect3(0x1E, str("c") + str("t") + str("")));
  s.bad(kV3, "connect_will_qos_alone", "MQTT-3.1.2-11", kMalformedPacket, "without a will",
        connect3(0x0A, str("c")));
  s.bad(kV3, "connect_will_retain_alone", "MQTT-3.1.2-13", kMalformedPacket, "without a will",
        connect3(0x22, str("c")));
  s.bad(kV3, "connect_will_topic_wildcard", "MQTT-4.7.1-1", kTopicNameInvalid, "wildcard",
        connect3(0x06, str("c") + str("a/#") + str("")));
  s.bad(kV3, "connect_short", "3.1.3", kMalformedPacket, "ends early", connect3(0x82, str("c")));
  s.bad(kV3, "connect_trailing", "3.1.3", kMalformedPacket, "follow", connect3(0x02, str("c") + "x"));
  s.bad(kV3, "connect_id_not_utf8", "MQTT-3.1.3-4", kMalformedPacket, "UTF-8",
        connect3(0x02, str("\xC0\x80")));
  s.bad(kV3, "connect_empty", "3.1", kMalformedPacket, "ends early", frame(0x10, ""));
  s.good(kV3, "connect_padded_length", "2.2.3 (3.1.1)",
         "\x10\x8D\x00"s + str("MQTT") + u8(4) + u8(2) + u16(60) + str("c"));
  s.bad(kV5, "connect_padded_length", "MQTT-1.5.5-1", kMalformedPacket, "more bytes",
        "\x10\x8E\x00"s + str("MQTT") + u8(5) + u8(2) + u16(60) + props() + str("c"));
}

void add_connect_v5(Samples& s) {
  using enum Property;
  s.good(kV5, "connect", "3.1", connect5(0x02, ""));
  s.good(kV5, "connect_password_alone", "3.1.2.9", connect5(0x42, "", str("c") + str("pw")));
  s.good(kV5, "connect_no_id_kept", "MQTT-3.1.3-6", connect5(0x00, "", str("")));
  const std::string will =
      props(u32_prop(kWillDelayInterval, 5) + byte_prop(kPayloadFormatIndicator, 1) +
            u32_prop(kMessageExpiryInterval, 60) + str_prop(kContentType, "text") +
            str_prop(kResponseTopic, "r") + str_prop(kCorrelationData, "\0\xFF"s) + user("a", "b"));
  s.good(kV5, "connect_all", "3.1.2.11",
         connect5(0xEE,
                  u32_prop(kSessionExpiryInterval, 0xFFFFFFFF) + u16_prop(kReceiveMaximum, 10) +
                      u32_prop(kMaximumPacketSize, 1000) + u16_prop(kTopicAliasMaximum, 3) +
                      byte_prop(kRequestResponseInformation, 1) + byte_prop(kRequestProblemInformation, 0) +
                      user("k", "1") + str_prop(kAuthenticationMethod, "SCRAM") +
                      str_prop(kAuthenticationData, "\1\2") + user("k", "1"),
                  str("c") + will + str("w/t") + str("bye") + str("me") + str("pw")));
  s.bad(kV5, "connect_receive_maximum_0", "3.1.2.11.3", kProtocolError, "0 that must not",
        connect5(2, u16_prop(kReceiveMaximum, 0)));
  s.bad(kV5, "connect_packet_size_0", "3.1.2.11.4", kProtocolError, "0 that must not",
        connect5(2, u32_prop(kMaximumPacketSize, 0)));
  s.bad(kV5, "connect_problem_info_2", "3.1.2.11.7", kProtocolError, "another value",
        connect5(2, byte_prop(kRequestProblemInformation, 2)));
  s.bad(kV5, "connect_response_info_2", "3.1.2.11.6", kProtocolError, "another value",
        connect5(2, byte_prop(kRequestResponseInformation, 2)));
  s.bad(kV5, "connect_auth_data_alone", "3.1.2.11.10", kProtocolError, "without a method",
        connect5(2, str_prop(kAuthenticationData, "x")));
  s.bad(kV5, "connect_duplicate", "3.1.2.11.2", kProtocolError, "twice",
        connect5(2, u32_prop(kSessionExpiryInterval, 1) + u32_prop(kSessionExpiryInterval, 1)));
  s.bad(kV5, "connect_foreign_property", "2.2.2.2", kMalformedPacket, "cannot have",
        connect5(2, u16_prop(kTopicAlias, 1)));
  s.bad(kV5, "connect_unknown_property", "2.2.2.2", kMalformedPacket, "unknown", connect5(2, "\x7F\x01"));
  s.bad(kV5, "connect_property_short", "2.2.2.1", kMalformedPacket, "cut short", connect5(2, "\x11\x01"));
  s.bad(kV5, "connect_properties_short", "2.2.2.1", kMalformedPacket, "ends early",
        connect("MQTT", 5, 2, "\x7F"));
  s.bad(kV5, "connect_properties_padded", "MQTT-1.5.5-1", kMalformedPacket, "ends early",
        connect("MQTT", 5, 2, "\x80\x00"s + str("c")));
  s.bad(kV5, "connect_properties_5_bytes", "1.5.5", kMalformedPacket, "ends early",
        connect("MQTT", 5, 2, "\x80\x80\x80\x80\x01"s + str("c")));
  s.bad(kV5, "connect_user_property_nul", "MQTT-1.5.4-2", kMalformedPacket, "UTF-8",
        connect5(2, user("a\0"s, "b")));
  s.bad(kV5, "connect_user_property_surrogate", "MQTT-1.5.4-1", kMalformedPacket, "UTF-8",
        connect5(2, user("a", "\xED\xA0\x80")));
  s.bad(kV5, "connect_will_delay_misplaced", "2.2.2.2", kMalformedPacket, "cannot have",
        connect5(2, u32_prop(kWillDelayInterval, 1)));
  s.bad(kV5, "connect_will_foreign_property", "3.1.3.2", kMalformedPacket, "cannot have",
        connect5(6, "", str("c") + props(u32_prop(kSessionExpiryInterval, 1)) + str("t") + str("")));
}

void add_connack(Samples& s) {
  using enum Property;
  for (unsigned code = 0; code <= 5; ++code) {
    s.good(kV3, ("connack_" + std::to_string(code)).c_str(), "3.2.2.3", frame(0x20, u8(0) + u8(code)));
  }
  s.good(kV3, "connack_session", "3.2.2.2", frame(0x20, "\x01\x00"s));
  s.bad(kV3, "connack_code_6", "3.2.2.3 (3.1.1)", kMalformedPacket, "return code", frame(0x20, "\x00\x06"s));
  s.bad(kV3, "connack_reserved", "MQTT-3.2.2-1", kMalformedPacket, "reserved", frame(0x20, "\x02\x00"s));
  s.bad(kV3, "connack_refused_session", "MQTT-3.2.2-4 (3.1.1)", kProtocolError, "though refused",
        frame(0x20, "\x01\x05"s));
  s.good(kV5, "connack", "3.2", frame(0x20, "\x00\x00"s + props()));
  s.good(kV5, "connack_all", "3.2.2.3",
         frame(0x20, "\x01\x00"s +
                         props(u32_prop(kSessionExpiryInterval, 1) + u16_prop(kReceiveMaximum, 2) +
                               byte_prop(kMaximumQos, 1) + byte_prop(kRetainAvailable, 0) +
                               u32_prop(kMaximumPacketSize, 99) + str_prop(kAssignedClientIdentifier, "x") +
                               u16_prop(kTopicAliasMaximum, 9) + str_prop(kReasonString, "why") +
                               user("a", "b") + byte_prop(kWildcardSubscriptionAvailable, 1) +
                               byte_prop(kSubscriptionIdentifierAvailable, 0) +
                               byte_prop(kSharedSubscriptionAvailable, 1) + u16_prop(kServerKeepAlive, 5) +
                               str_prop(kResponseInformation, "ri") + str_prop(kServerReference, "sr") +
                               str_prop(kAuthenticationMethod, "am") + str_prop(kAuthenticationData, "ad"))));
  s.good(kV5, "connack_refused_qos0", "3.2.2.3.4",
         frame(0x20, "\x00\x9B"s + props(byte_prop(kMaximumQos, 0))));
  s.bad(kV5, "connack_maximum_qos_2", "3.2.2.3.4", kProtocolError, "another value",
        frame(0x20, "\x00\x00"s + props(byte_prop(kMaximumQos, 2))));
  s.bad(kV5, "connack_receive_maximum_0", "3.2.2.3.3", kProtocolError, "0 that must not",
        frame(0x20, "\x00\x00"s + props(u16_prop(kReceiveMaximum, 0))));
  s.bad(kV5, "connack_reason", "MQTT-3.2.2-8", kProtocolError, "reason code",
        frame(0x20, "\x00\x01"s + props()));
  s.bad(kV5, "connack_no_properties", "3.2.2.3", kMalformedPacket, "ends early", frame(0x20, "\x00\x00"s));
}

void add_publish(Samples& s) {
  using enum Property;
  s.good(kV3, "publish_qos0", "3.3", frame(0x30, str("a/b") + "payload"));
  s.good(kV3, "publish_empty_retain", "3.3.1.3", frame(0x31, str("a")));
  s.good(kV3, "publish_qos1_dup", "3.3.1", frame(0x3A, str("a") + u16(1) + "x"));
  s.good(kV3, "publish_qos2", "3.3.1", frame(0x34, str("$SYS/\xE2\x82\xAC/\xF0\x9F\x98\x80") + u16(65535)));
  s.good(kV3, "publish_long", "2.2.3", frame(0x30, str("t") + std::string(200, 'p')));
  s.bad(kV3, "publish_dup_qos0", "MQTT-3.3.1-2", kMalformedPacket, "flags", frame(0x38, str("a")));
  s.bad(kV3, "publish_qos3", "MQTT-3.3.1-4", kMalformedPacket, "flags", frame(0x36, str("a") + u16(1)));
  s.bad(kV3, "publish_id_0", "MQTT-2.2.1-3", kProtocolError, "identifier 0", frame(0x32, str("a") + u16(0)));
  s.bad(kV3, "publish_no_topic", "MQTT-4.7.3-1", kTopicNameInvalid, "topic", frame(0x30, str("") + "x"));
  s.bad(kV3, "publish_wildcard", "MQTT-3.3.2-2", kTopicNameInvalid, "wildcard", frame(0x30, str("a/+/b")));
  s.bad(kV3, "publish_topic_nul", "MQTT-1.5.4-2", kMalformedPacket, "UTF-8", frame(0x30, str("a\0b"s)));
  s.bad(kV3, "publish_topic_surrogate", "MQTT-1.5.4-1", kMalformedPacket, "UTF-8",
        frame(0x30, str("\xED\xBF\xBF")));
  s.bad(kV3, "publish_topic_short", "3.3.2.1", kMalformedPacket, "ends early", frame(0x30, u16(5) + "abc"));
  s.bad(kV3, "publish_no_id", "3.3.2.2", kMalformedPacket, "ends early", frame(0x32, str("a") + "x"));
  s.good(kV5, "publish", "3.3", frame(0x30, str("a/b") + props() + "payload"));
  s.good(kV5, "publish_all", "3.3.2.3",
         frame(0x3D, str("a/b") + u16(7) +
                         props(byte_prop(kPayloadFormatIndicator, 0) + u32_prop(kMessageExpiryInterval, 10) +
                               u16_prop(kTopicAlias, 1) + str_prop(kResponseTopic, "r/t") + user("k", "v1") +
                               str_prop(kCorrelationData, "\xFF\x00"s) + sub_id(1) + user("k", "v2") +
                               sub_id(300) + str_prop(kContentType, "text/plain") + sub_id(268'435'455)) +
                         "payload"));
  s.good(kV5, "publish_alias_only", "3.3.2.3.4",
         frame(0x30, str("") + props(u16_prop(kTopicAlias, 1)) + "x"));
  s.bad(kV5, "publish_no_topic_no_alias", "3.3.2.1", kProtocolError, "neither",
        frame(0x30, str("") + props()));
  s.bad(kV5, "publish_alias_0", "MQTT-3.3.2-8", kTopicAliasInvalid, "alias 0",
        frame(0x30, str("a") + props(u16_prop(kTopicAlias, 0))));
  s.bad(kV5, "publish_alias_twice", "3.3.2.3.4", kProtocolError, "twice",
        frame(0x30, str("a") + props(u16_prop(kTopicAlias, 1) + u16_prop(kTopicAlias, 1))));
  s.bad(kV5, "publish_sub_id_0", "3.3.2.3.8", kProtocolError, "0 that must not",
        frame(0x30, str("a") + props(sub_id(0))));
  s.bad(kV5, "publish_sub_id_padded", "MQTT-1.5.5-1", kMalformedPacket, "cut short",
        frame(0x30, str("a") + props("\x0B\x81\x00"s)));
  s.bad(kV5, "publish_payload_format_2", "3.3.2.3.2", kProtocolError, "another value",
        frame(0x30, str("a") + props(byte_prop(kPayloadFormatIndicator, 2))));
  s.bad(kV5, "publish_response_topic_wildcard", "MQTT-3.3.2-14", kTopicNameInvalid, "response topic",
        frame(0x30, str("a") + props(str_prop(kResponseTopic, "r/#"))));
  s.bad(kV5, "publish_content_type_utf8", "MQTT-3.3.2-19", kMalformedPacket, "UTF-8",
        frame(0x30, str("a") + props(str_prop(kContentType, "\xFF"))));
  s.bad(kV5, "publish_session_expiry", "2.2.2.2", kMalformedPacket, "cannot have",
        frame(0x30, str("a") + props(u32_prop(kSessionExpiryInterval, 1))));
  s.bad(kV5, "publish_wildcard", "MQTT-3.3.2-2", kTopicNameInvalid, "wildcard",
        frame(0x30, str("#") + props()));
}

void add_acks(Samples& s) {
  using enum Property;
  const std::pair<unsigned, const char*> kinds[] = {
      {0x40, "puback"}, {0x50, "pubrec"}, {0x62, "pubrel"}, {0x70, "pubcomp"}};
  for (const auto& [first, kind] : kinds) {
    const std::string name = kind;
    // PUBREL and PUBCOMP know one error, the other two another.
    const unsigned reason = first >= 0x60 ? 0x92 : 0x10;
    s.good(kV3, name.c_str(), "3.4 to 3.7", frame(first, u16(9)));
    s.bad(kV3, (name + "_trailing").c_str(), "3.4.1 (3.1.1)", kMalformedPacket, "follow",
          frame(first, u16(9) + u8(0)));
    s.bad(kV3, (name + "_id_0").c_str(), "MQTT-2.2.1-3", kProtocolError, "identifier 0",
          frame(first, u16(0)));
    s.bad(kV3, (name + "_flags").c_str(), "MQTT-2.1.3-1", kMalformedPacket, "flags",
          frame(first ^ 0x01, u16(9)));
    s.good(kV5, name.c_str(), "3.4.2.1", frame(first, u16(9)));
    s.good(kV5, (name + "_reason").c_str(), "3.4.2.2.1", frame(first, u16(9) + u8(reason)));
    s.good(kV5, (name + "_all").c_str(), "3.4.2.2",
           frame(first, u16(9) + u8(reason) +
                            props(user("a", "b") + str_prop(kReasonString, "why") + user("a", "c"))));
    s.bad(kV5, (name + "_unknown_reason").c_str(), "MQTT-3.4.2-1", kProtocolError, "reason code",
          frame(first, u16(9) + u8(0x01)));
    s.bad(kV5, (name + "_reason_twice").c_str(), "3.4.2.2.2", kProtocolError, "twice",
          frame(first,
                u16(9) + u8(reason) + props(str_prop(kReasonString, "x") + str_prop(kReasonString, "y"))));
  }
  s.bad(kV5, "puback_short", "3.4.2", kMalformedPacket, "ends early", frame(0x40, "\x01"));
}

void add_subscribe(Samples& s) {
  using enum Property;
  s.good(kV3, "subscribe", "3.8",
         frame(0x82, u16(1) + str("a/+/c") + u8(0) + str("#") + u8(1) + str("b") + u8(2)));
  s.good(kV3, "subscribe_dollar_share", "4.7", frame(0x82, u16(1) + str("$share/g/x") + u8(0)));
  s.bad(kV3, "subscribe_share_no_name", "MQTT-4.8.2-1", kTopicFilterInvalid, "$share",
        frame(0x82, u16(1) + str("$share//x") + u8(0)));
  s.bad(kV3, "subscribe_flags", "MQTT-3.8.1-1", kMalformedPacket, "flags",
        frame(0x80, u16(1) + str("a") + u8(0)));
  s.bad(kV3, "subscribe_empty", "MQTT-3.8.3-2", kProtocolError, "no topic filter", frame(0x82, u16(1)));
  s.bad(kV3, "subscribe_id_0", "MQTT-2.2.1-3", kProtocolError, "identifier 0",
        frame(0x82, u16(0) + str("a") + u8(0)));
  s.bad(kV3, "subscribe_qos3", "MQTT-3.8.3-4 (3.1.1)", kMalformedPacket, "QoS 3",
        frame(0x82, u16(1) + str("a") + u8(3)));
  s.bad(kV3, "subscribe_reserved", "MQTT-3.8.3-4 (3.1.1)", kMalformedPacket, "reserved",
        frame(0x82, u16(1) + str("a") + u8(4)));
  s.bad(kV3, "subscribe_no_filter", "MQTT-4.7.3-1", kTopicFilterInvalid, "filter",
        frame(0x82, u16(1) + str("") + u8(0)));
  s.bad(kV3, "subscribe_wildcard", "MQTT-4.7.1-1", kTopicFilterInvalid, "filter",
        frame(0x82, u16(1) + str("a/#/b") + u8(0)));
  s.bad(kV3, "subscribe_no_qos", "3.8.3", kMalformedPacket, "ends early", frame(0x82, u16(1) + str("a")));
  s.good(kV5, "subscribe", "3.8.3.1",
         frame(0x82, u16(1) + props(sub_id(128) + user("a", "b") + user("a", "b")) + str("a/#") + u8(0x2E) +
                         str("$share/g/a") + u8(0x11) + str("+") + u8(0)));
  s.bad(kV5, "subscribe_sub_id_0", "3.8.2.1.2", kProtocolError, "0 that must not",
        frame(0x82, u16(1) + props(sub_id(0)) + str("a") + u8(0)));
  s.bad(kV5, "subscribe_sub_id_twice", "3.8.2.1.2", kProtocolError, "twice",
        frame(0x82, u16(1) + props(sub_id(1) + sub_id(2)) + str("a") + u8(0)));
  s.bad(kV5, "subscribe_reserved", "MQTT-3.8.3-5", kMalformedPacket, "reserved",
        frame(0x82, u16(1) + props() + str("a") + u8(0x40)));
  s.bad(kV5, "subscribe_qos3", "3.8.3.1", kProtocolError, "QoS 3",
        frame(0x82, u16(1) + props() + str("a") + u8(3)));
  s.bad(kV5, "subscribe_retain_handling_3", "3.8.3.1", kProtocolError, "retain handling",
        frame(0x82, u16(1) + props() + str("a") + u8(0x30)));
  s.bad(kV5, "subscribe_share_no_local", "MQTT-3.8.3-4", kProtocolError, "no local",
        frame(0x82, u16(1) + props() + str("$share/g/a") + u8(0x04)));
  s.bad(kV5, "subscribe_share_no_name", "MQTT-4.8.2-1", kTopicFilterInvalid, "$share",
        frame(0x82, u16(1) + props() + str("$share//a") + u8(0)));
  s.bad(kV5, "subscribe_share_no_filter", "MQTT-4.8.2-2", kTopicFilterInvalid, "$share",
        frame(0x82, u16(1) + props() + str("$share/g") + u8(0)));
  s.bad(kV5, "subscribe_empty", "MQTT-3.8.3-2", kProtocolError, "no topic filter",
        frame(0x82, u16(1) + props()));
  s.good(kV3, "unsubscribe", "3.10", frame(0xA2, u16(2) + str("a/+") + str("#")));
  s.bad(kV3, "unsubscribe_empty", "MQTT-3.10.3-2", kProtocolError, "no topic filter", frame(0xA2, u16(2)));
  s.bad(kV3, "unsubscribe_flags", "MQTT-3.10.1-1", kMalformedPacket, "flags", frame(0xA0, u16(2) + str("a")));
  s.bad(kV3, "unsubscribe_wildcard", "MQTT-4.7.1-2", kTopicFilterInvalid, "filter",
        frame(0xA2, u16(2) + str("a+")));
  s.good(kV5, "unsubscribe", "3.10",
         frame(0xA2, u16(2) + props(user("a", "b")) + str("$share/g/a") + str("b")));
  s.bad(kV5, "unsubscribe_reason_string", "3.10.2.1", kMalformedPacket, "cannot have",
        frame(0xA2, u16(2) + props(str_prop(kReasonString, "x")) + str("a")));
}

void add_suback(Samples& s) {
  using enum Property;
  const std::string reason = props(str_prop(kReasonString, "why") + user("a", "b"));
  s.good(kV3, "suback", "3.9", frame(0x90, u16(1) + "\x00\x01\x02\x80"s));
  s.bad(kV3, "suback_empty", "3.9.3", kProtocolError, "no reason code", frame(0x90, u16(1)));
  s.bad(kV3, "suback_code", "MQTT-3.9.3-2 (3.1.1)", kMalformedPacket, "return code",
        frame(0x90, u16(1) + "\x87"));
  s.good(kV5, "suback", "3.9", frame(0x90, u16(1) + reason + "\x00\x01\x02\x80\x87\xA2"s));
  s.bad(kV5, "suback_code", "3.9.3", kProtocolError, "reason code", frame(0x90, u16(1) + props() + "\x03"));
  s.bad(kV5, "suback_empty", "3.9.3", kProtocolError, "no reason code", frame(0x90, u16(1) + props()));
  s.good(kV3, "unsuback", "3.11", frame(0xB0, u16(1)));
  s.bad(kV3, "unsuback_trailing", "3.11.3 (3.1.1)", kMalformedPacket, "follow",
        frame(0xB0, u16(1) + "\x00"s));
  s.good(kV5, "unsuback", "3.11", frame(0xB0, u16(1) + reason + "\x00\x11\x87"s));
  s.bad(kV5, "unsuback_code", "3.11.3", kProtocolError, "reason code",
        frame(0xB0, u16(1) + props() + "\x01"));
  s.bad(kV5, "unsuback_empty", "3.11.3", kProtocolError, "no reason code", frame(0xB0, u16(1) + props()));
}

void add_others(Samples& s) {
  using enum Property;
  for (const Version v : {kV3, kV5}) {
    s.good(v, "pingreq", "3.12", frame(0xC0, ""));
    s.good(v, "pingresp", "3.13", frame(0xD0, ""));
    s.good(v, "disconnect", "3.14", frame(0xE0, ""));
    s.bad(v, "pingreq_trailing", "3.12", kMalformedPacket, "follow", frame(0xC0, "x"));
    s.bad(v, "pingresp_flags", "MQTT-2.1.3-1", kMalformedPacket, "flags", frame(0xD1, ""));
    s.bad(v, "reserved_type", "2.1.2", kMalformedPacket, "type 0", frame(0x00, ""));
  }
  s.bad(kV5, "pingreq_padded_length", "MQTT-1.5.5-1", kMalformedPacket, "more bytes", "\xC0\x80\x00"s);
  s.bad(kV3, "disconnect_trailing", "3.14 (3.1.1)", kMalformedPacket, "follow", frame(0xE0, "\x00"s));
  s.bad(kV3, "auth", "3.15", kProtocolError, "before", frame(0xF0, ""));
  s.good(kV5, "disconnect_reason", "3.14.2.1", frame(0xE0, "\x04"));
  s.good(kV5, "disconnect_no_properties", "3.14.2.2.1", frame(0xE0, "\x8E\x00"s));
  s.good(kV5, "disconnect_all", "3.14.2.2",
         frame(0xE0, "\x9C" + props(u32_prop(kSessionExpiryInterval, 3) + str_prop(kReasonString, "move") +
                                    user("a", "b") + str_prop(kServerReference, "there"))));
  s.bad(kV5, "disconnect_code", "MQTT-3.14.2-1", kProtocolError, "reason code", frame(0xE0, "\x01"));
  s.bad(kV5, "disconnect_trailing", "3.14.3", kMalformedPacket, "follow", frame(0xE0, "\x00\x00x"s));
  s.good(kV5, "auth_success", "3.15.2.1", frame(0xF0, ""));
  s.good(kV5, "auth_all", "3.15.2.2",
         frame(0xF0, "\x18" + props(str_prop(kAuthenticationMethod, "SCRAM") +
                                    str_prop(kAuthenticationData, "\0"s) + str_prop(kReasonString, "go on") +
                                    user("a", "b"))));
  s.bad(kV5, "auth_no_method", "3.15.2.2.2", kProtocolError, "no authentication method",
        frame(0xF0, "\x18" + props()));
  s.bad(kV5, "auth_code", "MQTT-3.15.2-1", kProtocolError, "reason code", frame(0xF0, "\x01" + props()));
  s.bad(kV5, "auth_flags", "MQTT-3.15.1-1", kMalformedPacket, "flags", frame(0xF1, ""));
  s.bad(kV5, "auth_reason_alone", "3.15.2.2.1", kMalformedPacket, "ends early", frame(0xF0, "\x18"));
}

}  // namespace

std::vector<SampleFrame> sample_frames() {
  Samples samples;
  add_connect(samples);
  add_connect_v5(samples);
  add_connack(samples);
  add_publish(samples);
  add_acks(samples);
  add_subscribe(samples);
  add_suback(samples);
  add_others(samples);
  return std::move(samples.list);
}

}  // namespace stele::mqtt
