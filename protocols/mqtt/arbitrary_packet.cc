#include "protocols/mqtt/arbitrary_packet.h"

#include <rapidcheck.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "protocols/mqtt/topic.h"

namespace stele::mqtt {

namespace {

template <class T>
T in_range(T low, T high) {  // both ends included
  return static_cast<T>(*rc::gen::inRange<std::int64_t>(low, static_cast<std::int64_t>(high) + 1));
}
bool coin() {
  return *rc::gen::arbitrary<bool>();
}
template <class T>
T one_of(const std::vector<T>& values) {
  return *rc::gen::elementOf(values);
}

std::string code_point(std::uint32_t c) {
  const auto tail = [&](unsigned shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | c >> 18), tail(12), tail(6), tail(0)};
}

std::string arbitrary_text() {
  const std::vector<std::uint32_t> edges = {1,      0x7F,   0x80,   0x7FF,   0x800,
                                            0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
  std::string out;
  const int length = in_range(0, 12);
  for (int i = 0; i < length; ++i) {
    out += coin() ? code_point(in_range<std::uint32_t>('a', 'z')) : code_point(one_of(edges));
  }
  return out;
}

std::string arbitrary_bytes() {
  // Lengths about where a variable byte integer grows by one byte.
  const std::vector<int> lengths = {0, 1, 5, 100, 127, 128, 130, 300, 16'383, 16'500};
  std::string out(static_cast<std::size_t>(one_of(lengths)), 'x');
  for (int i = 0; i < 3 && !out.empty(); ++i) {
    out[in_range<std::size_t>(0, out.size() - 1)] = static_cast<char>(in_range(0, 255));
  }
  return out;
}

// Draws the parts of a packet.
class Draw {
 public:
  Draw(TextPool& pool, Version version) : pool_(pool), version_(version) {}

  bool v5() const { return version_ == Version::kV5; }
  std::string_view text() { return pool_.keep(arbitrary_text()); }
  std::string_view bytes() { return pool_.keep(arbitrary_bytes()); }
  std::string_view topic() { return pool_.keep(arbitrary_topic_name()); }
  std::string_view filter() { return pool_.keep(arbitrary_topic_filter()); }
  std::uint16_t packet_id() { return in_range<std::uint16_t>(1, 0xFFFF); }
  Qos qos() { return static_cast<Qos>(in_range(0, 2)); }

  // A property: absent half of the time, and always before 5.0.
  template <class F>
  auto maybe(F&& draw) -> std::optional<decltype(draw())> {
    if (!v5() || coin()) return std::nullopt;
    return draw();
  }
  std::optional<std::string_view> maybe_text() {
    return maybe([&] { return text(); });
  }
  std::optional<std::string_view> maybe_bytes() {
    return maybe([&] { return bytes(); });
  }
  std::optional<bool> maybe_flag() { return maybe(coin); }
  std::optional<std::uint16_t> maybe_u16(std::uint16_t least = 0) {
    return maybe([&] { return in_range<std::uint16_t>(least, 0xFFFF); });
  }
  std::optional<std::uint32_t> maybe_u32(std::uint32_t least = 0) {
    return maybe([&] { return in_range<std::uint32_t>(least, 0xFFFFFFFF); });
  }
  UserProperties user_properties() {
    if (!v5()) return {};
    std::string encoded;
    for (int left = in_range(0, 3); left > 0; --left) {
      RC_ASSERT(append_user_property(encoded, arbitrary_text(), arbitrary_text()));
    }
    return UserProperties::from_encoded(pool_.keep(encoded));
  }
  SubscriptionIds subscription_ids() {
    if (!v5()) return {};
    std::string encoded;
    for (int left = in_range(0, 3); left > 0; --left)
      append_subscription_id(encoded, in_range(1u, kMaxVarint));
    return SubscriptionIds::from_encoded(pool_.keep(encoded));
  }
  ReasonCode reason(PacketType type) {
    std::vector<ReasonCode> allowed;
    for (int code = 0; code < 256; ++code) {
      if (is_reason_allowed(type, static_cast<ReasonCode>(code)))
        allowed.push_back(static_cast<ReasonCode>(code));
    }
    return one_of(allowed);
  }
  MessageProperties message_properties() {
    MessageProperties p;
    p.payload_is_utf8 = maybe_flag();
    p.message_expiry_s = maybe_u32();
    p.content_type = maybe_text();
    p.response_topic = maybe([&] { return topic(); });
    p.correlation_data = maybe_bytes();
    p.user_properties = user_properties();
    return p;
  }

  Connect connect() {
    Connect p;
    p.version = version_;
    p.clean_start = coin();
    p.keep_alive_s = in_range<std::uint16_t>(0, 0xFFFF);
    p.client_id = text();
    if (!v5() && p.client_id.empty()) p.client_id = "id";
    if (coin()) p.will = Will{qos(), coin(), topic(), bytes(), maybe_u32(), message_properties()};
    if (coin()) p.user_name = text();
    if (coin() && (v5() || p.user_name)) p.password = bytes();
    p.session_expiry_s = maybe_u32();
    p.receive_maximum = maybe_u16(1);
    p.maximum_packet_size = maybe_u32(1);
    p.topic_alias_maximum = maybe_u16();
    p.request_response_information = maybe_flag();
    p.request_problem_information = maybe_flag();
    p.authentication_method = maybe_text();
    if (p.authentication_method) p.authentication_data = maybe_bytes();
    p.user_properties = user_properties();
    return p;
  }
  Connack connack() {
    Connack p;
    p.reason = reason(PacketType::kConnack);
    if (!v5()) p.reason = *reason_of_connack_return_code_v3(in_range<std::uint8_t>(0, 5));
    p.session_present = version_ != Version::kV31 && p.reason == ReasonCode::kSuccess && coin();
    p.session_expiry_s = maybe_u32();
    p.receive_maximum = maybe_u16(1);
    p.maximum_qos = maybe([&] { return coin() ? Qos::kAtMostOnce : Qos::kAtLeastOnce; });
    p.retain_available = maybe_flag();
    p.maximum_packet_size = maybe_u32(1);
    p.assigned_client_id = maybe_text();
    p.topic_alias_maximum = maybe_u16();
    p.reason_string = maybe_text();
    p.wildcard_subscription_available = maybe_flag();
    p.subscription_identifier_available = maybe_flag();
    p.shared_subscription_available = maybe_flag();
    p.server_keep_alive_s = maybe_u16();
    p.response_information = maybe_text();
    p.server_reference = maybe_text();
    p.authentication_method = maybe_text();
    p.authentication_data = maybe_bytes();
    p.user_properties = user_properties();
    return p;
  }
  Publish publish() {
    Publish p;
    p.qos = qos();
    p.retain = coin();
    if (p.qos != Qos::kAtMostOnce) {
      p.dup = coin();
      p.packet_id = packet_id();
    }
    p.topic_alias = maybe_u16(1);
    if (!p.topic_alias || coin()) p.topic = topic();
    p.payload = bytes();
    p.subscription_ids = subscription_ids();
    p.properties = message_properties();
    return p;
  }
  template <PacketType T>
  Ack<T> ack() {
    Ack<T> p;
    p.packet_id = packet_id();
    if (v5()) p.reason = reason(T);
    p.reason_string = maybe_text();
    p.user_properties = user_properties();
    return p;
  }
  Subscribe subscribe() {
    Subscribe p;
    p.packet_id = packet_id();
    for (int left = in_range(1, 4); left > 0; --left) {
      Subscription s{filter(), qos(), false, false, RetainHandling::kSend};
      if (v5()) {
        s.no_local = coin();
        s.retain_as_published = coin();
        s.retain_handling = static_cast<RetainHandling>(in_range(0, 2));
        if (!s.no_local && coin()) s.filter = pool_.keep("$share/g/" + std::string(s.filter));
      }
      p.subscriptions.push_back(s);
    }
    p.subscription_id = maybe([] { return in_range(1u, kMaxVarint); });
    p.user_properties = user_properties();
    return p;
  }
  Suback suback() {
    const std::vector<ReasonCode> v3 = {ReasonCode::kSuccess, ReasonCode::kGrantedQos1,
                                        ReasonCode::kGrantedQos2, ReasonCode::kUnspecifiedError};
    Suback p;
    p.packet_id = packet_id();
    for (int left = in_range(1, 4); left > 0; --left) {
      p.reasons.push_back(v5() ? reason(PacketType::kSuback) : one_of(v3));
    }
    p.reason_string = maybe_text();
    p.user_properties = user_properties();
    return p;
  }
  Unsubscribe unsubscribe() {
    Unsubscribe p;
    p.packet_id = packet_id();
    for (int left = in_range(1, 4); left > 0; --left) p.filters.push_back(filter());
    p.user_properties = user_properties();
    return p;
  }
  Unsuback unsuback() {
    Unsuback p;
    p.packet_id = packet_id();
    for (int left = v5() ? in_range(1, 4) : 0; left > 0; --left)
      p.reasons.push_back(reason(PacketType::kUnsuback));
    p.reason_string = maybe_text();
    p.user_properties = user_properties();
    return p;
  }
  Disconnect disconnect() {
    Disconnect p;
    if (v5()) p.reason = reason(PacketType::kDisconnect);
    p.session_expiry_s = maybe_u32();
    p.reason_string = maybe_text();
    p.server_reference = maybe_text();
    p.user_properties = user_properties();
    return p;
  }
  Auth auth() {
    Auth p;
    if (coin()) return p;
    p.reason = reason(PacketType::kAuth);
    p.authentication_method = text();
    p.authentication_data = maybe_bytes();
    p.reason_string = maybe_text();
    p.user_properties = user_properties();
    return p;
  }

 private:
  TextPool& pool_;
  Version version_;
};

}  // namespace

std::string arbitrary_topic_name() {
  std::string out;
  for (const char c : arbitrary_text()) {
    if (c != '+' && c != '#') out += c;
  }
  for (int left = in_range(0, 3); left > 0; --left) out += std::string("/") + in_range('a', 'c');
  return out.empty() ? "t" : out;
}

std::string arbitrary_topic_filter() {
  std::string out;
  const int levels = in_range(1, 4);
  for (int i = 0; i < levels; ++i) {
    if (i > 0) out += '/';
    const int kind = in_range(0, 4);
    if (kind == 0) out += '+';
    if (kind == 1 && i + 1 == levels) return out + '#';
    if (kind >= 3) out += in_range('a', 'c');
  }
  return out.empty() ? "+" : out;
}

Publish arbitrary_publish(TextPool& pool, Version version) {
  return Draw(pool, version).publish();
}

Packet arbitrary_packet(TextPool& pool, PacketType type, Version version) {
  Draw draw(pool, version);
  switch (type) {
    case PacketType::kConnect:
      return draw.connect();
    case PacketType::kConnack:
      return draw.connack();
    case PacketType::kPublish:
      return draw.publish();
    case PacketType::kPuback:
      return draw.ack<PacketType::kPuback>();
    case PacketType::kPubrec:
      return draw.ack<PacketType::kPubrec>();
    case PacketType::kPubrel:
      return draw.ack<PacketType::kPubrel>();
    case PacketType::kPubcomp:
      return draw.ack<PacketType::kPubcomp>();
    case PacketType::kSubscribe:
      return draw.subscribe();
    case PacketType::kSuback:
      return draw.suback();
    case PacketType::kUnsubscribe:
      return draw.unsubscribe();
    case PacketType::kUnsuback:
      return draw.unsuback();
    case PacketType::kPingreq:
      return Pingreq{};
    case PacketType::kPingresp:
      return Pingresp{};
    case PacketType::kDisconnect:
      return draw.disconnect();
    case PacketType::kAuth:
      break;
  }
  return draw.auth();
}

}  // namespace stele::mqtt
