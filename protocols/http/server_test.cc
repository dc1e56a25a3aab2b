// The listener over real sockets, on a broker that knows topics and nothing else.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "broker/api.h"
#include "broker/testing/anybody.h"
#include "broker/without_groups.h"
#include "protocols/http/client.h"
#include "protocols/http/listener.h"
#include "protocols/http/websocket_connection.h"
#include "runtime/conformance_peer.h"
#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"

namespace stele::http {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using runtime::Runtime;
using runtime::Scope;
using runtime::Task;
using runtime::until;

class TestAuthorizer : public broker::Authorizer {
 public:
  std::set<std::string> hidden;
  bool allowed(const broker::Principal&, broker::Action, std::string_view resource) override {
    return !hidden.contains(std::string(resource));
  }
  bool may_publish_anywhere(const broker::Principal&) override { return true; }
};

// Topics in memory; streams hold nothing. What HTTP has no use for ends the test.
class TopicsOnly : public broker::testing::WithoutGroups, private broker::Administration {
 public:
  explicit TopicsOnly(Runtime& runtime) : runtime_(runtime) { publish_view(); }
  TestAuthorizer authorizer_;
  bool stopping_ = false;
  bool slow_ = false;  // create_topic takes a few turns

  Runtime& runtime() override { return runtime_; }
  broker::testing::Anybody anybody_;
  // What was asked of the administration.
  broker::NewUser new_user_;
  broker::NewRule new_rule_;
  broker::UserChange change_;

  broker::Authorizer& authorizer() override { return authorizer_; }
  broker::Authenticator& authenticator() override { return anybody_; }
  broker::Administration& administration() override { return *this; }
  std::shared_ptr<const meta::MetaView> meta() override { return view_; }
  NodeId node_id() const override { return NodeId(7); }
  bool stopping() const override { return stopping_; }
  std::string new_client_id() override { return unexpected<std::string>(); }
  bool auto_create_topics() const override { return true; }
  std::int32_t default_partitions() const override { return 4; }

  Task<Result<broker::StreamStatus>> stream_status(broker::Principal, StreamId) override {
    co_return broker::StreamStatus{ShardId(1), Epoch(2), Offset(3), Offset(10), 99};
  }
  Task<Result<meta::Topic>> create_topic(broker::Principal who, std::string name, std::int32_t partitions,
                                         meta::TopicConfig config, bool validate_only) override {
    if (slow_) co_await runtime::sleep(runtime_, 5ms);
    if (topics_.contains(name)) co_return error(ErrorCode::kAlreadyExists, "topic '" + name + "' exists");
    meta::Topic topic;
    topic.id = TopicId(topics_.size() + 1);
    topic.uuid = {topic.id.value, 1};
    topic.tenant = who.tenant;
    topic.name = name;
    topic.shards.resize(static_cast<std::size_t>(partitions));
    topic.config = std::move(config);
    if (!validate_only) topics_[name] = topic;
    publish_view();
    co_return topic;
  }
  Task<Result<meta::Topic>> add_partitions(broker::Principal, std::string name, std::int32_t count,
                                           bool validate_only) override {
    const auto found = topics_.find(name);
    if (found == topics_.end()) co_return error(ErrorCode::kNotFound, "there is no topic '" + name + "'");
    meta::Topic topic = found->second;
    if (count <= topic.partition_count()) co_return error(ErrorCode::kInvalidArgument, "it has as many");
    topic.shards.resize(static_cast<std::size_t>(count));
    if (!validate_only) topics_[name] = topic;
    publish_view();
    co_return topic;
  }
  Task<Result<meta::Topic>> alter_topic(broker::Principal, std::string name,
                                        broker::TopicChanges changes) override {
    const auto found = topics_.find(name);
    if (found == topics_.end()) co_return error(ErrorCode::kNotFound, "there is no topic '" + name + "'");
    meta::Topic topic = found->second;
    STELE_CO_TRY(topic.config, meta::changed_topic_config(topic.config, changes.settings));
    if (!changes.validate_only) topics_[name] = topic;
    publish_view();
    co_return topic;
  }
  Task<Result<void>> delete_topic(broker::Principal, std::string name) override {
    if (topics_.erase(name) == 0) co_return error(ErrorCode::kNotFound, "there is no topic '" + name + "'");
    publish_view();
    co_return Result<void>();
  }

