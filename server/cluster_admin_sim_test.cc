// What a node says of its cluster, and does to it, while nodes are there, gone, and too few.
#include "server/cluster_admin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/scope.h"
#include "server/node.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::server {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

struct Member {
  sim::Host* host = nullptr;
  NodeConfig config;
  class Program* program = nullptr;  // null: no process
};

class Program final : public sim::Program {
 public:
  Program(sim::ProcessContext& process, Member& member) : process_(process), member_(member) {
    node_ = std::make_unique<Node>(process.cores(), member.config);
    member.program = this;
    scope_.spawn(start(this));
  }
  ~Program() override { member_.program = nullptr; }
  void on_terminate() override {
    if (!std::exchange(stopping_, true)) scope_.spawn(stop(this));
  }
  Node& node() { return *node_; }
  runtime::Runtime& runtime() { return process_.core(0); }
  runtime::Scope& scope() { return scope_; }

 private:
  static Task<void> start(Program* self) {
    if (auto started = co_await self->node_->start(); !started && !self->stopping_) {
      ADD_FAILURE() << started.error().to_string();
    }
  }
  static Task<void> stop(Program* self) {
    co_await self->node_->stop();
    self->process_.exit();
  }
  sim::ProcessContext& process_;
  Member& member_;
  std::unique_ptr<Node> node_;
  bool stopping_ = false;
  runtime::Scope scope_;  // last
};

class Admin : public ::testing::Test {
 protected:
  void prepare(std::uint32_t count, std::optional<std::uint32_t> roles = std::nullopt) {
    world_ = std::make_unique<sim::World>(1, sim::WorldConfig::draw(1));
    for (std::uint32_t i = 1; i <= count; ++i) {
      Member& member = members_[i];
      const std::string name = "n" + std::to_string(i);
      member.host = &world_->add_host(name);
      member.config.data = "/data";
      member.config.shards = 8;
      ClusterConfig& cluster = member.config.cluster.emplace();
      cluster.node = NodeId(i);
      cluster.rpc = {name, 7000};
      cluster.roles = roles.value_or(i == 4 ? meta::kJournalRole : meta::kMetaRole | meta::kJournalRole);
      cluster.open_without_certificates = true;
      cluster.controller.leases = {.expiry = 2s, .drift = 50};
      if (i > 1) cluster.join = {{"n1", 7000}};
    }
  }
  void boot(std::uint32_t i) {
    Member& member = members_[i];
    member.host->boot(
        1, [&member](sim::ProcessContext& process) { return std::make_unique<Program>(process, member); });
    ASSERT_TRUE(until([&] { return member.program && member.program->node().serving(); }));
  }
  void begin(std::uint32_t count) {
    prepare(count);
    for (std::uint32_t i = 1; i <= count; ++i) ASSERT_NO_FATAL_FAILURE(boot(i));
    ASSERT_TRUE(until([&] { return group(1).voters.size() == std::min(count, 3U) && !group(1).joint(); }));
    world_->run_for(3s);  // until everybody knows
  }
  bool until(const std::function<bool()>& done) {
    world_->run_until(done, 60s);
    return done();
  }
  // The same, of what has to be asked for.
  bool eventually(const std::function<bool()>& done) {
    for (int i = 0; i < 200 && !done(); ++i) world_->run_for(200ms);
    return done();
  }
  raft::Membership group(std::uint32_t by) {
    return members_[by].program->node().cluster()->log()->member().status().membership;
  }

  // `what` of the administration of that node, to its end.
  template <class T>
  Result<T> ask(std::uint32_t by, std::function<Task<Result<T>>(http::ClusterAdministration&)> what) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    Program* program = members_[by].program;
    program->runtime().post(CoreId(0), [program, what = std::move(what), answer]() mutable {
      program->scope().spawn(keep<T>(program, std::move(what), answer));
    });
    if (!until([&] { return answer->has_value(); })) return error(ErrorCode::kInternal, "no answer");
    return std::move(**answer);
  }
  template <class T>
  static Task<void> keep(Program* program, std::function<Task<Result<T>>(http::ClusterAdministration&)> what,
                         std::shared_ptr<std::optional<Result<T>>> answer) {
    *answer = co_await what(*program->node().cluster_administration());
  }
  // One line: why it may not be stopped.
  std::string why_not_stop(std::uint32_t node) {
    const auto reasons = ask<std::vector<std::string>>(
        node, [](http::ClusterAdministration& admin) { return admin.why_not_stop(); });
    if (!reasons) return reasons.error().message;
    std::string all;
    for (const std::string& reason : *reasons) all += reason + ";";
    return all;
  }
  Result<void> drain(std::uint32_t by, std::uint32_t node) {
    return ask<void>(
        by, [node](http::ClusterAdministration& admin) { return admin.drain(NodeId(node), true, false); });
  }
  Result<void> remove(std::uint32_t by, std::uint32_t node) {
    return ask<void>(by, [node](http::ClusterAdministration& admin) { return admin.remove(NodeId(node)); });
  }
  Result<http::ClusterStatus> status(std::uint32_t by) {
    return ask<http::ClusterStatus>(by, [](http::ClusterAdministration& admin) { return admin.status(); });
  }
  std::map<NodeId, http::ClusterNode> nodes(std::uint32_t by) {
    const auto found = ask<std::vector<http::ClusterNode>>(
        by, [](http::ClusterAdministration& admin) { return admin.nodes(); });
    std::map<NodeId, http::ClusterNode> out;
    if (found) {
      for (const http::ClusterNode& node : *found) out[node.node] = node;
    }
    return out;
  }
  std::vector<http::ClusterShard> shards(std::uint32_t by) {
    auto found = ask<std::vector<http::ClusterShard>>(
        by, [](http::ClusterAdministration& admin) { return admin.shards(); });
    return found ? *std::move(found) : std::vector<http::ClusterShard>();
  }
  http::ClusterAdministration& admin(std::uint32_t of) {
    return *members_[of].program->node().cluster_administration();
  }

  std::map<std::uint32_t, Member> members_;
  std::unique_ptr<sim::World> world_;
};

