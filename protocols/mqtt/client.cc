#include "protocols/mqtt/client.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace stele::mqtt {

using runtime::OneShot;
using runtime::Task;

namespace {

ErrorCode code_of(ReasonCode refusal) {
  switch (refusal) {
    case ReasonCode::kNotAuthorized:
    case ReasonCode::kBadUserNameOrPassword:
    case ReasonCode::kBanned:
      return ErrorCode::kUnauthorized;
    case ReasonCode::kUnsupportedProtocolVersion:
      return ErrorCode::kUnsupported;
    case ReasonCode::kServerUnavailable:
    case ReasonCode::kServerBusy:
    case ReasonCode::kQuotaExceeded:
    case ReasonCode::kConnectionRateExceeded:
    case ReasonCode::kUseAnotherServer:
    case ReasonCode::kServerMoved:
    case ReasonCode::kUnspecifiedError:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInvalidArgument;
  }
}

std::string describe(ReasonCode reason, std::optional<std::string_view> why) {
  std::string out(to_string(reason));
  if (why) out.append(": ").append(*why);
  return out;
}

}  // namespace

Client::Client(runtime::Runtime& runtime, ClientOptions options, ClientHandler& handler)
    : runtime_(runtime), options_(std::move(options)), handler_(handler), input_(budget_) {
  input_.set_limits(options_.max_packet_size, options_.max_packet_size);
  options_.max_in_flight = std::clamp<std::size_t>(options_.max_in_flight, 1, 65535);
}

Client::~Client() = default;

// ---- connecting ----------------------------------------------------------------------------------------

Task<Result<std::unique_ptr<Client>>> Client::connect(runtime::Runtime& runtime, runtime::Endpoint to,
                                                      ClientOptions options, ClientHandler& handler,
                                                      runtime::StopToken stop) {
  STELE_CO_TRY(auto connection, co_await runtime::connect(runtime, options.dial, to, options.connect_timeout, stop));
  std::unique_ptr<Client> client(new Client(runtime, std::move(options), handler));
  client->connection_ = std::move(connection);
  client->connection_->set_low_water(client->options_.max_queued_bytes / 2);
  client->connection_->start(*client);
  client->send_connect();
  client->watch();
  OneShot<Answer> connack;
  client->wait_for_connack_ = connack;
  const runtime::StopCallback stopped(stop, [waiting = client.get()] { waiting->close(); });
  const Answer answer = co_await connack.wait();
  if (!answer) co_return std::unexpected(answer.error().with_context("connecting to " + to.to_string()));
  co_return std::move(client);
}

void Client::send_connect() {
  Connect packet;
  packet.version = options_.version;
  packet.clean_start = options_.clean_start;
  packet.keep_alive_s = options_.keep_alive_s;
  packet.client_id = options_.client_id;
  packet.user_name = options_.user_name;
  packet.password = options_.password;
  if (options_.session_expiry_s != 0) packet.session_expiry_s = options_.session_expiry_s;
  packet.receive_maximum = options_.receive_maximum;
  packet.maximum_packet_size = options_.max_packet_size;
  if (options_.will) {
    packet.will.emplace();
    packet.will->topic = options_.will->topic;
    packet.will->payload = options_.will->payload;
    packet.will->qos = options_.will->qos;
    packet.will->retain = options_.will->retain;
    if (options_.will->delay_s != 0) packet.will->delay_s = options_.will->delay_s;
  }
  scratch_.clear();
  encode(scratch_, packet);
  last_heard_ = awaiting_since_ = runtime_.now();
  write(scratch_);
}

