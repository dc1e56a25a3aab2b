// What the listener tells and does of a cluster, on a node without a broker, over real sockets.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/access.h"
#include "broker/administration.h"
#include "meta/types.h"
#include "protocols/http/client.h"
#include "protocols/http/listener.h"
#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"

namespace stele::http {
namespace {

using nlohmann::json;
using runtime::Runtime;
using runtime::Task;

// Lets everybody do what is not forbidden; nobody is administered.
class NobodysFriend final : public broker::Authorizer, public broker::Administration {
 public:
  std::set<broker::Action> forbidden;
  bool allowed(const broker::Principal&, broker::Action action, std::string_view) override {
    return !forbidden.contains(action);
  }
  bool may_publish_anywhere(const broker::Principal&) override { return true; }

  Task<Result<meta::User>> create_user(broker::Principal, broker::NewUser) override {
    return no<meta::User>();
  }
  Task<Result<meta::User>> alter_user(broker::Principal, broker::UserChange) override {
    return no<meta::User>();
  }
  Task<Result<meta::User>> delete_user(broker::Principal, std::string) override { return no<meta::User>(); }
  Result<std::vector<meta::User>> users(const broker::Principal&) override {
    return std::vector<meta::User>();
  }
  Task<Result<meta::AclRule>> create_rule(broker::Principal, broker::NewRule) override {
    return no<meta::AclRule>();
  }
  Task<Result<meta::AclRule>> delete_rule(broker::Principal, meta::AclId) override {
    return no<meta::AclRule>();
  }
  Result<std::vector<meta::AclRule>> rules(const broker::Principal&) override {
    return std::vector<meta::AclRule>();
  }
  Task<Result<broker::MadeToken>> create_token(broker::Principal, broker::NewToken) override {
    return no<broker::MadeToken>();
  }
  Task<Result<meta::Token>> delete_token(broker::Principal, std::string, std::string) override {
    return no<meta::Token>();
  }
  Result<std::vector<meta::Token>> tokens(const broker::Principal&) override {
    return std::vector<meta::Token>();
  }
  Task<Result<meta::Tenant>> create_tenant(broker::Principal, std::string) override {
    return no<meta::Tenant>();
  }
  Task<Result<meta::Tenant>> delete_tenant(broker::Principal, std::string) override {
    return no<meta::Tenant>();
  }
  Result<std::vector<meta::Tenant>> tenants(const broker::Principal&) override {
    return std::vector<meta::Tenant>();
  }

 private:
  template <class T>
  static Task<Result<T>> no() {
    co_return error(ErrorCode::kInternal, "not asked here");
  }
};

// Everybody is the same, of that tenant.
class OneOfATenant final : public broker::Authenticator {
 public:
  TenantId tenant = kDefaultTenant;
  Result<broker::Principal> nobody() override { return broker::Principal{.name = "one", .tenant = tenant}; }
  Result<broker::Principal> of_certificate(std::string_view) override { return nobody(); }
  Task<Result<broker::Principal>> log_in(std::string, std::string, std::string) override {
    co_return nobody();
  }
  Task<Result<broker::Principal>> log_in_with_token(std::string, std::string) override { co_return nobody(); }
  Task<Result<std::unique_ptr<broker::ScramLogin>>> begin_scram(std::string, scram::Hash,
                                                                std::string) override {
    co_return error(ErrorCode::kUnauthorized, "no SCRAM in this test");
  }
  bool still_known(const broker::Principal&) override { return true; }
  void watch(broker::IdentityWatcher&) override {}
};

class TestCluster final : public ClusterAdministration {
 public:
  std::vector<ClusterNode> nodes_ = {{.node = NodeId(1),
                                      .state = "live",
                                      .incarnation = 3,
                                      .roles = {"meta", "journal"},
                                      .meta = "leader",
                                      .zone = "a",
                                      .version = "1.2.3",
                                      .addresses = {{"rpc", "h:7000"}},
                                      .replicas = 4},
                                     {.node = NodeId(2), .state = "gone", .meta = "voter"}};
  std::optional<Error> refusal_;  // of what changes something
  std::vector<NodeId> removed_;
  VoterState voter_{.voter = false, .waits_for = "it catches up"};
  Result<std::vector<std::string>> reasons_ = std::vector<std::string>();

