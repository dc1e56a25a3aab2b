// CONNECT and CONNACK: sections 3.1 and 3.2.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/wire.h"
#include "protocols/mqtt/connection.h"
#include "protocols/mqtt/message_mapping.h"

namespace stele::mqtt {

void MqttConnection::on_connect(const Frame& frame) {
  const Decoded<Connect> packet = decode_connect(frame);
  if (!packet) return refuse_undecoded(frame, packet.error());
  version_ = packet->version;
  if (packet->maximum_packet_size) client_max_packet_size_ = *packet->maximum_packet_size;
  if (auto wrong = check(*packet)) {
    ++counters().protocol_errors;
    return refuse(wrong->reason, wrong->what);
  }
  if (shared_.broker.stopping()) return refuse(ReasonCode::kServerUnavailable, "the server is shutting down");
  state_ = State::kOpening;
  runtime().disarm(*this);
  begin_task(open_session(std::string(frame.body)));
}

// A CONNECT that cannot be read is answered in the form of its version, if it says that much.
void MqttConnection::refuse_undecoded(const Frame& frame, const DecodeError& error) {
  ++counters().protocol_errors;
  version_ = peek_connect_version(frame).value_or(Version::kV311);
  if (error.reason == ReasonCode::kUnsupportedProtocolVersion) {
    // [MQTT-3.1.2-2]. Later versions are taken to read what 5.0 reads.
    Reader in(frame.body);
    in.bytes(in.u16_be());
    if (in.u8() >= static_cast<std::uint8_t>(Version::kV5)) version_ = Version::kV5;
  }
  refuse(error.reason, error.what);
}

void MqttConnection::refuse(ReasonCode reason, std::string_view why) {
  ++counters().connect_refused;
  note(to_string(reason), why);
  // 3.1.1 has no code for most reasons: then the connection is merely closed [MQTT-3.2.2-6].
  Connack answer;
  answer.reason = reason;
  if (v5() || connack_return_code_v3(reason)) send_with_reason(answer, why);
  close();
}

void MqttConnection::refuse(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnauthorized:
      return refuse(ReasonCode::kNotAuthorized, error.message);
    case ErrorCode::kNoSpace:
      return refuse(ReasonCode::kQuotaExceeded, error.message);
    case ErrorCode::kInvalidArgument:
      return refuse(ReasonCode::kClientIdentifierNotValid, error.message);
    case ErrorCode::kInternal:
    case ErrorCode::kCorrupt:
      return refuse(v5() ? ReasonCode::kUnspecifiedError : ReasonCode::kServerUnavailable, error.message);
    default:
      return refuse(ReasonCode::kServerUnavailable, error.message);
  }
}

std::optional<DecodeError> MqttConnection::check(const Connect& packet) const {
  if (packet.authentication_method) {
    return DecodeError{ReasonCode::kBadAuthenticationMethod, "there is no enhanced authentication"};
  }
  return std::nullopt;
}

broker::SessionOptions MqttConnection::session_options(const Connect& packet, broker::Principal who) {
  broker::SessionOptions out;
  out.principal = std::move(who);
  out.client_id = packet.client_id.empty() ? shared_.broker.new_client_id() : std::string(packet.client_id);
  out.clean_start = packet.clean_start;
  // A session of 3.1.1 is either kept for good or ends with its connection.
  const std::uint32_t of_v3 = packet.clean_start ? 0 : UINT32_MAX;
  out.expiry_s =
      std::min(v5() ? packet.session_expiry_s.value_or(0) : of_v3, shared_.options.max_session_expiry_s);
  // Live copies are forgotten once they are sent: as many may be in flight as the client takes. What is kept
  // is held in memory until it is acknowledged.
  out.receive_maximum = packet.receive_maximum.value_or(UINT16_MAX);
  if (out.expiry_s != 0) {
    out.receive_maximum = std::min<std::uint32_t>(out.receive_maximum, shared_.options.max_in_flight);
  }
  if (packet.will) {
    out.will = broker::WillMessage{.message = message_of(*packet.will),
                                   .expiry_interval_s = packet.will->properties.message_expiry_s,
                                   .delay_s = packet.will->delay_s.value_or(0)};
  }
  return out;
}

