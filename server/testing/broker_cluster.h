// Three whole nodes of a cluster on simulated hosts, and MQTT clients of them on a host of their own, for
// tests. World, nodes and clients are on one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "meta/commands.h"
#include "protocols/mqtt/client.h"
#include "runtime/scope.h"
#include "server/node.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::server {

using mqtt::Qos;
using runtime::Task;
using namespace std::chrono_literals;

struct Member {
  sim::Host* host = nullptr;
  NodeConfig config;
  Node* node = nullptr;  // null: no process
  std::vector<Error> failed;
  bool starting = false;
  std::function<void(std::function<Task<void>(Node&)>)> on_node;  // on core 0 of the process that there is
};

class NodeProgram final : public sim::Program {
 public:
  NodeProgram(sim::ProcessContext& process, Member& member) : process_(process), member_(member) {
    NodeConfig config = member.config;
    config.on_failure = [this](const Error& why) { member_.failed.push_back(why); };
    node_ = std::make_unique<Node>(process.cores(), std::move(config));
    member.node = node_.get();
    member.on_node = [this](std::function<Task<void>(Node&)> what) {
      process_.core(0).post(CoreId(0), [this, what = std::move(what)] { scope_.spawn(call(this, what)); });
    };
    member.starting = true;
    scope_.spawn(start(this));
  }
  ~NodeProgram() override { member_.node = nullptr; }
  void on_terminate() override {
    if (!std::exchange(stopping_, true)) scope_.spawn(stop(this));
  }

 private:
  static Task<void> call(NodeProgram* self, std::function<Task<void>(Node&)> what) {
    co_await what(*self->node_);
  }
  static Task<void> start(NodeProgram* self) {
    auto started = co_await self->node_->start();
    self->member_.starting = false;
    if (!started && !self->stopping_) self->member_.failed.push_back(started.error());
  }
  static Task<void> stop(NodeProgram* self) {
    co_await self->node_->stop();
    self->process_.exit();
  }
  sim::ProcessContext& process_;
  Member& member_;
  std::unique_ptr<Node> node_;
  bool stopping_ = false;
  runtime::Scope scope_;  // last
};

struct Clients final : sim::Program {
  explicit Clients(sim::ProcessContext& process, Clients** self) : runtime(process.core(0)) { *self = this; }
  void on_terminate() override {}
  runtime::Runtime& runtime;
  runtime::Scope scope;
};

// What a client was sent: "topic=payload".
struct Inbox final : mqtt::ClientHandler {
  std::vector<std::string> got;
  bool closed = false;
  void on_publish(const mqtt::Publish& packet, const Bytes&) override {
    got.push_back(std::string(packet.topic) + "=" + std::string(packet.payload));
  }
  void on_closed(const Error&) override { closed = true; }
  std::vector<std::string> sorted() const {
    auto out = got;
    std::ranges::sort(out);
    return out;
  }
};

