// PUBLISH from the client, and PUBACK to it: sections 3.3 and 3.4.
#include "protocols/mqtt/connection.h"
#include "protocols/mqtt/message_mapping.h"

namespace stele::mqtt {

namespace {

// A larger payload is handed on as a slice of what was read, a smaller one is copied out of it.
constexpr std::size_t kSharePayload = 2048;

ReasonCode reason_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnauthorized:
      return ReasonCode::kNotAuthorized;
    case ErrorCode::kNoSpace:
      return ReasonCode::kQuotaExceeded;
    case ErrorCode::kInvalidArgument:
      return ReasonCode::kTopicNameInvalid;
    case ErrorCode::kMalformed:
      return ReasonCode::kPayloadFormatInvalid;
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimedOut:
    case ErrorCode::kUnsupported:
      return ReasonCode::kImplementationSpecificError;
    default:
      return ReasonCode::kUnspecifiedError;
  }
}

}  // namespace

void MqttConnection::on_publish(const Frame& frame) {
  const Decoded<Publish> packet = decode_publish(frame, version_);
  if (!packet) return fail(packet.error());
  if (packet->qos == Qos::kExactlyOnce) {
    return fail(ReasonCode::kQosNotSupported, "QoS 2");  // [MQTT-3.2.2-11]
  }
  if (packet->topic_alias) {
    return fail(ReasonCode::kTopicAliasInvalid, "the topic alias maximum is 0");  // [MQTT-3.3.2-9]
  }
  if (!packet->subscription_ids.empty()) {
    return fail(ReasonCode::kProtocolError, "a subscription identifier from a client");  // [MQTT-3.3.4-6]
  }
  const bool answer = packet->qos == Qos::kAtLeastOnce;
  if (answer) {
    if (v5() && unanswered_ >= shared_.options.receive_maximum) {
      return fail(ReasonCode::kReceiveMaximumExceeded, "more in flight than the receive maximum");
    }
    ++unanswered_;
  }
  if (!publisher_) publisher_ = shared_.broker.make_publisher({}, client_id_, *this);
  static const Bytes kNotShared;
  const Bytes& owner = packet->payload.size() > kSharePayload ? input_.block() : kNotShared;
  const MessageView message = message_of(*packet, runtime().wall_now().ms);
  if (!publisher_->publish(message, owner, packet->packet_id, answer)) hold(kHoldPublisher);
}

void MqttConnection::on_publisher_ready() {
  let_go(kHoldPublisher);
}

void MqttConnection::on_published(std::uint32_t token, const broker::PublishResult& result) {
  --unanswered_;
  if (!open()) return;
  const auto packet_id = static_cast<std::uint16_t>(token);
  if (!result.error) [[likely]] {
    // 3.1.1 does not have the distinction.
    return answer_publish(
        packet_id, result.matched || !v5() ? ReasonCode::kSuccess : ReasonCode::kNoMatchingSubscribers);
  }
  ++counters().publish_refused;
  if (v5()) return answer_publish(packet_id, reason_of(*result.error));
  // 3.1.1 acknowledges or closes [MQTT-3.3.5-2], and what is not kept is not acknowledged.
  disconnect(reason_of(*result.error), result.error->message);
}

void MqttConnection::answer_publish(std::uint16_t packet_id, ReasonCode reason) {
  const char id_high = static_cast<char>(packet_id >> 8);
  const char id_low = static_cast<char>(packet_id & 0xFF);
  if (reason == ReasonCode::kSuccess) {
    const char bytes[] = {0x40, 2, id_high, id_low};
    write(PacketType::kPuback, {bytes, sizeof bytes});
  } else {
    const char bytes[] = {0x40, 3, id_high, id_low, static_cast<char>(reason)};
    write(PacketType::kPuback, {bytes, sizeof bytes});
  }
}

}  // namespace stele::mqtt
