// Logging in, on a meta service and a clock that are simulated.
#include "broker/access_control.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/administrator.h"
#include "meta/client.h"
#include "meta/commands.h"
#include "meta/service.h"
#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::broker {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

// A node that has nothing but users.
struct Node {
  explicit Node(runtime::Runtime& r) : runtime(r) {}
  runtime::Runtime& runtime;
  std::unique_ptr<meta::MetaService> service;
  std::unique_ptr<meta::MetaClient> meta;
  std::unique_ptr<AccessControl> access;
  std::unique_ptr<Administrator> administrator;

  Task<void> start(AccessOptions options) {
    auto opened = co_await meta::MetaService::open(
        runtime, {.directory = "/data/meta", .shard_count = 1, .limits = {}, .on_failure = {}});
    EXPECT_TRUE(opened);
    service = *std::move(opened);
    meta = *co_await meta::MetaClient::connect(runtime, service->state());
    access = std::make_unique<AccessControl>(runtime, *meta, options);
    administrator = std::make_unique<Administrator>(runtime, *meta, *access);
  }
  Task<Principal> make_root() {
    auto made = co_await administrator->create_user(
        {}, {.name = "root", .tenant = {}, .super_user = true, .password = "secret"});
    EXPECT_TRUE(made);
    co_return Principal{.name = "root", .tenant = kDefaultTenant, .user = made->id};
  }
  Task<ErrorCode> try_login(std::string user, std::string password, std::string address = "10.0.0.1") {
    auto who = co_await access->log_in(std::move(address), std::move(user), std::move(password));
    co_return who ? ErrorCode::kInternal : who.error().code;  // kInternal: he is in
  }
};
constexpr ErrorCode kIn = ErrorCode::kInternal;

using Body = Task<void> (*)(Node&);

class Program final : public sim::Program {
 public:
  Program(sim::ProcessContext& process, Body body, AccessOptions options, bool& done)
      : node_(process.core(0)), done_(done) {
    scope_.spawn(run(body, options));
  }

 private:
  Task<void> run(Body body, AccessOptions options) {
    co_await node_.start(options);
    co_await body(node_);
    co_await node_.access->stop();
    done_ = true;
  }
  Node node_;
  bool& done_;
  runtime::Scope scope_;
};

void run(Body body, AccessOptions options = {}) {
  bool done = false;
  sim::World world(1);
  sim::Host& host = world.add_host("node");
  host.boot(1, [&](sim::ProcessContext& process) {
    return std::make_unique<Program>(process, body, options, done);
  });
  world.run_until([&] { return done; }, 10min);
  EXPECT_TRUE(done);
}

Task<void> passwords(Node& node) {
  EXPECT_TRUE(node.access->nobody());
  EXPECT_EQ(co_await node.try_login("whoever", "whatever"), kIn);  // there are no users yet
  const Principal root = co_await node.make_root();
  EXPECT_FALSE(node.access->nobody());
  EXPECT_FALSE(node.access->still_known({}));
  EXPECT_TRUE(node.access->still_known(root));
  EXPECT_EQ(co_await node.try_login("root", "secret"), kIn);
  for (const auto& [user, password] :
       std::vector<std::pair<std::string, std::string>>{{"root", "Secret"},
                                                        {"root", ""},
                                                        {"nobody", "secret"},
                                                        {"", ""},
                                                        {"root", std::string(5000, 'x')}}) {
    const auto before = node.runtime.now();
    EXPECT_EQ(co_await node.try_login(user, password), ErrorCode::kUnauthorized);
    EXPECT_GE(node.runtime.now() - before, 100ms);
  }
  // A user who exists and one who does not cost the same.
  const std::uint64_t verified = node.access->stats().passwords_verified;
  (void)co_await node.try_login("root", "x");
  (void)co_await node.try_login("nobody", "x");
  EXPECT_EQ(node.access->stats().passwords_verified, verified + 2);
}
TEST(AccessControl, Passwords) {
  run(passwords);
}

Task<void> remembered(Node& node) {
  const Principal root = co_await node.make_root();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(co_await node.try_login("root", "secret"), kIn);
  EXPECT_EQ(node.access->stats().passwords_verified, 1U);
  // Another password, and the old one is forgotten.
  UserChange change{
      .name = "root", .super_user = std::nullopt, .password = std::optional<std::string>("new")};
  EXPECT_TRUE(co_await node.administrator->alter_user(root, change));
  EXPECT_EQ(co_await node.try_login("root", "secret"), ErrorCode::kUnauthorized);
  EXPECT_EQ(co_await node.try_login("root", "new"), kIn);
}
TEST(AccessControl, WhatWasRightIsRememberedUntilItChanges) {
  run(remembered);
}

