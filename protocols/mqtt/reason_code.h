// Reason codes of MQTT 5.0 (section 2.4). The broker thinks in them for 3.1.1 clients too; the encoder maps
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace stele::mqtt {

enum class PacketType : std::uint8_t {
  kConnect = 1,
  kConnack = 2,
  kPublish = 3,
  kPuback = 4,
  kPubrec = 5,
  kPubrel = 6,
  kPubcomp = 7,
  kSubscribe = 8,
  kSuback = 9,
  kUnsubscribe = 10,
  kUnsuback = 11,
  kPingreq = 12,
  kPingresp = 13,
  kDisconnect = 14,
  kAuth = 15,
};

std::string_view to_string(PacketType type);

enum class ReasonCode : std::uint8_t {
  kSuccess = 0x00,  // also normal disconnection and granted QoS 0
  kGrantedQos1 = 0x01,
  kGrantedQos2 = 0x02,
  kDisconnectWithWill = 0x04,
  kNoMatchingSubscribers = 0x10,
  kNoSubscriptionExisted = 0x11,
  kContinueAuthentication = 0x18,
  kReauthenticate = 0x19,
  kUnspecifiedError = 0x80,
  kMalformedPacket = 0x81,
  kProtocolError = 0x82,
  kImplementationSpecificError = 0x83,
  kUnsupportedProtocolVersion = 0x84,
  kClientIdentifierNotValid = 0x85,
  kBadUserNameOrPassword = 0x86,
  kNotAuthorized = 0x87,
  kServerUnavailable = 0x88,
  kServerBusy = 0x89,
  kBanned = 0x8A,
  kServerShuttingDown = 0x8B,
  kBadAuthenticationMethod = 0x8C,
  kKeepAliveTimeout = 0x8D,
  kSessionTakenOver = 0x8E,
  kTopicFilterInvalid = 0x8F,
  kTopicNameInvalid = 0x90,
  kPacketIdentifierInUse = 0x91,
  kPacketIdentifierNotFound = 0x92,
  kReceiveMaximumExceeded = 0x93,
  kTopicAliasInvalid = 0x94,
  kPacketTooLarge = 0x95,
  kMessageRateTooHigh = 0x96,
  kQuotaExceeded = 0x97,
  kAdministrativeAction = 0x98,
  kPayloadFormatInvalid = 0x99,
  kRetainNotSupported = 0x9A,
  kQosNotSupported = 0x9B,
  kUseAnotherServer = 0x9C,
  kServerMoved = 0x9D,
  kSharedSubscriptionsNotSupported = 0x9E,
  kConnectionRateExceeded = 0x9F,
  kMaximumConnectTime = 0xA0,
  kSubscriptionIdentifiersNotSupported = 0xA1,
  kWildcardSubscriptionsNotSupported = 0xA2,
};

// The name in the specification, in lower case; "unknown reason code" for any other value.
std::string_view to_string(ReasonCode reason);

inline bool is_error(ReasonCode reason) {
  return static_cast<std::uint8_t>(reason) >= 0x80;
}

// Whether `reason` stands in the table of reason codes of that packet type of MQTT 5.0.
bool is_reason_allowed(PacketType type, ReasonCode reason);

// The CONNACK return code of MQTT 3.1.1 (section 3.2.2.3) for a reason; none if no code says it: the server
// then closes the connection without a CONNACK [MQTT-3.2.2-6].
std::optional<std::uint8_t> connack_return_code_v3(ReasonCode reason);
std::optional<ReasonCode> reason_of_connack_return_code_v3(std::uint8_t code);

}  // namespace stele::mqtt
