#include "rpc/server.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "rpc/error_codec.h"
#include "rpc/server_connection.h"

namespace stele::rpc {

using runtime::Task;

// ---- Responder -------------------------------------------------------------------------------------------

Responder::Responder(ServerConnection& connection, std::uint64_t call, std::size_t bytes)
    : connection_(&connection), call_(call), bytes_(bytes) {
  connection.ref();
  connection.begin_request(bytes);
}

Responder::~Responder() {
  if (!connection_) return;
  STELE_MARK("rpc: a request was dropped unanswered");
  fail(Error{ErrorCode::kUnavailable, "the request was given up"});
}

bool Responder::wanted() const {
  return connection_ && connection_->open();
}

void Responder::answer(const Payload& payload) {
  respond(Status::kOk, payload.slices());
}

void Responder::fail(const Error& why) {
  const Bytes text = Bytes::copy(encode_error(why));
  respond(Status::kFailed, {&text, 1});
}

void Responder::not_taken(const Error& why) {
  const Bytes text = Bytes::copy(encode_error(why));
  respond(Status::kNotTaken, {&text, 1});
}

void Responder::respond(Status status, std::span<const Bytes> payload) {
  STELE_ASSERT(connection_);
  ServerConnection& connection = *std::exchange(connection_, nullptr);
  connection.respond(call_, status, payload, bytes_);
  connection.unref();
}

// ---- Server ----------------------------------------------------------------------------------------------

Server::Server(runtime::Runtime& runtime, Identity self, ServerOptions options)
    : runtime_(runtime), self_(std::move(self)), options_(options) {
  budget_.limit = options_.max_partial_bytes;
}

Server::~Server() {
  listener_.reset();
  while (!all_.empty()) all_.front().drop();
}

void Server::something_ended(const Peer* peer) {
  if (peer && on_gone_) on_gone_(*peer);
  if (ended_.anybody()) ended_.wake_all();
}

void Server::on_request(MethodId method, RequestHandler handler) {
  STELE_ASSERT(!listener_);
  STELE_ASSERT(methods_.emplace(method, std::move(handler)).second);
}

void Server::on_message(MessageId message, MessageHandler handler) {
  STELE_ASSERT(!listener_);
  STELE_ASSERT(messages_.emplace(message, std::move(handler)).second);
}

void Server::serve(MethodId method, TaskHandler handler) {
  on_request(method, [this, handler = std::move(handler)](Request request, Responder responder) {
    tasks_.spawn(run(handler(std::move(request)), std::move(responder)));
  });
}

void Server::serve_joining(MethodId method, TaskHandler handler) {
  serve(method, std::move(handler));
  joining_.insert(method);
}

Task<void> Server::run(Task<Result<Payload>> task, Responder responder) {
  const Result<Payload> answer = co_await std::move(task);
  answer ? responder.answer(*answer) : responder.fail(answer.error());
}

Result<void> Server::listen(runtime::Transport& transport, const runtime::Endpoint& at) {
  STELE_ASSERT(!listener_ && !stopping_);
  if (!options_.certificates && !options_.open_without_certificates && !runtime::is_loopback(at.host)) {
    return error(ErrorCode::kInvalidArgument,
                 at.to_string() +
                     " is not a loopback address: nodes on other machines need certificates "
                     "(mutual TLS), or it must be said that they may do without");
  }
  STELE_TRY(listener_, transport.listen(at, {.share_port = true}, *this));
  return {};
}

void Server::on_accept(std::unique_ptr<runtime::Connection> connection) {
  ++stats_.accepted;
  if (unknown_ >= options_.max_unknown) {
    STELE_MARK("rpc: too many that have not said who they are");
    ++stats_.turned_away;
    return;  // closed by being dropped
  }
  auto* made = new ServerConnection(*this, std::move(connection));  // NOLINT: counts its references
  all_.push_back(*made);
  made->start();
}

Task<void> Server::stop(runtime::Duration grace) {
  struct GraceOver final : runtime::Timer {
    explicit GraceOver(Server& s) : server(s) {}
    void on_timer() override { server.ended_.wake_all(); }
    Server& server;
  };
  STELE_ASSERT(!stopping_);
  stopping_ = true;
  listener_.reset();
  IntrusiveList<ServerConnection, InServer> now;
  while (!all_.empty()) now.push_back(all_.pop_front());
  while (!now.empty()) {
    ServerConnection& connection = now.pop_front();
    all_.push_back(connection);
    connection.say_goodbye();
  }
  const runtime::Instant end = runtime_.now() + grace;
  GraceOver over(*this);
  runtime_.arm(over, end);
  while (requests_ > 0 && runtime_.now() < end) co_await ended_.wait();
  co_await tasks_.close();  // what they say to that still leaves
  while (!all_.empty()) now.push_back(all_.pop_front());
  while (!now.empty()) {
    ServerConnection& connection = now.pop_front();
    all_.push_back(connection);
    connection.close();
  }
  while (!all_.empty()) co_await ended_.wait();
}

// Others decide how often this is called, so it says little.
void Server::note(const std::string& line) {
  const runtime::Instant now = runtime_.now();
  if (now < next_line_) {
    ++lines_left_out_;
    return;
  }
  next_line_ = now + std::chrono::seconds(1);
  std::string more;
  if (lines_left_out_ > 0) more = " (" + std::to_string(std::exchange(lines_left_out_, 0)) + " more before)";
  runtime_.log().write(runtime::LogLevel::kWarn, "rpc", line + more);
}

}  // namespace stele::rpc
