// Clients of a cluster, on whatever node: three whole nodes on simulated hosts, spoken to by MQTT.
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

#include "broker/routes.h"
#include "meta/commands.h"
#include "protocols/mqtt/client.h"
#include "runtime/random.h"
#include "runtime/scope.h"
#include "server/cluster_part.h"
#include "server/node.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::server {
namespace {

using mqtt::Qos;
using runtime::Task;
using namespace std::chrono_literals;

struct Member {
  sim::Host* host = nullptr;
  NodeConfig config;
  Node* node = nullptr;  // null: no process
  std::vector<Error> failed;
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

mqtt::ClientOptions clean(std::string id) {
  return {.client_id = std::move(id)};
}
mqtt::ClientOptions lasting(std::string id) {
  return {.client_id = std::move(id), .clean_start = false, .session_expiry_s = 3600};
}

TEST_P(BrokerCluster, what_is_published_anywhere_reaches_live_subscribers_everywhere_once) {
  begin();
  Inbox at1, at2, at3, nobody;
  const auto one = connect(1, clean("one"), at1), two = connect(2, clean("two"), at2),
             three = connect(3, clean("three"), at3);
  ASSERT_TRUE(one && two && three);
  subscribe(*one, "a/#", Qos::kAtLeastOnce);
  subscribe(*three, "a/+", Qos::kAtMostOnce);
  subscribe(*three, "a/1", Qos::kAtLeastOnce);
  for (auto* from : {one.get(), two.get(), three.get()}) {
    publish(*from, "a/1", "x", Qos::kAtLeastOnce);
    publish(*from, "b/1", "x", Qos::kAtLeastOnce);
  }
  const std::vector<std::string> wanted(3, "a/1=x");
  EXPECT_TRUE(until([&] { return at1.got == wanted && at3.got.size() >= 3; }));
  world_->run_for(1s);
  EXPECT_EQ(at1.got, wanted);
  EXPECT_EQ(at3.got, wanted);
  EXPECT_TRUE(at2.got.empty());
}

TEST_P(BrokerCluster, a_session_that_lasts_is_found_from_every_node_and_gets_what_came_meanwhile) {
  begin();
  constexpr int kSessions = 12;
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1 + i % 3, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    subscribe(*client, "p/#", Qos::kAtLeastOnce);
    disconnect(*client);
  }
  Inbox nobody;
  const auto publisher = connect(2, clean("p"), nobody);
  ASSERT_TRUE(publisher);
  std::vector<std::string> wanted;
  for (int i = 0; i < 5; ++i) {
    publish(*publisher, "p/" + std::to_string(i), "x", i % 2 ? Qos::kAtLeastOnce : Qos::kExactlyOnce);
    wanted.push_back("p/" + std::to_string(i) + "=x");
  }
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1 + (i + 1) % 3, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    EXPECT_TRUE(client->session_present());
    EXPECT_TRUE(until([&] { return inbox.got.size() >= wanted.size(); })) << i << ": " << inbox.got.size();
    EXPECT_EQ(inbox.sorted(), wanted);
    disconnect(*client);
  }
}

TEST_P(BrokerCluster, a_client_id_has_one_connection_wherever_it_comes) {
  begin();
  for (int i = 0; i < 6; ++i) {
    Inbox before, after;
    const std::string id = "id" + std::to_string(i);
    const auto first = connect(1 + i % 3, lasting(id), before);
    const auto second = connect(1 + (i + 1) % 3, lasting(id), after);
    ASSERT_TRUE(first && second);
    EXPECT_TRUE(until([&] { return before.closed; }));
    EXPECT_EQ(first->disconnect_reason(), mqtt::ReasonCode::kSessionTakenOver);
    EXPECT_FALSE(after.closed);
    disconnect(*second);
  }
}