bool has(const std::string& text, const char* word) {
  return text.find(word) != std::string::npos;
}
template <class T>
std::string refusal(const Result<T>& result) {
  return result ? "" : result.error().message;
}

TEST_F(Admin, TellsWhoIsThere) {
  ASSERT_NO_FATAL_FAILURE(begin(4));
  for (std::uint32_t i = 1; i <= 4; ++i) {
    const auto told = status(i);
    ASSERT_TRUE(told) << told.error().to_string();
    EXPECT_EQ(told->node, NodeId(i));
    EXPECT_TRUE(told->lease);
    EXPECT_TRUE(told->meta.leader);
    EXPECT_EQ(told->meta.voters, (std::vector{NodeId(1), NodeId(2), NodeId(3)}));
    EXPECT_EQ(told->nodes.live, 4u);
    EXPECT_EQ(told->shards.all, 8u);
    EXPECT_EQ(told->shards.leaderless, 8u) << "nobody has the role broker";
    EXPECT_EQ(why_not_stop(i), "");
  }
  auto all = nodes(4);
  EXPECT_EQ(all[NodeId(4)].meta, "learner");
  EXPECT_EQ(all[NodeId(4)].roles, std::vector<std::string>{"journal"});
  EXPECT_EQ(all[NodeId(1)].state, "live");
  EXPECT_EQ(shards(2).size(), 8u);

  EXPECT_TRUE(drain(4, 3));
  EXPECT_TRUE(nodes(4)[NodeId(3)].draining) << "known where it was asked for";
  EXPECT_TRUE(has(refusal(drain(1, 9)), "no node 9"));
  EXPECT_TRUE(has(refusal(remove(1, 2)), "lives"));
  EXPECT_TRUE(admin(2).voter(NodeId(3))->voter);
  EXPECT_TRUE(has(refusal(admin(2).voter(NodeId(4))), "role meta"));
}

// One that serves alone and another that comes: what is told is read again.
TEST_F(Admin, TellsWhatLiesWhere) {
  prepare(2, meta::kAllRoles);
  ASSERT_NO_FATAL_FAILURE(boot(1));
  ASSERT_TRUE(eventually([&] { return status(1)->shards.leaderless == 0; }));
  EXPECT_EQ(shards(1)[0].replicas.size(), 1u);
  EXPECT_EQ(status(1)->segments.under_replicated, 0u) << "there is one journal";
  EXPECT_TRUE(eventually([&] { return has(why_not_stop(1), "8 shards would take nothing new"); }));
  EXPECT_TRUE(has(refusal(drain(1, 1)), "nowhere to go"));

  ASSERT_NO_FATAL_FAILURE(boot(2));
  ASSERT_TRUE(eventually([&] {
    const auto all = shards(2);
    return std::ranges::all_of(all, [](const auto& one) { return one.replicas.size() == 2; }) &&
           nodes(2)[NodeId(2)].shards == 4;
  }));
  EXPECT_TRUE(eventually([&] { return status(1)->segments.under_replicated == 0; })) << "copied";
  for (const http::ClusterShard& one : shards(2)) {
    EXPECT_EQ(one.state, "served");
    EXPECT_EQ(one.needed, 2u);
    EXPECT_TRUE(one.replicas[0].present && one.replicas[1].present);
  }
  EXPECT_TRUE(drain(1, 2));
  ASSERT_TRUE(eventually([&] { return nodes(1)[NodeId(2)].shards == 0; }));
}

TEST_F(Admin, WhoIsGoneIsTakenOut) {
  ASSERT_NO_FATAL_FAILURE(begin(3));
  members_[3].host->crash();
  ASSERT_TRUE(eventually([&] { return nodes(1)[NodeId(3)].state == "gone"; }));
  EXPECT_TRUE(has(why_not_stop(1), "1 of the 2 voters"));
  EXPECT_TRUE(has(why_not_stop(2), "1 of the 2 journals"));
  EXPECT_TRUE(remove(2, 3));
  EXPECT_EQ(nodes(2).size(), 2u);
  EXPECT_TRUE(until([&] { return group(1).voters.size() == 2 && !group(1).joint(); }));
  EXPECT_TRUE(has(why_not_stop(2), "1 of the 2 voters"));
}

// It can be looked at, and nothing else.
TEST_F(Admin, WithoutAQuorum) {
  ASSERT_NO_FATAL_FAILURE(begin(3));
  members_[2].host->crash();
  members_[3].host->crash();
  ASSERT_TRUE(eventually([&] {
    const auto told = status(1);
    return told && !told->meta.leader && !told->lease;
  }));
  EXPECT_EQ(nodes(1).size(), 3u);
  EXPECT_TRUE(has(why_not_stop(1), "no leader"));
  EXPECT_TRUE(has(refusal(drain(1, 2)), "no leader"));
  EXPECT_TRUE(has(refusal(remove(1, 2)), "lives"));
}

}  // namespace
}  // namespace stele::server