  std::unique_ptr<broker::Publisher> make_publisher(const broker::Principal&, std::string_view,
                                                    broker::Publisher::Listener&) override {
    return unexpected<std::unique_ptr<broker::Publisher>>();
  }
  Task<Result<std::unique_ptr<broker::Session>>> open_session(broker::SessionOptions,
                                                              broker::SessionHandler&) override {
    return unexpected<Task<Result<std::unique_ptr<broker::Session>>>>();
  }
  Task<Result<std::int64_t>> new_producer_id(broker::Principal) override {
    return unexpected<Task<Result<std::int64_t>>>();
  }
  runtime::Duration producer_expiry() const override { return broker::kDefaultProducerExpiry; }
  void produce(const broker::Principal&, StreamId, Bytes,
               std::move_only_function<void(Result<broker::ProduceOk>)>) override {
    ADD_FAILURE();
  }
  Task<std::vector<Result<broker::FetchOk>>> fetch(broker::Principal, std::vector<broker::FetchRead>,
                                                   std::size_t, std::size_t, runtime::Instant,
                                                   runtime::StopToken) override {
    return unexpected<Task<std::vector<Result<broker::FetchOk>>>>();
  }
  Task<Result<broker::OffsetAndTime>> list_offset(broker::Principal, StreamId, std::int64_t) override {
    return unexpected<Task<Result<broker::OffsetAndTime>>>();
  }

 private:
  template <class T>
  T unexpected() {
    ADD_FAILURE() << "not for HTTP";
    return T();
  }
  Task<Result<meta::User>> create_user(broker::Principal, broker::NewUser user) override {
    new_user_ = user;
    co_return meta::User{.id = UserId(1),
                         .tenant = kDefaultTenant,
                         .name = user.name,
                         .super_user = user.super_user,
                         .credentials = {{scram::Hash::kSha256, "the salt", 4096, "the stored key", "x"}},
                         .created_ms = 5};
  }
  Task<Result<meta::User>> alter_user(broker::Principal, broker::UserChange change) override {
    change_ = change;
    co_return meta::User{.id = {}, .tenant = {}, .name = change.name, .credentials = {}};
  }
  Task<Result<meta::User>> delete_user(broker::Principal, std::string name) override {
    if (name != "alice") co_return error(ErrorCode::kNotFound, "there is no user '" + name + "'");
    co_return meta::User{.id = {}, .tenant = {}, .name = name, .credentials = {}};
  }
  Result<std::vector<meta::User>> users(const broker::Principal& who) override {
    if (who.user == UserId(0)) return std::vector<meta::User>();
    return error(ErrorCode::kUnauthorized, "'" + who.name + "' is no administrator");
  }
  Task<Result<meta::AclRule>> create_rule(broker::Principal, broker::NewRule rule) override {
    new_rule_ = rule;
    rule.rule.id = meta::AclId(7);
    co_return rule.rule;
  }
  Task<Result<meta::AclRule>> delete_rule(broker::Principal, meta::AclId id) override {
    co_return meta::AclRule{.id = id, .pattern = {}};
  }
  Result<std::vector<meta::AclRule>> rules(const broker::Principal&) override {
    return std::vector<meta::AclRule>{{.id = meta::AclId(3),
                                       .allow = false,
                                       .resource = meta::ResourceKind::kTopic,
                                       .pattern_kind = meta::PatternKind::kPrefix,
                                       .pattern = "logs.",
                                       .operations = meta::bit(meta::Operation::kRead)}};
  }
  Task<Result<broker::MadeToken>> create_token(broker::Principal, broker::NewToken token) override {
    co_return broker::MadeToken{
        .text = "the token",
        .token = {.user = {}, .name = token.name, .hash = "h", .expires_ms = token.expires_ms}};
  }
  Task<Result<meta::Token>> delete_token(broker::Principal, std::string user, std::string name) override {
    if (user != "alice") co_return error(ErrorCode::kNotFound, "there is no user '" + user + "'");
    co_return meta::Token{.user = {}, .name = name, .hash = {}};
  }
  Result<std::vector<meta::Token>> tokens(const broker::Principal&) override {
    return std::vector<meta::Token>();
  }
  Task<Result<meta::Tenant>> create_tenant(broker::Principal, std::string name) override {
    co_return meta::Tenant{TenantId(1), name};
  }
  Task<Result<meta::Tenant>> delete_tenant(broker::Principal, std::string name) override {
    co_return meta::Tenant{TenantId(1), name};
  }
  Result<std::vector<meta::Tenant>> tenants(const broker::Principal&) override {
    return std::vector<meta::Tenant>{{kDefaultTenant, "default"}};
  }
  void publish_view() {
    meta::MetaViewBuilder builder;
    builder.set_cluster({.id = "cluster", .shard_count = 8});
    for (const auto& [name, topic] : topics_) builder.put_topic(topic);
    view_ = std::move(builder).finish(++version_);
  }
  Runtime& runtime_;
  std::map<std::string, meta::Topic> topics_;
  std::uint64_t version_ = 0;
  std::shared_ptr<const meta::MetaView> view_;
};

class TestNode : public NodeInfo {
 public:
  bool ready_ = true;
  bool ready() const override { return ready_; }
  NodeDescription describe() const override {
    return {.version = "1.2.3",
            .durability = "fsync",
            .cores = 2,
            .started_ms = 5,
            .listeners = {{"mqtt", {"h:1"}}}};
  }
  Task<std::vector<MetricFamily>> metrics() override {
    co_return std::vector<MetricFamily>{{"stele_x_total", "X", MetricKind::kCounter, {{{}, 5}}}};
  }
};

struct World {
  Runtime& runtime;
  TopicsOnly broker{runtime};
  TestNode node;
  HttpListener listener;