TEST_P(BrokerCluster, retained_messages_of_all_nodes_are_found) {
  begin();
  Inbox nobody, inbox;
  std::vector<std::string> wanted;
  for (int i = 0; i < 9; ++i) {
    const auto publisher = connect(1 + i % 3, clean("p" + std::to_string(i)), nobody);
    ASSERT_TRUE(publisher);
    publish(*publisher, "r/" + std::to_string(i), "x", Qos::kAtLeastOnce, true);
    wanted.push_back("r/" + std::to_string(i) + "=x");
    disconnect(*publisher);
  }
  for (const bool lasts : {false, true}) {
    Inbox found;
    const auto client = connect(2, lasts ? lasting("late") : clean("late"), found);
    ASSERT_TRUE(client);
    subscribe(*client, "r/#", Qos::kAtLeastOnce);
    EXPECT_TRUE(until([&] { return found.got.size() >= wanted.size(); })) << found.got.size();
    EXPECT_EQ(found.sorted(), wanted);
    disconnect(*client);
  }
}

TEST_P(BrokerCluster, members_of_a_shared_subscription_take_turns_over_nodes) {
  begin();
  for (const bool lasts : {false, true}) {
    const std::string name = lasts ? "kept" : "live";
    Inbox at1, at3, nobody;
    const auto one = connect(1, lasts ? lasting("one") : clean("one"), at1),
               three = connect(3, lasts ? lasting("three") : clean("three"), at3),
               publisher = connect(2, clean("p"), nobody);
    ASSERT_TRUE(one && three && publisher);
    subscribe(*one, "$share/" + name + "/s/#", Qos::kAtLeastOnce);
    subscribe(*three, "$share/" + name + "/s/#", Qos::kAtLeastOnce);
    std::vector<std::string> wanted;
    for (int i = 0; i < 9; ++i) {
      publish(*publisher, "s/" + std::to_string(i), "x", Qos::kAtLeastOnce);
      wanted.push_back("s/" + std::to_string(i) + "=x");
    }
    const auto all = [&] {
      auto out = at1.got;
      out.insert(out.end(), at3.got.begin(), at3.got.end());
      std::ranges::sort(out);
      return out;
    };
    EXPECT_TRUE(until([&] { return all().size() >= wanted.size(); })) << name << all().size();
    EXPECT_EQ(all(), wanted) << name;
    EXPECT_FALSE(at1.got.empty()) << name;
    EXPECT_FALSE(at3.got.empty()) << name;
    for (auto* client : {one.get(), three.get(), publisher.get()}) disconnect(*client);
  }
}

// What was acknowledged is on two nodes.
TEST_P(BrokerCluster, when_a_node_dies_others_go_on_with_what_it_had) {
  begin();
  constexpr int kSessions = 12;
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1 + i % 3, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    subscribe(*client, "p/#", Qos::kAtLeastOnce);
    disconnect(*client);
  }
  std::vector<std::string> wanted;
  const auto publish_some = [&](std::uint32_t node, const std::string& mark) {
    Inbox nobody;
    const auto publisher = connect(node, clean("p" + mark), nobody);
    ASSERT_TRUE(publisher);
    for (int i = 0; i < 5; ++i) {
      publish(*publisher, "p/" + mark, std::to_string(i), Qos::kAtLeastOnce);
      wanted.push_back("p/" + mark + "=" + std::to_string(i));
    }
    disconnect(*publisher);
  };
  publish_some(1, "before");
  members_[3].host->crash(sim::CrashMode::kPowerLoss);
  publish_some(1, "meanwhile");
  members_[3].host->restart();
  ASSERT_TRUE(all_serve(3));
  publish_some(3, "after");
  std::ranges::sort(wanted);
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1 + (i + 1) % 3, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    EXPECT_TRUE(until([&] { return inbox.got.size() >= wanted.size(); })) << i << ": " << inbox.got.size();
    auto got = inbox.sorted();
    got.erase(std::ranges::unique(got).begin(), got.end());
    EXPECT_EQ(got, wanted) << i;
    disconnect(*client);
  }
}

