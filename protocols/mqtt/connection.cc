#include "protocols/mqtt/connection.h"

#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::mqtt {

namespace {

// Answers may fill the output further than messages may; beyond that nothing more is read.
constexpr std::size_t kOutputForAnswers = 4;

PacketType type_of(std::string_view packet) {
  return static_cast<PacketType>(static_cast<std::uint8_t>(packet[0]) >> 4);
}

}  // namespace

MqttConnection::MqttConnection(MqttShared& shared, std::unique_ptr<runtime::Connection> connection)
    : shared_(shared), connection_(std::move(connection)), input_(shared.input) {
  const MqttOptions& options = shared_.options;
  input_.set_limits(options.max_control_packet_size, options.max_control_packet_size);
  connection_->set_low_water(options.max_output_bytes / 2);
}

MqttConnection::~MqttConnection() = default;

void MqttConnection::start(Self self) {
  self_ = self;
  ++counters().connections;
  last_heard_ = runtime().now();
  runtime().arm(*this, last_heard_ + shared_.options.connect_timeout);
  connection_->start(*this);
}

// ---- input ---------------------------------------------------------------------------------------------

void MqttConnection::on_data(Bytes data) {
  if (!open()) return;
  last_heard_ = runtime().now();
  counters().bytes_in += data.size();
  input_.feed(std::move(data));
  parse();
}

void MqttConnection::parse() {
  STELE_ASSERT(!parsing_);
  parsing_ = true;
  while (open() && !holding()) {
    const FrameResult next = input_.next();
    if (next.status == FrameResult::Status::kNeedMore) break;
    if (next.status == FrameResult::Status::kError) {
      fail(next.error, next.error == ReasonCode::kPacketTooLarge ? "larger than the maximum packet size"
                       : next.error == ReasonCode::kServerBusy   ? "too many incomplete packets"
                                                                 : "fixed header");
      break;
    }
    ++counters().packets_in[static_cast<std::size_t>(next.frame.type())];
    handle(next.frame);
  }
  parsing_ = false;
  if (!open()) {
    input_.clear();
    return;
  }
  if (holding()) input_.pause();
  if (connection_->queued_bytes() > kOutputForAnswers * shared_.options.max_output_bytes) {
    STELE_MARK("mqtt: a client does not take its answers");
    hold(kHoldOutput);
  }
  adjust_reading();
}

void MqttConnection::handle(const Frame& frame) {
  switch (state_) {
    case State::kConnecting:
      if (frame.type() == PacketType::kConnect) return on_connect(frame);
      return fail(ReasonCode::kProtocolError, "the first packet must be CONNECT");  // [MQTT-3.1.0-1]
    case State::kConnected:
      return handle_connected(frame);
    default:
      return;
  }
}

void MqttConnection::handle_connected(const Frame& frame) {
  switch (frame.type()) {
    case PacketType::kPublish:
      return on_publish(frame);
    case PacketType::kPuback:
      return on_puback(frame);
    case PacketType::kPubrel:
      return on_pubrel(frame);
    case PacketType::kSubscribe:
      return on_subscribe(frame);
    case PacketType::kUnsubscribe:
      return on_unsubscribe(frame);
    case PacketType::kPingreq:
      return on_pingreq(frame);
    case PacketType::kDisconnect:
      return on_disconnect(frame);
    case PacketType::kConnect:
      return fail(ReasonCode::kProtocolError, "a second CONNECT");  // [MQTT-3.1.0-2]
    case PacketType::kAuth:
      return fail(ReasonCode::kProtocolError, "AUTH without an authentication method");
    case PacketType::kPubrec:
      return on_pubrec(frame);
    case PacketType::kPubcomp:
      return on_pubcomp(frame);
    default:
      return fail(ReasonCode::kProtocolError, "only servers send this packet");
  }
}

// What waits is parsed at the end of the turn: whoever lets go is often in the middle of something.
void MqttConnection::let_go(Hold why) {
  if (!(hold_ & why)) return;
  hold_ &= static_cast<std::uint8_t>(~why);
  if (open() && !holding() && !parsing_) runtime().at_turn_end(*this);
}

void MqttConnection::adjust_reading() {
  if (holding() == paused_) return;
  paused_ = holding();
  if (paused_) {
    connection_->pause_reading();
  } else {
    last_heard_ = runtime().now();  // it could not be heard
    connection_->resume_reading();
  }
}

void MqttConnection::begin_task(runtime::Task<void> task) {
  STELE_ASSERT(!task_runs_);
  task_runs_ = true;
  hold(kHoldTask);
  shared_.tasks.spawn(std::move(task));
}

// The last thing that a task does.
void MqttConnection::end_task() {
  STELE_ASSERT(task_runs_);
  task_runs_ = false;
  let_go(kHoldTask);
  if (!open()) runtime().at_turn_end(*this);
}

void MqttConnection::on_drained() {
  if (!open()) return;
  pump();
  let_go(kHoldOutput);
}

// ---- output --------------------------------------------------------------------------------------------

