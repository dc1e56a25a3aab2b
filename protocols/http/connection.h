// One HTTP connection: one request at a time, kept alive between them. What follows a request waits unread
// (or, having arrived with it, in `rest_`) until that is answered. A request for a WebSocket ends it: the
// socket goes on in other hands.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "protocols/http/listener.h"
#include "protocols/http/router.h"
#include "protocols/http/websocket_connection.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace stele::http {

class HttpConnection final : private runtime::ConnectionHandler,
                             private runtime::Timer,
                             private runtime::TurnEndHook {
 public:
  HttpConnection(HttpListener& listener, std::uint64_t id, std::unique_ptr<runtime::Connection> connection);
  ~HttpConnection() override;

  // Answers the request under way, if there is one, and closes.
  void finish();

 private:
  void on_data(Bytes data) override;
  void on_closed(const Error& why) override;
  void on_timer() override;
  void on_turn_end() override;

  // Feeds the parser until a request waits for its answer, or nothing is left.
  void advance();
  void take_request(ParsedMessage message);
  void open_websocket(const ParsedMessage& request, WebSocketService& service);
  void refuse(int status, std::string_view why);
  runtime::Task<void> serve(Request request);
  void answer(const Response& response, bool keep_alive, bool with_body);
  void close();
  void watch();

  runtime::Runtime& runtime() { return listener_.backend_.runtime; }

  HttpListener& listener_;
  const std::uint64_t id_;
  std::unique_ptr<LiveConnection> connection_;  // null: in other hands
  HandlerContext context_;
  Parser parser_;
  Bytes rest_;
  bool serving_ = false;
  bool advancing_ = false;
  bool finishing_ = false;
  bool closing_ = false;
  bool request_begun_ = false;  // the timer watches a request, not an idle connection
  runtime::Scope scope_;        // last: its tasks use all of the above
};

}  // namespace stele::http