// It stood still for longer than its lease: others own its shards, and it begins as another incarnation.
TEST_P(BrokerCluster, a_node_that_stood_still_sends_its_clients_away_and_serves_again) {
  begin();
  Inbox before, nobody;
  const auto client = connect(3, lasting("s"), before);
  ASSERT_TRUE(client);
  subscribe(*client, "p/#", Qos::kAtLeastOnce);
  members_[3].host->pause(8s);
  world_->run_for(6s);
  const auto publisher = connect(1, clean("p"), nobody);
  ASSERT_TRUE(publisher);
  publish(*publisher, "p/1", "x", Qos::kAtLeastOnce);
  EXPECT_TRUE(until([&] { return before.closed; }));
  ASSERT_TRUE(all_serve(3));
  Inbox after;
  const auto again = connect(3, lasting("s"), after);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->session_present());
  EXPECT_TRUE(until([&] { return !after.got.empty() || !before.got.empty(); }));
}

// What it has kept alone, snapshots included, is there wherever its shards go.
TEST_P(BrokerCluster, a_node_alone_grows_into_three) {
  make_hosts();
  const auto cluster = std::exchange(members_[1].config.cluster, std::nullopt);
  boot(1);
  ASSERT_TRUE(until([&] { return serves(1); }));
  constexpr int kSessions = 12;
  std::vector<std::string> wanted;
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    subscribe(*client, "p/#", Qos::kAtLeastOnce);
    disconnect(*client);
  }
  const auto publish_some = [&](std::uint32_t node, const std::string& mark) {
    Inbox nobody;
    const auto publisher = connect(node, clean("p" + mark), nobody);
    ASSERT_TRUE(publisher);
    for (int i = 0; i < 8; ++i) {
      publish(*publisher, "p/" + mark, std::to_string(i), Qos::kAtLeastOnce);
      wanted.push_back("p/" + mark + "=" + std::to_string(i));
    }
    disconnect(*publisher);
  };
  publish_some(1, "alone");
  members_[1].host->terminate();
  ASSERT_TRUE(until([&] { return !members_[1].host->running(); }));
  members_[1].config.cluster = cluster;
  members_[1].host->restart();
  boot(2);
  boot(3);
  settle();
  publish_some(2, "together");
  std::ranges::sort(wanted);
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1 + i % 3, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    EXPECT_TRUE(until([&] { return inbox.got.size() >= wanted.size(); })) << i << ": " << inbox.got.size();
    auto got = inbox.sorted();
    got.erase(std::ranges::unique(got).begin(), got.end());
    EXPECT_EQ(got, wanted) << i;
    disconnect(*client);
  }
}

// Its shards move. Clients whose own sessions move are sent away, and come back; nothing is lost.
TEST_P(BrokerCluster, a_drained_node_lets_go_of_its_shards) {
  begin();
  Inbox got, nobody;
  auto subscriber = connect(3, lasting("s"), got), publisher = connect(2, clean("p"), nobody);
  ASSERT_TRUE(subscriber && publisher);
  subscribe(*subscriber, "p/#", Qos::kAtLeastOnce);
  std::vector<std::string> wanted;
  int sent_away = 0;
  for (int i = 0; i < 40; ++i) {
    if (i == 10) ASSERT_TRUE(tell(2, meta::DrainNode{.node = NodeId(1)}));
    while (!try_to_publish(*publisher, "p/" + std::to_string(i), "x")) {
      ASSERT_LT(++sent_away, 5);
      nobody.closed = false;
      publisher = connect(2, clean("p"), nobody);
      ASSERT_TRUE(publisher);
    }
    wanted.push_back("p/" + std::to_string(i) + "=x");
    world_->run_for(20ms);
  }
  EXPECT_TRUE(until([&] { return !owners().contains(NodeId(1)) && owners().size() == 2; }));
  const auto unique = [&] {
    auto all = got.sorted();
    all.erase(std::ranges::unique(all).begin(), all.end());
    return all;
  };
  std::ranges::sort(wanted);
  for (int i = 0; i < 5 && unique() != wanted; ++i) {
    if (std::exchange(got.closed, false)) subscriber = connect(3, lasting("s"), got);
    ASSERT_TRUE(subscriber);
    until([&] { return unique() == wanted || got.closed; }, 10s);
  }
  EXPECT_EQ(unique(), wanted);
}

