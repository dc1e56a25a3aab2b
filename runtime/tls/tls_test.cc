// TLS in the simulator: pieces of any size, peers that say nonsense or nothing, certificates of all kinds.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/notification.h"
#include "runtime/scope.h"
#include "runtime/tls/connection.h"
#include "runtime/tls/context.h"
#include "runtime/tls/testing/certificates.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::runtime::tls {
namespace {

using namespace std::chrono_literals;
using testing::Issued;

const Issued& authority() {
  static const Issued the = testing::make_authority("authority");
  return the;
}
const Issued& server_certificate() {
  static const Issued the = testing::issue(authority(), "server.example");
  return the;
}

std::shared_ptr<const Context> server_context(ServerMaterial material = {}) {
  if (material.certificate_chain.empty()) {
    material.certificate_chain = server_certificate().certificate;
    material.private_key = server_certificate().key;
  }
  auto made = Context::server(material);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made.value_or(nullptr);
}
std::shared_ptr<const Context> client_context(ClientMaterial material = {}) {
  if (material.authorities.empty()) material.authorities = authority().certificate;
  auto made = Context::client(material);
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  return made.value_or(nullptr);
}

// Sends back what it is sent. Reads now and then into a buffer of its own.
class Echo final : public AcceptHandler {
 public:
  std::vector<std::string> names;  // of the peers
  bool hold = false;               // does not read

  void on_accept(std::unique_ptr<Connection> connection) override {
    names.emplace_back(connection->peer_name());
    links_.push_back(std::make_unique<Link>(*this, std::move(connection)));
  }
  void close_all() {
    for (auto& link : links_) link->connection->close(1s);
  }
  void write(std::string_view bytes) {
    for (auto& link : links_) link->connection->write(bytes);
  }
  std::size_t links() const { return links_.size(); }
  void read_on() {
    for (auto& link : links_) link->connection->resume_reading();
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
      if (data.size() > 20'000) {
        connection->write(Bytes::copy(data));
      } else {
        connection->write(data.view());
      }
    }
    void on_closed(const Error&) override {
      std::erase_if(echo.links_, [this](const auto& l) { return l.get() == this; });
    }
    Echo& echo;
    std::unique_ptr<Connection> connection;
    int turns = 0;
    char place[777];
  };
  std::vector<std::unique_ptr<Link>> links_;
};

class Collector final : public ConnectionHandler {
 public:
  std::string got;
  std::optional<Error> end;
  Notification changed;
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

// A server host with one listener, and a client host with one coroutine.
struct Scene {
  explicit Scene(std::uint64_t seed, std::shared_ptr<const Context> context = server_context(),
                 ServerOptions options = {})
      : world(seed, sim::WorldConfig::draw(seed)) {
    server_host = &world.add_host("server");
    client_host = &world.add_host("client");
    server_host->boot(1, [this, context, options](sim::ProcessContext& process) {
      server = std::make_unique<Server>(process.core(0), context, options);
      auto made = server->listen({server_host->ip(), 8883}, {}, echo);
      EXPECT_TRUE(made);
      listener = *std::move(made);
      return std::make_unique<Program>([](Scope&) {});
    });
    world.run_for(1s);
  }
  ~Scene() {
    client_host->crash(sim::CrashMode::kKill);
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
    world.run_for(1s);
  }
  static Task<void> finish(Task<void> task, bool& done) {
    co_await std::move(task);
    done = true;
  }
  Endpoint at() const { return {server_host->ip(), 8883}; }

  sim::World world;
  sim::Host* server_host;
  sim::Host* client_host;
  Echo echo;
  std::unique_ptr<Server> server;
  std::unique_ptr<Listener> listener;
};

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
  return out;
}

Task<void> echo_everything(Runtime& runtime, Endpoint at) {
  auto connection = co_await connect(runtime, client_context(), "server.example", at, 30s, {});
  EXPECT_TRUE(connection) << (connection ? "" : connection.error().message);
  if (!connection) co_return;
  Collector collector;
  (*connection)->start(collector);
  std::string sent;
  for (const std::size_t size : {1U, 10U, 16384U, 16385U, 100'000U, 3U, 400'000U}) {
    const std::string piece = pattern(size);
    sent += piece;
    if (size % 2 == 0) {
      (*connection)->write(Bytes::copy(piece));
    } else {
      (*connection)->write(std::string_view(piece));
    }
    co_await collector.until(sent.size());
  }
  EXPECT_EQ(collector.got.size(), sent.size());
  EXPECT_TRUE(collector.got == sent);
  (*connection)->close(5s);
  co_await collector.until_end();
}

