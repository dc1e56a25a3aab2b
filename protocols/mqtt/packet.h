// The packets of MQTT 3.1.1 and 5.0 as plain structs. Strings and payloads are views: of the input frame
// where a packet was decoded, of the caller's memory where it is to be encoded. What only 5.0 has is left out
// when a packet is written for 3.1.1, and absent in one decoded from it; so a packet that came in one version
// can go out in the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "protocols/mqtt/properties.h"
#include "protocols/mqtt/reason_code.h"

namespace stele::mqtt {

// By the protocol level in CONNECT. 3.1 differs from 3.1.1 in CONNECT's protocol name and is otherwise read
// as 3.1.1.
enum class Version : std::uint8_t { kV31 = 3, kV311 = 4, kV5 = 5 };

enum class Qos : std::uint8_t { kAtMostOnce = 0, kAtLeastOnce = 1, kExactlyOnce = 2 };

// What travels with an application message, unaltered, from its publisher to its subscribers (5.0 only).
struct MessageProperties {
  std::optional<bool> payload_is_utf8;  // payload format indicator
  std::optional<std::uint32_t> message_expiry_s;
  std::optional<std::string_view> content_type;
  std::optional<std::string_view> response_topic;
  std::optional<std::string_view> correlation_data;
  UserProperties user_properties;
  friend bool operator==(const MessageProperties&, const MessageProperties&) = default;
};

struct Will {
  Qos qos = Qos::kAtMostOnce;
  bool retain = false;
  std::string_view topic;
  std::string_view payload;
  std::optional<std::uint32_t> delay_s;
  MessageProperties properties;
  friend bool operator==(const Will&, const Will&) = default;
};

struct Connect {
  Version version = Version::kV5;
  bool clean_start = true;  // 3.1.1: clean session
  std::uint16_t keep_alive_s = 0;
  std::string_view client_id;
  std::optional<Will> will;
  std::optional<std::string_view> user_name;
  std::optional<std::string_view> password;
  std::optional<std::uint32_t> session_expiry_s;
  std::optional<std::uint16_t> receive_maximum;
  std::optional<std::uint32_t> maximum_packet_size;
  std::optional<std::uint16_t> topic_alias_maximum;
  std::optional<bool> request_response_information;
  std::optional<bool> request_problem_information;
  std::optional<std::string_view> authentication_method;
  std::optional<std::string_view> authentication_data;
  UserProperties user_properties;
  friend bool operator==(const Connect&, const Connect&) = default;
};

struct Connack {
  bool session_present = false;
  ReasonCode reason = ReasonCode::kSuccess;  // on the wire of 3.1.1: the return code that it maps to
  std::optional<std::uint32_t> session_expiry_s;
  std::optional<std::uint16_t> receive_maximum;
  std::optional<Qos> maximum_qos;
  std::optional<bool> retain_available;
  std::optional<std::uint32_t> maximum_packet_size;
  std::optional<std::string_view> assigned_client_id;
  std::optional<std::uint16_t> topic_alias_maximum;
  std::optional<std::string_view> reason_string;
  std::optional<bool> wildcard_subscription_available;
  std::optional<bool> subscription_identifier_available;
  std::optional<bool> shared_subscription_available;
  std::optional<std::uint16_t> server_keep_alive_s;
  std::optional<std::string_view> response_information;
  std::optional<std::string_view> server_reference;
  std::optional<std::string_view> authentication_method;
  std::optional<std::string_view> authentication_data;
  UserProperties user_properties;
  friend bool operator==(const Connack&, const Connack&) = default;
};

struct Publish {
  bool dup = false;
  Qos qos = Qos::kAtMostOnce;
  bool retain = false;
  std::uint16_t packet_id = 0;  // 0 with QoS 0, never otherwise
  std::string_view topic;       // empty only with a topic alias
  std::string_view payload;
  std::optional<std::uint16_t> topic_alias;
  SubscriptionIds subscription_ids;  // from a server only: a client must not send them [MQTT-3.3.4-6]
  MessageProperties properties;
  friend bool operator==(const Publish&, const Publish&) = default;
};

// The four packets of the QoS 1 and 2 exchanges have one shape.
template <PacketType T>
struct Ack {
  static constexpr PacketType kType = T;
  std::uint16_t packet_id = 0;
  ReasonCode reason = ReasonCode::kSuccess;
  std::optional<std::string_view> reason_string = std::nullopt;
  UserProperties user_properties = {};
  friend bool operator==(const Ack&, const Ack&) = default;
};
using Puback = Ack<PacketType::kPuback>;
using Pubrec = Ack<PacketType::kPubrec>;
using Pubrel = Ack<PacketType::kPubrel>;
using Pubcomp = Ack<PacketType::kPubcomp>;

enum class RetainHandling : std::uint8_t { kSend = 0, kSendIfNew = 1, kDoNotSend = 2 };

struct Subscription {
  std::string_view filter;  // as sent: with $share/{ShareName}/ where it is a shared one
  Qos qos = Qos::kAtMostOnce;
  bool no_local = false;
  bool retain_as_published = false;
  RetainHandling retain_handling = RetainHandling::kSend;
  friend bool operator==(const Subscription&, const Subscription&) = default;
};

struct Subscribe {
  std::uint16_t packet_id = 0;
  std::vector<Subscription> subscriptions;
  std::optional<std::uint32_t> subscription_id;
  UserProperties user_properties;
  friend bool operator==(const Subscribe&, const Subscribe&) = default;
};

struct Suback {
  std::uint16_t packet_id = 0;
  std::vector<ReasonCode> reasons;  // one per subscription; 3.1.1 has a single code for all failures, 0x80
  std::optional<std::string_view> reason_string;
  UserProperties user_properties;
  friend bool operator==(const Suback&, const Suback&) = default;
};

struct Unsubscribe {
  std::uint16_t packet_id = 0;
  std::vector<std::string_view> filters;
  UserProperties user_properties;
  friend bool operator==(const Unsubscribe&, const Unsubscribe&) = default;
};

struct Unsuback {
  std::uint16_t packet_id = 0;
  std::vector<ReasonCode> reasons;  // none in 3.1.1
  std::optional<std::string_view> reason_string;
  UserProperties user_properties;
  friend bool operator==(const Unsuback&, const Unsuback&) = default;
};

struct Pingreq {
  friend bool operator==(const Pingreq&, const Pingreq&) = default;
};
struct Pingresp {
  friend bool operator==(const Pingresp&, const Pingresp&) = default;
};

struct Disconnect {
  ReasonCode reason = ReasonCode::kSuccess;
  std::optional<std::uint32_t> session_expiry_s;
  std::optional<std::string_view> reason_string;
  std::optional<std::string_view> server_reference;
  UserProperties user_properties;
  friend bool operator==(const Disconnect&, const Disconnect&) = default;
};

struct Auth {
  ReasonCode reason = ReasonCode::kSuccess;
  std::optional<std::string_view> authentication_method;
  std::optional<std::string_view> authentication_data;
  std::optional<std::string_view> reason_string;
  UserProperties user_properties;
  friend bool operator==(const Auth&, const Auth&) = default;
};

// In the order of their packet types; index() + 1 is the PacketType.
using Packet = std::variant<Connect, Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe, Suback,
                            Unsubscribe, Unsuback, Pingreq, Pingresp, Disconnect, Auth>;

inline PacketType type_of(const Packet& packet) {
  return static_cast<PacketType>(packet.index() + 1);
}

}  // namespace stele::mqtt