// Its segments and snapshots are copied away, and then it can be stopped and removed.
TEST_P(BrokerCluster, who_leaves_for_good_is_removed_and_nothing_is_lost) {
  begin();
  constexpr int kSessions = 6;
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1 + i % 3, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    subscribe(*client, "p/#", Qos::kAtLeastOnce);
    disconnect(*client);
  }
  Inbox nobody;
  const auto publisher = connect(2, clean("p"), nobody);
  ASSERT_TRUE(publisher);
  std::vector<std::string> wanted;
  for (int i = 0; i < 10; ++i) {
    publish(*publisher, "p/" + std::to_string(i), "x", Qos::kAtLeastOnce);
    wanted.push_back("p/" + std::to_string(i) + "=x");
  }
  ASSERT_TRUE(tell(2, meta::DrainNode{.node = NodeId(3), .draining = true, .leaving = true}));
  EXPECT_TRUE(until([&] { return !owners().contains(NodeId(3)); }));
  world_->run_for(40s);
  members_[3].host->terminate();
  ASSERT_TRUE(until([&] { return !members_[3].host->running(); }));
  Result<meta::Node> removed = error(ErrorCode::kUnavailable, "not tried");
  for (int i = 0; i < 30 && !removed; ++i) {
    world_->run_for(1s);
    removed = tell(1, meta::RemoveNode{.node = NodeId(3)});
  }
  ASSERT_TRUE(removed) << removed.error().to_string();
  std::ranges::sort(wanted);
  for (int i = 0; i < kSessions; ++i) {
    Inbox inbox;
    const auto client = connect(1 + i % 2, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    EXPECT_TRUE(until([&] { return inbox.got.size() >= wanted.size(); })) << i << ": " << inbox.got.size();
    EXPECT_EQ(inbox.sorted(), wanted) << i;
    disconnect(*client);
  }
}

// What waits for its forwards when its shard moves is answered first. (Clients whose own sessions move are
// sent away.)
TEST_P(BrokerCluster, publishers_stay_connected_while_shards_of_others_move) {
  begin();
  for (int i = 0; i < 8; ++i) {
    Inbox inbox;
    const auto client = connect(1 + i % 3, lasting("s" + std::to_string(i)), inbox);
    ASSERT_TRUE(client);
    subscribe(*client, "p/#", Qos::kAtLeastOnce);
    disconnect(*client);
  }
  struct Publishing {
    Inbox inbox;
    std::unique_ptr<mqtt::Client> client;
    int done = 0;
    bool failed = false, stop = false, stopped = false;
    static Task<void> run(Publishing* self, runtime::Runtime& runtime) {
      while (!self->stop && !self->failed) {
        const std::string topic = "p/" + std::to_string(self->done % 16);
        const auto answer = co_await self->client->publish_and_wait(
            {.topic = topic, .payload = "x", .qos = Qos::kAtLeastOnce});
        ++self->done;
        self->failed = !answer || static_cast<int>(*answer) >= 0x80;
        co_await runtime::sleep(runtime, 2ms);
      }
      self->stopped = true;
    }
  };
  std::vector<std::unique_ptr<Publishing>> all;
  for (std::uint32_t i = 0; all.size() < 6; ++i) {
    const std::string id = "p" + std::to_string(i);
    const ShardId own = broker::shard_of(broker::Principal().tenant, id, 8);
    if (members_[1].node->broker(CoreId(0)).owner_of(own) == NodeId(3)) continue;
    Publishing& one = *all.emplace_back(std::make_unique<Publishing>());
    one.client = connect(1 + i % 2, clean(id), one.inbox);
    ASSERT_TRUE(one.client);
  }
  clients_->runtime.post(CoreId(0), [&] {
    for (auto& one : all) clients_->scope.spawn(Publishing::run(one.get(), clients_->runtime));
  });
  members_[1].on_node([](Node& node) -> Task<void> {
    (void)co_await node.meta(CoreId(0)).execute(meta::DrainNode{NodeId(3), true});
  });
  ASSERT_TRUE(until([&] { return !owners().contains(NodeId(3)); }));
  world_->run_for(2s);
  for (auto& one : all) one->stop = true;
  EXPECT_TRUE(until([&] { return std::ranges::all_of(all, [](const auto& one) { return one->stopped; }); }));
  for (const auto& one : all) {
    EXPECT_FALSE(one->failed);
    EXPECT_GT(one->done, 0);
    EXPECT_FALSE(one->inbox.closed);
  }
}

