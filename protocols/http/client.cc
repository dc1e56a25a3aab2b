#include "protocols/http/client.h"

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

namespace stele::http {
namespace {

// Waits for the response in the frame of the coroutine.
class Exchange : private runtime::ConnectionHandler, private runtime::Timer {
 public:
  Exchange(runtime::Runtime& runtime, std::unique_ptr<runtime::Connection> connection, const Request& request,
           const runtime::Endpoint& to, const FetchLimits& limits)
      : runtime_(runtime),
        connection_(std::move(connection)),
        parser_(Parser::Kind::kResponse, limits.parser) {
    connection_->start(*this);
    if (request.method == "HEAD") parser_.expect_no_body();
    std::string out;
    append_request(out, request, to.to_string());
    connection_->write(std::string_view(out));
    runtime_.arm(*this, runtime_.now() + limits.timeout);
  }
  ~Exchange() override { runtime_.disarm(*this); }

  bool await_ready() const { return result_.has_value(); }
  void await_suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  Result<Response> await_resume() { return *std::move(result_); }

 private:
  void on_data(Bytes data) override {
    if (result_) return;
    while (!data.empty()) {
      const auto taken = parser_.feed(data);
      if (!taken) return finish(std::unexpected(taken.error()));
      data = data.slice(*taken);
      if (parser_.complete() && take()) return;
    }
  }
  void on_closed(const Error& why) override {
    if (result_) return;
    if (why.code != ErrorCode::kClosed) return finish(std::unexpected(why));
    if (const auto ended = parser_.feed_end(); !ended) return finish(std::unexpected(ended.error()));
    if (parser_.complete() && take()) return;
    finish(error(ErrorCode::kClosed, "the connection was closed without a response"));
  }
  void on_timer() override { finish(error(ErrorCode::kTimedOut, "no response in time")); }

  // True when that was the response; then this may be gone.
  bool take() {
    ParsedMessage message = parser_.take();
    if (message.status < 200) return false;  // "100 Continue" and its like come before the response
    Response response;
    response.status = message.status;
    if (const auto* type = message.headers.find("content-type")) response.content_type = *type;
    response.body = std::move(message.body);
    response.headers = std::move(message.headers);
    finish(std::move(response));
    return true;
  }
  void finish(Result<Response> result) {
    if (result_) return;
    result_ = std::move(result);
    if (waiter_) std::exchange(waiter_, {}).resume();  // may destroy this
  }

  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::Connection> connection_;
  Parser parser_;
  std::optional<Result<Response>> result_;
  std::coroutine_handle<> waiter_;
};

}  // namespace

runtime::Task<Result<Response>> send_request(runtime::Runtime& runtime, runtime::Endpoint to, Request request,
                                             FetchLimits limits, runtime::Dial dial) {
  request.keep_alive = false;
  STELE_CO_TRY(auto connection, co_await runtime::connect(runtime, dial, to, limits.timeout, {}));
  Exchange exchange(runtime, std::move(connection), request, to, limits);
  auto response = co_await exchange;
  if (!response) co_return std::unexpected(response.error().with_context(to.to_string()));
  co_return response;
}

}  // namespace stele::http
