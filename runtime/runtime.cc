#include "runtime/runtime.h"

#include <charconv>
#include <optional>
#include <utility>

namespace stele::runtime {
namespace {

// Suspends until the timer fires or the token stops; both resume at most once.
class SleepAwaiter : private Timer {
 public:
  SleepAwaiter(Runtime& runtime, Instant deadline, StopToken stop)
      : runtime_(runtime), wake_at_(deadline), stop_(std::move(stop)) {}
  bool await_ready() const { return stop_.stop_requested(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    runtime_.arm(*this, wake_at_);
    // Resuming from within request_stop() would run the sleeper inside its canceller: fire in the next turn
    // instead.
    on_stop_.emplace(stop_, [this] { runtime_.arm(*this, runtime_.now()); });
  }
  bool await_resume() const { return !stop_.stop_requested(); }

 private:
  void on_timer() override { waiter_.resume(); }

  Runtime& runtime_;
  Instant wake_at_;
  StopToken stop_;
  std::coroutine_handle<> waiter_;
  std::optional<StopCallback> on_stop_;
};

// The frame may be destroyed while the job runs (a simulated crash); `gone` tells the completion.
class BlockingAwaiter {
 public:
  BlockingAwaiter(Runtime& runtime, BlockingWork job) : runtime_(runtime), job_(std::move(job)) {}
  ~BlockingAwaiter() {
    if (state_) state_->gone = true;
  }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    state_ = std::make_shared<State>();
    runtime_.offload(std::move(job_), [state = state_, waiter] {
      if (!state->gone) waiter.resume();
    });
  }
  void await_resume() {}

 private:
  struct State {
    bool gone = false;
  };
  Runtime& runtime_;
  BlockingWork job_;
  std::shared_ptr<State> state_;
};

}  // namespace

Task<bool> sleep(Runtime& runtime, Duration duration, StopToken stop) {
  co_return co_await SleepAwaiter(runtime, runtime.now() + duration, std::move(stop));
}

void Runtime::fill_secret(std::span<char> out) {
  for (char& byte : out) byte = static_cast<char>(random().next() >> 56);
}

Task<void> run_blocking(Runtime& runtime, BlockingWork job) {
  co_await BlockingAwaiter(runtime, std::move(job));
}

std::string Endpoint::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto invalid = [&](std::string_view why) {
    return error(ErrorCode::kInvalidArgument,
                 "'" + std::string(text) + "' is not HOST:PORT: " + std::string(why));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return invalid("there is no port");
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return invalid("an IPv6 address stands in brackets, as [::1]:1883");
  }
  if (host.empty()) return invalid("there is no host");
  std::uint16_t number = 0;
  auto [end, failure] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || failure != std::errc() || end != port.data() + port.size()) {
    return invalid("a port is a number from 0 to 65535");
  }
  return Endpoint{std::string(host), number};
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  // 127.0.0.0/8, four decimal numbers.
  int part = 0;
  const char* at = host.data();
  const char* const end = host.data() + host.size();
  while (true) {
    std::uint8_t number = 0;
    const auto [next, failure] = std::from_chars(at, end, number);
    if (failure != std::errc() || (part == 0 && number != 127)) return false;
    at = next;
    if (++part == 4) return at == end;
    if (at == end || *at++ != '.') return false;
  }
}

}  // namespace stele::runtime