TEST(Tls, BytesComeAsTheyWereSent) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Scene scene(seed);
    scene.run([&](Runtime& runtime) { return echo_everything(runtime, scene.at()); });
    EXPECT_EQ(scene.server->stats().handshakes, 1U);
    EXPECT_EQ(scene.echo.names, std::vector<std::string>{""});
  }
}

Task<void> expect_failure(Runtime& runtime, Endpoint at, std::shared_ptr<const Context> context,
                          std::string name, std::string text) {
  auto connection = co_await connect(runtime, context, name, at, 30s, {});
  // In TLS 1.3 a client hears only afterwards that its certificate is refused.
  if (connection) {
    Collector collector;
    (*connection)->start(collector);
    co_await collector.until_end();
    EXPECT_TRUE(collector.got.empty());
    co_return;
  }
  EXPECT_NE(connection.error().message.find(text), std::string::npos) << connection.error().message;
}

TEST(Tls, ClientsCheckTheServer) {
  Scene scene(1);
  scene.run([&](Runtime& runtime) {
    return expect_failure(runtime, scene.at(), client_context(), "other.example",
                          "certificate verify failed");
  });
  const Issued stranger = testing::make_authority("stranger");
  scene.run([&](Runtime& runtime) {
    return expect_failure(runtime, scene.at(), client_context({.authorities = stranger.certificate}),
                          "server.example", "certificate verify failed");
  });
  EXPECT_EQ(scene.server->stats().handshakes_failed, 2U);
}

TEST(Tls, AnExpiredCertificateIsNone) {
  const Issued old = testing::issue(authority(), "server.example", -1);
  Scene scene(1, server_context({.certificate_chain = old.certificate, .private_key = old.key}));
  scene.run([&](Runtime& runtime) {
    return expect_failure(runtime, scene.at(), client_context(), "server.example",
                          "certificate verify failed");
  });
}

TEST(Tls, ACertificateIsReplacedWhileListening) {
  const Issued old = testing::issue(authority(), "server.example", -1);
  Scene scene(1, server_context({.certificate_chain = old.certificate, .private_key = old.key}));
  scene.server->use(server_context());
  scene.run([&](Runtime& runtime) { return echo_everything(runtime, scene.at()); });
}

TEST(Tls, ClientsShowWhoTheyAre) {
  const Issued alice = testing::issue(authority(), "alice");
  const Issued mallory = testing::issue(testing::make_authority("stranger"), "alice");
  const auto asking = [](ClientCertificate clients) {
    return server_context({.certificate_chain = server_certificate().certificate,
                           .private_key = server_certificate().key,
                           .client_authorities = authority().certificate,
                           .clients = clients});
  };
  const auto showing = [](const Issued& who) {
    return client_context({.certificate_chain = who.certificate, .private_key = who.key});
  };
  {
    Scene scene(1, asking(ClientCertificate::kRequired));
    scene.run([&](Runtime& runtime) {
      return expect_failure(runtime, scene.at(), client_context(), "server.example", "");
    });
    scene.run([&](Runtime& runtime) {
      return expect_failure(runtime, scene.at(), showing(mallory), "server.example", "");
    });
    EXPECT_TRUE(scene.echo.names.empty());
    EXPECT_EQ(scene.server->stats().handshakes_failed, 2U);
  }
  Scene scene(2, asking(ClientCertificate::kOptional));
  const auto hello = [&](std::shared_ptr<const Context> context) {
    scene.run([&scene, context](Runtime& runtime) -> Task<void> {
      return [](Runtime& r, Endpoint at, std::shared_ptr<const Context> with) -> Task<void> {
        auto connection = co_await connect(r, with, "server.example", at, 30s, {});
        EXPECT_TRUE(connection);
        if (!connection) co_return;
        Collector collector;
        (*connection)->start(collector);
        (*connection)->write(std::string_view("hello"));
        co_await collector.until(5);
        EXPECT_EQ(collector.got, "hello");
      }(runtime, scene.at(), context);
    });
  };
  hello(showing(alice));
  hello(client_context());
  EXPECT_EQ(scene.echo.names, (std::vector<std::string>{"alice", ""}));
}

Task<void> speak_plainly(Runtime& runtime, Endpoint at, std::string text) {
  auto connection = co_await runtime.network().connect(at, 30s, {});
  EXPECT_TRUE(connection);
  if (!connection) co_return;
  Collector collector;
  (*connection)->start(collector);
  if (!text.empty()) (*connection)->write(std::string_view(text));
  co_await collector.until_end();
}

