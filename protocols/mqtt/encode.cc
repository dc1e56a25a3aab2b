#include "protocols/mqtt/encode.h"

#include <optional>
#include <type_traits>
#include <variant>

#include "base/assert.h"
#include "base/wire.h"

namespace stele::mqtt {

namespace {

// Each packet is put into a sink twice: Count says how long it gets, Output writes it behind that length.
class Count {
 public:
  std::size_t size = 0;
  bool fits = true;
  void u8(std::uint8_t) { size += 1; }
  void u16(std::uint16_t) { size += 2; }
  void u32(std::uint32_t) { size += 4; }
  void varint(std::size_t value) {
    fits = fits && value <= kMaxVarint;
    if (fits) size += varint_size(static_cast<std::uint32_t>(value));
  }
  void raw(std::string_view bytes) { size += bytes.size(); }
  void sized(std::string_view bytes) {
    fits = fits && bytes.size() <= 0xFFFF;
    size += 2 + bytes.size();
  }
  template <Property Id>
  void repeated(const RepeatedProperty<Id>& properties) {
    size += properties.encoded_size();
  }
};

class Output {
 public:
  explicit Output(std::string& out) : out_(out) {}
  void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void u16(std::uint16_t value) { Writer(out_).u16_be(value); }
  void u32(std::uint32_t value) { Writer(out_).u32_be(value); }
  void varint(std::size_t value) { append_varint(out_, static_cast<std::uint32_t>(value)); }
  void raw(std::string_view bytes) { out_.append(bytes); }
  void sized(std::string_view bytes) {
    u16(static_cast<std::uint16_t>(bytes.size()));
    out_.append(bytes);
  }
  template <Property Id>
  void repeated(const RepeatedProperty<Id>& properties) {
    properties.append_to(out_);
  }

