// Live copies between nodes of a cluster, over links that are cut, split and half-open, and of nodes that end:
// they are not to be missed unnoticed (docs/decisions/0043).
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/random.h"
#include "server/testing/broker_cluster.h"
#include "sim/network.h"

namespace stele::server {
namespace {

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

}  // namespace
}  // namespace stele::server