void Client::take_connack(const Connack& packet) {
  if (packet.reason != ReasonCode::kSuccess) {
    return end(Error{code_of(packet.reason),
                     "the server refuses: " + describe(packet.reason, packet.reason_string)});
  }
  connected_ = true;
  session_present_ = packet.session_present;
  if (packet.assigned_client_id) options_.client_id = *packet.assigned_client_id;
  if (packet.server_keep_alive_s) options_.keep_alive_s = *packet.server_keep_alive_s;
  if (packet.maximum_packet_size) server_max_packet_size_ = *packet.maximum_packet_size;
  if (packet.maximum_qos) server_max_qos_ = *packet.maximum_qos;
  if (packet.retain_available) server_retains_ = *packet.retain_available;
  options_.max_in_flight =
      std::min<std::size_t>(options_.max_in_flight, packet.receive_maximum.value_or(UINT16_MAX));
  watch();
  resolve(*std::exchange(wait_for_connack_, std::nullopt), std::vector<ReasonCode>());
}

// ---- publishing ----------------------------------------------------------------------------------------

bool Client::full(Qos qos) const {
  return (qos != Qos::kAtMostOnce && (in_flight_ >= options_.max_in_flight || no_packet_id_is_free())) ||
         connection_->queued_bytes() > options_.max_queued_bytes;
}

bool Client::no_packet_id_is_free() const {
  std::uint64_t oldest = next_number_;
  if (!publishes_.empty()) oldest = publishes_.front().number;
  if (!asked_.empty()) oldest = std::min(oldest, asked_.front().number);
  return next_number_ - oldest >= 65535;
}

Sent Client::publish(const Publish& packet, std::uint64_t token) {
  if (closed_) return Sent::kClosed;
  if (packet.qos > server_max_qos_ || (packet.retain && !server_retains_)) {
    return Sent::kNotSupported;
  }
  if (full(packet.qos)) {
    was_full_ = true;
    return Sent::kFull;
  }
  scratch_.clear();
  Publish numbered = packet;
  numbered.packet_id = packet.qos == Qos::kAtMostOnce ? 0 : packet_id(next_number_);
  if (!encode(scratch_, numbered, options_.version) || scratch_.size() > server_max_packet_size_) {
    return Sent::kNotSupported;
  }
  if (numbered.packet_id != 0) {
    if (!awaits_anything()) awaiting_since_ = runtime_.now();
    publishes_.push_back({.number = next_number_++,
                          .token = token,
                          .waiter = std::nullopt,
                          .exactly_once = packet.qos == Qos::kExactlyOnce});
    ++in_flight_;
  }
  write(scratch_);
  return Sent::kYes;
}

Task<Result<ReasonCode>> Client::publish_and_wait(ClientMessage message) {
  Publish packet;
  packet.topic = message.topic;
  packet.payload = message.payload;
  packet.qos = message.qos;
  packet.retain = message.retain;
  packet.dup = message.dup && message.qos != Qos::kAtMostOnce;
  while (true) {
    switch (publish(packet)) {
      case Sent::kClosed:
        co_return std::unexpected(*closed_);
      case Sent::kNotSupported:
        co_return error(ErrorCode::kUnsupported, "the server does not take this message to '" +
                                                     message.topic +
                                                     "': its size, its QoS, or that it is retained");
      case Sent::kYes: {
        if (message.qos == Qos::kAtMostOnce) co_return ReasonCode::kSuccess;
        OneShot<Answer> puback;
        publishes_.back().waiter = puback;
        const Answer answer = co_await puback.wait();
        if (!answer) co_return std::unexpected(answer.error());
        co_return answer->front();
      }
      case Sent::kFull: {
        OneShot<Answer> room;
        wait_for_room_.push_back(room);
        if (auto answer = co_await room.wait(); !answer) co_return std::unexpected(answer.error());
      }
    }
  }
}

Client::InFlight* Client::in_flight_of(std::string_view answer, std::uint16_t id, bool exactly_once) {
  if (!publishes_.empty()) {
    // All that wait were sent within one round of identifiers, the first of them first.
    const std::uint64_t first = publishes_.front().number;
    const std::uint64_t number = first + (id + 65535u - packet_id(first)) % 65535u;
    auto found = publishes_.begin();
    if (number != first) found = std::ranges::lower_bound(publishes_, number, {}, &InFlight::number);
    if (found != publishes_.end() && found->number == number && !found->done &&
        found->exactly_once == exactly_once) {
      return &*found;
    }
  }
  broken(std::string(answer) + " of a packet that is not in flight");
  return nullptr;
}

