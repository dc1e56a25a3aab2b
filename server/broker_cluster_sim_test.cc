// Clients of a cluster, on whatever node: three whole nodes on simulated hosts, spoken to by MQTT.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/routes.h"
#include "meta/commands.h"
#include "server/cluster_part.h"
#include "server/testing/broker_cluster.h"
#include "sim/network.h"

namespace stele::server {
namespace {

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

// Wherever it was connected, and wherever the queue is.
TEST_P(BrokerCluster, who_goes_away_is_a_member_of_its_shared_subscription_still) {
  begin();
  for (std::uint32_t i = 1; i <= 3; ++i) {
    Inbox inbox;
    const auto member = connect(i, lasting("m" + std::to_string(i)), inbox);
    ASSERT_TRUE(member);
    subscribe(*member, "$share/g" + std::to_string(i) + "/s/#", Qos::kAtLeastOnce);
    disconnect(*member);
  }
  world_->run_for(5s);
  Inbox nobody;
  const auto publisher = connect(2, clean("p"), nobody);
  ASSERT_TRUE(publisher);
  std::vector<std::string> wanted;
  for (int i = 0; i < 5; ++i) {
    publish(*publisher, "s/" + std::to_string(i), "x", Qos::kAtLeastOnce);
    wanted.push_back("s/" + std::to_string(i) + "=x");
  }
  for (std::uint32_t i = 1; i <= 3; ++i) {
    Inbox inbox;
    const auto member = connect(1 + i % 3, lasting("m" + std::to_string(i)), inbox);
    ASSERT_TRUE(member);
    EXPECT_TRUE(until([&] { return inbox.got.size() >= wanted.size(); })) << i << ": " << inbox.got.size();
    EXPECT_EQ(inbox.sorted(), wanted) << i;
    disconnect(*member);
  }
}

// A start waits for others; not when it has become of no use.
TEST_P(BrokerCluster, a_node_whose_disk_fails_while_it_starts_serves_or_ends) {
  begin();
  Member& failing = members_[3];
  for (std::uint64_t at = 1 + GetParam() % 30; at < 300; at += 30) {
    failing.host->crash();
    failing.host->disk().faults().fails_at = at;
    failing.host->restart();
    ASSERT_TRUE(until([&] { return failing.node != nullptr; }));
    EXPECT_TRUE(until([&] { return !failing.starting; })) << "it waits; operation " << at << " has failed";
    failing.host->disk().faults().fails_at = 0;
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

INSTANTIATE_TEST_SUITE_P(Seeds, BrokerCluster, ::testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace stele::server
