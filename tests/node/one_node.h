// A whole node in a simulated world, and a client host from which a test speaks to it: a coroutine that runs
// to its end, while it restarts the node as it likes.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "protocols/kafka/client.h"
#include "runtime/scope.h"
#include "server/node.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::testing {

class OneNode {
 public:
  explicit OneNode(std::uint64_t seed, std::uint32_t cores = 1)
      : cores_(cores),
        world_(seed),
        node_(world_.add_host("node")),
        client_host_(world_.add_host("client")) {}

  std::function<void(server::NodeConfig&)> configure = [](server::NodeConfig&) {};

  // Until `body` has come to its end.
  void run(std::function<runtime::Task<void>(OneNode&)> body) {
    using namespace std::chrono_literals;
    node_.boot(cores_, [this](sim::ProcessContext& process) {
      server::NodeConfig config;
      config.data = "/data";
      config.shards = 3;
      config.kafka = {{process.host().ip(), 9092}};
      config.advertise_kafka = runtime::Endpoint{process.host().ip(), 9092};
      configure(config);
      return std::make_unique<Program>(process, std::move(config));
    });
    client_host_.boot(1, sim::program([this, &body](sim::ProcessContext& process) {
                        runtime_ = &process.core(0);
                        return all_of(this, &body);
                      }));
    const auto result = world_.run_until([this] { return done_; }, 10min);
    EXPECT_TRUE(done_) << sim::to_string(result.reason) << ": " << result.detail;
  }

  runtime::Runtime& runtime() { return *runtime_; }
  sim::Disk& disk() { return node_.disk(); }
  runtime::Task<void> sleep(runtime::Duration time) { (void)co_await runtime::sleep(*runtime_, time); }
  runtime::Task<std::unique_ptr<kafka::Client>> connect() {
    while (true) {
      auto made = co_await kafka::Client::connect(*runtime_, {node_.ip(), 9092}, {});
      if (made) co_return *std::move(made);
      co_await sleep(std::chrono::milliseconds(50));
    }
  }
  // None: in good order.
  runtime::Task<void> restart(std::optional<sim::CrashMode> crash) {
    using namespace std::chrono_literals;
    world_.after(1ms, [this, crash] { crash ? node_.crash(*crash) : node_.terminate(); });
    while (node_.running()) co_await sleep(10ms);
    world_.after(1ms, [this] { node_.restart(); });
    co_await sleep(2ms);
  }

 private:
  class Program final : public sim::Program {
   public:
    Program(sim::ProcessContext& process, server::NodeConfig config)
        : process_(process), node_(process.cores(), std::move(config)) {
      scope_.spawn(start(this));
    }
    void on_terminate() override { scope_.spawn(stop(this)); }

   private:
    static runtime::Task<void> start(Program* self) {
      const auto started = co_await self->node_.start();
      EXPECT_TRUE(started) << started.error().to_string();
    }
    static runtime::Task<void> stop(Program* self) {
      co_await self->node_.stop();
      self->process_.exit();
    }
    sim::ProcessContext& process_;
    server::Node node_;
    runtime::Scope scope_;
  };

  static runtime::Task<void> all_of(OneNode* self, std::function<runtime::Task<void>(OneNode&)>* body) {
    co_await (*body)(*self);
    self->done_ = true;
  }

  const std::uint32_t cores_;
  bool done_ = false;
  runtime::Runtime* runtime_ = nullptr;
  sim::World world_;  // what its processes refer to is above
  sim::Host& node_;
  sim::Host& client_host_;
};

}  // namespace stele::testing