Task<void> limited(Node& node) {
  (void)co_await node.make_root();
  EXPECT_EQ(co_await node.try_login("root", "secret"), kIn);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(co_await node.try_login("root", "guess", "10.6.6.6"), ErrorCode::kUnauthorized);
  }
  const std::uint64_t verified = node.access->stats().passwords_verified;
  // From there not even the right one, and nothing is verified.
  EXPECT_EQ(co_await node.try_login("root", "secret", "10.6.6.6"), ErrorCode::kUnavailable);
  EXPECT_EQ(co_await node.try_login("root", "guess", "10.6.6.6"), ErrorCode::kUnavailable);
  EXPECT_EQ(node.access->stats().passwords_verified, verified);
  EXPECT_EQ(co_await node.try_login("root", "secret", "10.0.0.2"), kIn);
  co_await runtime::sleep(node.runtime, 10s);
  EXPECT_EQ(co_await node.try_login("root", "secret", "10.6.6.6"), kIn);
  // Of however many addresses.
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(co_await node.try_login("root", "guess", "10.7.0." + std::to_string(i)),
              ErrorCode::kUnauthorized);
  }
}
TEST(AccessControl, AnAddressFailsOnlySoOften) {
  run(limited, {.failures_at_once = 3, .failure_interval = 3s, .max_addresses = 10});
}

Task<void> one(Node& node, ErrorCode& result) {
  result = co_await node.try_login("root", "secret");
}
Task<void> crowd(Node& node) {
  (void)co_await node.make_root();
  std::vector<ErrorCode> results(8, ErrorCode::kClosed);
  runtime::Scope scope;
  for (ErrorCode& result : results) scope.spawn(one(node, result));
  co_await scope.join();
  // One at a time and two more wait; whoever comes then is sent away.
  EXPECT_EQ(std::ranges::count(results, kIn), 3);
  EXPECT_EQ(std::ranges::count(results, ErrorCode::kUnavailable), 5);
}
TEST(AccessControl, SoManyAtOnce) {
  run(crowd, {.max_verifying = 1, .max_waiting = 2});
}

// However many guess at once, from one address no more is verified than may fail.
Task<void> guess(Node& node, ErrorCode& result) {
  result = co_await node.try_login("root", "guess");
}
Task<void> guessing_crowd(Node& node) {
  (void)co_await node.make_root();
  std::vector<ErrorCode> results(50, ErrorCode::kClosed);
  runtime::Scope scope;
  for (ErrorCode& result : results) scope.spawn(guess(node, result));
  co_await scope.join();
  EXPECT_LE(node.access->stats().passwords_verified, 5U);  // one more may be under way
  EXPECT_LE(std::ranges::count(results, ErrorCode::kUnauthorized), 5);
  EXPECT_GE(std::ranges::count(results, ErrorCode::kUnavailable), 45);
}
TEST(AccessControl, ACrowdGuessesNoMoreThanOne) {
  run(guessing_crowd, {.failures_at_once = 4, .failure_interval = 1h});
}

// All at once with the same password: the first decides it for those that wait.
Task<void> same_user(Node& node) {
  (void)co_await node.make_root();
  std::vector<ErrorCode> results(50, ErrorCode::kClosed);
  runtime::Scope scope;
  for (ErrorCode& result : results) scope.spawn(one(node, result));
  co_await scope.join();
  EXPECT_EQ(std::ranges::count(results, kIn), 50);
  EXPECT_LE(node.access->stats().passwords_verified, 2U);
}
TEST(AccessControl, ACrowdOfOneUserIsVerifiedOnce) {
  run(same_user);
}

Task<void> scram_logins(Node& node) {
  const Principal root = co_await node.make_root();
  for (const scram::Hash hash : {scram::Hash::kSha256, scram::Hash::kSha512}) {
    scram::Client client(hash, "root", "secret", "nonce");
    auto login = co_await node.access->begin_scram("a", hash, client.first());
    EXPECT_TRUE(login);
    auto accepted = co_await (*login)->finish(*client.answer((*login)->challenge()));
    EXPECT_TRUE(accepted && accepted->principal.user == root.user && client.check(accepted->server_final));

    scram::Client wrong(hash, "root", "guess", "nonce");
    login = co_await node.access->begin_scram("a", hash, wrong.first());
    accepted = co_await (*login)->finish(*wrong.answer((*login)->challenge()));
    EXPECT_TRUE(!accepted && accepted.error().code == ErrorCode::kUnauthorized);

    // Whom there is not gets as good a challenge, and always the same salt.
    std::string challenges[2];
    for (std::string& challenge : challenges) {
      scram::Client nobody(hash, "nobody", "secret", "nonce");
      login = co_await node.access->begin_scram("a", hash, nobody.first());
      EXPECT_TRUE(login);
      challenge = (*login)->challenge();
      accepted = co_await (*login)->finish(*nobody.answer(challenge));
      EXPECT_TRUE(!accepted && accepted.error().message == "wrong user name or password");
    }
    EXPECT_NE(challenges[0], challenges[1]);  // the nonces
    const auto salt = [](const std::string& text) { return text.substr(text.find(",s=")); };
    EXPECT_EQ(salt(challenges[0]), salt(challenges[1]));
  }
  EXPECT_FALSE(co_await node.access->begin_scram("a", scram::Hash::kSha256, "nonsense"));
}
// What is said of a name that nobody has stays the same, whatever becomes of the users.
Task<std::string> salt_of_nobody(Node& node) {
  auto login = co_await node.access->begin_scram("a", scram::Hash::kSha256, "n,,n=nobody,r=mine");
  const std::string challenge = (*login)->challenge();
  co_return challenge.substr(challenge.find(",s="));
}
Task<void> decoys(Node& node) {
  const Principal root = co_await node.make_root();
  const std::string before = co_await salt_of_nobody(node);
  UserChange change{.name = "root", .super_user = {}, .password = std::optional<std::string>("new")};
  EXPECT_TRUE(co_await node.administrator->alter_user(root, change));
  EXPECT_EQ(co_await salt_of_nobody(node), before);
}
TEST(AccessControl, ADecoyStaysTheSame) {
  run(decoys);
}

