// PUBLISH from the client, PUBACK, PUBREC and PUBCOMP to it, PUBREL from it: sections 3.3 to 3.7 and 4.3.
//
// A QoS 2 message that has been answered with PUBREC is here until it is released; what must be remembered
// beyond the connection, the broker remembers.
#include <memory>

#include "base/assert.h"
#include "base/marks.h"
#include "protocols/mqtt/connection.h"
#include "protocols/mqtt/message_mapping.h"

namespace stele::mqtt {

namespace {

// A larger payload is handed on as a slice of what was read, a smaller one is copied out of it.
constexpr std::size_t kSharePayload = 2048;

// In the token of a message, beside its packet identifier.
constexpr std::uint32_t kExactlyOnceToken = 0x10000;

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
  Decoded<Publish> packet = decode_publish(frame, version_);
  if (!packet) return fail(packet.error());
  if (packet->topic_alias && !resolve_alias(*packet)) return;
  if (!packet->subscription_ids.empty()) {
    return fail(ReasonCode::kProtocolError, "a subscription identifier from a client");  // [MQTT-3.3.4-6]
  }
  std::uint32_t token = packet->packet_id;
  if (packet->qos == Qos::kExactlyOnce) {
    if (!begin_exchange(packet->packet_id)) return;
    token |= kExactlyOnceToken;
  }
  const bool answer = packet->qos != Qos::kAtMostOnce;
  if (answer) {
    if (v5() && unanswered_ >= shared_.options.receive_maximum) {
      return fail(ReasonCode::kReceiveMaximumExceeded, "more in flight than the receive maximum");
    }
    ++unanswered_;
  }
  if (!publisher_) {
    publisher_ = shared_.broker.make_publisher(principal(), client_id_, *this);
    publisher_->join(*session_);
  }
  static const Bytes kNotShared;
  const Bytes& owner = packet->payload.size() > kSharePayload ? input_.block() : kNotShared;
  const MessageView message = message_of(*packet, runtime().wall_now().ms);
  if (!publisher_->publish(message, owner, token, answer)) hold(kHoldPublisher);
}

bool MqttConnection::resolve_alias(Publish& packet) {
  if (!received_aliases_) {
    received_aliases_ = std::make_unique<ReceivedAliases>(shared_.options.max_topic_alias);
  }
  if (!received_aliases_->is_valid(*packet.topic_alias)) {
    fail(ReasonCode::kTopicAliasInvalid, "larger than the topic alias maximum");  // [MQTT-3.3.2-9]
    return false;
  }
  const auto topic = received_aliases_->resolve(*packet.topic_alias, packet.topic);
  if (!topic) {
    fail(ReasonCode::kProtocolError, "a topic alias that stands for nothing");  // section 3.3.2.3.4
    return false;
  }
  packet.topic = *topic;
  return true;
}

void MqttConnection::on_publisher_ready() {
  let_go(kHoldPublisher);
}

// False if the message is not a new one, or too much.
bool MqttConnection::begin_exchange(std::uint16_t packet_id) {
  if (!exchanges_) exchanges_ = std::make_unique<Exchanges>();
  const auto there = exchanges_->find(packet_id);
  if (there != exchanges_->end()) {
    // [MQTT-4.3.3-10]. One that the broker has not answered yet will be, once.
    if (there->second != Exchange::kPublished) {
      answer_publish(PacketType::kPubrec, packet_id, ReasonCode::kSuccess);
    }
    return false;
  }
  if (!v5() && exchanges_->size() >= shared_.options.max_unreleased) {
    fail(ReasonCode::kQuotaExceeded, "too many messages that are not released");
    return false;
  }
  exchanges_->emplace(packet_id, Exchange::kPublished);
  return true;
}

void MqttConnection::end_exchange(std::uint16_t packet_id) {
  exchanges_->erase(packet_id);
  constexpr std::size_t kKeptWhenIdle = 64;
  if (exchanges_->empty() && exchanges_->capacity() > kKeptWhenIdle) exchanges_.reset();
}

void MqttConnection::on_published(std::uint32_t token, const broker::PublishResult& result) {
  const auto packet_id = static_cast<std::uint16_t>(token);
  if (token & kExactlyOnceToken) return on_received(packet_id, result);
  --unanswered_;
  if (!open()) return;
  if (result.unknown) return end_for_unknown(*result.error);
  if (!result.error) [[likely]] {
    // 3.1.1 does not have the distinction.
    return answer_publish(
        PacketType::kPuback, packet_id,
        result.matched || !v5() ? ReasonCode::kSuccess : ReasonCode::kNoMatchingSubscribers);
  }
  refuse_publish(PacketType::kPuback, packet_id, *result.error);
}

void MqttConnection::on_received(std::uint16_t packet_id, const broker::PublishResult& result) {
  if (!open()) return;
  const auto exchange = exchanges_->find(packet_id);
  STELE_ASSERT(exchange != exchanges_->end() && exchange->second == Exchange::kPublished);
  if (!result.error) [[likely]] {
    exchange->second = Exchange::kReceived;
    return answer_publish(
        PacketType::kPubrec, packet_id,
        result.matched || !v5() ? ReasonCode::kSuccess : ReasonCode::kNoMatchingSubscribers);
  }
  // PUBREC with an error would say that the identifier is free, but the broker may have it. The client will
  // ask again.
  if (result.unknown) return end_for_unknown(*result.error);
  end_exchange(packet_id);
  --unanswered_;
  refuse_publish(PacketType::kPubrec, packet_id, *result.error);
}

// The message may be kept, now or later. What the client sent behind it must not come before it.
void MqttConnection::end_for_unknown(const Error& error) {
  STELE_MARK("mqtt: message of unknown fate ends the connection");
  ++counters().publish_refused;
  disconnect(reason_of(error), error.message);
}

void MqttConnection::refuse_publish(PacketType type, std::uint16_t packet_id, const Error& error) {
  ++counters().publish_refused;
  if (v5()) return answer_publish(type, packet_id, reason_of(error));
  // 3.1.1 acknowledges or closes [MQTT-3.3.5-2], and what is not kept is not acknowledged.
  disconnect(reason_of(error), error.message);
}

void MqttConnection::answer_publish(PacketType type, std::uint16_t packet_id, ReasonCode reason) {
  const char first = static_cast<char>(static_cast<std::uint8_t>(type) << 4);
  const char id_high = static_cast<char>(packet_id >> 8);
  const char id_low = static_cast<char>(packet_id & 0xFF);
  if (reason == ReasonCode::kSuccess || !v5()) {
    const char bytes[] = {first, 2, id_high, id_low};
    write(type, {bytes, sizeof bytes});
  } else {
    const char bytes[] = {first, 3, id_high, id_low, static_cast<char>(reason)};
    write(type, {bytes, sizeof bytes});
  }
}

void MqttConnection::on_pubrel(const Frame& frame) {
  const Decoded<Pubrel> packet = decode_pubrel(frame, version_);
  if (!packet) return fail(packet.error());
  const std::uint16_t id = packet->packet_id;
  const bool kept = session_->durable();
  const auto exchange = exchanges_ ? exchanges_->find(id) : Exchanges::iterator();
  if (!exchanges_ || exchange == exchanges_->end()) {
    if (!kept) {
      return answer_publish(PacketType::kPubcomp, id, ReasonCode::kPacketIdentifierNotFound);
    }
    // Perhaps of an earlier connection.
    if (!exchanges_) exchanges_ = std::make_unique<Exchanges>();
    exchanges_->emplace(id, Exchange::kEarlier);
    return session_->complete(id);
  }
  switch (exchange->second) {
    case Exchange::kPublished:
      return fail(ReasonCode::kProtocolError, "PUBREL before PUBREC");
    case Exchange::kReleasing:
    case Exchange::kEarlier:
      return;  // PUBCOMP is on its way
    case Exchange::kReceived:
      if (kept) {
        exchange->second = Exchange::kReleasing;
        return session_->complete(id);
      }
      end_exchange(id);
      --unanswered_;
      answer_publish(PacketType::kPubcomp, id, ReasonCode::kSuccess);
  }
}

void MqttConnection::on_completed(std::uint16_t packet_id, bool known) {
  if (!open() || !exchanges_) return;
  const auto exchange = exchanges_->find(packet_id);
  if (exchange == exchanges_->end()) return;
  if (exchange->second == Exchange::kReleasing) --unanswered_;
  end_exchange(packet_id);
  answer_publish(PacketType::kPubcomp, packet_id,
                 known ? ReasonCode::kSuccess : ReasonCode::kPacketIdentifierNotFound);
}

}  // namespace stele::mqtt
