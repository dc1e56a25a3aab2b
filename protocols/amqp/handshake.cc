// What is said on channel 0: negotiation (section 2.2.4), the end, and RabbitMQ's extensions.
#include <algorithm>
#include <utility>

#include "base/marks.h"
#include "protocols/amqp/channel.h"
#include "protocols/amqp/connection.h"

namespace stele::amqp {

namespace {

bool has_capability(TableView capabilities, std::string_view name) {
  const auto value = capabilities.find(name);
  const bool* yes = value ? std::get_if<bool>(&*value) : nullptr;
  return yes && *yes;
}

}  // namespace

void AmqpConnection::on_method(const Frame& frame) {
  if (frame.type != FrameType::kMethod) {
    return fail({ReplyCode::kUnexpectedFrame, "expected a method frame on channel 0", 0, 0});
  }
  const auto method = peek_method(frame.payload);
  if (!method) return fail(method.error());
  const MethodInfo& info = **method;
  if (info.class_id != kConnectionClass) {
    return fail_method(info.id(), ReplyCode::kChannelError, std::string(info.name) + " on channel 0");
  }
  if (!info.to_server()) {
    return fail_method(info.id(), ReplyCode::kCommandInvalid,
                       std::string(info.name) + " is not to be sent to this side");
  }
  on_connection_method(info.id(), frame.payload);
}

void AmqpConnection::on_connection_method(MethodId id, std::string_view payload) {
  if (state_ == State::kClosing) {
    if (id == ConnectionClose::kInfo.id()) return send(0, ConnectionCloseOk{});
    if (id == ConnectionCloseOk::kInfo.id()) return on_close_ok();
    return;
  }
  switch (id) {
    case ConnectionStartOk::kInfo.id():
      if (state_ == State::kStarting && !asked_login_) return on_start_ok(payload);
      break;
    case ConnectionTuneOk::kInfo.id():
      if (state_ == State::kTuning) return on_tune_ok(payload);
      break;
    case ConnectionOpen::kInfo.id():
      if (state_ == State::kOpening && !host_) return on_open(payload);
      break;
    case ConnectionClose::kInfo.id():
      if (state_ >= State::kOpening) return on_close(payload);
      break;
    case ConnectionUpdateSecret::kInfo.id():
      if (state_ == State::kRunning) return on_update_secret(payload);
      break;
    default:
      break;
  }
  // No mechanism of ours has a second step, so secure-ok never comes in turn.
  fail_method(id, ReplyCode::kChannelError, "unexpected method in this state of the connection");
}

void AmqpConnection::fail_method(MethodId method, ReplyCode code, std::string text) {
  const auto number = static_cast<std::uint32_t>(method);
  fail({code, std::move(text), static_cast<std::uint16_t>(number >> 16),
        static_cast<std::uint16_t>(number & 0xFFFF)});
}

// ---- login ----------------------------------------------------------------------------------------------

void AmqpConnection::send_start() {
  Table capabilities;
  for (const char* name : {"publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                           "consumer_cancel_notify", "connection.blocked", "consumer_priorities",
                           "authentication_failure_close", "per_consumer_qos", "direct_reply_to"}) {
    capabilities.add(name, true);
  }
  Table properties;
  properties.add("capabilities", capabilities.view()).add("product", "Stele");
  properties.add("version", options().version).add("platform", "C++");
  ConnectionStart start;
  start.server_properties = properties.view();
  start.mechanisms = connection_->peer_name().empty() ? "PLAIN AMQPLAIN" : "PLAIN AMQPLAIN EXTERNAL";
  start.locales = "en_US";
  send(0, start);
}

void AmqpConnection::on_start_ok(std::string_view payload) {
  const auto start = decode<ConnectionStartOk>(payload);
  if (!start) return fail(start.error());
  if (const auto value = start->client_properties.find("capabilities")) {
    if (const TableView* capabilities = std::get_if<TableView>(&*value)) {
      consumer_cancel_notify_ = has_capability(*capabilities, "consumer_cancel_notify");
      connection_blocked_ = has_capability(*capabilities, "connection.blocked");
      authentication_failure_close_ = has_capability(*capabilities, "authentication_failure_close");
    }
  }
  const auto mechanism = sasl_mechanism(start->mechanism);
  const std::string_view proven = connection_->peer_name();
  if (!mechanism || (*mechanism == SaslMechanism::kExternal && proven.empty())) {
    return fail_method(ConnectionStartOk::kInfo.id(), ReplyCode::kCommandInvalid,
                       "unknown authentication mechanism");
  }
  AmqpLogin login;
  login.mechanism = *mechanism;
  login.peer_name = proven;
  login.peer = connection_->remote();
  if (*mechanism == SaslMechanism::kExternal) {
    const auto acts_as = parse_external(start->response);
    if (!acts_as) return fail(acts_as.error());
    login.user = *acts_as;
  } else {
    const auto credentials =
        *mechanism == SaslMechanism::kPlain ? parse_plain(start->response) : parse_amqplain(start->response);
    if (!credentials) return fail(credentials.error());
    login.user = credentials->user;
    login.password = credentials->password;
  }
  asked_login_ = true;
  mechanism_ = to_string(*mechanism);
  begin_task(log_in(std::move(login)));
}

runtime::Task<void> AmqpConnection::log_in(AmqpLogin login) {
  auto user = co_await shared_.broker.authenticate(std::move(login));
  if (state_ == State::kStarting) {
    if (user) {
      user_ = *std::move(user);
      state_ = State::kTuning;
      send(0, ConnectionTune{options().channel_max, options().frame_max, options().heartbeat_s});
    } else {
      on_refused_login(user.error());
    }
  }
  end_task();
}

// A client that can is told, and all others are cut off (rabbit_reader.erl, auth_fail).
void AmqpConnection::on_refused_login(const ProtocolError& error) {
  ++counters().login_refused;
  ++counters().connection_errors;
  note("login refused", error.text);
  if (!authentication_failure_close_) return refuse();
  close_with({ReplyCode::kAccessRefused,
              "Login was refused using authentication mechanism " + mechanism_ +
                  ". For details see the broker logfile.",
              0, 0});
}

// ---- tuning and opening -----------------------------------------------------------------------------------

void AmqpConnection::on_tune_ok(std::string_view payload) {
  const auto tune = decode<ConnectionTuneOk>(payload);
  if (!tune) return fail(tune.error());
  if (!check_tuned("frame_max", tune->frame_max, kFrameMinSize, options().frame_max)) return;
  if (!check_tuned("channel_max", tune->channel_max, 1, options().channel_max)) return;
  frame_max_ = input_frame_max_ = tune->frame_max;
  channel_max_ = tune->channel_max;
  heartbeat_s_ = tune->heartbeat_s;
  state_ = State::kOpening;
}

// 0: no limit, on either side.
bool AmqpConnection::check_tuned(std::string_view what, std::uint32_t asked, std::uint32_t least,
                                 std::uint32_t most) {
  const bool low = asked != 0 && asked < least;
  const bool high = most != 0 && (asked == 0 || asked > most);
  if (!low && !high) return true;
  std::string text = "negotiated " + std::string(what) + " = " + std::to_string(asked);
  if (asked == 0) text += " (no limit)";
  text += low ? " is lower than the minimum allowed value (" + std::to_string(least) + ")"
              : " is higher than the maximum allowed value (" + std::to_string(most) + ")";
  fail_method(ConnectionTune::kInfo.id(), ReplyCode::kNotAllowed, std::move(text));
  return false;
}

void AmqpConnection::on_open(std::string_view payload) {
  const auto open_it = decode<ConnectionOpen>(payload);
  if (!open_it) return fail(open_it.error());
  begin_task(open(std::string(open_it->virtual_host)));
}

runtime::Task<void> AmqpConnection::open(std::string virtual_host) {
  auto host = co_await user_->open(std::move(virtual_host), *this);
  if (state_ == State::kOpening) {
    if (host) {
      host_ = *std::move(host);
      state_ = State::kRunning;
      ++counters().opened;
      send(0, ConnectionOpenOk{});
      runtime().disarm(*this);
      wrote_ = false;
      if (heartbeat_s_ != 0) {
        runtime().arm(*this, runtime().now() + std::chrono::milliseconds(500) * heartbeat_s_);
      }
    } else {
      ProtocolError error = std::move(host).error();
      error.class_id = kConnectionClass;
      error.method_id = ConnectionOpen::kInfo.method;
      fail(error);
    }
  } else if (host) {
    host_ = *std::move(host);  // goes with the rest
  }
  end_task();
}

// ---- the end
// ------------------------------------------------------------------------------------------------

void AmqpConnection::on_close(std::string_view payload) {
  // Whatever it says, it goes: but for a log there is nothing to it.
  const auto close = decode<ConnectionClose>(payload);
  if (!close) return fail(close.error());
  note("closed by the client", close->reply_text);
  for (auto& [number, channel] : channels_) channel->flush_confirms();
  end_channels();
  send(0, ConnectionCloseOk{});
  close_socket();
}

void AmqpConnection::on_close_ok() {
  close_socket();
}

// ---- update-secret
// ------------------------------------------------------------------------------------------

void AmqpConnection::on_update_secret(std::string_view payload) {
  const auto update = decode<ConnectionUpdateSecret>(payload);
  if (!update) return fail(update.error());
  begin_task(update_secret(std::string(update->new_secret)));
}

runtime::Task<void> AmqpConnection::update_secret(std::string secret) {
  auto updated = co_await user_->update_secret(std::move(secret));
  if (state_ == State::kRunning) {
    if (updated) {
      send(0, ConnectionUpdateSecretOk{});
    } else {
      ProtocolError error = std::move(updated).error();
      error.class_id = kConnectionClass;
      error.method_id = ConnectionUpdateSecret::kInfo.method;
      fail(error);
    }
  }
  end_task();
}

}  // namespace stele::amqp
