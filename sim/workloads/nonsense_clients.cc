// Clients that speak no HTTP, no WebSocket and no TLS, or stop in the middle: each is told so and sent away,
// and costs nobody else anything.
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "protocols/http/client.h"
#include "runtime/channel.h"
#include "sim/workloads/rounds.h"

namespace stele::sim {

using runtime::Task;
using namespace std::chrono_literals;

namespace {

// A connection of which only the bytes are known.
class Bare final : private runtime::ConnectionHandler {
 public:
  static Task<Result<std::unique_ptr<Bare>>> dial(runtime::Runtime& runtime, runtime::Endpoint to) {
    STELE_CO_TRY(auto connection, co_await runtime.network().connect(std::move(to), 5s, {}));
    co_return std::unique_ptr<Bare>(new Bare(runtime, std::move(connection)));
  }
  void write(std::string_view bytes) {
    if (connection_) connection_->write(bytes);
  }
  // All that comes until the other side ends it. kTimedOut: it does not.
  Task<Result<std::string>> until_end(runtime::Duration within) {
    std::string all;
    const runtime::Instant end = runtime_.now() + within;
    while (true) {
      auto some = co_await pieces_->receive(runtime_, end);
      if (some) {
        all += *some;
      } else if (some.error().code == ErrorCode::kClosed) {
        co_return all;
      } else {
        co_return std::unexpected(some.error());
      }
    }
  }
  // Up to where `mark` is in it.
  Task<Result<std::string>> until(std::string_view mark, runtime::Duration within) {
    std::string all;
    const runtime::Instant end = runtime_.now() + within;
    while (all.find(mark) == std::string::npos) {
      STELE_CO_TRY(const std::string some, co_await pieces_->receive(runtime_, end));
      all += some;
    }
    co_return all;
  }

 private:
  Bare(runtime::Runtime& runtime, std::unique_ptr<runtime::Connection> connection)
      : runtime_(runtime),
        connection_(std::move(connection)),
        pieces_(std::make_shared<runtime::Channel<std::string>>(10'000)) {
    connection_->start(*this);
  }
  void on_data(Bytes data) override { (void)pieces_->try_send(std::string(data.view())); }
  void on_closed(const Error&) override {
    connection_.reset();
    pieces_->close();
  }

  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::Connection> connection_;
  std::shared_ptr<runtime::Channel<std::string>> pieces_;
};

const std::string kUpgrade =
    "GET /mqtt HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: "
    "mqtt\r\n";

// What was lost with its connection says nothing.
std::unexpected<Error> cut_off() {
  return error(ErrorCode::kClosed, "the answer was cut off");
}
bool says(const std::string& answer, std::string_view status) {
  return answer.starts_with("HTTP/1.1 " + std::string(status));
}

class Nonsense final : public Rounds {
 public:
  Nonsense(runtime::Runtime& core, Workload& shared) : Rounds(core, shared, "nonsense") {}

  Task<Result<void>> round() override {
    switch (random().below(workload_.mqtt.tls ? 6 : 5)) {
      case 0:
        return malformed();
      case 1:
        return unfinished();
      case 2:
        return no_upgrade();
      case 3:
        return no_frames();
      case 4:
        return is_served();
      default:
        return handshakes();
    }
  }

 private:
  Task<Result<std::unique_ptr<Bare>>> http() { return Bare::dial(runtime_, workload_.http); }

  Task<Result<void>> malformed() {
    static constexpr std::array<std::string_view, 5> kMalformed = {
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "GET / HTTP/3.7\r\n\r\n",
    };
    STELE_CO_TRY(const auto peer, co_await http());
    peer->write(kMalformed[random().below(kMalformed.size())]);
    STELE_CO_TRY(const std::string answer, co_await peer->until_end(60s));
    if (answer.find("\r\n") == std::string::npos) co_return cut_off();
    if (!says(answer, "4") && !says(answer, "505")) fail("what is no request is answered with " + answer);
    show("malformed-refused");
    co_return Result<void>();
  }