  Task<Result<ClusterStatus>> status() override {
    ClusterStatus out{.id = "cluster", .node = NodeId(1), .lease = true};
    out.meta = {.leader = std::nullopt,
                .term = 4,
                .committed = 9,
                .applied = 8,
                .voters = {NodeId(1)},
                .voters_outgoing = {},
                .learners = {NodeId(2)}};
    out.versions["1.2.3"] = 2;
    out.shards = {.all = 8, .leaderless = 1, .moving = 2};
    out.segments = {.all = 5, .under_replicated = 4, .without_quorum = 3, .unreadable = 2};
    co_return out;
  }
  Task<Result<std::vector<ClusterNode>>> nodes() override { co_return nodes_; }
  Task<Result<std::vector<ClusterShard>>> shards() override {
    co_return std::vector<ClusterShard>{{.shard = ShardId(7),
                                         .state = "leaderless",
                                         .owner = std::nullopt,
                                         .assigned = NodeId(2),
                                         .epoch = 6,
                                         .replicas = {{NodeId(2), false}},
                                         .needed = 1}};
  }
  Task<Result<std::vector<std::string>>> why_not_stop() override { co_return reasons_; }
  Task<Result<void>> drain(NodeId node, bool draining, bool leaving) override {
    if (refusal_) co_return std::unexpected(*refusal_);
    for (ClusterNode& one : nodes_) {
      if (one.node == node) one.draining = draining, one.leaving = leaving;
    }
    co_return Result<void>();
  }
  Task<Result<void>> remove(NodeId node) override {
    if (refusal_) co_return std::unexpected(*refusal_);
    removed_.push_back(node);
    co_return Result<void>();
  }
  Result<VoterState> voter(NodeId) override {
    if (refusal_) return std::unexpected(*refusal_);
    return voter_;
  }
};

class TestNode final : public NodeInfo {
 public:
  TestCluster cluster_;
  bool alone_ = false, ready_ = true;
  bool ready() const override { return ready_; }
  NodeDescription describe() const override {
    return {.version = "1.2.3", .durability = "fsync", .listeners = {}};
  }
  Task<std::vector<MetricFamily>> metrics() override {
    co_return std::vector<MetricFamily>{{"stele_x_total", "X", MetricKind::kCounter, {{{}, 5}}}};
  }
  ClusterAdministration* cluster_administration() override { return alone_ ? nullptr : &cluster_; }
};

struct World {
  Runtime& runtime;
  NobodysFriend access;
  OneOfATenant anybody;
  TestNode node;
  std::shared_ptr<const meta::MetaView> view = std::make_shared<const meta::MetaView>();
  HttpListener listener;