// ---- live copies that are not to be missed unnoticed ------------------------------------------------------

// Publishers and subscribers with QoS 1 and clean sessions on the nodes, who come back when they are sent
// away; and what each of them knows.
class LiveCopies : public BrokerCluster {
 protected:
  struct Subscribed {  // one connection
    std::uint32_t node = 0;
    Inbox inbox;
    std::unique_ptr<mqtt::Client> client;
    std::size_t from = 0;  // of `published`: SUBACK was there before
    bool counts = false;
  };
  struct Published {
    std::string what;  // as an inbox has it
    bool acknowledged = false;
  };

  void begin_with_clients() {
    begin();
    clients_->runtime.post(CoreId(0), [this] {
      for (std::uint32_t node = 1; node <= 3; ++node) {
        clients_->scope.spawn(keep_subscribed(this, node, "a"));
        clients_->scope.spawn(keep_subscribed(this, node, "b"));
        clients_->scope.spawn(keep_publishing(this, node));
      }
    });
    ASSERT_TRUE(until([&] { return open_subscribers() == 6; }));
  }
  void stop_publishing() {
    stop_ = true;
    ASSERT_TRUE(until([&] { return publishing_ == 0; }));
    // Whoever misses something finds out.
    world_->run_for(15s);
  }

  static Task<void> keep_subscribed(LiveCopies* self, std::uint32_t node, std::string name) {
    runtime::Runtime& runtime = self->clients_->runtime;
    for (int i = 0;; ++i) {
      Subscribed& one = *self->subscribed_.emplace_back(std::make_unique<Subscribed>());
      one.node = node;
      mqtt::ClientOptions options = clean(name + std::to_string(node) + "-" + std::to_string(i));
      options.keep_alive_s = 1;
      options.answer_timeout = 5s;
      auto client =
          co_await mqtt::Client::connect(runtime, {"n" + std::to_string(node), 1883}, options, one.inbox);
      if (client) {
        one.client = *std::move(client);
        const auto granted = co_await one.client->subscribe({{.filter = "t/#", .qos = Qos::kAtLeastOnce}});
        one.from = self->published_.size();
        one.counts = granted.has_value();
      }
      while (one.counts && !one.inbox.closed) co_await runtime::sleep(runtime, 10ms);
      co_await runtime::sleep(runtime, 50ms);
    }
  }
  static Task<void> keep_publishing(LiveCopies* self, std::uint32_t node) {
    runtime::Runtime& runtime = self->clients_->runtime;
    ++self->publishing_;
    for (int i = 0; !self->stop_; ++i) {
      Inbox inbox;
      auto options = clean("p" + std::to_string(node) + "-" + std::to_string(i));
      auto client =
          co_await mqtt::Client::connect(runtime, {"n" + std::to_string(node), 1883}, options, inbox);
      while (client && !inbox.closed && !self->stop_) {
        const std::size_t number = self->published_.size();
        const std::string topic = "t/" + std::to_string(node), payload = std::to_string(number);
        self->published_.push_back({.what = topic + "=" + payload});
        const auto done = co_await (*client)->publish_and_wait(
            {.topic = topic, .payload = payload, .qos = Qos::kAtLeastOnce});
        self->published_[number].acknowledged = done && static_cast<int>(*done) < 0x80;
        if (!done) break;
        co_await runtime::sleep(runtime, 4ms);
      }
      co_await runtime::sleep(runtime, 50ms);
    }
    --self->publishing_;
  }