void Client::answered(InFlight& publish, ReasonCode reason) {
  publish.done = true;
  --in_flight_;
  const std::uint64_t token = publish.token;
  std::optional<OneShot<Answer>> waiter = std::move(publish.waiter);
  while (!publishes_.empty() && publishes_.front().done) publishes_.pop_front();
  if (waiter) {
    resolve(*std::move(waiter), std::vector{reason});
  } else {
    handler_.on_puback(token, reason);
  }
  tell_ready();
}

void Client::take_puback(const Puback& packet) {
  if (InFlight* sent = in_flight_of("PUBACK", packet.packet_id, false)) answered(*sent, packet.reason);
}

void Client::take_pubrec(const Pubrec& packet) {
  InFlight* sent = in_flight_of("PUBREC", packet.packet_id, true);
  if (!sent) return;
  if (is_error(packet.reason)) {
    if (!sent->released) answered(*sent, packet.reason);
    return;
  }
  sent->released = true;
  send_ack(PacketType::kPubrel, packet.packet_id);
}

void Client::take_pubcomp(const Pubcomp& packet) {
  InFlight* sent = in_flight_of("PUBCOMP", packet.packet_id, true);
  if (!sent) return;
  if (!sent->released) return broken("PUBCOMP of a packet that was not released");
  answered(*sent, packet.reason);
}

void Client::tell_ready() {
  if (closed_ || !was_full_ || full(Qos::kAtLeastOnce)) return;
  was_full_ = false;
  for (OneShot<Answer>& waiter : std::exchange(wait_for_room_, {})) {
    resolve(std::move(waiter), std::vector<ReasonCode>());
  }
  handler_.on_ready();
}

// ---- asking --------------------------------------------------------------------------------------------

// The packet has views of strings in the frame of the task that waits for this one.
template <class Packet>
Task<Client::Answer> Client::ask(PacketType answer, Packet packet) {
  if (closed_) co_return std::unexpected(*closed_);
  if (no_packet_id_is_free()) co_return error(ErrorCode::kUnavailable, "no packet identifier is free");
  if constexpr (requires { packet.packet_id; }) packet.packet_id = packet_id(next_number_);
  std::string bytes;
  if (!encode(bytes, packet, options_.version)) {
    co_return error(ErrorCode::kInvalidArgument, "a topic filter is longer than 65535 bytes");
  }
  if (bytes.size() > server_max_packet_size_) {
    co_return error(ErrorCode::kUnsupported, "the packet is larger than the server takes");
  }
  if (!awaits_anything()) awaiting_since_ = runtime_.now();
  OneShot<Answer> waiter;
  asked_.push_back({answer, next_number_++, waiter});
  write(bytes);
  co_return co_await waiter.wait();
}

Task<Result<std::vector<ReasonCode>>> Client::subscribe(std::vector<ClientSubscription> subscriptions,
                                                        std::uint32_t subscription_id) {
  Subscribe packet;
  if (subscription_id != 0) packet.subscription_id = subscription_id;
  for (const ClientSubscription& one : subscriptions) {
    packet.subscriptions.push_back(
        {one.filter, one.qos, one.no_local, one.retain_as_published, one.retain_handling});
  }
  co_return co_await ask(PacketType::kSuback, std::move(packet));
}

Task<Result<std::vector<ReasonCode>>> Client::unsubscribe(std::vector<std::string> filters) {
  Unsubscribe packet;
  packet.filters.assign(filters.begin(), filters.end());
  co_return co_await ask(PacketType::kUnsuback, std::move(packet));
}

Task<Result<void>> Client::ping() {
  const Answer answer = co_await ask(PacketType::kPingresp, Pingreq{});
  if (!answer) co_return std::unexpected(answer.error());
  co_return Result<void>();
}