 private:
  std::string& out_;
};

// One property, in the type of its value; nothing if it is absent.
template <class Sink, class T>
void put_property(Sink& s, Property id, const std::optional<T>& value) {
  if (!value) return;
  s.u8(static_cast<std::uint8_t>(id));
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, Qos>) {
    s.u8(static_cast<std::uint8_t>(*value));
  } else if constexpr (std::is_same_v<T, std::uint16_t>) {
    s.u16(*value);
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    s.u32(*value);
  } else {
    s.sized(*value);
  }
}

template <class Sink>
void put_each_property(Sink& s, const MessageProperties& p) {
  put_property(s, Property::kPayloadFormatIndicator, p.payload_is_utf8);
  put_property(s, Property::kMessageExpiryInterval, p.message_expiry_s);
  put_property(s, Property::kContentType, p.content_type);
  put_property(s, Property::kResponseTopic, p.response_topic);
  put_property(s, Property::kCorrelationData, p.correlation_data);
  s.repeated(p.user_properties);
}

template <class Sink>
void put_each_property(Sink& s, const Will& p) {
  put_property(s, Property::kWillDelayInterval, p.delay_s);
  put_each_property(s, p.properties);
}

template <class Sink>
void put_each_property(Sink& s, const Publish& p) {
  put_property(s, Property::kTopicAlias, p.topic_alias);
  s.repeated(p.subscription_ids);
  put_each_property(s, p.properties);
}

template <class Sink>
void put_each_property(Sink& s, const Connect& p) {
  put_property(s, Property::kSessionExpiryInterval, p.session_expiry_s);
  put_property(s, Property::kReceiveMaximum, p.receive_maximum);
  put_property(s, Property::kMaximumPacketSize, p.maximum_packet_size);
  put_property(s, Property::kTopicAliasMaximum, p.topic_alias_maximum);
  put_property(s, Property::kRequestResponseInformation, p.request_response_information);
  put_property(s, Property::kRequestProblemInformation, p.request_problem_information);
  put_property(s, Property::kAuthenticationMethod, p.authentication_method);
  put_property(s, Property::kAuthenticationData, p.authentication_data);
  s.repeated(p.user_properties);
}

template <class Sink>
void put_each_property(Sink& s, const Connack& p) {
  put_property(s, Property::kSessionExpiryInterval, p.session_expiry_s);
  put_property(s, Property::kReceiveMaximum, p.receive_maximum);
  put_property(s, Property::kMaximumQos, p.maximum_qos);
  put_property(s, Property::kRetainAvailable, p.retain_available);
  put_property(s, Property::kMaximumPacketSize, p.maximum_packet_size);
  put_property(s, Property::kAssignedClientIdentifier, p.assigned_client_id);
  put_property(s, Property::kTopicAliasMaximum, p.topic_alias_maximum);
  put_property(s, Property::kReasonString, p.reason_string);
  put_property(s, Property::kWildcardSubscriptionAvailable, p.wildcard_subscription_available);
  put_property(s, Property::kSubscriptionIdentifierAvailable, p.subscription_identifier_available);
  put_property(s, Property::kSharedSubscriptionAvailable, p.shared_subscription_available);
  put_property(s, Property::kServerKeepAlive, p.server_keep_alive_s);
  put_property(s, Property::kResponseInformation, p.response_information);
  put_property(s, Property::kServerReference, p.server_reference);
  put_property(s, Property::kAuthenticationMethod, p.authentication_method);
  put_property(s, Property::kAuthenticationData, p.authentication_data);
  s.repeated(p.user_properties);
}

template <class Sink>
void put_each_property(Sink& s, const Subscribe& p) {
  if (p.subscription_id) {
    s.u8(static_cast<std::uint8_t>(Property::kSubscriptionIdentifier));
    s.varint(*p.subscription_id);
  }
  s.repeated(p.user_properties);
}

template <class Sink>
void put_each_property(Sink& s, const Unsubscribe& p) {
  s.repeated(p.user_properties);
}

template <class Sink>
void put_each_property(Sink& s, const Disconnect& p) {
  put_property(s, Property::kSessionExpiryInterval, p.session_expiry_s);
  put_property(s, Property::kReasonString, p.reason_string);
  put_property(s, Property::kServerReference, p.server_reference);
  s.repeated(p.user_properties);
}

template <class Sink>
void put_each_property(Sink& s, const Auth& p) {
  put_property(s, Property::kAuthenticationMethod, p.authentication_method);
  put_property(s, Property::kAuthenticationData, p.authentication_data);
  put_property(s, Property::kReasonString, p.reason_string);
  s.repeated(p.user_properties);
}

// The acknowledgements: PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
template <class Sink, class T>
void put_each_property(Sink& s, const T& p) {
  put_property(s, Property::kReasonString, p.reason_string);
  s.repeated(p.user_properties);
}

template <class T>
std::size_t properties_size(const T& packet) {
  Count count;
  put_each_property(count, packet);
  return count.size;
}

template <class Sink, class T>
void put_properties(Sink& s, const T& packet, Version version) {
  if (version != Version::kV5) return;
  s.varint(properties_size(packet));
  put_each_property(s, packet);
}

// Reason and properties, where both may be left off at the end of a packet.
template <class Sink, class T>
void put_optional_reason(Sink& s, const T& packet, Version version) {
  if (version != Version::kV5) return;
  const std::size_t size = properties_size(packet);
  if (packet.reason == ReasonCode::kSuccess && size == 0) return;
  s.u8(static_cast<std::uint8_t>(packet.reason));
  if (size == 0 && !std::is_same_v<T, Auth>) return;  // AUTH has no form with the reason alone
  put_properties(s, packet, version);
}

std::uint8_t connect_flags(const Connect& p) {
  unsigned flags = p.clean_start ? 0x02 : 0;
  if (p.will) {
    flags |= 0x04 | static_cast<unsigned>(p.will->qos) << 3;
    if (p.will->retain) flags |= 0x20;
  }
  if (p.password) flags |= 0x40;
  if (p.user_name) flags |= 0x80;
  return static_cast<std::uint8_t>(flags);
}

template <class Sink>
void put(Sink& s, const Connect& p, Version version) {
  s.sized(version == Version::kV31 ? "MQIsdp" : "MQTT");
  s.u8(static_cast<std::uint8_t>(version));
  s.u8(connect_flags(p));
  s.u16(p.keep_alive_s);
  put_properties(s, p, version);
  s.sized(p.client_id);
  if (p.will) {
    put_properties(s, *p.will, version);
    s.sized(p.will->topic);
    s.sized(p.will->payload);
  }
  if (p.user_name) s.sized(*p.user_name);
  if (p.password) s.sized(*p.password);
}

template <class Sink>
void put(Sink& s, const Connack& p, Version version) {
  s.u8(p.session_present && version != Version::kV31 ? 1 : 0);
  if (version == Version::kV5) {
    s.u8(static_cast<std::uint8_t>(p.reason));
  } else {
    constexpr std::uint8_t kServerUnavailable = 3;
    s.u8(connack_return_code_v3(p.reason).value_or(kServerUnavailable));
  }
  put_properties(s, p, version);
}

// Without the payload.
template <class Sink>
void put(Sink& s, const Publish& p, Version version) {
  s.sized(p.topic);
  if (p.qos != Qos::kAtMostOnce) s.u16(p.packet_id);
  put_properties(s, p, version);
}

template <class Sink, PacketType T>
void put(Sink& s, const Ack<T>& p, Version version) {
  s.u16(p.packet_id);
  put_optional_reason(s, p, version);
}

std::uint8_t subscription_options(const Subscription& p, Version version) {
  unsigned options = static_cast<unsigned>(p.qos);
  if (version == Version::kV5) {
    if (p.no_local) options |= 0x04;
    if (p.retain_as_published) options |= 0x08;
    options |= static_cast<unsigned>(p.retain_handling) << 4;
  }
  return static_cast<std::uint8_t>(options);
}

template <class Sink>
void put(Sink& s, const Subscribe& p, Version version) {
  s.u16(p.packet_id);
  put_properties(s, p, version);
  for (const Subscription& subscription : p.subscriptions) {
    s.sized(subscription.filter);
    s.u8(subscription_options(subscription, version));
  }
}

template <class Sink>
void put(Sink& s, const Suback& p, Version version) {
  s.u16(p.packet_id);
  put_properties(s, p, version);
  for (const ReasonCode reason : p.reasons) {
    const bool plain_failure = version != Version::kV5 && is_error(reason);
    s.u8(static_cast<std::uint8_t>(plain_failure ? ReasonCode::kUnspecifiedError : reason));
  }
}

template <class Sink>
void put(Sink& s, const Unsubscribe& p, Version version) {
  s.u16(p.packet_id);
  put_properties(s, p, version);
  for (const std::string_view filter : p.filters) s.sized(filter);
}

template <class Sink>
void put(Sink& s, const Unsuback& p, Version version) {
  s.u16(p.packet_id);
  put_properties(s, p, version);
  if (version != Version::kV5) return;
  for (const ReasonCode reason : p.reasons) s.u8(static_cast<std::uint8_t>(reason));
}

template <class Sink>
void put(Sink&, const Pingreq&, Version) {}

template <class Sink>
void put(Sink&, const Pingresp&, Version) {}

template <class Sink>
void put(Sink& s, const Disconnect& p, Version version) {
  put_optional_reason(s, p, version);
}

template <class Sink>
void put(Sink& s, const Auth& p, Version version) {
  put_optional_reason(s, p, version);
}

constexpr std::uint8_t first_byte(PacketType type) {
  const bool has_flag =
      type == PacketType::kPubrel || type == PacketType::kSubscribe || type == PacketType::kUnsubscribe;
  return static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 | (has_flag ? 2 : 0));
}

