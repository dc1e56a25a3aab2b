// Server and channels on libuv: real sockets on the loopback address, several cores on one port, and mutual
// TLS.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/channel.h"
#include "rpc/peers.h"
#include "rpc/server.h"
#include "rpc/tls_dial.h"
#include "runtime/conformance_peer.h"
#include "runtime/one_shot.h"
#include "runtime/scope.h"
#include "runtime/tls/connection.h"
#include "runtime/tls/context.h"
#include "runtime/tls/testing/certificates.h"
#include "runtime/uv/uv_process.h"

namespace stele::rpc {
namespace {

using namespace std::chrono_literals;
using runtime::Endpoint;
using runtime::Runtime;
using runtime::Task;
using runtime::uv::UvProcess;

constexpr MethodId kEcho{1};
constexpr MessageId kWord{1};

Identity identity(std::uint32_t node) {
  return {.cluster = {1, 2}, .node = NodeId(node), .incarnation = 1, .product = "stele test"};
}

// Runs `body` on core 0 of a process; false if it hangs.
bool run(std::uint32_t cores, const std::function<Task<void>(UvProcess&)>& body) {
  struct Drive {
    static Task<void> go(UvProcess* process, Task<void> body, bool* done) {
      co_await std::move(body);
      *done = true;
      process->stop();
    }
    static Task<void> give_up(UvProcess* process, Runtime* runtime) {
      co_await runtime::sleep(*runtime, 120s);
      process->stop();
    }
  };
  UvProcess process({.cores = cores, .log_level = runtime::LogLevel::kOff});
  runtime::Scope scope;
  bool done = false;
  process.run([&](Runtime& runtime) {
    if (runtime.core() != CoreId(0)) return;
    scope.spawn(Drive::go(&process, body(process), &done));
    scope.spawn(Drive::give_up(&process, &runtime));
  });
  return done;
}

void serve_echo(Server& server) {
  server.on_request(kEcho, [](Request request, Responder responder) { responder.answer(request.payload); });
}

// ---- several cores on one port ---------------------------------------------------------------------------

struct OnCore {
  std::unique_ptr<Server> server;
  runtime::Scope scope;
  std::vector<std::string> words;
};

Task<void> stop_on(OnCore* core, std::function<void()> then) {
  co_await core->server->stop(5s);
  then();
}

// Runs `act` on that core and comes back.
Task<void> on_core(UvProcess& process, std::uint32_t core, std::function<void()> act) {
  runtime::OneShot<bool> done;
  process.core(CoreId(0)).post(CoreId(core), [&process, core, act = std::move(act), done] {
    act();
    process.core(CoreId(core)).post(CoreId(0), [done] { done.set(true); });
  });
  co_await done.wait();
}

Task<void> many_calls(UvProcess& process) {
  constexpr std::uint32_t kCores = 2;
  Runtime& here = process.core(CoreId(0));
  std::vector<OnCore> cores(kCores);
  Endpoint at{"127.0.0.1", 0};
  for (std::uint32_t i = 0; i < kCores; ++i) {
    const std::function<void()> listen = [&process, &at, &core = cores[i], i] {
      Runtime& runtime = process.core(CoreId(i));
      core.server = std::make_unique<Server>(runtime, identity(2), ServerOptions{});
      serve_echo(*core.server);
      core.server->on_message(kWord,
                              [&core](const Peer&, Bytes text) { core.words.emplace_back(text.view()); });
      EXPECT_TRUE(core.server->listen(runtime.network(), at));
      at = core.server->local();
    };
    co_await on_core(process, i, listen);
  }
  std::vector<std::unique_ptr<Channel>> channels;
  for (int i = 0; i < 8; ++i) {
    channels.push_back(std::make_unique<Channel>(here, identity(1), NodeId(2), at, ChannelOptions{}));
  }
  const std::size_t sizes[] = {0, 1, 100, 3000, 20'000, 1 << 20, 16 << 20};
  for (auto& channel : channels) {
    for (const std::size_t size : sizes) {
      const std::string payload = runtime::pattern(size, size);
      const CallResult answer = co_await channel->call(kEcho, Bytes::copy(payload), 60s);
      EXPECT_TRUE(answer) << answer.error().message;
      EXPECT_TRUE(answer && answer->view() == payload) << size;
    }
    const Bytes word = Bytes::literal("word");
    EXPECT_TRUE(channel->send(kWord, {&word, 1}));
  }
  for (auto& channel : channels) co_await channel->close(10s);
  std::size_t welcomed = 0, words = 0;
  for (std::uint32_t i = 0; i < kCores; ++i) {
    runtime::OneShot<bool> stopped;
    const std::function<void()> stop = [&process, &core = cores[i], i, stopped] {
      core.scope.spawn(stop_on(&core, [&process, i, stopped] {
        process.core(CoreId(i)).post(CoreId(0), [stopped] { stopped.set(true); });
      }));
    };
    co_await on_core(process, i, stop);
    co_await stopped.wait();
    co_await on_core(process, i, [&] {
      welcomed += cores[i].server->stats().welcomed;
      words += cores[i].words.size();
      cores[i].server.reset();
    });
  }
  EXPECT_EQ(welcomed, 8u);
  EXPECT_EQ(words, 8u);
}

TEST(RpcOnUv, ManyCallsOverManyCores) {
  EXPECT_TRUE(run(2, [](UvProcess& process) { return many_calls(process); }));
}

// ---- mutual TLS ------------------------------------------------------------------------------------------

using runtime::tls::Context;
using runtime::tls::testing::Issued;

const Issued& authority() {
  static const Issued the = runtime::tls::testing::make_authority("authority of the cluster");
  return the;
}
std::shared_ptr<const Context> server_context(const std::string& name) {
  const Issued own = runtime::tls::testing::issue(authority(), name);
  return *Context::server({.certificate_chain = own.certificate,
                           .private_key = own.key,
                           .client_authorities = authority().certificate,
                           .clients = runtime::tls::ClientCertificate::kRequired});
}
std::shared_ptr<const Context> client_context(const std::string& name) {
  if (name.empty()) return *Context::client({.authorities = authority().certificate});
  const Issued own = runtime::tls::testing::issue(authority(), name);
  return *Context::client(
      {.authorities = authority().certificate, .certificate_chain = own.certificate, .private_key = own.key});
}

struct TlsServer {
  TlsServer(Runtime& runtime, const std::string& name)
      : transport(runtime, server_context(name), {}), server(runtime, identity(2), {.certificates = true}) {
    serve_echo(server);
    EXPECT_TRUE(server.listen(transport, {"127.0.0.1", 0}));
  }
  runtime::tls::Server transport;
  Server server;
};

Peers peers_with(Runtime& runtime, std::uint32_t self, const std::string& certificate) {
  return Peers(runtime, identity(self), {.certificates = true},
               [context = client_context(certificate)](NodeId to) { return tls_dial(context, to); });
}

Task<void> with_certificates(UvProcess& process) {
  Runtime& runtime = process.core(CoreId(0));
  TlsServer node(runtime, "node-2");
  Peers peers = peers_with(runtime, 1, "node-1");
  Channel& channel = peers.set(NodeId(2), node.server.local());
  for (const std::size_t size : {10, 100'000, 5'000'000}) {
    const std::string payload = runtime::pattern(size, size);
    const CallResult answer = co_await channel.call(kEcho, Bytes::copy(payload), 60s);
    EXPECT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(answer && answer->view() == payload);
  }
  EXPECT_EQ(channel.peer()->certificate, "node-2");
  co_await peers.close(5s);
  co_await node.server.stop(5s);
}

Task<void> with_the_wrong_certificate(UvProcess& process) {
  Runtime& runtime = process.core(CoreId(0));
  TlsServer node(runtime, "node-2");
  Peers peers = peers_with(runtime, 1, "node-3");
  Channel& channel = peers.set(NodeId(2), node.server.local());
  const CallResult answer = co_await channel.call(kEcho, Bytes(), 1s);
  EXPECT_FALSE(answer);
  EXPECT_EQ(answer.error().fate, Fate::kNotDone);
  EXPECT_NE(answer.error().message.find("certificate of 'node-3'"), std::string::npos)
      << answer.error().message;
  EXPECT_GT(node.server.stats().refused[std::size_t(Reason::kCertificate)], 0u);
  EXPECT_EQ(node.server.stats().welcomed, 0u);
  co_await peers.close(5s);
  co_await node.server.stop(5s);
}

Task<void> without_a_certificate(UvProcess& process) {
  Runtime& runtime = process.core(CoreId(0));
  TlsServer node(runtime, "node-2");
  Peers peers = peers_with(runtime, 1, "");
  Channel& channel = peers.set(NodeId(2), node.server.local());
  EXPECT_FALSE(co_await channel.call(kEcho, Bytes(), 1s));
  EXPECT_EQ(node.server.stats().welcomed, 0u);
  EXPECT_GT(node.transport.stats().handshakes_failed, 0u);
  co_await peers.close(5s);
  co_await node.server.stop(5s);
}

Task<void> to_a_server_of_another_name(UvProcess& process) {
  Runtime& runtime = process.core(CoreId(0));
  TlsServer node(runtime, "node-4");
  Peers peers = peers_with(runtime, 1, "node-1");
  Channel& channel = peers.set(NodeId(2), node.server.local());
  EXPECT_FALSE(co_await channel.call(kEcho, Bytes(), 1s));
  EXPECT_EQ(channel.last_failure()->code, ErrorCode::kUnauthorized);
  EXPECT_EQ(node.server.stats().accepted, 0u);
  co_await peers.close(5s);
  co_await node.server.stop(5s);
}

// Garbage, on the plain port and on the one with TLS.
Task<void> garbage(UvProcess& process) {
  Runtime& runtime = process.core(CoreId(0));
  TlsServer proven(runtime, "node-2");
  Server plain(runtime, identity(2), {});
  EXPECT_TRUE(plain.listen(runtime.network(), {"127.0.0.1", 0}));
  for (const Endpoint& at : {proven.server.local(), plain.local()}) {
    runtime::Peer peer;
    STELE_REQUIRE(co_await runtime::dial(runtime, at, &peer));
    peer.connection->write(std::string(5000, '\x16'));
    EXPECT_TRUE(co_await runtime::until(runtime, [&] { return peer.times_closed > 0; }));
  }
  EXPECT_EQ(plain.stats().wrong[std::size_t(Wrong::kNotOurs)], 1u);
  EXPECT_EQ(proven.server.stats().accepted, 0u);
  co_await plain.stop(5s);
  co_await proven.server.stop(5s);
}

TEST(RpcOnUv, WithMutualTls) {
  EXPECT_TRUE(run(1, [](UvProcess& process) { return with_certificates(process); }));
}
TEST(RpcOnUv, ACertificateOfAnotherNodeIsRefused) {
  EXPECT_TRUE(run(1, [](UvProcess& process) { return with_the_wrong_certificate(process); }));
}
TEST(RpcOnUv, NoCertificateIsRefused) {
  EXPECT_TRUE(run(1, [](UvProcess& process) { return without_a_certificate(process); }));
}
TEST(RpcOnUv, AServerThatIsNotTheNodeWantedIsNotSpokenTo) {
  EXPECT_TRUE(run(1, [](UvProcess& process) { return to_a_server_of_another_name(process); }));
}
TEST(RpcOnUv, GarbageIsRefused) {
  EXPECT_TRUE(run(1, [](UvProcess& process) { return garbage(process); }));
}

}  // namespace
}  // namespace stele::rpc