  explicit World(Runtime& rt, HttpOptions options = {})
      : runtime(rt), listener(backend_of(broker), node, options) {
    EXPECT_TRUE(listener.listen({"127.0.0.1", 0}));
  }
  std::string authorization;  // of what is asked from now on
  Task<Response> ask(std::string method, std::string target, std::string body = "", std::string origin = "") {
    Request request{.method = std::move(method), .target = std::move(target), .body = std::move(body)};
    if (!origin.empty()) request.headers.add("origin", origin);
    if (!authorization.empty()) request.headers.add("authorization", authorization);
    auto response = co_await send_request(runtime, listener.local(), std::move(request));
    if (!response) {
      ADD_FAILURE() << response.error().to_string();
      co_return Response{.status = 0};
    }
    co_return *response;
  }
};

Task<void> run_and_stop(runtime::uv::UvProcess* process, Task<void> body) {
  co_await std::move(body);
  process->stop();
}
void run(Task<void> (*body)(Runtime&)) {
  runtime::uv::UvProcess process({.cores = 1, .log_level = runtime::LogLevel::kOff});
  Scope scope;
  process.run([&](Runtime& runtime) { scope.spawn(run_and_stop(&process, body(runtime))); });
  EXPECT_EQ(scope.running(), 0u);
}

std::string code_in(const Response& response) {
  const json body = json::parse(response.body, nullptr, false);
  if (!body.is_object() || !body.contains("error")) return "no error: " + response.body;
  EXPECT_TRUE(body["error"]["message"].is_string());
  return body["error"]["code"].get<std::string>();
}

Task<void> topics(Runtime& rt) {
  World world(rt);
  auto got = co_await world.ask(
      "POST", "/v1/topics",
      R"({"name":"s","partitions":3,"configs":{"stele.capture":"s/#","retention.ms":1000}})");
  EXPECT_EQ(got.status, 201) << got.body;
  json body = json::parse(got.body);
  EXPECT_EQ(body["partitions"], 3);
  EXPECT_EQ(body["capture"], json::array({"s/#"}));
  EXPECT_EQ((co_await world.ask("POST", "/v1/topics", R"({"name":"plain"})")).status, 201);
  EXPECT_EQ((co_await world.ask("POST", "/v1/topics", R"({"name":"try","validate_only":true})")).status, 200);
  got = co_await world.ask("POST", "/v1/topics", R"({"name":"s"})");
  EXPECT_EQ(got.status, 409);
  EXPECT_EQ(code_in(got), "already_exists");

  body = json::parse((co_await world.ask("GET", "/v1/topics")).body);
  EXPECT_EQ(body["topics"].size(), 2u);
  EXPECT_EQ(body["topics"][0]["name"], "plain");
  EXPECT_EQ(body["topics"][0]["partitions"], 4) << "the default";

  body = json::parse((co_await world.ask("GET", "/v1/topics/s")).body);
  EXPECT_EQ(body["partitions"].size(), 3u);
  EXPECT_EQ(body["partitions"][2]["high_watermark"], 10);
  bool seen = false;
  for (const auto& config : body["configs"]) {
    if (config["name"] != "retention.ms") continue;
    seen = true;
    EXPECT_EQ(config["value"], "1000");
    EXPECT_EQ(config["default"], false);
  }
  EXPECT_TRUE(seen);

  world.broker.authorizer_.hidden = {"plain", ""};
  EXPECT_EQ((co_await world.ask("GET", "/v1/topics/plain")).status, 404);
  EXPECT_EQ(json::parse((co_await world.ask("GET", "/v1/topics")).body)["topics"].size(), 1u);
  EXPECT_EQ((co_await world.ask("GET", "/metrics")).status, 403);
  EXPECT_EQ((co_await world.ask("GET", "/v1/node")).status, 403);
  EXPECT_EQ((co_await world.ask("GET", "/health/live")).status, 200) << "asks nobody";

  got = co_await world.ask("DELETE", "/v1/topics/s");
  EXPECT_EQ(got.status, 204);
  EXPECT_EQ(got.body, "");
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/topics/s")).status, 404);
}
TEST(HttpServer, Topics) {
  run(topics);
}

Task<void> altered_topics(Runtime& rt) {
  World world(rt);
  const auto alter = [&world](std::string body, std::string name = "s") {
    return world.ask("PATCH", "/v1/topics/" + name, std::move(body));
  };
  const auto value_of = [](const Response& response, std::string_view name) {
    const json body = json::parse(response.body);
    for (const auto& config : body["configs"]) {
      if (config["name"] == name) return config;
    }
    return json();
  };
  (void)co_await world.ask("POST", "/v1/topics",
                           R"({"name":"s","partitions":3,"configs":{"retention.ms":1000}})");
  auto got = co_await alter(R"({"partitions":5,"validate_only":true})");
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(json::parse(got.body)["partitions"], 5);
  got = co_await alter(R"({"partitions":4})");
  EXPECT_EQ(got.status, 200) << got.body;
  EXPECT_EQ(json::parse((co_await world.ask("GET", "/v1/topics/s")).body)["partitions"].size(), 4u);

  got = co_await alter(R"({"configs":{"retention.bytes":77,"retention.ms":null},"validate_only":true})");
  EXPECT_EQ(value_of(got, "retention.bytes")["value"], "77");
  EXPECT_EQ(value_of(got, "retention.ms")["default"], true);
  got = co_await world.ask("GET", "/v1/topics/s");
  EXPECT_EQ(value_of(got, "retention.ms")["value"], "1000");
  got = co_await alter(R"({"configs":{"retention.bytes":"77","retention.ms":null}})");
  EXPECT_EQ(got.status, 200) << got.body;
  got = co_await world.ask("GET", "/v1/topics/s");
  EXPECT_EQ(value_of(got, "retention.bytes")["value"], "77");
  EXPECT_EQ(value_of(got, "retention.ms")["default"], true);

  EXPECT_EQ((co_await alter(R"({"partitions":5})", "never")).status, 404);
  EXPECT_EQ((co_await alter(R"({"configs":{}})", "never")).status, 404);
  for (const char* wrong :
       {R"({})", R"({"partitions":4})", R"({"partitions":0})", R"({"partitions":"5"})", R"({"configs":[]})",
        R"({"configs":{"retention.ms":[]}})", R"({"configs":{"retention.ms":"soon"}})",
        R"({"partitions":5,"configs":{}})", R"({"partitions":5,"validate_only":1})",
        R"({"partitions":5,"name":"t"})", R"([])", "x"}) {
    EXPECT_EQ((co_await alter(wrong)).status, 400) << wrong;
  }
  EXPECT_EQ(
      (co_await world.ask("POST", "/v1/topics", R"({"name":"n","configs":{"retention.ms":null}})")).status,
      400);
}
TEST(HttpServer, AlteredTopics) {
  run(altered_topics);
}

Task<void> logins(Runtime& rt) {
  World world(rt);
  world.broker.anybody_.passwords = {{"alice", "a:b"}, {"token", "abc"}};
  auto got = co_await world.ask("GET", "/v1/topics");
  EXPECT_EQ(got.status, 401);
  EXPECT_EQ(code_in(got), "unauthenticated");
  EXPECT_TRUE(got.headers.find("www-authenticate"));
  EXPECT_EQ((co_await world.ask("GET", "/health/ready")).status, 200) << "asks nobody";
  const auto status = [&](std::string authorization) -> Task<int> {
    world.authorization = std::move(authorization);
    co_return (co_await world.ask("GET", "/v1/topics")).status;
  };
  EXPECT_EQ(co_await status("Basic " + base64_encode("alice:a:b")), 200);
  EXPECT_EQ(co_await status("bASIC " + base64_encode("alice:a:b")), 200);
  EXPECT_EQ(co_await status("Basic " + base64_encode("alice:a")), 401);
  EXPECT_EQ(co_await status("Bearer abc"), 200);
  EXPECT_EQ(co_await status("Bearer abd"), 401);
  EXPECT_EQ(co_await status("Bearer"), 401);
  for (const char* wrong : {"Basic", "Basic ", "Basic !", "Basic YWxpY2U=", "Digest x", "x"}) {
    EXPECT_EQ(co_await status(wrong), 400) << wrong;
  }
  world.broker.anybody_.busy = true;
  EXPECT_EQ(co_await status("Basic " + base64_encode("alice:a:b")), 503);
}
TEST(HttpServer, Logins) {
  run(logins);
}

Task<void> users_and_rules(Runtime& rt) {
  World world(rt);
  auto got = co_await world.ask("POST", "/v1/users", R"({"name":"alice","password":"x","super_user":true})");
  EXPECT_EQ(got.status, 201);
  EXPECT_EQ(world.broker.new_user_.password, "x");
  EXPECT_EQ(got.body.find("the s"), std::string::npos) << "nothing of the password is shown";
  EXPECT_EQ(json::parse(got.body)["mechanisms"], json::array({"SCRAM-SHA-256"}));
  EXPECT_EQ((co_await world.ask("POST", "/v1/users", R"({"name":"bob","password":null})")).status, 201);
  EXPECT_EQ(world.broker.new_user_.password, std::nullopt);
  for (const char* body : {R"({"name":"a"})", R"({"name":5,"password":"x"})", R"({"name":"a","password":5})",
                           R"({"name":"a","password":"x","colour":1})", "[]", "{"}) {
    EXPECT_EQ((co_await world.ask("POST", "/v1/users", body)).status, 400) << body;
  }
  EXPECT_EQ((co_await world.ask("PATCH", "/v1/users/alice", R"({"password":"y"})")).status, 200);
  EXPECT_TRUE(world.broker.change_.name == "alice" &&
              world.broker.change_.password == std::optional<std::string>("y"));
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/users/alice")).status, 204);
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/users/bob")).status, 404);
  EXPECT_EQ((co_await world.ask("GET", "/v1/users")).status, 200);

  got =
      co_await world.ask("POST", "/v1/acls", R"({"user":"alice","operations":["publish"],"address":"a/#"})");
  EXPECT_EQ(got.status, 201) << got.body;
  EXPECT_EQ(world.broker.new_rule_.user, "alice");
  EXPECT_EQ(world.broker.new_rule_.rule.operations, meta::bit(meta::Operation::kPublish));
  got = co_await world.ask("POST", "/v1/acls",
                           R"({"user":null,"permission":"deny","operations":["all"],"group_prefix":""})");
  EXPECT_EQ(got.status, 201) << got.body;
  EXPECT_FALSE(world.broker.new_rule_.rule.allow);
  EXPECT_EQ(world.broker.new_rule_.rule.operations, meta::operations_of(meta::ResourceKind::kGroup));
  for (const char* body :
       {R"({"operations":["publish"]})", R"({"operations":["publish"],"address":"a","topic":"b"})",
        R"({"operations":["read"],"address":"a"})", R"({"operations":[],"address":"a"})",
        R"({"operations":"publish","address":"a"})", R"({"address":"a"})",
        R"({"operations":["publish"],"address":"a","permission":"maybe"})"}) {
    EXPECT_EQ((co_await world.ask("POST", "/v1/acls", body)).status, 400) << body;
  }
  const json listed = json::parse((co_await world.ask("GET", "/v1/acls")).body)["acls"][0];
  EXPECT_EQ(listed["topic_prefix"], "logs.");
  EXPECT_EQ(listed["permission"], "deny");
  EXPECT_EQ(listed["user"], nullptr);
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/acls/3")).status, 204);
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/acls/x")).status, 400);

  got = co_await world.ask("POST", "/v1/users/alice/tokens", R"({"name":"t","expires_ms":9})");
  EXPECT_EQ(json::parse(got.body)["token"], "the token");
  EXPECT_EQ(json::parse(got.body)["expires_ms"], 9);
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/users/alice/tokens/t")).status, 204);
  EXPECT_EQ((co_await world.ask("POST", "/v1/tenants", R"({"name":"acme"})")).status, 201);
  EXPECT_EQ((co_await world.ask("DELETE", "/v1/tenants/acme")).status, 204);
  EXPECT_EQ((co_await world.ask("POST", "/v1/users", "{}", "http://evil.example")).status, 403);
}
TEST(HttpServer, UsersAndRules) {
  run(users_and_rules);
}

Task<void> wrong_requests(Runtime& rt) {
  World world(rt);
  for (const char* body :
       {"", "{", "[]", "{}", R"({"name":5})", R"({"name":""})", R"({"name":"a","partitions":0})",
        R"({"name":"a","partitions":1.5})", R"({"name":"a","colour":"red"})", R"({"name":"a","configs":[]})",
        R"({"name":"a","configs":{"retention.ms":{}}})", R"({"name":"a","configs":{"retentoin.ms":"5"}})"}) {
    const auto got = co_await world.ask("POST", "/v1/topics", body);
    EXPECT_EQ(got.status, 400) << body;
    EXPECT_EQ(code_in(got), "invalid_argument") << body;
  }
  for (const char* path :
       {"/", "/nothing/here", "/v1", "/v1/topics/", "/v1/topics/a/b", "/v1/topics/never", "/metrics/"}) {
    EXPECT_EQ((co_await world.ask("GET", path)).status, 404) << path;
  }
  EXPECT_EQ((co_await world.ask("GET", "/v1/topics/%zz")).status, 400);
  const auto refused = co_await world.ask("PUT", "/v1/topics", "{}");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(*refused.headers.find("allow"), "GET, HEAD, POST");
  EXPECT_EQ((co_await world.ask("POST", "/v1/topics", R"({"name":"a"})", "http://evil.example")).status, 403);
  EXPECT_EQ((co_await world.ask("GET", "/v1/topics", "", "http://evil.example")).status, 200);
}
TEST(HttpServer, WrongRequests) {
  run(wrong_requests);
}

Task<void> health_and_metrics(Runtime& rt) {
  World world(rt);
  EXPECT_EQ((co_await world.ask("GET", "/health/ready")).status, 200);
  const auto metrics = co_await world.ask("GET", "/metrics");
  EXPECT_EQ(metrics.content_type, kMetricsContentType);
  EXPECT_NE(metrics.body.find("\nstele_x_total 5\n"), std::string::npos);
  const auto head = co_await world.ask("HEAD", "/metrics");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(*head.headers.find("content-length"), std::to_string(metrics.body.size()));
  const json node = json::parse((co_await world.ask("GET", "/v1/node")).body);
  EXPECT_EQ(node["node"], 7);
  EXPECT_EQ(node["listeners"]["mqtt"][0], "h:1");
  world.node.ready_ = false;
  EXPECT_EQ((co_await world.ask("GET", "/health/ready")).status, 503);
  EXPECT_EQ((co_await world.ask("GET", "/health/live")).status, 200);
}
TEST(HttpServer, HealthAndMetrics) {
  run(health_and_metrics);
}

// Answers come in the order of the requests, however these are cut, also when one takes a while.
Task<void> one_after_the_other(Runtime& rt) {
  World world(rt);
  world.broker.slow_ = true;
  runtime::Peer peer;
  STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &peer));
  const std::string create = "POST /v1/topics HTTP/1.1\r\ncontent-length: 14\r\n\r\n{\"name\":\"ab\"} ";
  const std::string all =
      create + "GET /health/live HTTP/1.1\r\n\r\nGET /v1/topics/ab HTTP/1.1\r\nconnection: close\r\n\r\n";
  peer.connection->write(std::string_view(all));
  STELE_REQUIRE(co_await until(rt, [&] { return peer.closed.has_value(); }));
  const auto created = peer.received.find("201 Created"), live = peer.received.find("\"live\""),
             described = peer.received.find("high_watermark");
  EXPECT_TRUE(created < live && live < described && described != std::string::npos) << peer.received;
  EXPECT_TRUE(co_await until(rt, [&] { return world.listener.connections() == 0; }));
}
TEST(HttpServer, OneAfterTheOther) {
  run(one_after_the_other);
}

Task<void> garbage_is_answered_and_closed(Runtime& rt) {
  World world(rt);
  for (const auto& [input, status] : std::vector<std::pair<std::string, std::string>>{
           {"\x10\x0c\x00\x04MQTT", "400"},
           {"GET / HTTP/9.9\r\n\r\n", "505"},
           {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n", "414"},
           {"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"},
           {"POST /v1/topics HTTP/1.1\r\ncontent-length: 2000000\r\n\r\n", "413"}}) {
    runtime::Peer peer;
    STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &peer));
    peer.connection->write(std::string_view(input));
    STELE_REQUIRE(co_await until(rt, [&] { return peer.closed.has_value(); }));
    EXPECT_EQ(peer.received.substr(0, 13), "HTTP/1.1 " + status + " ") << peer.received;
  }
  EXPECT_EQ(world.listener.stats().requests_malformed, 5u);
}
TEST(HttpServer, GarbageIsAnsweredAndClosed) {
  run(garbage_is_answered_and_closed);
}