void Client::take_answer(PacketType type, std::uint16_t id, std::vector<ReasonCode> reasons) {
  auto found = std::ranges::find_if(asked_, [&](const Asked& one) {
    return one.answer == type && (type == PacketType::kPingresp || packet_id(one.number) == id);
  });
  if (type == PacketType::kPingresp && std::exchange(pinged_, false)) return;
  if (found == asked_.end()) return broken(std::string(to_string(type)) + " of what was not asked");
  OneShot<Answer> waiter = std::move(found->waiter);
  asked_.erase(found);
  resolve(std::move(waiter), std::move(reasons));
}

// ---- receiving -----------------------------------------------------------------------------------------

void Client::on_data(Bytes data) {
  if (closed_) return;
  last_heard_ = runtime_.now();
  input_.feed(std::move(data));
  while (!closed_) {
    const FrameResult next = input_.next();
    if (next.status == FrameResult::Status::kNeedMore) return;
    if (next.status == FrameResult::Status::kError) {
      return broken("a packet of the server's: " + std::string(to_string(next.error)));
    }
    take(next.frame);
  }
  input_.clear();
}

void Client::take(const Frame& frame) {
  if (frame.type() == PacketType::kPublish && connected_) {
    const Decoded<Publish> packet = decode_publish(frame, options_.version);
    if (!packet) return broken("PUBLISH: " + packet.error().what);
    return take_publish(*packet);
  }
  const Decoded<Packet> packet = decode(frame, options_.version);
  if (!packet) return broken(std::string(to_string(frame.type())) + ": " + packet.error().what);
  if (const auto* connack = std::get_if<Connack>(&*packet); connack && !connected_) {
    return take_connack(*connack);
  }
  if (!connected_) return broken("the server does not begin with CONNACK");
  if (const auto* puback = std::get_if<Puback>(&*packet)) return take_puback(*puback);
  if (const auto* pubrec = std::get_if<Pubrec>(&*packet)) return take_pubrec(*pubrec);
  if (const auto* pubcomp = std::get_if<Pubcomp>(&*packet)) return take_pubcomp(*pubcomp);
  if (const auto* pubrel = std::get_if<Pubrel>(&*packet)) return take_pubrel(*pubrel);
  if (const auto* suback = std::get_if<Suback>(&*packet)) {
    return take_answer(PacketType::kSuback, suback->packet_id, suback->reasons);
  }
  if (const auto* unsuback = std::get_if<Unsuback>(&*packet)) {
    return take_answer(PacketType::kUnsuback, unsuback->packet_id, unsuback->reasons);
  }
  if (std::holds_alternative<Pingresp>(*packet)) return take_answer(PacketType::kPingresp, 0, {});
  if (const auto* disconnect = std::get_if<Disconnect>(&*packet)) {
    disconnect_reason_ = disconnect->reason;
    return end(Error{ErrorCode::kClosed,
                     "the server disconnects: " + describe(disconnect->reason, disconnect->reason_string)});
  }
  broken("a server does not send " + std::string(to_string(frame.type())));
}

void Client::take_publish(const Publish& packet) {
  if (packet.topic_alias) return broken("PUBLISH with a topic alias, which was not allowed");
  const bool exactly_once = packet.qos == Qos::kExactlyOnce;
  const std::uint16_t id = packet.packet_id;
  if (exactly_once && !received_.insert(id).second) {
    if (options_.acknowledge) send_ack(PacketType::kPubrec, id);
    return;
  }
  handler_.on_publish(packet, input_.block());
  if (id != 0 && options_.acknowledge && !closed_) {
    send_ack(exactly_once ? PacketType::kPubrec : PacketType::kPuback, id);
  }
}

void Client::take_pubrel(const Pubrel& packet) {
  received_.erase(packet.packet_id);
  send_ack(PacketType::kPubcomp, packet.packet_id);
}

void Client::acknowledge(std::uint16_t packet_id) {
  STELE_ASSERT(!options_.acknowledge && packet_id != 0);
  if (closed_) return;
  send_ack(received_.contains(packet_id) ? PacketType::kPubrec : PacketType::kPuback, packet_id);
}

