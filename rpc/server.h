// Takes in the connections of other nodes, on one core, and hands what they ask for to those who serve it.
//
//   Server server(runtime, identity, {});
//   server.serve(kAppend, [&](Request request) { return append(std::move(request)); });
//   server.on_message(kRaft, [&](const Peer& from, Bytes message) { group.step(from.node, message); });
//   STELE_CO_CHECK(server.listen(runtime.network(), {"127.0.0.1", 7000}));
//   …
//   co_await server.stop(5s);
//
// Nobody gets further than the hello who is not of the cluster, of a version next to ours and, with
// certificates, who it says to be. A connection that breaks the rules is closed, counted, and does not
// disturb the others. Who asks for more than is served is not read from until it is; who does not take its
// answers is closed.
//
// A server that does not listen costs nothing. All methods on its core. Handlers run within the turn in which
// the bytes came; they may answer at once, later or never, and must not destroy the server. Each core of a
// process has its own, on one shared port: the kernel chooses which one a peer meets.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/intrusive_list.h"
#include "base/result.h"
#include "rpc/frame.h"
#include "rpc/hello.h"
#include "rpc/payload.h"
#include "runtime/network.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/stop.h"
#include "runtime/task.h"

namespace stele::rpc {

class ServerConnection;
struct InServer;  // its list of connections

struct ServerOptions {
  std::size_t max_connections = 1000;
  std::size_t max_unknown = 100;  // connections that have not said who they are
  runtime::Duration hello_timeout = std::chrono::seconds(5);
  std::uint32_t max_payload_bytes = 16 << 20;
  // Of one connection, unanswered.
  std::size_t max_requests = 1024;
  std::size_t max_request_bytes = 32 << 20;
  // Of one connection, not yet taken by the peer. Beyond it no more is read.
  std::size_t max_output_bytes = 4 << 20;
  // Of all connections, in frames that are not complete.
  std::size_t max_partial_bytes = 256 << 20;
  runtime::Duration stuck_after = std::chrono::seconds(30);  // the peer has taken nothing of its answers
  runtime::Duration ping_interval = std::chrono::seconds(2);
  runtime::Duration silent_after = std::chrono::seconds(10);  // nothing was heard, not even a ping
  // Connections come with the proven name of their peer, which must be that of its node (mutual TLS).
  bool certificates = false;
  // Without certificates only a loopback address is listened on, unless this is set.
  bool open_without_certificates = false;
};

struct ServerStats {
  std::uint64_t accepted = 0;  // connections
  std::uint64_t welcomed = 0;
  std::array<std::uint64_t, kReasons> refused{};  // at the hello, by reason
  std::array<std::uint64_t, kWrongs> wrong{};     // closed for what they sent
  std::uint64_t turned_away = 0;                  // too many that had not said who they are
  std::uint64_t no_hello = 0;                     // in time
  std::uint64_t silent = 0;                       // closed
  std::uint64_t stuck = 0;                        // closed
  std::uint64_t requests = 0;
  std::uint64_t not_taken = 0;  // requests: of an unknown method, or the server stops
  std::uint64_t messages = 0;
  std::uint64_t unknown_messages = 0;
  std::uint64_t held = 0;  // times that a connection was not read from
};

struct Request {
  std::shared_ptr<const Peer> peer;
  Bytes payload;
  runtime::Instant deadline;  // when the caller stops waiting
};

// Answers one request, once. May outlive the connection and the server: then it does nothing.
class Responder {
 public:
  Responder(ServerConnection& connection, std::uint64_t call, std::size_t bytes);
  Responder(Responder&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)), call_(other.call_), bytes_(other.bytes_) {}
  Responder& operator=(Responder&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(call_, other.call_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  // Unanswered: the caller is told kUnavailable, outcome unknown.
  ~Responder();

  // Whether anybody would hear the answer.
  bool wanted() const;
  void answer(const Payload& payload);
  void fail(const Error& why);
  // Likewise; nothing was begun, and the caller may try it again.
  void not_taken(const Error& why);

 private:
  void respond(Status status, std::span<const Bytes> payload);
  ServerConnection* connection_;  // null: answered
  std::uint64_t call_;
  std::size_t bytes_;
};

class Server final : private runtime::AcceptHandler {
 public:
  using RequestHandler = std::function<void(Request, Responder)>;
  using TaskHandler = std::function<runtime::Task<Result<Payload>>(Request)>;
  using MessageHandler = std::function<void(const Peer&, Bytes)>;

  Server(runtime::Runtime& runtime, Identity self, ServerOptions options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Drops all connections at once.
  ~Server() override;

  // Before listen(); each number once.
  void on_request(MethodId method, RequestHandler handler);
  void serve(MethodId method, TaskHandler handler);
  void on_message(MessageId message, MessageHandler handler);
  // Told once of each connection past the hello when it is gone; also from within calls of this and of
  // Responder, so nothing of the server is to be called then.
  void on_gone(std::function<void(const Peer&)> handler) { on_gone_ = std::move(handler); }
  // Likewise, also to those who are not of the cluster and ask to be (Peer::joins). Nothing else is theirs.
  void serve_joining(MethodId method, TaskHandler handler);

  // The errors of Transport::listen; kInvalidArgument: not a loopback address. `transport` outlives the
  // server.
  Result<void> listen(runtime::Transport& transport, const runtime::Endpoint& at);
  runtime::Endpoint local() const { return listener_->local(); }

  // Takes no more connections and requests, says so, waits for the answers that are due, no longer than
  // `grace`, and closes. Complete when all connections and all tasks of serve() have ended. Once.
  runtime::Task<void> stop(runtime::Duration grace);
  // Fires when the grace of stop() is over, or nothing is due any more: for the tasks of serve().
  runtime::StopToken token() const { return tasks_.token(); }

  const ServerStats& stats() const { return stats_; }
  std::size_t connections() const { return open_; }  // that are past the hello
  std::size_t requests_under_way() const { return requests_; }
  std::size_t partial_bytes() const { return budget_.used; }

 private:
  friend class ServerConnection;
  friend class Responder;

  void on_accept(std::unique_ptr<runtime::Connection> connection) override;
  static runtime::Task<void> run(runtime::Task<Result<Payload>> task, Responder responder);
  void note(const std::string& line);
  void something_ended(const Peer* peer);

  runtime::Runtime& runtime_;
  const Identity self_;
  const ServerOptions options_;
  ServerStats stats_;
  InputBudget budget_;
  std::map<MethodId, RequestHandler> methods_;
  std::map<MessageId, MessageHandler> messages_;
  std::function<void(const Peer&)> on_gone_;
  std::set<MethodId> joining_;  // of the methods
  std::unique_ptr<runtime::Listener> listener_;
  IntrusiveList<ServerConnection, InServer> all_;
  std::size_t unknown_ = 0;   // not past the hello
  std::size_t open_ = 0;      // past it
  std::size_t requests_ = 0;  // unanswered
  bool stopping_ = false;
  runtime::Instant next_line_{};  // of the log, about peers
  std::uint64_t lines_left_out_ = 0;
  runtime::Notification ended_;  // a request or a connection
  runtime::Scope tasks_;         // last: its tasks use all of the above
};

}  // namespace stele::rpc