std::uint8_t first_byte(const Publish& p) {
  unsigned byte = static_cast<unsigned>(PacketType::kPublish) << 4 | static_cast<unsigned>(p.qos) << 1;
  if (p.dup) byte |= 0x08;
  if (p.retain) byte |= 0x01;
  return static_cast<std::uint8_t>(byte);
}

// Fixed header and what `put` writes; `payload_size` more bytes are to follow.
template <class T>
bool write(std::string& out, std::uint8_t first, const T& packet, Version version,
           std::size_t payload_size = 0) {
  Count count;
  put(count, packet, version);
  if (!count.fits || payload_size > kMaxVarint || count.size + payload_size > kMaxVarint) return false;
  out.push_back(static_cast<char>(first));
  append_varint(out, static_cast<std::uint32_t>(count.size + payload_size));
  Output output(out);
  put(output, packet, version);
  return true;
}

}  // namespace

bool encode(std::string& out, const Connect& packet) {
  return write(out, first_byte(PacketType::kConnect), packet, packet.version);
}

bool encode(std::string& out, const Connack& packet, Version version) {
  return write(out, first_byte(PacketType::kConnack), packet, version);
}

bool encode(std::string& out, const Publish& packet, Version version) {
  if (!write(out, first_byte(packet), packet, version, packet.payload.size())) return false;
  out.append(packet.payload);
  return true;
}

