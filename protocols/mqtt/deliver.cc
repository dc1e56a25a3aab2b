// PUBLISH and PUBREL to the client; PUBACK, PUBREC and PUBCOMP from it: sections 3.3 to 3.7, flow control of
// section 4.9.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "protocols/mqtt/connection.h"
#include "protocols/mqtt/message_mapping.h"

namespace stele::mqtt {

namespace {

// A larger payload goes out as a slice of the block it lies in, a smaller one is copied behind its header.
constexpr std::size_t kSharePayload = 1536;

}  // namespace

void MqttConnection::on_message(const broker::Delivery& delivery) {
  if (state_ != State::kConnected) return;
  const std::int64_t now_ms = runtime().wall_now().ms;
  const MessageView& message = delivery.message;
  if (message.expires_at_ms && *message.expires_at_ms <= now_ms && !mutant(Mutant::kExpiredDelivered)) {
    return drop(delivery.token, delivery.redelivered, counters().dropped_expired);
  }
  if (deliver_as_before(delivery)) return;
  Publish packet;
  packet.qos = static_cast<Qos>(delivery.qos);
  packet.retain = delivery.retain;
  packet.dup = delivery.redelivered && packet.qos != Qos::kAtMostOnce;
  fill_publish(packet, message, version_, now_ms, delivery.subscription_ids, shared_.properties);
  if (packet.qos == Qos::kAtMostOnce) {
    if (output_is_full()) return drop(delivery.token, delivery.redelivered, counters().dropped_slow);
    return deliver_now(packet, delivery);
  }
  if (outbox().anything_waits() || !outbox().has_room() || output_is_full()) {
    return deliver_later(packet, delivery);
  }
  deliver_now(packet, delivery);
}

// False: it must be encoded for this client.
bool MqttConnection::deliver_as_before(const broker::Delivery& delivery) {
  MqttShared::Encoded& encoded = shared_.encoded;
  const auto qos = static_cast<Qos>(delivery.qos);
  if (delivery.serial == 0 || delivery.serial != encoded.serial || encoded.version != version_ ||
      encoded.qos != qos || encoded.retain != delivery.retain || sent_aliases_ ||
      !delivery.subscription_ids.empty()) {
    return false;
  }
  const std::size_t payload = delivery.message.payload.size();
  if (!fits_client(encoded.packet.size() + (payload <= kSharePayload ? 0 : payload)) || output_is_full()) {
    return false;
  }
  if (qos != Qos::kAtMostOnce && (outbox().anything_waits() || !outbox().has_room())) return false;
  send_publish(encoded.packet, encoded.at, qos, delivery);
  return true;
}

void MqttConnection::deliver_now(Publish& packet, const broker::Delivery& delivery) {
  // Not the one for others if it has something that they do not see.
  const bool for_others = delivery.serial != 0 && !sent_aliases_ && delivery.subscription_ids.empty();
  std::string& out = for_others ? shared_.encoded.packet : shared_.packet;
  shared_.encoded.serial = 0;
  out.clear();
  SentAliases::Choice alias;
  if (sent_aliases_) {
    alias = sent_aliases_->choose(packet.topic);
    if (alias.alias != 0) packet.topic_alias = alias.alias;
    if (alias.known) packet.topic = {};
  }
  const std::string_view payload = packet.payload;
  const PublishHeader at = encode_publish_header(out, packet, version_, payload.size());
  if (!at.ok || !fits_client(out.size() + payload.size())) {
    return drop(delivery.token, delivery.redelivered, counters().dropped_too_large);
  }
  if (sent_aliases_) sent_aliases_->sent(alias, delivery.message.address);
  if (payload.size() <= kSharePayload) out.append(payload);
  if (for_others) {
    MqttShared::Encoded& encoded = shared_.encoded;
    encoded.serial = delivery.serial;
    encoded.version = version_;
    encoded.qos = packet.qos;
    encoded.retain = packet.retain;
    encoded.at = at;
  }
  send_publish(out, at, packet.qos, delivery);
}

// `packet` has its payload if that is small.
void MqttConnection::send_publish(std::string& packet, const PublishHeader& at, Qos qos,
                                  const broker::Delivery& delivery) {
  if (qos != Qos::kAtMostOnce) {
    patch_packet_id(packet, at, take_packet_id(delivery.token, qos == Qos::kExactlyOnce));
  }
  const std::string_view payload = delivery.message.payload;
  ++counters().packets_out[static_cast<std::size_t>(PacketType::kPublish)];
  counters().bytes_out += packet.size();
  connection_->write(packet);
  if (payload.size() > kSharePayload) {
    counters().bytes_out += payload.size();
    if (delivery.owner.empty()) {
      connection_->write(payload);
    } else {
      connection_->write(delivery.owner.slice(payload));
    }
  }
  if (qos == Qos::kAtMostOnce && delivery.token.kept()) session_->settle(delivery.token);
}

std::uint16_t MqttConnection::take_packet_id(const broker::SettleToken& token, bool exactly_once) {
  if (!exactly_once || token.share == 0 || token.durable) return outbox().send(token, exactly_once);
  session_->settle(token);  // nobody else's from now on [MQTT-4.8.2-5]
  return outbox().send({}, exactly_once);
}

bool MqttConnection::has_room(std::uint8_t qos) const {
  if (state_ != State::kConnected || output_is_full()) return false;
  return qos == 0 || !outbox_ || (outbox_->has_room() && !outbox_->anything_waits());
}

// There is no place in the window, or the client does not take what was sent.
void MqttConnection::deliver_later(const Publish& packet, const broker::Delivery& delivery) {
  Outbox::Waiting waiting;
  waiting.at = encode_publish_header(waiting.packet, packet, version_, packet.payload.size());
  if (!waiting.at.ok || !fits_client(waiting.packet.size() + packet.payload.size())) {
    return drop(delivery.token, delivery.redelivered, counters().dropped_too_large);
  }
  if (packet.payload.size() > kSharePayload && !delivery.owner.empty()) {
    waiting.payload = delivery.owner.slice(packet.payload);
  } else {
    waiting.packet.append(packet.payload);
  }
  waiting.expires_at_ms = delivery.message.expires_at_ms;
  waiting.token = delivery.token;
  waiting.exactly_once = packet.qos == Qos::kExactlyOnce;
  waiting.redelivered = delivery.redelivered;
  for (const broker::SettleToken& token : outbox().push(std::move(waiting))) {
    STELE_MARK("mqtt: live message dropped, the queue is full");
    ++counters().dropped_queue;
    if (token.kept()) session_->settle(token);
  }
}

// Whoever drops a message that the session keeps says that it is done with. One of QoS 2 that the client may
// have already is completed instead: its packet identifier is not free before.
void MqttConnection::drop(const broker::SettleToken& token, bool redelivered, std::uint64_t& counter) {
  ++counter;
  if (!token.kept()) return;
  if (redelivered && token.packet_id != 0) return session_->accept(token);
  session_->settle(token);
}

void MqttConnection::pump() {
  if (outbox_ && outbox_->anything_waits()) {
    const std::int64_t now_ms = runtime().wall_now().ms;
    while (outbox_->anything_waits() && outbox_->has_room() && !output_is_full()) {
      send_waiting(outbox_->pop(), now_ms);
    }
  }
  if (std::exchange(room_awaited_, false)) session_->go_on();
}

void MqttConnection::send_waiting(Outbox::Waiting message, std::int64_t now_ms) {
  if (message.expires_at_ms && *message.expires_at_ms <= now_ms) {
    STELE_MARK("mqtt: expired while it waited for the client");
    return drop(message.token, message.redelivered, counters().dropped_expired);
  }
  if (message.at.expiry_at != 0) {  // [MQTT-3.3.2-6]
    patch_expiry(message.packet, message.at, expiry_interval_s(now_ms, *message.expires_at_ms));
  }
  patch_packet_id(message.packet, message.at, take_packet_id(message.token, message.exactly_once));
  ++counters().packets_out[static_cast<std::size_t>(PacketType::kPublish)];
  counters().bytes_out += message.size();
  connection_->write(message.packet);
  if (!message.payload.empty()) connection_->write(std::move(message.payload));
}

void MqttConnection::on_puback(const Frame& frame) {
  const Decoded<Puback> packet = decode_puback(frame, version_);
  if (!packet) return fail(packet.error());
  // Also if the reason is an error: it says that the client will not have it, [MQTT-4.4.0-2].
  const auto token = outbox_ ? outbox_->acknowledge(packet->packet_id) : std::nullopt;
  if (!token) return;  // of a connection before this one
  if (token->kept()) session_->settle(*token);
  pump();
}

void MqttConnection::on_pubrec(const Frame& frame) {
  const Decoded<Pubrec> packet = decode_pubrec(frame, version_);
  if (!packet) return fail(packet.error());
  const std::uint16_t id = packet->packet_id;
  Outbox::InFlight* sent = outbox_ ? outbox_->find_exactly_once(id) : nullptr;
  if (!sent) return send_pubrel(id, ReasonCode::kPacketIdentifierNotFound);
  const broker::SettleToken token = sent->token;
  if (is_error(packet->reason)) {  // the client will not have it: that is the end of it [MQTT-4.3.3-4]
    if (sent->stage != Outbox::Stage::kPublished) return;
    outbox_->erase(id);
    if (token.kept()) session_->settle(token);
    return pump();
  }
  switch (sent->stage) {
    case Outbox::Stage::kPublished:
      if (!token.of_session()) {
        if (token.kept()) session_->settle(token);
        return on_release(id);
      }
      sent->stage = Outbox::Stage::kAccepted;
      return session_->accept(token);
    case Outbox::Stage::kAccepted:
      return;  // PUBREL is on its way
    case Outbox::Stage::kReleased:
      return send_pubrel(id, ReasonCode::kSuccess);
  }
}

void MqttConnection::on_release(std::uint16_t packet_id) {
  if (state_ != State::kConnected) return;
  outbox().release(packet_id);
  send_pubrel(packet_id, ReasonCode::kSuccess);
}

void MqttConnection::send_pubrel(std::uint16_t packet_id, ReasonCode reason) {
  const char id_high = static_cast<char>(packet_id >> 8);
  const char id_low = static_cast<char>(packet_id & 0xFF);
  if (reason == ReasonCode::kSuccess || !v5()) {
    const char bytes[] = {0x62, 2, id_high, id_low};
    write(PacketType::kPubrel, {bytes, sizeof bytes});
  } else {
    const char bytes[] = {0x62, 3, id_high, id_low, static_cast<char>(reason)};
    write(PacketType::kPubrel, {bytes, sizeof bytes});
  }
}

void MqttConnection::on_pubcomp(const Frame& frame) {
  const Decoded<Pubcomp> packet = decode_pubcomp(frame, version_);
  if (!packet) return fail(packet.error());
  const std::uint16_t id = packet->packet_id;
  const Outbox::InFlight* sent = outbox_ ? outbox_->find_exactly_once(id) : nullptr;
  if (!sent || sent->stage != Outbox::Stage::kReleased) return;
  const bool of_session = sent->token.of_session();
  outbox_->erase(id);
  if (of_session) session_->released(id);
  pump();
}

Outbox& MqttConnection::outbox() {
  if (!outbox_) {
    const MqttOptions& options = shared_.options;
    // The identifiers above are the session's own.
    const std::uint16_t highest_id = session_->durable() ? broker::kFirstLoggedId - 1 : UINT16_MAX;
    outbox_ = std::make_unique<Outbox>(Outbox::Limits{.in_flight = std::min(in_flight_max_, highest_id),
                                                      .highest_id = highest_id,
                                                      .messages = options.max_queue_messages,
                                                      .bytes = options.max_queue_bytes});
  }
  return *outbox_;
}

}  // namespace stele::mqtt
