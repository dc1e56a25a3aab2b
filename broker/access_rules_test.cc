#include "broker/access_rules.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace stele::broker {
namespace {

using meta::AclRule;
using meta::bit;
using meta::Operation;
using meta::PatternKind;
using meta::ResourceKind;
using enum Operation;

constexpr TenantId kOther{1};

// root and the other tenant's boss are super users; alice and bob, and eve of the other tenant, have what
// rules give them.
class AccessRulesTest : public testing::Test {
 protected:
  AccessRulesTest() {
    add(1, kDefaultTenant, "root", true);
    add(2, kDefaultTenant, "alice", false);
    add(3, kDefaultTenant, "bob", false);
    add(4, kOther, "eve", false);
    add(5, kOther, "boss", true);
  }
  void add(std::uint64_t id, TenantId tenant, std::string name, bool super_user) {
    identities.put(
        {.id = UserId(id), .tenant = tenant, .name = name, .super_user = super_user, .credentials = {}});
    who[name] = {.name = name, .tenant = tenant, .user = UserId(id)};
  }
  void rule(std::uint64_t user, bool allow, ResourceKind resource, PatternKind kind, std::string pattern,
            meta::Operations operations, TenantId tenant = kDefaultTenant) {
    AclRule made{.id = meta::AclId(identities.rules.size() + 1),
                 .tenant = tenant,
                 .user = UserId(user),
                 .allow = allow,
                 .resource = resource,
                 .pattern_kind = kind,
                 .pattern = std::move(pattern),
                 .operations = operations};
    ASSERT_TRUE(meta::check_rule(made));
    identities.rules[made.id] = made;
  }
  void address(std::uint64_t user, bool allow, std::string filter, meta::Operations operations,
               TenantId tenant = kDefaultTenant) {
    rule(user, allow, ResourceKind::kAddress, PatternKind::kFilter, std::move(filter), operations, tenant);
  }
  bool may(const std::string& name, Action action, std::string_view resource) {
    const AccessRules rules(std::make_shared<meta::Identities>(identities), false);
    return rules.allowed(who.at(name), action, resource);
  }
  meta::Identities identities;
  std::map<std::string, Principal> who;
};

TEST_F(AccessRulesTest, NothingIsAllowedUnlessARuleSaysSo) {
  for (const Action action :
       {Action::kPublish, Action::kSubscribe, Action::kProduce, Action::kFetch, Action::kDescribe,
        Action::kCreateTopic, Action::kDeleteTopic, Action::kAlterTopic, Action::kUseGroup,
        Action::kDescribeGroup, Action::kDeleteGroup}) {
    EXPECT_FALSE(may("alice", action, "a")) << to_string(action);
    EXPECT_TRUE(may("root", action, "a")) << to_string(action);
    EXPECT_TRUE(may("boss", action, "a")) << to_string(action);
  }
  EXPECT_TRUE(may("alice", Action::kConnect, "any client id"));
  EXPECT_FALSE(may("alice", Action::kAdminister, ""));
  EXPECT_TRUE(may("root", Action::kAdminister, ""));
}

TEST_F(AccessRulesTest, NobodyIsNobodyOnceThereAreUsers) {
  const Principal anonymous;
  const AccessRules rules(std::make_shared<meta::Identities>(identities), false);
  EXPECT_FALSE(rules.open());
  EXPECT_FALSE(rules.knows(anonymous));
  EXPECT_FALSE(rules.allowed(anonymous, Action::kPublish, "a"));
  EXPECT_FALSE(rules.may_publish_anywhere(anonymous));
  const AccessRules open(std::make_shared<meta::Identities>(), false);
  EXPECT_TRUE(open.allowed(anonymous, Action::kAdminister, ""));
  EXPECT_TRUE(open.knows(anonymous));
  EXPECT_FALSE(open.knows(who["alice"]));
  const AccessRules closed(std::make_shared<meta::Identities>(), true);
  EXPECT_FALSE(closed.knows(anonymous));
  EXPECT_FALSE(closed.allowed(anonymous, Action::kPublish, "a"));
}

TEST_F(AccessRulesTest, AUserThatIsNoMoreMayNothing) {
  identities.remove(UserId(1));
  EXPECT_FALSE(may("root", Action::kPublish, "a"));
}

TEST_F(AccessRulesTest, DenyGoesBeforeAllow) {
  address(2, true, "a/#", bit(kPublish) | bit(kSubscribe));
  address(2, false, "a/secret/#", bit(kPublish));
  EXPECT_TRUE(may("alice", Action::kPublish, "a/b"));
  EXPECT_FALSE(may("alice", Action::kPublish, "a/secret/b"));
  EXPECT_TRUE(may("alice", Action::kSubscribe, "a/secret/#"));
  EXPECT_FALSE(may("alice", Action::kPublish, "b"));
  // Whoever it is said to.
  address(0, false, "a/public", bit(kPublish));
  EXPECT_FALSE(may("alice", Action::kPublish, "a/public"));
}

TEST_F(AccessRulesTest, ASubscriptionIsJudgedByAllThatItMatches) {
  address(2, true, "a/#", bit(kSubscribe));
  EXPECT_TRUE(may("alice", Action::kSubscribe, "a/+/b"));
  EXPECT_FALSE(may("alice", Action::kSubscribe, "+/b"));
  EXPECT_FALSE(may("alice", Action::kSubscribe, "#"));
  EXPECT_TRUE(may("alice", Action::kSubscribe, "$share/group/a/+"));
  EXPECT_FALSE(may("alice", Action::kSubscribe, "$share/group/#"));
  EXPECT_FALSE(may("alice", Action::kSubscribe, "$share/group"));
  address(2, false, "a/+/secret", bit(kSubscribe));
  EXPECT_FALSE(may("alice", Action::kSubscribe, "a/#"));
  EXPECT_FALSE(may("alice", Action::kSubscribe, "a/b/+"));
  EXPECT_FALSE(may("alice", Action::kSubscribe, "$share/group/a/b/secret"));
  EXPECT_TRUE(may("alice", Action::kSubscribe, "a/b"));
}

TEST_F(AccessRulesTest, RulesForEverybodyAreTheTenants) {
  address(0, true, "public/#", bit(kSubscribe));
  EXPECT_TRUE(may("alice", Action::kSubscribe, "public/a"));
  EXPECT_TRUE(may("bob", Action::kSubscribe, "public/a"));
  EXPECT_FALSE(may("eve", Action::kSubscribe, "public/a"));
}

TEST_F(AccessRulesTest, TopicsByNameAndByPrefix) {
  rule(2, true, ResourceKind::kTopic, PatternKind::kLiteral, "orders", bit(kRead));
  rule(2, true, ResourceKind::kTopic, PatternKind::kPrefix, "logs.", bit(kWrite));
  EXPECT_TRUE(may("alice", Action::kFetch, "orders"));
  EXPECT_FALSE(may("alice", Action::kFetch, "orders2"));
  EXPECT_FALSE(may("alice", Action::kProduce, "orders"));
  EXPECT_TRUE(may("alice", Action::kProduce, "logs.eu"));
  EXPECT_FALSE(may("alice", Action::kProduce, "logs"));
  // Who may do something with a topic may know of it.
  EXPECT_TRUE(may("alice", Action::kDescribe, "orders"));
  EXPECT_TRUE(may("alice", Action::kDescribe, "logs.eu"));
  EXPECT_FALSE(may("alice", Action::kDescribe, "other"));
  rule(2, false, ResourceKind::kTopic, PatternKind::kLiteral, "logs.eu", bit(kDescribe));
  EXPECT_FALSE(may("alice", Action::kDescribe, "logs.eu"));
  // Whether there is a topic at all that may be written.
  EXPECT_TRUE(may("alice", Action::kProduce, ""));
  EXPECT_FALSE(may("bob", Action::kProduce, ""));
}

TEST_F(AccessRulesTest, Groups) {
  rule(2, true, ResourceKind::kGroup, PatternKind::kPrefix, "app-", bit(kRead));
  EXPECT_TRUE(may("alice", Action::kUseGroup, "app-1"));
  EXPECT_TRUE(may("alice", Action::kDescribeGroup, "app-1"));
  EXPECT_FALSE(may("alice", Action::kDeleteGroup, "app-1"));
  EXPECT_FALSE(may("alice", Action::kUseGroup, "other"));
}

TEST_F(AccessRulesTest, TheNodeIsTheDefaultTenants) {
  EXPECT_TRUE(may("root", Action::kDescribe, ""));
  EXPECT_FALSE(may("boss", Action::kDescribe, ""));
  EXPECT_FALSE(may("alice", Action::kDescribe, ""));
  rule(2, true, ResourceKind::kNode, PatternKind::kLiteral, "", bit(kDescribe));
  rule(4, true, ResourceKind::kNode, PatternKind::kLiteral, "", bit(kDescribe), kOther);
  EXPECT_TRUE(may("alice", Action::kDescribe, ""));
  EXPECT_FALSE(may("alice", Action::kAdminister, ""));
  EXPECT_FALSE(may("eve", Action::kDescribe, ""));
}

TEST_F(AccessRulesTest, SuperUsersPublishAnywhere) {
  const AccessRules rules(std::make_shared<meta::Identities>(identities), false);
  EXPECT_TRUE(rules.may_publish_anywhere(who["root"]));
  EXPECT_FALSE(rules.may_publish_anywhere(who["alice"]));
}

}  // namespace
}  // namespace stele::broker
