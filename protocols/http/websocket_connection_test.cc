// In the simulator: pieces of any size, handlers that read when they like, peers that say nonsense.
#include "protocols/http/websocket_connection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/notification.h"
#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::http {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using runtime::Connection;
using runtime::ConnectionHandler;
using runtime::Runtime;
using runtime::Scope;
using runtime::Task;
using Side = WebSocketConnection::Side;

// Has a connection until it changes hands.
struct Nobody final : ConnectionHandler {
  void on_data(Bytes) override { ADD_FAILURE(); }
  void on_closed(const Error&) override { ADD_FAILURE(); }
};

std::unique_ptr<WebSocketConnection> wrap(Runtime& runtime, std::unique_ptr<Connection> plain, Side side,
                                          std::string_view behind = {}) {
  static Nobody nobody;
  return std::make_unique<WebSocketConnection>(
      runtime, std::make_unique<LiveConnection>(std::move(plain), nobody), side, behind);
}

// Sends back what it is sent. Reads now and then into a buffer of its own, and pauses now and then.
class Echo final : public runtime::AcceptHandler, private runtime::Timer {
 public:
  Runtime* runtime = nullptr;
  std::string behind;  // as if it had come with the handshake
  bool hold = false;   // does not read
  bool leave = false;  // drops the connection when it has read something
  std::size_t most_queued = 0;
  std::vector<Error> ends;

  void on_accept(std::unique_ptr<Connection> plain) override {
    links_.push_back(std::make_unique<Link>(*this, wrap(*runtime, std::move(plain), Side::kServer, behind)));
  }
  void close_all() {
    for (auto& link : links_) link->connection->close(1s);
  }
  void write(std::string_view bytes) {
    for (auto& link : links_) link->connection->write(bytes);
  }
  void read_on() {
    for (auto& link : links_) link->connection->resume_reading();
  }
  std::size_t links() const { return links_.size(); }
  std::size_t queued() const { return links_.front()->connection->queued_bytes(); }
  void stop() {
    links_.clear();
    runtime->disarm(*this);
  }

 private:
  struct Link final : ConnectionHandler {
    Link(Echo& e, std::unique_ptr<Connection> c) : echo(e), connection(std::move(c)) {
      if (echo.hold) connection->pause_reading();
      connection->start(*this);
    }
    std::span<char> read_buffer() override {
      return ++turns % 3 == 0 ? std::span<char>(place, sizeof place) : std::span<char>();
    }
    void on_data(Bytes data) override {
      if (echo.leave) return echo.drop(*this);
      if (data.size() > 3000) {
        connection->write(Bytes::copy(data));
      } else {
        connection->write(data.view());
      }
      echo.most_queued = std::max(echo.most_queued, connection->queued_bytes());
      if (turns % 5 == 0) {
        connection->pause_reading();
        echo.runtime->arm(echo, echo.runtime->now() + 1ms);
      }
    }
    void on_closed(const Error& why) override {
      echo.ends.push_back(why);
      echo.drop(*this);
    }
    Echo& echo;
    std::unique_ptr<Connection> connection;
    int turns = 0;
    char place[777];
  };
  void drop(Link& link) {
    std::erase_if(links_, [&](const auto& l) { return l.get() == &link; });
  }
  void on_timer() override { read_on(); }
  std::vector<std::unique_ptr<Link>> links_;
};

class Collector final : public ConnectionHandler {
 public:
  std::string got;
  std::optional<Error> end;
  runtime::Notification changed;
  void on_data(Bytes data) override {
    got += data.view();
    changed.wake_all();
  }
  void on_closed(const Error& why) override {
    end = why;
    changed.wake_all();
  }
  Task<void> until(std::size_t bytes) {
    while (got.size() < bytes && !end) co_await changed.wait();
  }
  Task<void> until_end() {
    while (!end) co_await changed.wait();
  }
};

class Program final : public sim::Program {
 public:
  explicit Program(std::function<void(Scope&)> begin) { begin(scope_); }

 private:
  Scope scope_;
};

struct Scene {
  explicit Scene(std::uint64_t seed) : Scene(seed, sim::WorldConfig::draw(seed)) {}
  Scene(std::uint64_t seed, const sim::WorldConfig& config) : world(seed, config) {
    server_host = &world.add_host("server");
    client_host = &world.add_host("client");
    server_host->boot(1, [this](sim::ProcessContext& process) {
      echo.runtime = &process.core(0);
      auto made = process.core(0).network().listen({server_host->ip(), 80}, {}, echo);
      EXPECT_TRUE(made);
      listener = *std::move(made);
      return std::make_unique<Program>([](Scope&) {});
    });
    world.run_for(1s);
  }
  ~Scene() {
    client_host->crash(sim::CrashMode::kKill);
    echo.stop();
    listener.reset();
  }
  void run(std::function<Task<void>(Runtime&)> body) {
    bool done = false;
    client_host->boot(1, [&](sim::ProcessContext& process) {
      return std::make_unique<Program>(
          [&](Scope& scope) { scope.spawn(finish(body(process.core(0)), done)); });
    });
    world.run_until([&] { return done; }, 10min);
    EXPECT_TRUE(done);
    client_host->crash(sim::CrashMode::kKill);
    world.run_for(10s);
  }
  static Task<void> finish(Task<void> task, bool& done) {
    co_await std::move(task);
    done = true;
  }
  runtime::Endpoint at() const { return {server_host->ip(), 80}; }