Task<void> a_slow_request_ends(Runtime& rt) {
  World world(rt, {.idle_timeout = 1h, .request_timeout = 20ms});
  runtime::Peer peer;
  STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &peer));
  peer.connection->write(std::string_view("GET / HT"));
  STELE_REQUIRE(co_await until(rt, [&] { return peer.closed.has_value(); }));
  EXPECT_EQ(peer.received.substr(0, 12), "HTTP/1.1 408");
}
TEST(HttpServer, ASlowRequestEnds) {
  run(a_slow_request_ends);
}

Task<void> an_idle_connection_ends(Runtime& rt) {
  World world(rt, {.idle_timeout = 20ms});
  runtime::Peer peer;
  STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &peer));
  STELE_REQUIRE(co_await until(rt, [&] { return peer.closed.has_value(); }));
  EXPECT_EQ(peer.received, "");
}
TEST(HttpServer, AnIdleConnectionEnds) {
  run(an_idle_connection_ends);
}

Task<void> expects_continue(Runtime& rt) {
  World world(rt);
  runtime::Peer peer;
  STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &peer));
  peer.connection->write(
      std::string_view("POST /v1/topics HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 12\r\n\r\n"));
  STELE_REQUIRE(co_await until(rt, [&] { return peer.received.ends_with("100 Continue\r\n\r\n"); }));
  peer.connection->write(std::string_view(R"({"name":"c"})"));
  EXPECT_TRUE(co_await until(rt, [&] { return peer.received.find("201 Created") != std::string::npos; }));
}
TEST(HttpServer, ExpectsContinue) {
  run(expects_continue);
}

