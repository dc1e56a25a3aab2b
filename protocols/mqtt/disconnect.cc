// What ends a connection in good order or bad, and the packets that take one line: sections 3.6, 3.12, 3.14.
#include <algorithm>

#include "protocols/mqtt/connection.h"

namespace stele::mqtt {

void MqttConnection::on_disconnect(const Frame& frame) {
  const Decoded<Disconnect> packet = decode_disconnect(frame, version_);
  if (!packet) return fail(packet.error());
  if (packet->server_reference) {
    return fail(ReasonCode::kProtocolError, "DISCONNECT: a server reference from a client");
  }
  if (packet->session_expiry_s.value_or(0) != 0 && session_expiry_s_ == 0) {  // section 3.14.2.2.2
    return fail(ReasonCode::kProtocolError, "DISCONNECT: a session that was to end cannot be kept");
  }
  std::optional<std::uint32_t> expiry_s = packet->session_expiry_s;
  if (expiry_s) expiry_s = std::min(*expiry_s, shared_.options.max_session_expiry_s);
  // Any reason but success leaves the will in place [MQTT-3.14.4-3].
  const bool normal = packet->reason == ReasonCode::kSuccess;
  note("disconnected", to_string(packet->reason));
  if (normal && has_will_) return begin_task(leave(expiry_s));
  session_->end(normal ? broker::EndOfSession::kNormal : broker::EndOfSession::kWithWill, expiry_s);
  close();
}

// Who sees the connection closed knows that the will is gone for good [MQTT-3.14.4-3], whatever crashes.
runtime::Task<void> MqttConnection::leave(std::optional<std::uint32_t> expiry_s) {
  co_await session_->leave(expiry_s);
  close();
  end_task();
}

void MqttConnection::on_taken_over() {
  if (!open()) return;
  ++counters().taken_over;
  disconnect(ReasonCode::kSessionTakenOver, "another connection uses the client identifier");
}

void MqttConnection::on_session_lost(const Error& why) {
  if (!open()) return;
  ++counters().sessions_lost;
  const bool stopping = shared_.broker.stopping();
  const ReasonCode reason =
      why.code == ErrorCode::kUnauthorized ? ReasonCode::kNotAuthorized : ReasonCode::kUnspecifiedError;
  disconnect(stopping ? ReasonCode::kServerShuttingDown : reason, why.message);
}

void MqttConnection::on_pingreq(const Frame& frame) {
  const Decoded<Pingreq> packet = decode_pingreq(frame, version_);
  if (!packet) return fail(packet.error());
  send(Pingresp{});  // [MQTT-3.12.4-1]
}

}  // namespace stele::mqtt