  sim::World world;
  sim::Host* server_host;
  sim::Host* client_host;
  Echo echo;
  std::unique_ptr<runtime::Listener> listener;
};

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
  return out;
}

Task<std::unique_ptr<Connection>> dial(Runtime& runtime, runtime::Endpoint at, ConnectionHandler& handler,
                                       bool frames) {
  auto plain = co_await runtime.network().connect(at, 10s, {});
  if (!plain) {
    ADD_FAILURE();
    co_return nullptr;
  }
  if (frames) plain = wrap(runtime, *std::move(plain), Side::kClient);
  (*plain)->start(handler);
  co_return *std::move(plain);
}

std::string frame(std::uint8_t first, std::string_view payload) {
  constexpr WebSocketMask kMask = {1, 2, 3, 4};
  std::string out;
  append_frame_header(out, WebSocketOpcode::kBinary, payload.size(), &kMask);
  out[0] = static_cast<char>(first);
  const std::size_t begin = out.size();
  out.append(payload);
  apply_mask(out.data() + begin, payload.data(), payload.size(), kMask, 0);
  return out;
}

Task<void> echo_everything(Runtime& runtime, runtime::Endpoint at) {
  Collector collector;
  auto connection = co_await dial(runtime, at, collector, true);
  std::string sent;
  for (const std::size_t size : {1U, 10U, 16384U, 16385U, 100'000U, 3U, 400'000U}) {
    const std::string piece = pattern(size);
    sent += piece;
    if (size % 2 == 0) {
      connection->write(std::string_view(piece).substr(0, 5));
      connection->write(Bytes::copy(std::string_view(piece).substr(5)));
    } else {
      connection->write(std::string_view(piece));
    }
    co_await collector.until(sent.size());
  }
  EXPECT_EQ(collector.got.size(), sent.size());
  EXPECT_TRUE(collector.got == sent);
  connection->close(5s);
  co_await collector.until_end();
  EXPECT_EQ(collector.end->code, ErrorCode::kCancelled);
}

TEST(WebSocketConnection, BytesComeAsTheyWereSent) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Scene scene(seed);
    scene.run([&](Runtime& runtime) { return echo_everything(runtime, scene.at()); });
    ASSERT_EQ(scene.echo.ends.size(), 1u);
    EXPECT_EQ(scene.echo.ends[0].code, ErrorCode::kClosed) << scene.echo.ends[0].to_string();
  }
}

std::string payload_of(std::string_view frames) {
  std::vector<char> into(frames.size() + 1);
  return {into.data(), WebSocketReader(WebSocketReader::From::kServer).feed(frames, into).payload};
}

// What came with the handshake is read first, once somebody reads.
TEST(WebSocketConnection, WhatCameBehindTheHandshake) {
  Scene scene(1);
  scene.echo.behind = frame(0x82, "behind, ") + frame(0x82, "in front").substr(0, 3);
  scene.echo.hold = true;
  scene.run([&](Runtime& runtime) -> Task<void> {
    return [](Runtime& rt, Scene& s) -> Task<void> {
      Collector collector;
      auto connection = co_await dial(rt, s.at(), collector, false);
      connection->write(std::string_view(frame(0x82, "in front").substr(3)));
      co_await runtime::sleep(rt, 1s);
      EXPECT_EQ(collector.got, "");
      s.echo.read_on();
      while (payload_of(collector.got) != "behind, in front") co_await collector.changed.wait();
    }(runtime, scene);
  });
}

struct Answered {
  std::string got;
  std::optional<Error> end;
};
// Sends bytes and takes what comes until the server ends it, or so much has come.
Task<void> converse(Runtime& runtime, runtime::Endpoint at, std::string bytes, std::size_t until,
                    Answered& answered) {
  Collector collector;
  auto connection = co_await dial(runtime, at, collector, false);
  connection->write(std::string_view(bytes));
  co_await collector.until(until);
  answered = {collector.got, collector.end};
}
Answered converse(Scene& scene, const std::string& bytes, std::size_t until = SIZE_MAX) {
  Answered answered;
  scene.run([&](Runtime& runtime) { return converse(runtime, scene.at(), bytes, until, answered); });
  return answered;
}

