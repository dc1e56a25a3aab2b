// The HTTP listener: health, metrics, and the administrative API (docs/formats/http-api.md). It serves
// people, programs that watch and the command line, a few requests a second; it is no data path. Lives on one
// core.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "protocols/http/backend.h"
#include "protocols/http/node_info.h"
#include "protocols/http/parser.h"
#include "protocols/http/websocket.h"
#include "runtime/network.h"
#include "runtime/notification.h"

namespace stele::http {

// Serves another protocol over WebSocket, and finds out by itself who its clients are.
class WebSocketService {
 public:
  virtual ~WebSocketService() = default;
  // Its names in Sec-WebSocket-Protocol, the best first; at least one.
  virtual std::span<const std::string_view> protocols() const = 0;
  // False: it takes nobody at the moment.
  virtual bool has_room() const = 0;
  // A connection as if just accepted, to be started in this turn. Its bytes are those in the frames.
  virtual void take(std::unique_ptr<runtime::Connection> connection) = 0;
};

struct HttpOptions {
  runtime::Transport* transport = nullptr;  // null: the network; outlives the listener
  // By path; they outlive the listener, but for what they have taken, which may outlive it.
  std::map<std::string, WebSocketService*, std::less<>> websockets = {};
  OriginRules origins = {};  // of web pages that open them
  ParserLimits limits = {};
  std::size_t max_connections = 1000;
  runtime::Duration idle_timeout = std::chrono::seconds(60);
  // From the first byte of a request to its last.
  runtime::Duration request_timeout = std::chrono::seconds(30);
};

struct HttpStats {
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_malformed = 0;
  std::uint64_t websockets_opened = 0;
  std::uint64_t websockets_refused = 0;
};

class HttpConnection;

class HttpListener final : private runtime::AcceptHandler {
 public:
  // `node` outlives it.
  HttpListener(Backend backend, NodeInfo& node, HttpOptions options);
  ~HttpListener() override;

  // Port 0 picks one; local() tells which.
  Result<void> listen(const runtime::Endpoint& at);
  runtime::Endpoint local() const { return listener_->local(); }
  // Accepts no more, lets requests under way be answered, closes. Complete when no connection is left.
  runtime::Task<void> stop();

  const HttpStats& stats() const { return stats_; }
  std::size_t connections() const { return connections_.size(); }

 private:
  friend class HttpConnection;
  void on_accept(std::unique_ptr<runtime::Connection> connection) override;
  void gone(std::uint64_t id);
  WebSocketService* websocket_at(std::string_view target) const;

  const Backend backend_;
  NodeInfo& node_;
  const HttpOptions options_;
  HttpStats stats_;
  std::map<std::uint64_t, std::unique_ptr<HttpConnection>> connections_;
  std::uint64_t next_id_ = 1;
  runtime::Notification empty_;
  std::unique_ptr<runtime::Listener> listener_;
};

}  // namespace stele::http
