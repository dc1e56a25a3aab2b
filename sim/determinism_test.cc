// The same seed gives the same run: twice in one process, in every build, forever.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

using runtime::Runtime;
using runtime::Task;
using namespace std::chrono_literals;

// Stores each line it gets, then says it back.
class EchoServer final : public Program, runtime::AcceptHandler {
 public:
  explicit EchoServer(ProcessContext& process) : core_(process.core(0)) {
    listener_ = *core_.network().listen({"0.0.0.0", 7}, {}, *this);
    scope_.spawn(open(this));
  }

 private:
  struct Session : runtime::ConnectionHandler {
    EchoServer* server;
    std::unique_ptr<runtime::Connection> connection;
    void on_data(Bytes data) override { server->scope_.spawn(store(server, this, std::move(data))); }
    void on_closed(const Error&) override { connection.reset(); }
  };
  void on_accept(std::unique_ptr<runtime::Connection> connection) override {
    sessions_.push_back(std::make_unique<Session>());
    sessions_.back()->server = this;
    sessions_.back()->connection = std::move(connection);
    sessions_.back()->connection->start(*sessions_.back());
  }
  static Task<void> open(EchoServer* self) {
    auto file = co_await self->core_.files().open("/log", {runtime::OpenMode::kCreate, true});
    if (file) self->file_ = std::move(*file);
  }
  static Task<void> store(EchoServer* self, Session* session, Bytes data) {
    if (!self->file_) co_return;
    const Position at(self->end_);
    self->end_ += data.size();
    std::vector<Bytes> slices{data};
    if (!co_await self->file_->write_and_sync(at, std::move(slices))) co_return;
    if (session->connection) session->connection->write(std::move(data));
  }

  Runtime& core_;
  std::unique_ptr<runtime::Listener> listener_;
  std::unique_ptr<runtime::File> file_;
  std::uint64_t end_ = 0;
  std::vector<std::unique_ptr<Session>> sessions_;
  runtime::Scope scope_;
};

class Client final : public Program, runtime::ConnectionHandler {
 public:
  explicit Client(ProcessContext& process) : core_(process.core(0)), world_(process.host().world()) {
    scope_.spawn(talk(this));
  }

 private:
  static Task<void> talk(Client* self) {
    runtime::Random& random = self->world_.random(Concern::kWorkload);
    for (;;) {
      co_await runtime::sleep(self->core_, Duration(random.between(1'000'000, 500'000'000)));
      if (!self->connection_) {
        auto connection = co_await self->core_.network().connect({"server", 7}, 2s, {});
        if (!connection) continue;
        self->connection_ = std::move(*connection);
        self->connection_->start(*self);
      }
      self->connection_->write(std::string(1 + random.below(2000), 'x'));
    }
  }
  void on_data(Bytes data) override { world_.note("echo", {data.size()}); }
  void on_closed(const Error&) override { connection_.reset(); }

  Runtime& core_;
  World& world_;
  std::unique_ptr<runtime::Connection> connection_;
  runtime::Scope scope_;
};

struct Run {
  std::uint64_t hash, events, disk;
  friend bool operator==(const Run&, const Run&) = default;
};

Run run(std::uint64_t seed) {
  World world(seed, WorldConfig::draw(seed));
  Host& server = world.add_host("server");
  server.boot(2, [](ProcessContext& p) { return std::make_unique<EchoServer>(p); });
  for (int i = 0; i < 3; ++i) {
    Host& client = world.add_host("client" + std::to_string(i));
    client.boot(1, [](ProcessContext& p) { return std::make_unique<Client>(p); });
  }
  runtime::Random& random = world.random(Concern::kFaults);
  for (int i = 0; i < 10; ++i) {
    world.run_for(Duration(random.between(0, 10'000'000'000)));
    world.fabric().cut(server, *world.find_host("client1"), random);
    if (i % 3 == 2) {
      server.crash(random.chance(1, 2) ? CrashMode::kPowerLoss : CrashMode::kKill);
      world.run_for(1s);
      server.restart();
    }
  }
  return {world.hash(), world.counters().events, server.disk().content_hash()};
}

TEST(Determinism, TheSameSeedGivesTheSameRun) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(run(seed), run(seed)) << "seed " << seed;
}

TEST(Determinism, AnotherSeedGivesAnother) {
  EXPECT_NE(run(1).hash, run(2).hash);
}

// The same in every build, with and without sanitizers. Whoever changes what a seed means changes this
// number.
TEST(Determinism, AKnownSeedGivesAKnownRun) {
  EXPECT_EQ(run(1883).hash, 4495756483908759694u);
}

}  // namespace
}  // namespace stele::sim