runtime::Task<Result<broker::Principal>> MqttConnection::log_in(const Connect& packet) {
  broker::Authenticator& authenticator = shared_.broker.authenticator();
  if (!packet.user_name && !packet.password) {
    const std::string_view certificate = connection_->peer_name();
    co_return certificate.empty() ? authenticator.nobody() : authenticator.of_certificate(certificate);
  }
  co_return co_await authenticator.log_in(connection_->remote().host,
                                          std::string(packet.user_name.value_or("")),
                                          std::string(packet.password.value_or("")));
}

void MqttConnection::refuse_login(const Connect& packet, const Error& error) {
  if (error.code != ErrorCode::kUnauthorized) return refuse(error);
  ++counters().login_refused;
  const bool said_something = packet.user_name || packet.password;
  refuse(said_something ? ReasonCode::kBadUserNameOrPassword : ReasonCode::kNotAuthorized, error.message);
}

// `body` is the CONNECT, which the task reads again: the input may be gone by the time the broker answers.
runtime::Task<void> MqttConnection::open_session(std::string body) {
  const Frame frame{0x10, body, body.size() + 2};
  const Decoded<Connect> packet = decode_connect(frame);
  STELE_ASSERT(packet);
  auto who = co_await log_in(*packet);
  if (state_ != State::kOpening) co_return end_task();
  if (!who) {
    refuse_login(*packet, who.error());
    co_return end_task();
  }
  if (packet->will &&
      !shared_.broker.authorizer().allowed(*who, broker::Action::kPublish, packet->will->topic)) {
    refuse(ReasonCode::kNotAuthorized, "the will may not be published");
    co_return end_task();
  }
  if (who->user != UserId(0)) who_ = std::make_unique<const broker::Principal>(*who);
  broker::SessionOptions options = session_options(*packet, *std::move(who));
  client_id_ = options.client_id;
  session_expiry_s_ = options.expiry_s;
  in_flight_max_ = static_cast<std::uint16_t>(options.receive_maximum);
  auto session = co_await shared_.broker.open_session(std::move(options), *this);
  if (session) session_ = std::move(*session);
  if (state_ == State::kOpening) {
    if (session && !shared_.broker.authenticator().still_known(principal())) {
      refuse(ReasonCode::kNotAuthorized, "the user is no more");
    } else if (session) {
      accept(*packet);
    } else {
      refuse(session.error());
    }
  } else if (session) {
    STELE_MARK("mqtt: client gone before its session was open");
  }
  end_task();
}

void MqttConnection::accept(const Connect& packet) {
  Connack answer;
  answer.session_present = session_->present();
  if (v5()) {
    if (session_expiry_s_ != packet.session_expiry_s.value_or(0)) answer.session_expiry_s = session_expiry_s_;
    answer.receive_maximum = shared_.options.receive_maximum;
    answer.maximum_packet_size = shared_.options.max_packet_size;
    if (packet.client_id.empty()) answer.assigned_client_id = client_id_;
    answer.shared_subscription_available = true;
    answer.topic_alias_maximum = shared_.options.max_topic_alias;
    const std::uint16_t aliases =
        std::min(packet.topic_alias_maximum.value_or(0), shared_.options.max_topic_alias);
    if (aliases > 0) sent_aliases_ = std::make_unique<SentAliases>(aliases);
  }
  set_keep_alive(packet, answer);
  if (!send_with_reason(answer, "")) {
    note("its maximum packet size is too small for CONNACK", "");
    return close();
  }
  state_ = State::kConnected;
  ++counters().connected;
  input_.set_limits(shared_.options.max_packet_size, shared_.options.max_control_packet_size);
  has_will_ = packet.will.has_value();
  session_->start();
}

void MqttConnection::set_keep_alive(const Connect& packet, Connack& answer) {
  keep_alive_s_ = packet.keep_alive_s;
  const std::uint16_t max = shared_.options.max_keep_alive_s;
  // Not for 3.1.1, which cannot be told.
  if (v5() && max != 0 && (keep_alive_s_ == 0 || keep_alive_s_ > max)) {
    keep_alive_s_ = max;
    answer.server_keep_alive_s = max;  // [MQTT-3.1.2-21]
  }
  last_heard_ = runtime().now();
  if (keep_alive_s_ != 0) {
    runtime().arm(*this, last_heard_ + std::chrono::milliseconds(1500) * keep_alive_s_);
  }
}

}  // namespace stele::mqtt