  Task<Result<void>> unfinished() {
    STELE_CO_TRY(const auto peer, co_await http());
    peer->write("GET /health/live HTTP/1.1\r\nHost: a\r\n");
    STELE_CO_TRY(const std::string answer, co_await peer->until_end(120s));
    if (answer.find("\r\n") == std::string::npos) co_return cut_off();
    if (!says(answer, "408")) fail("half a request is answered with " + answer);
    show("unfinished-refused");
    co_return Result<void>();
  }

  // Everything but what WebSocket asks for.
  Task<Result<void>> no_upgrade() {
    static const std::array<std::string, 3> kRefused = {
        "GET /mqtt HTTP/1.1\r\nHost: node\r\n\r\n",
        kUpgrade + "Origin: https://elsewhere.example\r\n\r\n",
        "GET /mqtt HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
    };
    STELE_CO_TRY(const auto peer, co_await http());
    peer->write(kRefused[random().below(kRefused.size())]);
    STELE_CO_TRY(const std::string answer, co_await peer->until_end(60s));
    if (answer.find("\r\n") == std::string::npos) co_return cut_off();
    if (!says(answer, "4")) fail("what is no WebSocket's beginning is answered with " + answer);
    show("websockets-refused");
    co_return Result<void>();
  }

  // A WebSocket, and then something else.
  Task<Result<void>> no_frames() {
    static constexpr std::array<std::string_view, 3> kNoFrames = {
        "\x82\x05hello",                  // not masked
        "\x81\x85\x01\x02\x03\x04hello",  // text
        "\xf2\x85\x01\x02\x03\x04hello",  // of an extension
    };
    STELE_CO_TRY(const auto peer, co_await http());
    peer->write(kUpgrade + "\r\n");
    STELE_CO_TRY(const std::string answer, co_await peer->until("\r\n\r\n", 60s));
    if (!says(answer, "101")) fail("a WebSocket's beginning is answered with " + answer);
    peer->write(kNoFrames[random().below(kNoFrames.size())]);
    STELE_CO_TRY(const std::string rest, co_await peer->until_end(60s));
    if (rest.empty()) co_return cut_off();
    if (rest[0] != '\x88') fail("what is no frame is not answered with the WebSocket's end");
    show("websockets-ended");
    co_return Result<void>();
  }

  // Somebody who does it right, meanwhile.
  Task<Result<void>> is_served() {
    http::Request request{.method = "GET", .target = "/health/live"};
    STELE_CO_TRY(const auto response,
                 co_await http::send_request(runtime_, workload_.http, std::move(request)));
    if (response.status != 200) fail("health is answered with " + std::to_string(response.status));
    co_return Result<void>();
  }

  // More than there may be at once, that say nothing. Those beyond are closed, the others given up after a
  // while.
  Task<Result<void>> handshakes() {
    if (!is_low("tls.handshakes")) co_return Result<void>();
    std::vector<std::unique_ptr<Bare>> all;
    for (std::uint64_t i = 0; i < 4 * limit("tls.handshakes") + 4; ++i) {
      STELE_CO_TRY(auto one, co_await Bare::dial(runtime_, *workload_.mqtt.tls));
      all.push_back(std::move(one));
    }
    std::uint64_t closed = 0;
    for (const auto& one : all) {
      const auto end = co_await one->until_end(1s);
      closed += end.has_value();
      if (end && !end->empty()) fail("who says nothing is answered in a handshake");
    }
    if (closed > 0) show("handshakes-refused");
    co_return Result<void>();
  }
};

}  // namespace

Task<void> run_nonsense(runtime::Runtime& runtime, Workload& workload) {
  return run_rounds(runtime, workload, std::make_unique<Nonsense>(runtime, workload));
}

}  // namespace stele::sim
