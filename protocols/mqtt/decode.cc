#include "protocols/mqtt/decode.h"

#include <utility>

#include "protocols/mqtt/parser.h"

namespace stele::mqtt {

using internal::Parser;

namespace {

constexpr unsigned block_of(PacketType type) {
  return static_cast<unsigned>(type);
}

// [MQTT-1.5.5-1] holds for the remaining length too. 3.1.1 does not ask for it, and small clients of that
// time pad.
bool is_length_padded(const Frame& frame) {
  return frame.total_size >
         1 + varint_size(static_cast<std::uint32_t>(frame.body.size())) + frame.body.size();
}

void check_length(Parser& in, const Frame& frame) {
  if (in.v5()) in.malformed_if(is_length_padded(frame), "the remaining length has more bytes than it needs");
}

// True if the property was one of a message's.
bool message_property(Parser& in, const EncodedProperty& p, MessageProperties& out) {
  switch (p.id) {
    case Property::kPayloadFormatIndicator:
      out.payload_is_utf8 = in.flag(p);
      return true;
    case Property::kMessageExpiryInterval:
      out.message_expiry_s = p.number;
      return true;
    case Property::kContentType:
      out.content_type = p.text;
      return true;
    case Property::kResponseTopic:
      if (!is_valid_topic_name(p.text)) {  // [MQTT-3.3.2-14]
        in.fail(ReasonCode::kTopicNameInvalid, "the response topic is empty or has a wildcard");
      }
      out.response_topic = p.text;
      return true;
    case Property::kCorrelationData:
      out.correlation_data = p.text;
      return true;
    case Property::kUserProperty:
      out.user_properties.extend(p.raw);
      return true;
    default:
      return false;
  }
}

// The properties that packets other than PUBLISH share.
template <class T>
void reason_properties(Parser& in, PacketType type, T& out) {
  in.properties(block_of(type), [&](const EncodedProperty& p) {
    if (p.id == Property::kReasonString) out.reason_string = p.text;
    if (p.id == Property::kUserProperty) out.user_properties.extend(p.raw);
  });
}

// Section 3.1.2.1 and 3.1.2.2.
std::optional<Version> protocol_version(std::string_view name, std::uint8_t level) {
  if (name == "MQTT" && level == 5) return Version::kV5;
  if (name == "MQTT" && level == 4) return Version::kV311;
  if (name == "MQIsdp" && level == 3) return Version::kV31;
  return std::nullopt;
}

// Connect flags, section 3.1.2.3.
struct ConnectFlags {
  explicit ConnectFlags(std::uint8_t bits) : bits(bits) {}
  std::uint8_t bits;
  bool reserved() const { return bits & 0x01; }
  bool clean_start() const { return bits & 0x02; }
  bool will() const { return bits & 0x04; }
  unsigned will_qos() const { return (bits >> 3) & 3; }
  bool will_retain() const { return bits & 0x20; }
  bool password() const { return bits & 0x40; }
  bool user_name() const { return bits & 0x80; }
};

void check_connect_flags(Parser& in, ConnectFlags flags) {
  in.malformed_if(flags.reserved(), "CONNECT: the reserved flag is set");  // [MQTT-3.1.2-3]
  in.malformed_if(flags.will_qos() == 3, "CONNECT: will QoS 3");           // [MQTT-3.1.2-12]
  in.malformed_if(!flags.will() && flags.will_qos() != 0,
                  "CONNECT: will QoS without a will");  // [MQTT-3.1.2-11]
  in.malformed_if(!flags.will() && flags.will_retain(),
                  "CONNECT: will retain without a will");  // [MQTT-3.1.2-13]
  // 3.1.1 only [MQTT-3.1.2-22]; 5.0 allows a password alone.
  in.malformed_if(!in.v5() && flags.password() && !flags.user_name(),
                  "CONNECT: password without a user name");
}

void connect_property(Parser& in, const EncodedProperty& p, Connect& out) {
  switch (p.id) {
    case Property::kSessionExpiryInterval:
      out.session_expiry_s = p.number;
      break;
    case Property::kReceiveMaximum:
      out.receive_maximum = in.u16_not_0(p);
      break;
    case Property::kMaximumPacketSize:
      out.maximum_packet_size = in.u32_not_0(p);
      break;
    case Property::kTopicAliasMaximum:
      out.topic_alias_maximum = static_cast<std::uint16_t>(p.number);
      break;
    case Property::kRequestResponseInformation:
      out.request_response_information = in.flag(p);
      break;
    case Property::kRequestProblemInformation:
      out.request_problem_information = in.flag(p);
      break;
    case Property::kAuthenticationMethod:
      out.authentication_method = p.text;
      break;
    case Property::kAuthenticationData:
      out.authentication_data = p.text;
      break;
    default:
      out.user_properties.extend(p.raw);
  }
}

Will read_will(Parser& in, ConnectFlags flags) {
  Will will;
  will.qos = static_cast<Qos>(flags.will_qos());
  will.retain = flags.will_retain();
  in.properties(internal::kWillBlock, [&](const EncodedProperty& p) {
    if (!message_property(in, p, will.properties)) will.delay_s = p.number;
  });
  will.topic = in.topic_name();
  will.payload = in.binary();
  return will;
}

void connack_property(Parser& in, const EncodedProperty& p, Connack& out) {
  switch (p.id) {
    case Property::kSessionExpiryInterval:
      out.session_expiry_s = p.number;
      break;
    case Property::kReceiveMaximum:
      out.receive_maximum = in.u16_not_0(p);
      break;
    case Property::kMaximumQos:
      out.maximum_qos = in.flag(p) ? Qos::kAtLeastOnce : Qos::kAtMostOnce;
      break;
    case Property::kRetainAvailable:
      out.retain_available = in.flag(p);
      break;
    case Property::kMaximumPacketSize:
      out.maximum_packet_size = in.u32_not_0(p);
      break;
    case Property::kAssignedClientIdentifier:
      out.assigned_client_id = p.text;
      break;
    case Property::kTopicAliasMaximum:
      out.topic_alias_maximum = static_cast<std::uint16_t>(p.number);
      break;
    case Property::kReasonString:
      out.reason_string = p.text;
      break;
    case Property::kWildcardSubscriptionAvailable:
      out.wildcard_subscription_available = in.flag(p);
      break;
    case Property::kSubscriptionIdentifierAvailable:
      out.subscription_identifier_available = in.flag(p);
      break;
    case Property::kSharedSubscriptionAvailable:
      out.shared_subscription_available = in.flag(p);
      break;
    case Property::kServerKeepAlive:
      out.server_keep_alive_s = static_cast<std::uint16_t>(p.number);
      break;
    case Property::kResponseInformation:
      out.response_information = p.text;
      break;
    case Property::kServerReference:
      out.server_reference = p.text;
      break;
    case Property::kAuthenticationMethod:
      out.authentication_method = p.text;
      break;
    case Property::kAuthenticationData:
      out.authentication_data = p.text;
      break;
    default:
      out.user_properties.extend(p.raw);
  }
}

// Subscription options: section 3.8.3.1; a requested QoS in 3.1.1.
void read_subscription_options(Parser& in, Subscription& out) {
  const unsigned options = in.u8();
  const unsigned qos = options & 3;
  if (!in.v5()) {
    in.malformed_if(options > 2, "SUBSCRIBE: QoS 3 or a reserved bit");  // 3.1.1 [MQTT-3.8.3-4]
    out.qos = static_cast<Qos>(qos);
    return;
  }
  const unsigned retain_handling = (options >> 4) & 3;
  in.malformed_if(options & 0xC0, "SUBSCRIBE: a reserved bit of the options is set");  // [MQTT-3.8.3-5]
  in.protocol_error_if(qos == 3, "SUBSCRIBE: QoS 3");
  in.protocol_error_if(retain_handling == 3, "SUBSCRIBE: retain handling 3");
  out.qos = static_cast<Qos>(qos);
  out.no_local = options & 0x04;
  out.retain_as_published = options & 0x08;
  out.retain_handling = static_cast<RetainHandling>(retain_handling);
  if (in.ok() && out.no_local && parse_subscribed_filter(out.filter)->shared()) {
    in.protocol_error("SUBSCRIBE: no local on a shared subscription");  // [MQTT-3.8.3-4]
  }
}

template <class T>
Decoded<T> decode_ping(const Frame& frame, PacketType type, Version version) {
  Parser in(frame, type, version);
  check_length(in, frame);
  return in.finish(T{});
}

template <class T>
Decoded<Packet> as_packet(Decoded<T> decoded) {
  if (!decoded) return std::unexpected(std::move(decoded).error());
  return Packet(*std::move(decoded));
}

}  // namespace

FrameResult next_frame(std::string_view input, std::uint32_t max_packet_size) {
  FrameResult out;
  const auto refuse = [&](ReasonCode reason) {
    out.status = FrameResult::Status::kError;
    out.error = reason;
    return out;
  };
  if (input.empty()) return out;
  const auto first_byte = static_cast<std::uint8_t>(input[0]);
  if (!internal::is_first_byte_valid(first_byte)) return refuse(ReasonCode::kMalformedPacket);
  std::size_t length = 0;
  std::size_t header_size = 1;
  for (unsigned shift = 0;; shift += 7) {
    if (shift > 21) return refuse(ReasonCode::kMalformedPacket);
    if (header_size >= input.size()) return out;
    const auto byte = static_cast<std::uint8_t>(input[header_size++]);
    length |= std::size_t{byte & 0x7Fu} << shift;
    if (!(byte & 0x80)) break;
  }
  const std::size_t total_size = header_size + length;
  if (total_size > max_packet_size) return refuse(ReasonCode::kPacketTooLarge);
  if (total_size > input.size()) {
    out.total_size_needed = total_size;
    return out;
  }
  out.status = FrameResult::Status::kFrame;
  out.frame = {first_byte, input.substr(header_size, length), total_size};
  return out;
}

std::optional<Version> peek_connect_version(const Frame& frame) {
  if (frame.type() != PacketType::kConnect) return std::nullopt;
  Reader in(frame.body);
  const std::string_view name = in.bytes(in.u16_be());
  return protocol_version(name, in.u8());
}

Decoded<Connect> decode_connect(const Frame& frame) {
  Connect out;
  Parser in(frame, PacketType::kConnect, Version::kV311);
  const std::string_view name = in.string();
  const std::uint8_t level = in.u8();
  const auto version = protocol_version(name, level);
  if (!version)
    in.fail(ReasonCode::kUnsupportedProtocolVersion, "CONNECT: protocol name or level");  // [MQTT-3.1.2-2]
  out.version = version.value_or(Version::kV311);
  in.set_version(out.version);
  check_length(in, frame);
  const ConnectFlags flags(in.u8());
  check_connect_flags(in, flags);
  out.clean_start = flags.clean_start();
  out.keep_alive_s = in.u16();
  in.properties(block_of(PacketType::kConnect),
                [&](const EncodedProperty& p) { connect_property(in, p, out); });
  in.protocol_error_if(out.authentication_data && !out.authentication_method,
                       "CONNECT: authentication data without a method");
  out.client_id = in.string();
  if (!in.v5() && out.client_id.empty() && (out.version == Version::kV31 || !out.clean_start)) {
    in.fail(ReasonCode::kClientIdentifierNotValid,
            "CONNECT: a kept session needs a client identifier");  // 3.1.1 [MQTT-3.1.3-8]
  }
  if (flags.will()) out.will = read_will(in, flags);
  if (flags.user_name()) out.user_name = in.string();
  if (flags.password()) out.password = in.binary();
  return in.finish(std::move(out));
}

Decoded<Connack> decode_connack(const Frame& frame, Version version) {
  Connack out;
  Parser in(frame, PacketType::kConnack, version);
  check_length(in, frame);
  const std::uint8_t acknowledge_flags = in.u8();
  if (version == Version::kV31) {
    out.session_present = false;  // the whole byte is reserved there
  } else {
    in.malformed_if(acknowledge_flags > 1, "CONNACK: a reserved flag is set");  // [MQTT-3.2.2-1]
    out.session_present = acknowledge_flags == 1;
  }
  if (in.v5()) {
    out.reason = in.reason(PacketType::kConnack);
  } else if (const auto reason = reason_of_connack_return_code_v3(in.u8())) {
    out.reason = *reason;
  } else {
    in.malformed("CONNACK: reserved return code");
  }
  in.protocol_error_if(out.session_present && out.reason != ReasonCode::kSuccess,
                       "CONNACK: a session present though refused");  // [MQTT-3.2.2-6]
  in.properties(block_of(PacketType::kConnack),
                [&](const EncodedProperty& p) { connack_property(in, p, out); });
  return in.finish(std::move(out));
}

Decoded<Publish> decode_publish(const Frame& frame, Version version) {
  Publish out;
  Parser in(frame, PacketType::kPublish, version);
  check_length(in, frame);
  out.dup = frame.first_byte & 0x08;
  out.qos = static_cast<Qos>((frame.first_byte >> 1) & 3);
  out.retain = frame.first_byte & 0x01;
  out.topic = in.string();
  if (out.qos != Qos::kAtMostOnce) out.packet_id = in.packet_id();  // [MQTT-2.2.1-2]
  in.properties(block_of(PacketType::kPublish), [&](const EncodedProperty& p) {
    if (message_property(in, p, out.properties)) return;
    if (p.id == Property::kTopicAlias) {
      if (p.number == 0) in.fail(ReasonCode::kTopicAliasInvalid, "PUBLISH: topic alias 0");  // [MQTT-3.3.2-8]
      out.topic_alias = static_cast<std::uint16_t>(p.number);
    } else {
      in.u32_not_0(p);
      out.subscription_ids.extend(p.raw);
    }
  });
  if (out.topic.empty() && in.v5()) {
    in.protocol_error_if(!out.topic_alias, "PUBLISH: neither topic nor topic alias");
  } else if (in.ok() && !is_valid_topic_name(out.topic)) {
    in.fail(ReasonCode::kTopicNameInvalid,
            "PUBLISH: the topic is empty or has a wildcard");  // [MQTT-3.3.2-2]
  }
  out.payload = in.take_rest();
  return in.finish(std::move(out));
}

template <PacketType T>
Decoded<Ack<T>> decode_ack(const Frame& frame, Version version) {
  Ack<T> out;
  Parser in(frame, T, version);
  check_length(in, frame);
  out.packet_id = in.packet_id();
  // The reason and then the properties may be left off: sections 3.4.2.1 and 3.4.2.2.1.
  if (in.v5() && in.remaining() > 0) out.reason = in.reason(T);
  if (in.v5() && in.remaining() > 0) reason_properties(in, T, out);
  return in.finish(std::move(out));
}
template Decoded<Puback> decode_ack(const Frame&, Version);
template Decoded<Pubrec> decode_ack(const Frame&, Version);
template Decoded<Pubrel> decode_ack(const Frame&, Version);
template Decoded<Pubcomp> decode_ack(const Frame&, Version);

Decoded<Subscribe> decode_subscribe(const Frame& frame, Version version) {
  Subscribe out;
  Parser in(frame, PacketType::kSubscribe, version);
  check_length(in, frame);
  out.packet_id = in.packet_id();
  in.properties(block_of(PacketType::kSubscribe), [&](const EncodedProperty& p) {
    if (p.id == Property::kUserProperty) {
      out.user_properties.extend(p.raw);
    } else {
      out.subscription_id = in.u32_not_0(p);
    }
  });
  if (in.ok()) in.protocol_error_if(in.at_end(), "SUBSCRIBE: no topic filter");  // [MQTT-3.8.3-2]
  while (in.ok() && !in.at_end()) {
    Subscription& subscription = out.subscriptions.emplace_back();
    subscription.filter = in.topic_filter();
    read_subscription_options(in, subscription);
  }
  return in.finish(std::move(out));
}

Decoded<Suback> decode_suback(const Frame& frame, Version version) {
  Suback out;
  Parser in(frame, PacketType::kSuback, version);
  check_length(in, frame);
  out.packet_id = in.packet_id();
  reason_properties(in, PacketType::kSuback, out);
  if (in.ok()) in.protocol_error_if(in.at_end(), "SUBACK: no reason code");
  while (in.ok() && !in.at_end()) {
    const ReasonCode reason = in.reason(PacketType::kSuback);
    const bool known_to_v3 = !is_error(reason) || reason == ReasonCode::kUnspecifiedError;
    if (!in.v5()) in.malformed_if(!known_to_v3, "SUBACK: reserved return code");  // 3.1.1 [MQTT-3.9.3-2]
    out.reasons.push_back(reason);
  }
  return in.finish(std::move(out));
}

Decoded<Unsubscribe> decode_unsubscribe(const Frame& frame, Version version) {
  Unsubscribe out;
  Parser in(frame, PacketType::kUnsubscribe, version);
  check_length(in, frame);
  out.packet_id = in.packet_id();
  in.properties(block_of(PacketType::kUnsubscribe),
                [&](const EncodedProperty& p) { out.user_properties.extend(p.raw); });
  if (in.ok()) in.protocol_error_if(in.at_end(), "UNSUBSCRIBE: no topic filter");  // [MQTT-3.10.3-2]
  while (in.ok() && !in.at_end()) out.filters.push_back(in.topic_filter());
  return in.finish(std::move(out));
}

Decoded<Unsuback> decode_unsuback(const Frame& frame, Version version) {
  Unsuback out;
  Parser in(frame, PacketType::kUnsuback, version);
  check_length(in, frame);
  out.packet_id = in.packet_id();
  if (in.v5()) {
    reason_properties(in, PacketType::kUnsuback, out);
    if (in.ok()) in.protocol_error_if(in.at_end(), "UNSUBACK: no reason code");
    while (in.ok() && !in.at_end()) out.reasons.push_back(in.reason(PacketType::kUnsuback));
  }
  return in.finish(std::move(out));
}

Decoded<Pingreq> decode_pingreq(const Frame& frame, Version version) {
  return decode_ping<Pingreq>(frame, PacketType::kPingreq, version);
}

Decoded<Pingresp> decode_pingresp(const Frame& frame, Version version) {
  return decode_ping<Pingresp>(frame, PacketType::kPingresp, version);
}

Decoded<Disconnect> decode_disconnect(const Frame& frame, Version version) {
  Disconnect out;
  Parser in(frame, PacketType::kDisconnect, version);
  check_length(in, frame);
  // Reason and properties may be left off: section 3.14.2.1 and 3.14.2.2.1.
  if (in.v5() && in.remaining() > 0) out.reason = in.reason(PacketType::kDisconnect);
  if (in.v5() && in.remaining() > 0) {
    in.properties(block_of(PacketType::kDisconnect), [&](const EncodedProperty& p) {
      if (p.id == Property::kSessionExpiryInterval) out.session_expiry_s = p.number;
      if (p.id == Property::kReasonString) out.reason_string = p.text;
      if (p.id == Property::kServerReference) out.server_reference = p.text;
      if (p.id == Property::kUserProperty) out.user_properties.extend(p.raw);
    });
  }
  return in.finish(std::move(out));
}

Decoded<Auth> decode_auth(const Frame& frame, Version version) {
  Auth out;
  Parser in(frame, PacketType::kAuth, version);
  check_length(in, frame);
  in.protocol_error_if(!in.v5(), "AUTH before MQTT 5.0");
  if (in.at_end()) return in.finish(std::move(out));  // success without properties: section 3.15.2.1
  out.reason = in.reason(PacketType::kAuth);
  in.properties(block_of(PacketType::kAuth), [&](const EncodedProperty& p) {
    if (p.id == Property::kAuthenticationMethod) out.authentication_method = p.text;
    if (p.id == Property::kAuthenticationData) out.authentication_data = p.text;
    if (p.id == Property::kReasonString) out.reason_string = p.text;
    if (p.id == Property::kUserProperty) out.user_properties.extend(p.raw);
  });
  in.protocol_error_if(!out.authentication_method, "AUTH: no authentication method");
  return in.finish(std::move(out));
}

Decoded<Packet> decode(const Frame& frame, Version version) {
  switch (frame.type()) {
    case PacketType::kConnect:
      return as_packet(decode_connect(frame));
    case PacketType::kConnack:
      return as_packet(decode_connack(frame, version));
    case PacketType::kPublish:
      return as_packet(decode_publish(frame, version));
    case PacketType::kPuback:
      return as_packet(decode_puback(frame, version));
    case PacketType::kPubrec:
      return as_packet(decode_pubrec(frame, version));
    case PacketType::kPubrel:
      return as_packet(decode_pubrel(frame, version));
    case PacketType::kPubcomp:
      return as_packet(decode_pubcomp(frame, version));
    case PacketType::kSubscribe:
      return as_packet(decode_subscribe(frame, version));
    case PacketType::kSuback:
      return as_packet(decode_suback(frame, version));
    case PacketType::kUnsubscribe:
      return as_packet(decode_unsubscribe(frame, version));
    case PacketType::kUnsuback:
      return as_packet(decode_unsuback(frame, version));
    case PacketType::kPingreq:
      return as_packet(decode_pingreq(frame, version));
    case PacketType::kPingresp:
      return as_packet(decode_pingresp(frame, version));
    case PacketType::kDisconnect:
      return as_packet(decode_disconnect(frame, version));
    case PacketType::kAuth:
      return as_packet(decode_auth(frame, version));
  }
  return std::unexpected(DecodeError{ReasonCode::kMalformedPacket, "packet type 0"});
}

}  // namespace stele::mqtt