template <PacketType T>
bool encode(std::string& out, const Ack<T>& packet, Version version) {
  return write(out, first_byte(T), packet, version);
}
template bool encode(std::string&, const Puback&, Version);
template bool encode(std::string&, const Pubrec&, Version);
template bool encode(std::string&, const Pubrel&, Version);
template bool encode(std::string&, const Pubcomp&, Version);

bool encode(std::string& out, const Subscribe& packet, Version version) {
  return write(out, first_byte(PacketType::kSubscribe), packet, version);
}

bool encode(std::string& out, const Suback& packet, Version version) {
  return write(out, first_byte(PacketType::kSuback), packet, version);
}

bool encode(std::string& out, const Unsubscribe& packet, Version version) {
  return write(out, first_byte(PacketType::kUnsubscribe), packet, version);
}

bool encode(std::string& out, const Unsuback& packet, Version version) {
  return write(out, first_byte(PacketType::kUnsuback), packet, version);
}

bool encode(std::string& out, const Pingreq& packet, Version version) {
  return write(out, first_byte(PacketType::kPingreq), packet, version);
}

bool encode(std::string& out, const Pingresp& packet, Version version) {
  return write(out, first_byte(PacketType::kPingresp), packet, version);
}

bool encode(std::string& out, const Disconnect& packet, Version version) {
  return write(out, first_byte(PacketType::kDisconnect), packet, version);
}

bool encode(std::string& out, const Auth& packet, Version version) {
  if (version != Version::kV5) return false;
  return write(out, first_byte(PacketType::kAuth), packet, version);
}

bool encode(std::string& out, const Packet& packet, Version version) {
  const auto write_one = [&](const auto& p) {
    if constexpr (std::is_same_v<decltype(p), const Connect&>) {
      return encode(out, p);
    } else {
      return encode(out, p, version);
    }
  };
  return std::visit(write_one, packet);
}

PublishHeader encode_publish_header(std::string& out, const Publish& packet, Version version,
                                    std::size_t payload_size) {
  PublishHeader header;
  header.first_byte_at = out.size();
  header.ok = write(out, first_byte(packet), packet, version, payload_size);
  if (header.ok && packet.qos != Qos::kAtMostOnce) {
    std::size_t at = header.first_byte_at + 1;
    while (out[at] & 0x80) ++at;
    header.packet_id_at = at + 1 + 2 + packet.topic.size();
  }
  if (header.ok && version == Version::kV5 && packet.properties.message_expiry_s) {
    MessageProperties behind = packet.properties;
    behind.payload_is_utf8.reset();
    behind.message_expiry_s.reset();
    header.expiry_at = out.size() - properties_size(behind) - sizeof(std::uint32_t);
  }
  return header;
}

void patch_packet_id(std::string& out, const PublishHeader& header, std::uint16_t packet_id) {
  STELE_ASSERT(header.packet_id_at != 0 && header.packet_id_at + 2 <= out.size());
  STELE_ASSERT(packet_id != 0);
  store_be(out.data() + header.packet_id_at, packet_id);
}

void patch_expiry(std::string& out, const PublishHeader& header, std::uint32_t interval_s) {
  STELE_ASSERT(header.expiry_at != 0 && header.expiry_at + sizeof interval_s <= out.size());
  store_be(out.data() + header.expiry_at, interval_s);
}

std::size_t encoded_publish_size(const Publish& packet, Version version, std::size_t payload_size) {
  Count count;
  put(count, packet, version);
  const std::size_t length = count.size + payload_size;
  return 1 + (length <= kMaxVarint ? varint_size(static_cast<std::uint32_t>(length)) : 4) + length;
}

}  // namespace stele::mqtt
