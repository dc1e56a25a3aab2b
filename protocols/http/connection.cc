#include "protocols/http/connection.h"

#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::http {

using namespace std::chrono_literals;

HttpConnection::HttpConnection(HttpListener& listener, std::uint64_t id,
                               std::unique_ptr<runtime::Connection> connection)
    : listener_(listener),
      id_(id),
      connection_(new LiveConnection(std::move(connection), *this)),
      context_{listener.backend_,
               listener.node_,
               (*connection_)->remote().host,
               std::string((*connection_)->peer_name()),
               {}},
      parser_(Parser::Kind::kRequest, listener.options_.limits) {
  watch();
}

HttpConnection::~HttpConnection() {
  runtime().disarm(*this);
}

void HttpConnection::on_data(Bytes data) {
  if (closing_) return;
  STELE_ASSERT(!serving_ && rest_.empty());
  rest_ = std::move(data);
  advance();
}

void HttpConnection::advance() {
  if (std::exchange(advancing_, true)) return;
  while (!closing_ && !serving_ && !rest_.empty()) {
    const auto taken = parser_.feed(rest_);
    if (!taken) {
      refuse(parser_.status(), taken.error().message);
      break;
    }
    rest_ = rest_.slice(*taken);
    if (parser_.complete()) {
      take_request(parser_.take());
    } else if (parser_.take_expects_continue()) {
      (*connection_)->write(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
    }
  }
  if (serving_) {
    // What arrived with the request that is being answered must not keep the core's slab.
    rest_ = rest_.empty() ? Bytes() : Bytes::copy(rest_);
    (*connection_)->pause_reading();
  }
  advancing_ = false;
  if (!closing_ && !serving_ && parser_.begun() != request_begun_) watch();
}

void HttpConnection::take_request(ParsedMessage message) {
  ++listener_.stats_.requests;
  if (message.headers.count("host") > 1) return refuse(400, "there is more than one Host");
  if (WebSocketService* service = listener_.websocket_at(message.target)) {
    return open_websocket(message, *service);
  }
  Request request{.method = std::move(message.method),
                  .target = std::move(message.target),
                  .headers = std::move(message.headers),
                  .body = std::move(message.body),
                  .keep_alive = message.keep_alive};
  serving_ = true;
  runtime().disarm(*this);
  scope_.spawn(serve(std::move(request)));
}

// What comes behind the request is no HTTP, whether or not it is granted.
void HttpConnection::open_websocket(const ParsedMessage& request, WebSocketService& service) {
  WebSocketAnswer granted = answer_websocket(request, service.protocols(), listener_.options_.origins);
  if (granted.status == 101 && !service.has_room())
    granted = {.status = 503, .why = "there are too many clients"};
  if (granted.status != 101) {
    STELE_MARK("http: WebSocket refused");
    ++listener_.stats_.websockets_refused;
    Response refused = error_response(granted.status, "no_websocket", granted.why);
    if (granted.status == 426) {  // RFC 9110, section 15.5.22; RFC 6455, section 4.4
      refused.headers.add("upgrade", "websocket");
      refused.headers.add("sec-websocket-version", "13");
    }
    return answer(refused, false, request.method != "HEAD");
  }
  STELE_MARK("http: WebSocket opened");
  ++listener_.stats_.websockets_opened;
  std::string out;
  append_switching_protocols(out, granted);
  (*connection_)->write(std::string_view(out));
  closing_ = true;
  runtime().disarm(*this);
  const Bytes behind = std::exchange(rest_, {});
  service.take(std::make_unique<WebSocketConnection>(runtime(), std::move(connection_),
                                                     WebSocketConnection::Side::kServer, behind));
  runtime().at_turn_end(*this);
}

// Nothing is left to do here.
void HttpConnection::on_turn_end() {
  listener_.gone(id_);  // destroys this
}

runtime::Task<void> HttpConnection::serve(Request request) {
  const bool keep_alive = request.keep_alive, with_body = request.method != "HEAD";
  const Response response = co_await route(context_, std::move(request));
  serving_ = false;
  if (closing_) co_return;
  answer(response, keep_alive && !finishing_, with_body);
  if (closing_) co_return;
  if (!advancing_) (*connection_)->resume_reading();
  request_begun_ = false;
  watch();
  advance();
}

void HttpConnection::refuse(int status, std::string_view why) {
  STELE_MARK("http: malformed request refused");
  ++listener_.stats_.requests_malformed;
  answer(error_response(status, "malformed", why), false, true);
}

void HttpConnection::answer(const Response& response, bool keep_alive, bool with_body) {
  std::string out;
  append_response(out, response, keep_alive, with_body);
  (*connection_)->write(std::string_view(out));
  if (!keep_alive) close();
}

void HttpConnection::close() {
  if (std::exchange(closing_, true)) return;
  runtime().disarm(*this);
  rest_ = {};
  (*connection_)->close(5s);
}

void HttpConnection::watch() {
  request_begun_ = parser_.begun();
  runtime().arm(*this, runtime().now() + (request_begun_ ? listener_.options_.request_timeout
                                                         : listener_.options_.idle_timeout));
}

void HttpConnection::on_timer() {
  if (!parser_.begun()) return close();
  STELE_MARK("http: request not complete in time");
  refuse(408, "the request did not come whole in time");
}

void HttpConnection::finish() {
  finishing_ = true;
  if (!serving_) close();
}

void HttpConnection::on_closed(const Error&) {
  closing_ = true;
  listener_.gone(id_);  // destroys this
}

}  // namespace stele::http