Task<void> answers_before_it_stops(Runtime& rt) {
  World world(rt);
  world.broker.slow_ = true;
  runtime::Peer busy, idle;
  STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &busy));
  STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &idle));
  busy.connection->write(
      std::string_view("POST /v1/topics HTTP/1.1\r\ncontent-length: 12\r\n\r\n{\"name\":\"d\"}"));
  STELE_REQUIRE(co_await until(rt, [&] { return world.listener.stats().requests == 1; }));
  co_await world.listener.stop();
  STELE_REQUIRE(co_await until(rt, [&] { return busy.closed.has_value() && idle.closed.has_value(); }));
  EXPECT_NE(busy.received.find("201 Created"), std::string::npos);
  EXPECT_EQ(idle.received, "");
}
TEST(HttpServer, AnswersBeforeItStops) {
  run(answers_before_it_stops);
}

Task<void> connections_are_limited(Runtime& rt) {
  World world(rt, {.max_connections = 2});
  std::vector<std::unique_ptr<runtime::Peer>> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(std::make_unique<runtime::Peer>());
    STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), peers.back().get()));
  }
  STELE_REQUIRE(co_await until(rt, [&] { return peers[2]->closed.has_value(); }));
  EXPECT_EQ(world.listener.connections(), 2u);
  EXPECT_EQ(world.listener.stats().connections_refused, 1u);
}
TEST(HttpServer, ConnectionsAreLimited) {
  run(connections_are_limited);
}