void Client::send_ack(PacketType type, std::uint16_t packet_id) {
  const auto flags = static_cast<std::uint8_t>(type == PacketType::kPubrel ? 2 : 0);
  const char first = static_cast<char>(static_cast<std::uint8_t>(type) << 4 | flags);
  const char bytes[] = {first, 2, static_cast<char>(packet_id >> 8), static_cast<char>(packet_id & 0xFF)};
  write({bytes, sizeof bytes});
}

void Client::write(std::string_view bytes) {
  last_sent_ = runtime_.now();
  connection_->write(bytes);
}

// ---- time ----------------------------------------------------------------------------------------------

// Looks now and then instead of arming a timer per packet.
void Client::watch() {
  runtime::Duration period = options_.answer_timeout / 2;
  const runtime::Duration half_keep_alive = std::chrono::milliseconds(500) * options_.keep_alive_s;
  if (options_.keep_alive_s != 0) period = std::min(period, half_keep_alive);
  runtime_.arm(*this, runtime_.now() + std::max<runtime::Duration>(period, std::chrono::milliseconds(1)));
}

void Client::on_timer() {
  if (closed_) return;
  const runtime::Instant now = runtime_.now();
  if (awaits_anything() && now - std::max(last_heard_, awaiting_since_) >= options_.answer_timeout) {
    return end(Error{ErrorCode::kTimedOut, "the server does not answer; the connection is given up"});
  }
  if (connected_ && options_.keep_alive_s != 0 && !pinged_ &&
      now - last_sent_ >= std::chrono::milliseconds(500) * options_.keep_alive_s) {
    if (!awaits_anything()) awaiting_since_ = now;
    pinged_ = true;
    scratch_.clear();
    encode(scratch_, Pingreq{}, options_.version);
    write(scratch_);
  }
  watch();
}

// ---- the end -------------------------------------------------------------------------------------------

Task<void> Client::disconnect(ReasonCode reason, std::optional<std::uint32_t> session_expiry_s) {
  if (!closed_ && connected_) {
    Disconnect packet;
    packet.reason = reason;
    packet.session_expiry_s = session_expiry_s;
    scratch_.clear();
    encode(scratch_, packet, options_.version);
    write(scratch_);
  }
  close();
  if (ended_) co_return;
  OneShot<Answer> over;
  wait_for_end_.push_back(over);
  co_await over.wait();
}

void Client::close() {
  end(Error{ErrorCode::kCancelled, "the MQTT client was closed"});
}

void Client::broken(std::string why) {
  end(Error{ErrorCode::kMalformed, std::move(why)});
}

// Fails what is under way; the handler is told once the socket is closed.
void Client::end(Error why) {
  if (closed_) return;
  closed_ = why;
  runtime_.disarm(*this);
  if (wait_for_connack_) resolve(*std::exchange(wait_for_connack_, std::nullopt), std::unexpected(why));
  for (InFlight& publish : std::exchange(publishes_, {})) {
    if (publish.waiter && !publish.done) resolve(*std::move(publish.waiter), std::unexpected(why));
  }
  in_flight_ = 0;
  for (Asked& asked : std::exchange(asked_, {})) resolve(std::move(asked.waiter), std::unexpected(why));
  for (auto& waiter : std::exchange(wait_for_room_, {})) resolve(std::move(waiter), std::unexpected(why));
  connection_->close(std::chrono::seconds(1));
}

void Client::on_closed(const Error& why) {
  end(why);
  ended_ = true;
  for (auto& waiter : std::exchange(wait_for_end_, {})) {
    resolve(std::move(waiter), std::vector<ReasonCode>());
  }
  if (!connected_) return;
  const Error reason = *closed_;
  handler_.on_closed(reason);  // may destroy this
}

// Whoever is resumed may destroy the client, and so is resumed when nothing of it is under way.
void Client::resolve(OneShot<Answer> waiter, Answer answer) {
  resolved_.push_back([waiter, answer = std::move(answer)] { waiter.set(answer); });
  runtime_.at_turn_end(*this);
}

void Client::on_turn_end() {
  for (const auto& tell : std::exchange(resolved_, {})) tell();
}

}  // namespace stele::mqtt
