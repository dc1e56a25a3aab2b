#include "rpc/server_connection.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "rpc/error_codec.h"

namespace stele::rpc {

using namespace std::chrono_literals;

namespace {
// Until the peer has ended its side.
constexpr runtime::Duration kCloseGrace = 1s;
}  // namespace

ServerConnection::ServerConnection(Server& server, std::unique_ptr<runtime::Connection> connection)
    : server_(&server),
      runtime_(server.runtime_),
      connection_(std::move(connection)),
      reader_(server.budget_),
      output_(*connection_),
      heard_(runtime_.now()),
      took_(heard_) {}

void ServerConnection::start() {
  ++server_->unknown_;
  connection_->set_low_water(server_->options_.max_output_bytes / 2);
  connection_->start(*this);
  runtime_.arm(*this, runtime_.now() + server_->options_.hello_timeout);
}

std::string ServerConnection::who() const {
  const std::string at = connection_->remote().to_string();
  return peer_ ? "node " + std::to_string(peer_->node.value) + " at " + at : at;
}

// ---- the end ---------------------------------------------------------------------------------------------

void ServerConnection::close() {
  if (state_ == State::kClosing) return;
  state_ = State::kClosing;
  runtime_.disarm(*this);
  connection_->close(kCloseGrace);
}

void ServerConnection::drop() {
  Server& server = *server_;
  --(peer_ ? server.open_ : server.unknown_);
  state_ = State::kGone;
  server.requests_ -= requests_;
  runtime_.disarm(*this);
  TurnEndHook::unlink();
  ListNode<InServer>::unlink();
  connection_.reset();
  reader_.forget();  // gives its part of the budget back, which is the server's
  server_ = nullptr;
  const std::shared_ptr<const Peer> peer = peer_;
  unref();
  server.something_ended(peer.get());
}

void ServerConnection::on_closed(const Error&) {
  drop();
}

void ServerConnection::say_goodbye() {
  if (state_ == State::kHello) return close();
  if (state_ != State::kOpen) return;
  output_.send(FrameKind::kGoodbye, encode_goodbye({Reason::kStopping, "the node stops"}));
}

bool ServerConnection::wrong(Wrong what) {
  STELE_MARK("rpc: a server closed a connection for what came");
  ++server_->stats_.wrong[static_cast<std::size_t>(what)];
  server_->note(who() + ": closed, for what came is " + std::string(to_string(what)));
  if (state_ == State::kOpen) {
    output_.send(FrameKind::kGoodbye, encode_goodbye({Reason::kMalformed, std::string(to_string(what))}));
    close();
  } else {
    drop();
  }
  return false;
}

void ServerConnection::on_timer() {
  const ServerOptions& options = server_->options_;
  const runtime::Instant now = runtime_.now();
  if (state_ == State::kHello) {
    STELE_MARK("rpc: no hello in time");
    ++server_->stats_.no_hello;
    return drop();
  }
  // Who is not read from cannot be heard; nor can anybody by a process that stood still.
  if (held_ || now > next_tick_ + ping_interval_) heard_ = now;
  if (now - heard_ > silent_after_) {
    STELE_MARK("rpc: a server closed a silent connection");
    ++server_->stats_.silent;
    server_->note(who() + ": closed, for nothing was heard of it");
    return drop();
  }
  const std::size_t queued = connection_->queued_bytes();
  if (queued == 0 || queued < output_at_last_look_) took_ = now;
  output_at_last_look_ = queued;
  if (now - took_ > options.stuck_after) {
    STELE_MARK("rpc: a server closed a connection that takes no answers");
    ++server_->stats_.stuck;
    server_->note(who() + ": closed, for it does not take its answers");
    return drop();
  }
  if (held_) runtime_.at_turn_end(*this);
  if (!output_.take_sent()) output_.send(FrameKind::kPing, {});
  output_.take_sent();
  next_tick_ = now + ping_interval_;
  runtime_.arm(*this, next_tick_);
}

// ---- input -----------------------------------------------------------------------------------------------

bool ServerConnection::holding() const {
  const ServerOptions& options = server_->options_;
  return requests_ >= options.max_requests || request_bytes_ >= options.max_request_bytes ||
         connection_->queued_bytes() > options.max_output_bytes;
}

void ServerConnection::on_data(Bytes data) {
  if (state_ == State::kClosing) return;
  heard_ = runtime_.now();
  reader_.feed(std::move(data));
  if (!held_) parse();
}

bool ServerConnection::parse() {
  Frame frame;
  while (state_ == State::kHello || state_ == State::kOpen) {
    if (holding()) {
      held_ = true;
      ++server_->stats_.held;
      STELE_MARK("rpc: a connection is not read from");
      connection_->pause_reading();
      reader_.pause();
      runtime_.at_turn_end(*this);  // what was in the way may have gone meanwhile
      break;
    }
    const FrameReader::Next next = reader_.next(frame);
    if (next == FrameReader::Next::kMore) break;
    // What ends it may delete it.
    if (next == FrameReader::Next::kWrong) return wrong(reader_.wrong());
    if (!take(frame)) return false;
  }
  return true;
}

void ServerConnection::on_drained() {
  if (held_) runtime_.at_turn_end(*this);
}

void ServerConnection::on_turn_end() {
  if (!held_ || state_ != State::kOpen || holding()) return;
  held_ = false;
  heard_ = runtime_.now();
  connection_->resume_reading();
  parse();
}

bool ServerConnection::take(const Frame& frame) {
  switch (frame.header.kind) {
    case FrameKind::kHello:
      return take_hello(frame);
    case FrameKind::kRequest:
      return take_request(frame);
    case FrameKind::kMessage:
      return take_message(frame);
    case FrameKind::kPing:
      return true;
    case FrameKind::kGoodbye:
      return take_goodbye(frame);
    case FrameKind::kHelloAnswer:
    case FrameKind::kResponse:
      break;
  }
  return wrong(Wrong::kMalformed);
}

bool ServerConnection::refuse(const Refusal& refusal) {
  STELE_MARK("rpc: a server refused a hello");
  ++server_->stats_.refused[static_cast<std::size_t>(refusal.reason)];
  server_->note(who() + ": refused, " + refusal.text);
  HelloAnswer answer{.refusal = refusal, .welcome = {}};
  answer.welcome.from = server_->self_;
  output_.send(FrameKind::kHelloAnswer, encode(answer));
  close();
  return true;
}

bool ServerConnection::take_hello(const Frame& frame) {
  const auto hello = decode_hello(frame.control);
  if (!hello) return wrong(Wrong::kMalformed);
  const ServerOptions& options = server_->options_;
  std::optional<std::string> certificate;
  if (options.certificates) certificate = connection_->peer_name();
  if (const auto no = check(*hello, server_->self_, certificate)) return refuse(*no);
  if (server_->stopping_) return refuse({Reason::kStopping, "the node stops"});
  if (server_->open_ >= options.max_connections) return refuse({Reason::kBusy, "too many connections"});
  welcome(*hello);
  return true;
}

void ServerConnection::welcome(const Hello& hello) {
  const ServerOptions& options = server_->options_;
  peer_ = std::make_shared<const Peer>(
      Peer{.node = hello.from.node,
           .incarnation = hello.from.incarnation,
           .version = *common_version(hello.from.versions, server_->self_.versions),
           .product = hello.from.product,
           .certificate = std::string(connection_->peer_name()),
           .joins = hello.joins,
           .connection = ++server_->stats_.welcomed});
  ping_interval_ = ping_interval_for(options.ping_interval, hello.terms);
  silent_after_ = silence_for(options.silent_after, hello.terms);
  HelloAnswer answer;
  answer.welcome = {.from = server_->self_,
                    .version = peer_->version,
                    .nonce = {},
                    .terms = terms_of(options.max_payload_bytes, ping_interval_)};
  Nonce& nonce = answer.welcome.nonce;
  runtime_.fill_secret(nonce);
  output_.send(FrameKind::kHelloAnswer, encode(answer));
  output_.bind(tag_of(hello.nonce, nonce, false));
  reader_.bind(tag_of(hello.nonce, nonce, true), options.max_payload_bytes);
  peer_max_payload_ = hello.terms.max_payload_bytes;
  state_ = State::kOpen;
  --server_->unknown_;
  ++server_->open_;
  next_tick_ = runtime_.now() + ping_interval_;
  runtime_.arm(*this, next_tick_);
}

bool ServerConnection::take_request(const Frame& frame) {
  RequestControl control;
  if (leaving_ || !decode(frame.control, control)) return wrong(Wrong::kMalformed);
  ++server_->stats_.requests;
  Responder responder(*this, control.call, frame.payload.size());
  if (server_->stopping_) {
    ++server_->stats_.not_taken;
    responder.not_taken(Error{ErrorCode::kUnavailable, "the node stops"});
    return true;
  }
  if (peer_->joins && !server_->joining_.contains(control.method)) {
    STELE_MARK("rpc: who is not of the cluster asked for more than to be");
    ++server_->stats_.not_taken;
    responder.not_taken(Error{ErrorCode::kUnauthorized, "this is for nodes of the cluster"});
    return true;
  }
  const auto found = server_->methods_.find(control.method);
  if (found == server_->methods_.end()) {
    ++server_->stats_.not_taken;
    responder.not_taken(Error{ErrorCode::kUnsupported, "node " + std::to_string(server_->self_.node.value) +
                                                           " serves no method " +
                                                           std::to_string(control.method.value)});
    return true;
  }
  found->second({.peer = peer_,
                 .payload = reader_.keep_payload(frame),
                 .deadline = runtime_.now() + std::chrono::milliseconds(control.timeout_ms)},
                std::move(responder));
  return true;
}

bool ServerConnection::take_message(const Frame& frame) {
  MessageId message;
  if (!decode(frame.control, message)) return wrong(Wrong::kMalformed);
  const auto found = server_->messages_.find(message);
  if (peer_->joins || found == server_->messages_.end()) {
    ++server_->stats_.unknown_messages;
    return true;
  }
  ++server_->stats_.messages;
  found->second(*peer_, reader_.keep_payload(frame));
  return true;
}

bool ServerConnection::take_goodbye(const Frame& frame) {
  const auto why = decode_goodbye(frame.control);
  if (!why) return wrong(Wrong::kMalformed);
  if (why->reason == Reason::kMalformed) server_->note(who() + " closes, for what it got is " + why->text);
  leaving_ = true;
  close_if_done();
  return true;
}

void ServerConnection::close_if_done() {
  if (state_ == State::kOpen && leaving_ && requests_ == 0) close();
}

// ---- requests --------------------------------------------------------------------------------------------

void ServerConnection::begin_request(std::size_t bytes) {
  ++requests_;
  request_bytes_ += bytes;
  ++server_->requests_;
}

void ServerConnection::respond(std::uint64_t call, Status status, std::span<const Bytes> payload,
                               std::size_t request_bytes) {
  --requests_;
  request_bytes_ -= request_bytes;
  if (state_ == State::kGone) return;
  --server_->requests_;
  if (state_ == State::kOpen) {
    Bytes text;
    if (size_of(payload) > peer_max_payload_) {
      STELE_MARK("rpc: an answer is too large for its caller");
      text =
          Bytes::copy(encode_error(Error{ErrorCode::kNoSpace, "the answer is larger than the caller takes"}));
      status = Status::kFailed;
      payload = {&text, 1};
    }
    output_.send<ResponseControl, kResponseControlBytes>(FrameKind::kResponse, {call, status}, payload);
    if (held_) runtime_.at_turn_end(*this);
    close_if_done();
  }
  server_->something_ended(nullptr);
}

}  // namespace stele::rpc