class BrokerCluster : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  // What the nodes logged.
  void TearDown() override {
    if (HasFailure() && world_) std::fputs(world_->trace().lines().c_str(), stderr);
  }
  void begin() {
    make_hosts();
    for (std::uint32_t i = 1; i <= 3; ++i) boot(i);
    settle();
  }
  void settle() {
    ASSERT_TRUE(all_serve(3));
    world_->run_for(12s);  // until shards move no more
  }
  void make_hosts() {
    const std::uint64_t seed = GetParam();
    world_ = std::make_unique<sim::World>(seed, sim::WorldConfig::draw(seed));
    for (std::uint32_t i = 1; i <= 3; ++i) {
      Member& member = members_[i];
      const std::string name = "n" + std::to_string(i);
      member.host = &world_->add_host(name);
      member.config.data = "/data";
      member.config.shards = 8;
      member.config.mqtt = {{name, 1883}};
      ClusterConfig& cluster = member.config.cluster.emplace();
      cluster.node = NodeId(i);
      cluster.rpc = {name, 7000};
      cluster.open_without_certificates = true;
      cluster.controller.leases = {.expiry = 2s, .drift = 50};
      if (i > 1) cluster.join = {{"n1", 7000}};
      if (seed % 2 == 0) {
        // Logs are cut behind snapshots all the time.
        member.config.broker.snapshot_log_bytes = 1000;
        member.config.broker.log.segment_bytes = 4000;
      }
    }
    world_->add_host("c").boot(
        1, [this](sim::ProcessContext& process) { return std::make_unique<Clients>(process, &clients_); });
  }
  void boot(std::uint32_t i) {
    members_[i].host->boot(2, [&member = members_[i]](sim::ProcessContext& process) {
      return std::make_unique<NodeProgram>(process, member);
    });
  }

  bool until(const std::function<bool()>& done, runtime::Duration limit = 60s) {
    world_->run_until(done, limit);
    return done();
  }
  bool serves(std::uint32_t i) { return members_[i].node && members_[i].node->ready(); }
  bool all_serve(std::uint32_t count) {
    return until([&] {
      std::uint32_t serving = 0;
      for (auto& [i, member] : members_) serving += serves(i) ? 1 : 0;
      // Everybody has some of the shards, or what is across nodes is not tested.
      return serving == count && owners().size() == count;
    });
  }
  std::map<NodeId, int> owners() {
    std::map<NodeId, int> out;
    for (auto& [i, member] : members_) {
      if (!serves(i)) continue;
      const auto& broker = member.node->broker(CoreId(0));
      for (std::uint32_t shard = 0; shard < 8; ++shard) {
        if (const auto owner = broker.owner_of(ShardId(shard))) ++out[*owner];
      }
      return out;
    }
    return out;
  }

  // To the meta service, from that node.
  template <class C>
  Result<typename C::Answer> tell(std::uint32_t i, C command) {
    auto answer = std::make_shared<std::optional<Result<typename C::Answer>>>();
    members_[i].on_node(
        [command, answer](Node& node) -> Task<void> { return execute<C>(&node, command, answer); });
    if (!until([&] { return answer->has_value(); }, 30s)) return error(ErrorCode::kTimedOut, "no answer");
    return **std::move(answer);
  }
  template <class C>
  static Task<void> execute(Node* node, C command,
                            std::shared_ptr<std::optional<Result<typename C::Answer>>> answer) {
    *answer = co_await node->meta(CoreId(0)).execute(std::move(command));
  }

  // On the host of the clients, to its end.
  template <class T>
  T run(std::function<Task<T>()> what, runtime::Duration limit = 120s) {
    auto out = std::make_shared<std::optional<T>>();
    clients_->runtime.post(
        CoreId(0), [this, what = std::move(what), out] { clients_->scope.spawn(keep<T>(what, out)); });
    if (!until([&] { return out->has_value(); }, limit)) {
      ADD_FAILURE() << "did not end";
      return T();
    }
    return *std::move(*out);
  }
  template <class T>
  static Task<void> keep(std::function<Task<T>()> what, std::shared_ptr<std::optional<T>> out) {
    *out = co_await what();
  }

  std::unique_ptr<mqtt::Client> connect(std::uint32_t node, mqtt::ClientOptions options, Inbox& inbox) {
    auto client = run<std::shared_ptr<std::unique_ptr<mqtt::Client>>>(
        [this, node, options, &inbox]() { return try_to_connect(node, options, &inbox); });
    return client ? std::move(*client) : nullptr;
  }
  Task<std::shared_ptr<std::unique_ptr<mqtt::Client>>> try_to_connect(std::uint32_t node,
                                                                      mqtt::ClientOptions options,
                                                                      Inbox* inbox) {
    for (int i = 0; i < 100; ++i) {
      auto client = co_await mqtt::Client::connect(clients_->runtime, {"n" + std::to_string(node), 1883},
                                                   options, *inbox);
      if (client) co_return std::make_shared<std::unique_ptr<mqtt::Client>>(*std::move(client));
      last_refusal_ = client.error();
      co_await runtime::sleep(clients_->runtime, 100ms);
    }
    ADD_FAILURE() << last_refusal_.to_string();
    co_return nullptr;
  }
  void subscribe(mqtt::Client& client, std::string filter, Qos qos) {
    const auto granted = run<Result<std::vector<mqtt::ReasonCode>>>(
        [&client, filter, qos] { return client.subscribe({{.filter = filter, .qos = qos}}); });
    ASSERT_TRUE(granted) << granted.error().to_string();
    ASSERT_LT(static_cast<int>(granted->front()), 0x80);
  }
  void publish(mqtt::Client& client, std::string topic, std::string payload, Qos qos, bool retain = false) {
    const auto done = run<Result<mqtt::ReasonCode>>([&client, topic, payload, qos, retain] {
      return client.publish_and_wait({.topic = topic, .payload = payload, .qos = qos, .retain = retain});
    });
    ASSERT_TRUE(done) << done.error().to_string();
    ASSERT_LT(static_cast<int>(*done), 0x80);
  }
  // False: the connection ended.
  bool try_to_publish(mqtt::Client& client, std::string topic, std::string payload) {
    return run<Result<mqtt::ReasonCode>>([&client, topic, payload] {
             return client.publish_and_wait({.topic = topic, .payload = payload, .qos = Qos::kAtLeastOnce});
           })
        .has_value();
  }
  void disconnect(mqtt::Client& client) {
    run<bool>([&client]() -> Task<bool> { return leave(&client); });
  }
  static Task<bool> leave(mqtt::Client* client) {
    co_await client->disconnect();
    co_return true;
  }

  std::map<std::uint32_t, Member> members_;
  Clients* clients_ = nullptr;
  Error last_refusal_;
  std::unique_ptr<sim::World> world_;  // what its processes refer to is above
};

inline mqtt::ClientOptions clean(std::string id) {
  return {.client_id = std::move(id)};
}
inline mqtt::ClientOptions lasting(std::string id) {
  return {.client_id = std::move(id), .clean_start = false, .session_expiry_s = 3600};
}

}  // namespace stele::server