template <class Packet>
void MqttConnection::send(const Packet& packet) {
  std::string& out = shared_.packet;
  out.clear();
  encode(out, packet, version_);
  if (fits_client(out.size())) return write(type_of(out), out);
  disconnect(ReasonCode::kPacketTooLarge, "the answer is larger than the client takes");  // [MQTT-3.1.2-24]
}
template void MqttConnection::send(const Suback&);
template void MqttConnection::send(const Unsuback&);
template void MqttConnection::send(const Pingresp&);

template <class Packet>
bool MqttConnection::send_with_reason(Packet packet, std::string_view why) {
  if (v5() && !why.empty()) packet.reason_string = why;
  std::string& out = shared_.packet;
  out.clear();
  encode(out, packet, version_);
  if (!fits_client(out.size())) {  // [MQTT-3.2.2-19], [MQTT-3.14.2-3]
    packet.reason_string.reset();
    out.clear();
    encode(out, packet, version_);
  }
  if (!fits_client(out.size())) return false;
  write(type_of(out), out);
  return true;
}
template bool MqttConnection::send_with_reason(Connack, std::string_view);
template bool MqttConnection::send_with_reason(Disconnect, std::string_view);

void MqttConnection::write(PacketType type, std::string_view bytes) {
  ++counters().packets_out[static_cast<std::size_t>(type)];
  counters().bytes_out += bytes.size();
  connection_->write(bytes);
}

// ---- time ----------------------------------------------------------------------------------------------

// Armed once per keep-alive period and not per packet: looks then whether anything was heard.
void MqttConnection::on_timer() {
  if (state_ == State::kConnecting) {
    ++counters().connect_timeouts;
    note("no CONNECT came", "");
    return close();
  }
  if (state_ != State::kConnected) return;
  // A client that we do not listen to cannot be heard; one that does not listen to us may be gone.
  if (hold_ & (kHoldTask | kHoldPublisher)) last_heard_ = runtime().now();
  const runtime::Instant deadline = last_heard_ + std::chrono::milliseconds(1500) * keep_alive_s_;
  if (runtime().now() < deadline) return runtime().arm(*this, deadline);
  ++counters().keep_alive_timeouts;
  STELE_MARK("mqtt: keep alive timeout");
  disconnect(ReasonCode::kKeepAliveTimeout, "");  // [MQTT-3.1.2-22]
}

// ---- the end -------------------------------------------------------------------------------------------

void MqttConnection::fail(ReasonCode reason, std::string_view why) {
  if (!open()) return;
  ++counters().protocol_errors;
  disconnect(reason, why);
}

void MqttConnection::disconnect(ReasonCode reason, std::string_view why) {
  if (!open()) return;
  note(to_string(reason), why);
  Disconnect packet;
  packet.reason = reason;
  // [MQTT-3.14.0-1]: not before CONNACK.
  if (state_ == State::kConnected && v5()) send_with_reason(packet, why);
  close();
}

void MqttConnection::close() {
  if (!open()) return;
  state_ = State::kClosing;
  runtime().disarm(*this);
  connection_->close(shared_.options.close_grace);
  runtime().at_turn_end(*this);
}

void MqttConnection::on_closed(const Error& why) {
  if (open()) {
    if (why.code == ErrorCode::kMalformed) ++counters().protocol_errors;  // of TLS or WebSocket below
    note("closed", why.message);
    runtime().disarm(*this);
  }
  state_ = State::kClosed;
  connection_.reset();
  runtime().at_turn_end(*this);
}

void MqttConnection::shut_down() {
  if (!open()) return;
  if (state_ == State::kConnected) return disconnect(ReasonCode::kServerShuttingDown, "");
  close();
}

void MqttConnection::check_identity() {
  if (!open() || state_ == State::kConnecting) return;
  // Who is still to be let in is judged then.
  if (state_ == State::kOpening && !session_) return;
  if (shared_.broker.authenticator().still_known(principal())) return;
  STELE_MARK("mqtt: user is no more");
  disconnect(ReasonCode::kNotAuthorized, "the user is no more");
}

// Goes on with what waited; or takes down what the connection had, as far as it may by now.
void MqttConnection::on_turn_end() {
  if (open()) {
    if (!holding()) parse();
    return;
  }
  input_.clear();
  outbox_.reset();
  exchanges_.reset();
  publisher_.reset();
  if (task_runs_) {  // it works on the session; comes back here
    if (session_) session_->give_up();
    return;
  }
  session_.reset();
  if (state_ != State::kClosed) return;
  --counters().connections;
  MqttShared& shared = shared_;
  shared.connections.erase(self_);  // this
  if (shared.connections.empty()) shared.none_left.wake_all();
}

void MqttConnection::note(std::string_view what, std::string_view why) {
  runtime::Log& log = runtime().log();
  if (!log.enabled(runtime::LogLevel::kDebug)) return;
  std::string line = connection_->remote().to_string();
  if (!client_id_.empty()) line.append(" '").append(client_id_).append("'");
  line.append(": ").append(what);
  if (!why.empty()) line.append(": ").append(why);
  log.write(runtime::LogLevel::kDebug, "mqtt", line);
}

}  // namespace stele::mqtt
