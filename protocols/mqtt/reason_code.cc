#include "protocols/mqtt/reason_code.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace stele::mqtt {

namespace {

constexpr std::uint16_t bits(std::initializer_list<PacketType> types) {
  std::uint16_t mask = 0;
  for (PacketType type : types) mask |= static_cast<std::uint16_t>(1u << static_cast<unsigned>(type));
  return mask;
}

struct ReasonInfo {
  ReasonCode code;
  std::uint16_t packets;
  std::string_view name;
};

using enum PacketType;
using enum ReasonCode;

// Section 2.4, table 2-6.
constexpr ReasonInfo kReasons[] = {
    {kSuccess, bits({kConnack, kPuback, kPubrec, kPubrel, kPubcomp, kUnsuback, kAuth, kSuback, kDisconnect}),
     "success"},
    {kGrantedQos1, bits({kSuback}), "granted QoS 1"},
    {kGrantedQos2, bits({kSuback}), "granted QoS 2"},
    {kDisconnectWithWill, bits({kDisconnect}), "disconnect with will message"},
    {kNoMatchingSubscribers, bits({kPuback, kPubrec}), "no matching subscribers"},
    {kNoSubscriptionExisted, bits({kUnsuback}), "no subscription existed"},
    {kContinueAuthentication, bits({kAuth}), "continue authentication"},
    {kReauthenticate, bits({kAuth}), "re-authenticate"},
    {kUnspecifiedError, bits({kConnack, kPuback, kPubrec, kSuback, kUnsuback, kDisconnect}),
     "unspecified error"},
    {kMalformedPacket, bits({kConnack, kDisconnect}), "malformed packet"},
    {kProtocolError, bits({kConnack, kDisconnect}), "protocol error"},
    {kImplementationSpecificError, bits({kConnack, kPuback, kPubrec, kSuback, kUnsuback, kDisconnect}),
     "implementation specific error"},
    {kUnsupportedProtocolVersion, bits({kConnack}), "unsupported protocol version"},
    {kClientIdentifierNotValid, bits({kConnack}), "client identifier not valid"},
    {kBadUserNameOrPassword, bits({kConnack}), "bad user name or password"},
    {kNotAuthorized, bits({kConnack, kPuback, kPubrec, kSuback, kUnsuback, kDisconnect}), "not authorized"},
    {kServerUnavailable, bits({kConnack}), "server unavailable"},
    {kServerBusy, bits({kConnack, kDisconnect}), "server busy"},
    {kBanned, bits({kConnack}), "banned"},
    {kServerShuttingDown, bits({kDisconnect}), "server shutting down"},
    {kBadAuthenticationMethod, bits({kConnack, kDisconnect}), "bad authentication method"},
    {kKeepAliveTimeout, bits({kDisconnect}), "keep alive timeout"},
    {kSessionTakenOver, bits({kDisconnect}), "session taken over"},
    {kTopicFilterInvalid, bits({kSuback, kUnsuback, kDisconnect}), "topic filter invalid"},
    {kTopicNameInvalid, bits({kConnack, kPuback, kPubrec, kDisconnect}), "topic name invalid"},
    {kPacketIdentifierInUse, bits({kPuback, kPubrec, kSuback, kUnsuback}), "packet identifier in use"},
    {kPacketIdentifierNotFound, bits({kPubrel, kPubcomp}), "packet identifier not found"},
    {kReceiveMaximumExceeded, bits({kDisconnect}), "receive maximum exceeded"},
    {kTopicAliasInvalid, bits({kDisconnect}), "topic alias invalid"},
    {kPacketTooLarge, bits({kConnack, kDisconnect}), "packet too large"},
    {kMessageRateTooHigh, bits({kDisconnect}), "message rate too high"},
    {kQuotaExceeded, bits({kConnack, kPuback, kPubrec, kSuback, kDisconnect}), "quota exceeded"},
    {kAdministrativeAction, bits({kDisconnect}), "administrative action"},
    {kPayloadFormatInvalid, bits({kConnack, kPuback, kPubrec, kDisconnect}), "payload format invalid"},
    {kRetainNotSupported, bits({kConnack, kDisconnect}), "retain not supported"},
    {kQosNotSupported, bits({kConnack, kDisconnect}), "QoS not supported"},
    {kUseAnotherServer, bits({kConnack, kDisconnect}), "use another server"},
    {kServerMoved, bits({kConnack, kDisconnect}), "server moved"},
    {kSharedSubscriptionsNotSupported, bits({kSuback, kDisconnect}), "shared subscriptions not supported"},
    {kConnectionRateExceeded, bits({kConnack, kDisconnect}), "connection rate exceeded"},
    {kMaximumConnectTime, bits({kDisconnect}), "maximum connect time"},
    {kSubscriptionIdentifiersNotSupported, bits({kSuback, kDisconnect}),
     "subscription identifiers not supported"},
    {kWildcardSubscriptionsNotSupported, bits({kSuback, kDisconnect}),
     "wildcard subscriptions not supported"},
};

constexpr auto kAllowed = [] {
  std::array<std::uint16_t, 256> allowed{};
  for (const ReasonInfo& info : kReasons) allowed[static_cast<std::uint8_t>(info.code)] = info.packets;
  return allowed;
}();

constexpr std::string_view kPacketNames[] = {
    "reserved",  "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
    "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};

// The return codes of 3.1.1, by value.
constexpr ReasonCode kReturnCodes[] = {
    kSuccess,           kUnsupportedProtocolVersion, kClientIdentifierNotValid,
    kServerUnavailable, kBadUserNameOrPassword,      kNotAuthorized};

}  // namespace

std::string_view to_string(PacketType type) {
  const auto index = static_cast<std::size_t>(type);
  return index < std::size(kPacketNames) ? kPacketNames[index] : kPacketNames[0];
}

std::string_view to_string(ReasonCode reason) {
  for (const ReasonInfo& info : kReasons) {
    if (info.code == reason) return info.name;
  }
  return "unknown reason code";
}

bool is_reason_allowed(PacketType type, ReasonCode reason) {
  return (kAllowed[static_cast<std::uint8_t>(reason)] >> static_cast<unsigned>(type)) & 1;
}

std::optional<std::uint8_t> connack_return_code_v3(ReasonCode reason) {
  switch (reason) {
    case kServerBusy:
    case kQuotaExceeded:
    case kUseAnotherServer:
    case kServerMoved:
    case kConnectionRateExceeded:
      reason = kServerUnavailable;
      break;
    case kBanned:
      reason = kNotAuthorized;
      break;
    default:
      break;
  }
  const auto* found = std::find(std::begin(kReturnCodes), std::end(kReturnCodes), reason);
  if (found == std::end(kReturnCodes)) return std::nullopt;
  return static_cast<std::uint8_t>(found - std::begin(kReturnCodes));
}

std::optional<ReasonCode> reason_of_connack_return_code_v3(std::uint8_t code) {
  if (code >= std::size(kReturnCodes)) return std::nullopt;
  return kReturnCodes[code];
}

}  // namespace stele::mqtt