  explicit World(Runtime& rt)
      : runtime(rt),
        listener({.runtime = rt,
                  .node = NodeId(1),
                  .authorizer = access,
                  .authenticator = anybody,
                  .administration = access,
                  .view = [this] { return view; }},
                 node, {}) {
    EXPECT_TRUE(listener.listen({"127.0.0.1", 0}));
  }
  // The status, and the body as it is read.
  Task<std::pair<int, json>> ask(std::string method, std::string target, std::string body = "") {
    auto response = co_await send_request(
        runtime, listener.local(),
        {.method = std::move(method), .target = std::move(target), .body = std::move(body)});
    if (!response) {
      ADD_FAILURE() << response.error().to_string();
      co_return std::pair(0, json());
    }
    co_return std::pair(response->status, json::parse(response->body, nullptr, false));
  }
};

Task<void> run_and_stop(runtime::uv::UvProcess* process, Task<void> body) {
  co_await std::move(body);
  process->stop();
}
void run(Task<void> (*body)(Runtime&)) {
  runtime::uv::UvProcess process({.cores = 1, .log_level = runtime::LogLevel::kOff});
  runtime::Scope scope;
  process.run([&](Runtime& runtime) { scope.spawn(run_and_stop(&process, body(runtime))); });
  EXPECT_EQ(scope.running(), 0u);
}

Task<void> without_a_broker(Runtime& rt) {
  World world(rt);
  EXPECT_EQ((co_await world.ask("GET", "/health/ready")).first, 200);
  EXPECT_EQ((co_await world.ask("GET", "/metrics")).first, 200);
  EXPECT_EQ((co_await world.ask("GET", "/v1/node")).second["node"], 1);
  EXPECT_EQ((co_await world.ask("GET", "/v1/users")).first, 200);
  EXPECT_EQ((co_await world.ask("GET", "/v1/topics")).second["topics"], json::array());
  for (const auto& [method, target] : std::vector<std::pair<std::string, std::string>>{
           {"POST", "/v1/topics"}, {"PATCH", "/v1/topics/t"}, {"DELETE", "/v1/topics/t"}}) {
    const auto [status, body] = co_await world.ask(method, target, R"({"name":"t"})");
    EXPECT_EQ(status, 501) << method;
    EXPECT_NE(body["error"]["message"].get<std::string>().find("role broker"), std::string::npos);
  }
  world.node.ready_ = false;
  EXPECT_EQ((co_await world.ask("GET", "/health/ready")).first, 503);
}
TEST(HttpCluster, WithoutABroker) {
  run(without_a_broker);
}

Task<void> told(Runtime& rt) {
  World world(rt);
  auto [status, body] = co_await world.ask("GET", "/v1/cluster");
  EXPECT_EQ(status, 200);
  EXPECT_EQ(body["cluster"], "cluster");
  EXPECT_EQ(body["meta"]["leader"], json());
  EXPECT_EQ(body["meta"]["voters"], json::array({1}));
  EXPECT_EQ(body["meta"]["learners"], json::array({2}));
  EXPECT_EQ(body["versions"]["1.2.3"], 2);
  EXPECT_EQ(body["shards"], (json{{"all", 8}, {"leaderless", 1}, {"moving", 2}}));
  EXPECT_EQ(body["segments"]["without_quorum"], 3);

  body = (co_await world.ask("GET", "/v1/cluster/nodes")).second["nodes"];
  EXPECT_EQ(body.size(), 2u);
  EXPECT_EQ(body[0]["roles"], json::array({"meta", "journal"}));
  EXPECT_EQ(body[0]["addresses"]["rpc"], "h:7000");
  EXPECT_EQ(body[1]["state"], "gone");
  EXPECT_EQ((co_await world.ask("GET", "/v1/cluster/nodes/2")).second, body[1]);

  body = (co_await world.ask("GET", "/v1/cluster/shards")).second["shards"];
  EXPECT_EQ(body[0]["shard"], 7);
  EXPECT_EQ(body[0]["owner"], json());
  EXPECT_EQ(body[0]["replicas"][0], (json{{"node", 2}, {"present", false}}));
}
TEST(HttpCluster, Told) {
  run(told);
}

Task<void> changed(Runtime& rt) {
  World world(rt);
  auto [status, body] = co_await world.ask("PATCH", "/v1/cluster/nodes/2", R"({"draining":true})");
  EXPECT_EQ(status, 200);
  EXPECT_EQ(body["draining"], true);
  EXPECT_EQ(body["leaving"], false);
  body = (co_await world.ask("PATCH", "/v1/cluster/nodes/2", R"({"draining":true,"leaving":true})")).second;
  EXPECT_EQ(body["leaving"], true);
  body = (co_await world.ask("PATCH", "/v1/cluster/nodes/2", R"({"draining":false})")).second;
  EXPECT_EQ(body["draining"], false);
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/cluster/nodes/2")).first, 204);
  EXPECT_EQ(world.node.cluster_.removed_, std::vector{NodeId(2)});
  std::tie(status, body) = co_await world.ask("PUT", "/v1/cluster/voters/2");
  EXPECT_EQ(status, 202);
  EXPECT_EQ(body["waits_for"], "it catches up");
  world.node.cluster_.voter_.voter = true;
  EXPECT_EQ((co_await world.ask("PUT", "/v1/cluster/voters/2")).first, 200);

  world.node.cluster_.refusal_ = Error{ErrorCode::kNotFound, "there is no node 9"};
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/cluster/nodes/9")).first, 404);
  EXPECT_EQ((co_await world.ask("PUT", "/v1/cluster/voters/9")).first, 404);
  EXPECT_EQ((co_await world.ask("PATCH", "/v1/cluster/nodes/9", R"({"draining":true})")).first, 404);
}
TEST(HttpCluster, Changed) {
  run(changed);
}

Task<void> refused(Runtime& rt) {
  World world(rt);
  for (const char* number : {"x", "0", "-1", "4294967296", "1x"}) {
    EXPECT_EQ((co_await world.ask("GET", "/v1/cluster/nodes/" + std::string(number))).first, 400) << number;
  }
  EXPECT_EQ((co_await world.ask("GET", "/v1/cluster/nodes/9")).first, 404);
  for (const char* body : {"", "[]", "{}", R"({"draining":1})", R"({"draining":true,"x":1})",
                           R"({"draining":false,"leaving":true})", R"({"draining":true,"leaving":1})"}) {
    EXPECT_EQ((co_await world.ask("PATCH", "/v1/cluster/nodes/2", body)).first, 400) << body;
  }
  world.access.forbidden = {broker::Action::kAdminister};
  EXPECT_EQ((co_await world.ask("GET", "/v1/cluster")).first, 200);
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/cluster/nodes/2")).first, 403);
  EXPECT_EQ((co_await world.ask("PUT", "/v1/cluster/voters/2")).first, 403);
  EXPECT_EQ((co_await world.ask("PATCH", "/v1/cluster/nodes/2", R"({"draining":true})")).first, 403);
  EXPECT_TRUE(world.node.cluster_.removed_.empty());
  world.access.forbidden = {broker::Action::kDescribe};
  for (const char* target :
       {"/v1/cluster", "/v1/cluster/nodes", "/v1/cluster/nodes/1", "/v1/cluster/shards"}) {
    EXPECT_EQ((co_await world.ask("GET", target)).first, 403) << target;
  }
  world.access.forbidden = {};
  world.anybody.tenant = TenantId(7);  // whose administrator he is
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/cluster/nodes/2")).first, 403);
  EXPECT_EQ((co_await world.ask("GET", "/v1/cluster")).first, 403);
  world.anybody.tenant = kDefaultTenant;
  world.node.alone_ = true;
  const auto [status, body] = co_await world.ask("GET", "/v1/cluster");
  EXPECT_EQ(status, 501);
  EXPECT_NE(body["error"]["message"].get<std::string>().find("alone"), std::string::npos);
}
TEST(HttpCluster, Refused) {
  run(refused);
}

Task<void> health(Runtime& rt) {
  World world(rt);
  world.access.forbidden = {broker::Action::kDescribe};  // it asks nobody
  EXPECT_EQ((co_await world.ask("GET", "/health/cluster")).first, 200);
  world.node.cluster_.reasons_ = std::vector<std::string>{"first", "second"};
  auto [status, body] = co_await world.ask("GET", "/health/cluster");
  EXPECT_EQ(status, 503);
  EXPECT_EQ(body["error"]["message"], "first; second");
  EXPECT_EQ(body["reasons"], json::array({"first", "second"}));
  world.node.cluster_.reasons_ = error(ErrorCode::kUnavailable, "cannot be read");
  EXPECT_EQ((co_await world.ask("GET", "/health/cluster")).second["reasons"],
            json::array({"cannot be read"}));
  world.node.alone_ = true;
  EXPECT_EQ((co_await world.ask("GET", "/health/cluster")).first, 503);
}
TEST(HttpCluster, Health) {
  run(health);
}

}  // namespace
}  // namespace stele::http