  std::size_t open_subscribers() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        subscribed_, [](const auto& one) { return one->counts && !one->inbox.closed; }));
  }
  std::size_t sent_away() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(subscribed_, [](const auto& one) { return one->counts && one->inbox.closed; }));
  }
  // By this process of the node, because something may be missing.
  std::uint64_t sent_away_by(std::uint32_t node) {
    std::uint64_t all = 0;
    for (std::uint32_t core = 0; core < 2; ++core) {
      all += members_[node].node->broker(CoreId(core)).stats().live_gap_clients;
    }
    return all;
  }
  // What was acknowledged reached whoever is still connected; and nothing came twice to anybody.
  void check() {
    std::size_t acknowledged = 0;
    for (const auto& one : subscribed_) {
      std::map<std::string, int> times;
      for (const std::string& got : one->inbox.got) EXPECT_EQ(++times[got], 1) << got;
      if (!one->counts || one->inbox.closed) continue;
      for (std::size_t i = one->from; i < published_.size(); ++i) {
        if (!published_[i].acknowledged) continue;
        ++acknowledged;
        EXPECT_EQ(times[published_[i].what], 1)
            << published_[i].what << " to a subscriber of node " << one->node << " from " << one->from;
      }
    }
    EXPECT_GT(acknowledged + sent_away(), 0u);
  }

  std::vector<std::unique_ptr<Subscribed>> subscribed_;
  std::vector<Published> published_;
  int publishing_ = 0;
  bool stop_ = false;
};

TEST_P(LiveCopies, that_are_lost_with_connections_are_missed_by_nobody_who_stays_connected) {
  begin_with_clients();
  runtime::Random random(GetParam());
  sim::Fabric& fabric = world_->fabric();
  for (int round = 0; round < 8; ++round) {
    world_->run_for(std::chrono::milliseconds(200 + random.below(800)));
    const auto first = static_cast<std::uint32_t>(1 + random.below(3));
    const auto second = 1 + (first + static_cast<std::uint32_t>(random.below(2))) % 3;
    sim::Host &a = *members_[first].host, &b = *members_[second].host;
    switch (random.below(4)) {
      case 0:
        fabric.cut_all(a, b);
        break;
      case 1:
        fabric.half_open(a, b, random);
        break;
      case 2:
        fabric.split_one_way(a, b);
        world_->run_for(std::chrono::milliseconds(200 + random.below(2000)));
        fabric.cut_all(a, b);
        fabric.heal_one_way(a, b);
        break;
      default:
        fabric.split(a, b);
        world_->run_for(std::chrono::milliseconds(1000 + random.below(12'000)));
        fabric.heal(a, b);
    }
  }
  fabric.heal_all();
  world_->run_for(10s);
  stop_publishing();
  check();
}

TEST_P(LiveCopies, of_a_node_that_dies_are_missed_by_nobody_who_stays_connected) {
  begin_with_clients();
  world_->run_for(1s);
  members_[3].host->crash(GetParam() % 2 ? sim::CrashMode::kPowerLoss : sim::CrashMode::kKill);
  world_->run_for(10s);
  for (const std::uint32_t node : {1, 2}) {
    EXPECT_EQ(sent_away_by(node), 2u) << "nobody can know whether they got all";
  }
  members_[3].host->restart();
  ASSERT_TRUE(all_serve(3));
  world_->run_for(5s);
  stop_publishing();
  check();
}

TEST_P(LiveCopies, of_a_node_that_stops_in_good_order_are_all_there_and_nobody_is_sent_away_for_them) {
  begin_with_clients();
  world_->run_for(1s);
  members_[3].host->terminate();
  ASSERT_TRUE(until([&] { return !members_[3].host->running(); }));
  world_->run_for(5s);
  for (const std::uint32_t node : {1, 2}) EXPECT_EQ(sent_away_by(node), 0u);
  members_[3].host->restart();
  ASSERT_TRUE(all_serve(3));
  world_->run_for(5s);
  stop_publishing();
  for (const std::uint32_t node : {1, 2}) EXPECT_EQ(sent_away_by(node), 0u);
  check();
}

INSTANTIATE_TEST_SUITE_P(Seeds, LiveCopies, ::testing::Range<std::uint64_t>(1, 21));
INSTANTIATE_TEST_SUITE_P(Seeds, BrokerCluster, ::testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace stele::server