// Sections 5.5.1, 7.1.5: a close frame is answered by one with the same code, behind what was to be sent.
TEST(WebSocketConnection, Close) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Scene scene(seed);
    EXPECT_EQ(converse(scene, frame(0x82, "x") + frame(0x88, "\x03\xe9") + frame(0x82, "y")).got,
              "\x82\x01x\x88\x02\x03\xe9");
    EXPECT_EQ(converse(scene, frame(0x88, "")).got, "\x88\x00"s);
    ASSERT_EQ(scene.echo.ends.size(), 2u);
    EXPECT_EQ(scene.echo.ends[0].code, ErrorCode::kClosed);
  }
}

TEST(WebSocketConnection, WhatIsNoFrameEndsIt) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Scene scene(seed);
    EXPECT_EQ(converse(scene, frame(0x82, "x") + "\x82\x01y").got, "\x82\x01x\x88\x02\x03\xea");
    EXPECT_EQ(converse(scene, frame(0x81, "text")).got, "\x88\x02\x03\xeb");
    EXPECT_EQ(converse(scene, "GET / HTTP/1.1\r\n\r\n").got, "\x88\x02\x03\xea");
    ASSERT_EQ(scene.echo.ends.size(), 3u);
    for (const Error& end : scene.echo.ends) EXPECT_EQ(end.code, ErrorCode::kMalformed) << end.to_string();
  }
}

TEST(WebSocketConnection, ItIsClosedHere) {
  Scene scene(3);
  scene.run([&](Runtime& runtime) -> Task<void> {
    return [](Runtime& rt, Scene& s) -> Task<void> {
      Collector collector;
      auto connection = co_await dial(rt, s.at(), collector, false);
      co_await runtime::sleep(rt, 1s);
      s.echo.close_all();
      co_await collector.until_end();
      EXPECT_EQ(collector.got, "\x88\x02\x03\xe8");
    }(runtime, scene);
  });
  ASSERT_EQ(scene.echo.ends.size(), 1u);
  EXPECT_EQ(scene.echo.ends[0].code, ErrorCode::kCancelled);
}

// Section 5.5.3: pings that come together are answered with the last of them.
TEST(WebSocketConnection, Pings) {
  Scene scene(1);
  EXPECT_EQ(converse(scene, frame(0x89, "ping"), 6).got, "\x8A\x04ping");
  const std::string got = converse(scene, frame(0x02, "a") + frame(0x89, "1") + frame(0x89, "2") +
                                              frame(0x80, "b") + frame(0x88, ""))
                              .got;
  EXPECT_TRUE(got.ends_with("\x88\x00"s));
}

Task<void> ping_and_never_read(Runtime& runtime, Scene& scene) {
  Collector collector;
  auto connection = co_await dial(runtime, scene.at(), collector, false);
  connection->pause_reading();
  std::size_t most = 0;
  for (int i = 0; i < 2'000; ++i) {
    connection->write(std::string_view(frame(0x89, std::string(125, 'x'))));
    co_await runtime::sleep(runtime, 10ms);
    most = std::max(most, scene.echo.queued());
  }
  EXPECT_GE(most, Connection::kDefaultLowWater);
  EXPECT_LE(most, Connection::kDefaultLowWater + 200);
  // It hears the rest once it reads, and is served as before.
  connection->resume_reading();
  connection->write(std::string_view(frame(0x82, "hello")));
  while (payload_of(collector.got) != "hello") {
    co_await collector.changed.wait();
  }
}

TEST(WebSocketConnection, WhoPingsAndDoesNotReadCostsLittle) {
  sim::WorldConfig config = sim::WorldConfig::draw(2);
  config.network.window_bytes = 16 << 10;
  Scene scene(2, config);
  scene.run([&](Runtime& runtime) { return ping_and_never_read(runtime, scene); });
}

TEST(WebSocketConnection, AHandlerMayLeaveAtAnyTime) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Scene scene(seed);
    scene.echo.leave = true;
    (void)converse(scene, frame(0x82, "one") + frame(0x82, "two") + frame(0x89, "p"));
    EXPECT_EQ(scene.echo.links(), 0u);
    scene.echo.behind = frame(0x82, "one") + frame(0x82, "two");
    (void)converse(scene, frame(0x82, "three"));
    EXPECT_EQ(scene.echo.links(), 0u);
  }
}

// A connection that breaks ends, also while nobody reads and something is left to be read.
TEST(WebSocketConnection, ItBreaksWhileNobodyReads) {
  Scene scene(4);
  scene.echo.hold = true;
  scene.echo.behind = frame(0x82, "unread");
  scene.run([&](Runtime& runtime) -> Task<void> {
    return [](Runtime& rt, Scene& s) -> Task<void> {
      Collector collector;
      auto connection = co_await dial(rt, s.at(), collector, false);
      connection->pause_reading();
      co_await runtime::sleep(rt, 1s);
      s.echo.write(pattern(1 << 20));
      co_await runtime::sleep(rt, 1s);
      connection.reset();
    }(runtime, scene);
  });
  EXPECT_EQ(scene.echo.links(), 0u);
  ASSERT_EQ(scene.echo.ends.size(), 1u);
}

}  // namespace
}  // namespace stele::http