TEST(Tls, WhoDoesNotSpeakItIsSentAway) {
  Scene scene(1);
  for (const char* text :
       {"GET / HTTP/1.1\r\n\r\n", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", "\x16\x03\x01"}) {
    scene.run([&](Runtime& runtime) { return speak_plainly(runtime, scene.at(), text); });
  }
  // And who says nothing, after a while.
  scene.run([&](Runtime& runtime) { return speak_plainly(runtime, scene.at(), ""); });
  EXPECT_EQ(scene.server->stats().handshakes_failed, 4U);
  EXPECT_EQ(scene.server->stats().handshakes, 0U);
}

Task<void> occupy(Runtime& runtime, Endpoint at, int& ended) {
  co_await speak_plainly(runtime, at, "");
  ++ended;
}

TEST(Tls, SoManyHandshakesAtOnce) {
  Scene scene(1, server_context(), {.handshake_timeout = 60s, .max_handshakes = 3});
  scene.run([&](Runtime& runtime) -> Task<void> {
    return [](Runtime& r, Endpoint at) -> Task<void> {
      Scope scope;
      int ended = 0;
      for (int i = 0; i < 5; ++i) scope.spawn(occupy(r, at, ended));
      co_await sleep(r, 20s);
      EXPECT_EQ(ended, 2);  // those beyond the third
      co_await scope.join();
    }(runtime, scene.at());
  });
  EXPECT_EQ(scene.server->stats().handshakes_refused, 2U);
}

TEST(Tls, WhatIsNotReadWaits) {
  Scene scene(3);
  scene.echo.hold = true;
  scene.run([&](Runtime& runtime) -> Task<void> {
    return [](Runtime& r, Scene& s) -> Task<void> {
      auto connection = co_await connect(r, client_context(), "server.example", s.at(), 30s, {});
      EXPECT_TRUE(connection);
      if (!connection) co_return;
      Collector collector;
      (*connection)->start(collector);
      (*connection)->write(std::string_view("patience"));
      co_await sleep(r, 5s);
      EXPECT_EQ(collector.got, "");
      s.echo.read_on();
      co_await collector.until(8);
      EXPECT_EQ(collector.got, "patience");
      s.echo.close_all();
      co_await collector.until_end();
      EXPECT_EQ(collector.end->code, ErrorCode::kClosed);
    }(runtime, scene);
  });
}

// Nobody may be left waiting for room in a connection that is gone.
TEST(Tls, ItBreaksWhileNobodyReads) {
  Scene scene(4);
  scene.echo.hold = true;
  scene.run([&](Runtime& runtime) -> Task<void> {
    return [](Runtime& r, Scene& s) -> Task<void> {
      auto connection = co_await connect(r, client_context(), "server.example", s.at(), 30s, {});
      EXPECT_TRUE(connection);
      if (!connection) co_return;
      Collector collector;
      (*connection)->start(collector);
      (*connection)->pause_reading();
      co_await sleep(r, 1s);
      s.echo.write(pattern(1 << 20));
      co_await sleep(r, 1s);
      EXPECT_EQ(s.echo.links(), 1U);
      connection->reset();
    }(runtime, scene);
  });
  scene.world.run_for(10s);
  EXPECT_EQ(scene.echo.links(), 0U);
}

TEST(TlsContext, SaysWhatIsWrong) {
  const Issued other = testing::issue(authority(), "other");
  const auto why = [](const ServerMaterial& material) {
    auto made = Context::server(material);
    return made ? std::string("nothing") : made.error().message;
  };
  const Issued& good = server_certificate();
  EXPECT_EQ(why({.certificate_chain = good.certificate, .private_key = good.key}), "nothing");
  EXPECT_TRUE(why({}).starts_with("the certificate cannot be read"));
  EXPECT_TRUE(
      why({.certificate_chain = "nonsense", .private_key = good.key}).starts_with("the certificate cannot"));
  EXPECT_TRUE(
      why({.certificate_chain = good.certificate, .private_key = "x"}).starts_with("the private key cannot"));
  EXPECT_TRUE(why({.certificate_chain = good.certificate, .private_key = other.key})
                  .starts_with("the private key does not belong to the certificate"));
  EXPECT_TRUE(why({.certificate_chain = good.certificate,
                   .private_key = good.key,
                   .clients = ClientCertificate::kRequired})
                  .starts_with("there is no authority's certificate"));
}

}  // namespace
}  // namespace stele::runtime::tls