// ---- WebSocket

struct EchoService final : WebSocketService {
  runtime::Acceptor acceptor;
  bool room = true;
  EchoService() {
    acceptor.prepare = [](runtime::Peer& peer) { peer.echo = true; };
  }
  std::span<const std::string_view> protocols() const override {
    static constexpr std::string_view kNames[] = {"echo"};
    return kNames;
  }
  bool has_room() const override { return room; }
  void take(std::unique_ptr<runtime::Connection> connection) override {
    acceptor.on_accept(std::move(connection));
  }
};

Task<Result<std::unique_ptr<runtime::Connection>>> open(Runtime& rt, runtime::Endpoint at, std::string target,
                                                        std::string protocol = "echo") {
  STELE_CO_TRY(auto plain, co_await rt.network().connect(at, 5s, {}));
  co_return co_await open_websocket(rt, std::move(plain), at.to_string(), std::move(target),
                                    std::move(protocol), 5s);
}

Task<void> websocket(Runtime& rt) {
  EchoService service;
  World world(rt, {.websockets = {{"/echo", &service}}});
  auto opened = co_await open(rt, world.listener.local(), "/echo?who=me");
  STELE_REQUIRE(opened);
  runtime::Peer peer;
  peer.start(*std::move(opened));
  const std::string sent = runtime::pattern(300'000, 1);
  peer.connection->write(std::string_view(sent));
  STELE_REQUIRE(co_await until(rt, [&] { return peer.received.size() == sent.size(); }));
  EXPECT_TRUE(peer.received == sent);
  EXPECT_EQ(world.listener.connections(), 0u) << "it is no HTTP connection any more";
  EXPECT_EQ(world.listener.stats().websockets_opened, 1u);
  co_await world.listener.stop();  // does not wait for it
  peer.connection->write(std::string_view("more"));
  STELE_REQUIRE(co_await until(rt, [&] { return peer.received.ends_with("more"); }));
  peer.connection->close(1s);
  STELE_REQUIRE(co_await until(rt, [&] { return service.acceptor.peers[0]->closed.has_value(); }));
  EXPECT_EQ(service.acceptor.peers[0]->closed->code, ErrorCode::kClosed);
}
TEST(HttpServer, WebSocket) {
  run(websocket);
}

constexpr std::string_view kOpen =
    "GET /echo HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-protocol: echo\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
// "hello" behind a mask of zeros.
constexpr std::string_view kHello("\x82\x85\0\0\0\0hello", 11);

// Behind another request that takes its time, and in front of frames, all in one piece.
Task<void> websocket_behind_a_request(Runtime& rt) {
  EchoService service;
  World world(rt, {.websockets = {{"/echo", &service}}});
  world.broker.slow_ = true;
  runtime::Peer peer;
  STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &peer));
  peer.connection->write(
      std::string_view("POST /v1/topics HTTP/1.1\r\ncontent-length: 12\r\n\r\n{\"name\":\"d\"}"));
  peer.connection->write(kOpen);
  peer.connection->write(std::string_view("\r\n"));
  peer.connection->write(kHello);
  STELE_REQUIRE(co_await until(rt, [&] { return peer.received.ends_with("\x82\x05hello"); }));
  const std::size_t first = peer.received.find("201 Created"), second = peer.received.find("101 Switching");
  EXPECT_TRUE(first < second && second != std::string::npos) << peer.received;
  EXPECT_EQ(world.listener.connections(), 0u);
}
TEST(HttpServer, WebSocketBehindARequest) {
  run(websocket_behind_a_request);
}