TEST(AccessControl, Scram) {
  run(scram_logins);
}

Task<void> tokens(Node& node) {
  const Principal root = co_await node.make_root();
  auto made = co_await node.administrator->create_token(root, {.user = "root", .name = "t"});
  EXPECT_TRUE(made);
  auto who = co_await node.access->log_in_with_token("a", made->text);
  EXPECT_TRUE(who && who->user == root.user);
  EXPECT_FALSE(co_await node.access->log_in_with_token("a", made->text + "="));
  EXPECT_FALSE(co_await node.access->log_in_with_token("a", ""));
  const std::int64_t soon = node.runtime.wall_now().ms + 1000;
  auto brief =
      co_await node.administrator->create_token(root, {.user = "root", .name = "b", .expires_ms = soon});
  EXPECT_TRUE(co_await node.access->log_in_with_token("a", brief->text));
  co_await runtime::sleep(node.runtime, 2s);
  EXPECT_FALSE(co_await node.access->log_in_with_token("a", brief->text));
  EXPECT_TRUE(co_await node.administrator->delete_token(root, "root", "t"));
  EXPECT_FALSE(co_await node.access->log_in_with_token("a", made->text));
}
TEST(AccessControl, Tokens) {
  run(tokens);
}

Task<void> administration(Node& node) {
  const Principal root = co_await node.make_root();
  auto& admin = *node.administrator;
  EXPECT_TRUE(co_await admin.create_tenant(root, "acme"));
  auto boss = co_await admin.create_user(
      root, {.name = "boss", .tenant = "acme", .super_user = true, .password = {}});
  EXPECT_TRUE(boss);
  const Principal them{.name = "boss", .tenant = boss->tenant, .user = boss->id};
  auto alice = co_await admin.create_user(root, {.name = "alice", .tenant = {}, .password = "x"});
  const Principal she{.name = "alice", .tenant = kDefaultTenant, .user = alice->id};
  const auto code = [](const auto& result) { return result ? kIn : result.error().code; };
  // Nobody sees what is of another tenant, except administrators of the default one.
  EXPECT_EQ(admin.users(root)->size(), 3U);
  EXPECT_EQ(admin.users(them)->size(), 1U);
  EXPECT_EQ(code(co_await admin.delete_user(them, "alice")), ErrorCode::kNotFound);
  EXPECT_EQ(code(co_await admin.create_user(them, {.name = "x", .tenant = "default", .password = {}})),
            ErrorCode::kNotFound);
  EXPECT_EQ(code(co_await admin.create_tenant(them, "other")), ErrorCode::kUnauthorized);
  meta::AclRule rule{.pattern = "a/#", .operations = meta::bit(meta::Operation::kPublish)};
  auto made = co_await admin.create_rule(root, {.user = "alice", .tenant = {}, .rule = rule});
  EXPECT_TRUE(made);
  EXPECT_TRUE(node.access->allowed(she, Action::kPublish, "a/b"));
  EXPECT_EQ(code(co_await admin.delete_rule(them, made->id)), ErrorCode::kNotFound);
  // Who is no administrator may change his own password, and nothing else.
  EXPECT_EQ(code(admin.users(she)), ErrorCode::kUnauthorized);
  const std::optional<std::string> password("y");
  EXPECT_TRUE(co_await admin.alter_user(she, {.name = "alice", .super_user = {}, .password = password}));
  EXPECT_EQ(code(co_await admin.alter_user(she, {.name = "root", .super_user = {}, .password = password})),
            ErrorCode::kUnauthorized);
  EXPECT_EQ(code(co_await admin.alter_user(she, {.name = "alice", .super_user = true, .password = {}})),
            ErrorCode::kUnauthorized);
  EXPECT_EQ(code(co_await admin.create_token(she, {.user = "root", .name = "t"})), ErrorCode::kUnauthorized);
  EXPECT_TRUE(co_await admin.create_token(she, {.user = "alice", .name = "t"}));
  EXPECT_TRUE(co_await admin.delete_user(root, "alice"));
  EXPECT_FALSE(node.access->allowed(she, Action::kPublish, "a/b"));
  EXPECT_FALSE(node.access->still_known(she));
}
TEST(AccessControl, Administration) {
  run(administration);
}

}  // namespace
}  // namespace stele::broker