Task<void> websockets_that_are_refused(Runtime& rt) {
  EchoService service;
  World world(rt, {.websockets = {{"/echo", &service}}});
  const auto answer = [&](std::string asked, runtime::Peer& peer) -> Task<void> {
    STELE_REQUIRE(co_await runtime::dial(rt, world.listener.local(), &peer));
    peer.connection->write(std::string_view(asked));
    peer.connection->write(std::string_view("\r\n"));
    STELE_REQUIRE(co_await until(rt, [&] { return peer.closed.has_value(); }));
  };
  const std::string open(kOpen);
  for (const auto& [asked, status] : std::vector<std::pair<std::string, std::string>>{
           {"GET /echo HTTP/1.1\r\n", "426 Upgrade Required"},
           {open + "origin: http://evil.example\r\n", "403 Forbidden"},
           {"POST" + open.substr(3), "400 Bad Request"}}) {
    runtime::Peer peer;
    co_await answer(asked, peer);
    EXPECT_TRUE(peer.received.starts_with("HTTP/1.1 " + status)) << peer.received;
    EXPECT_EQ(peer.received.find("\r\nupgrade: websocket\r\n") != std::string::npos,
              status.starts_with("426"));
  }
  service.room = false;
  runtime::Peer peer;
  co_await answer(open, peer);
  EXPECT_TRUE(peer.received.starts_with("HTTP/1.1 503 ")) << peer.received;
  EXPECT_EQ(world.listener.stats().websockets_refused, 4u);
  EXPECT_EQ(world.listener.stats().websockets_opened, 0u);
  EXPECT_EQ(runtime::code_of(co_await http::open(rt, world.listener.local(), "/echo", "amqp")),
            ErrorCode::kUnauthorized);
  // Elsewhere there are none.
  const auto got = co_await world.ask("GET", "/echo/");
  EXPECT_EQ(got.status, 404);
}
TEST(HttpServer, WebSocketsThatAreRefused) {
  run(websockets_that_are_refused);
}

// ---- the client, against answers that no good server gives

Task<void> client_errors(Runtime& rt) {
  for (const auto& [answer, code] : std::vector<std::pair<std::string, ErrorCode>>{
           {"", ErrorCode::kClosed},
           {"SSH-2.0-x\r\n", ErrorCode::kMalformed},
           {"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", ErrorCode::kMalformed},
           {"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\nabc", ErrorCode::kMalformed}}) {
    runtime::Acceptor acceptor;
    acceptor.prepare = [&](runtime::Peer& peer) {
      peer.when_data = [&peer, &answer] {
        peer.connection->write(std::string_view(answer));
        peer.connection->close(1s);
      };
    };
    auto listener = rt.network().listen({"127.0.0.1", 0}, {}, acceptor);
    STELE_REQUIRE(listener);
    const auto at = (*listener)->local();
    const auto got = co_await send_request(rt, at, {.method = "GET", .target = "/"});
    EXPECT_EQ(runtime::code_of(got), code) << answer;
    EXPECT_NE(got.error().message.find(at.to_string()), std::string::npos) << got.error().message;
  }
}
TEST(HttpClient, Errors) {
  run(client_errors);
}

}  // namespace
}  // namespace stele::http
