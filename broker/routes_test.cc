#include "broker/routes.h"

#include <gtest/gtest.h>

#include <map>

namespace stele::broker {
namespace {

constexpr std::string_view kShare = "$share/g/a/#";

struct Table {
  RouteTable routes{4};
  void members(std::uint32_t core, std::uint32_t count, std::string_view share = kShare) {
    routes.set_share_members(CoreId(core), kDefaultTenant, share, count);
  }
  void keeps(bool on, std::string_view share = kShare) { routes.set_share_keeps(kDefaultTenant, share, on); }
  const Route& route(std::string_view address) { return routes.route(kDefaultTenant, address); }
};

TEST(Routes, ASharedSubscriptionIsByItsFilter) {
  Table table;
  EXPECT_FALSE(table.routes.any_share(kDefaultTenant));
  table.members(0, 1);
  table.members(0, 1, "$share/g/b");
  table.members(0, 1, "$share/h/a/+");
  EXPECT_EQ(table.route("a/x").shares.size(), 2u);
  EXPECT_EQ(table.route("a/x/y").shares.size(), 1u);
  EXPECT_EQ(table.route("b").shares.size(), 1u);
  EXPECT_EQ(table.route("c").shares.size(), 0u);
  EXPECT_EQ(table.route(kShare).shares.size(), 0u);
  EXPECT_TRUE(table.route("a/x").live_cores.empty());
  EXPECT_EQ(table.routes.route(TenantId(7), "a/x").shares.size(), 0u);
  EXPECT_EQ(table.routes.shares(), 3u);
  table.members(0, 0);
  EXPECT_EQ(table.route("a/x").shares.size(), 1u);
  table.members(0, 0, "$share/h/a/+");
  EXPECT_EQ(table.route("a/x").shares.size(), 0u);
  table.members(3, 0);  // never was there
  EXPECT_EQ(table.routes.shares(), 1u);
}

TEST(Routes, CoresTakeTurnsByTheirMembers) {
  Table table;
  table.members(1, 3);
  table.members(2, 1);
  table.members(0, 2);
  std::map<std::uint32_t, int> turns;
  for (int i = 0; i < 60; ++i) ++turns[table.route("a/x").shares.front()->next().value];
  EXPECT_EQ(turns, (std::map<std::uint32_t, int>{{0, 20}, {1, 30}, {2, 10}}));
  table.members(1, 0);
  turns.clear();
  for (int i = 0; i < 60; ++i) ++turns[table.route("a/x").shares.front()->next().value];
  EXPECT_EQ(turns, (std::map<std::uint32_t, int>{{0, 40}, {2, 20}}));
}

TEST(Routes, ASharedSubscriptionWithAQueueTakesOnlyQos0Live) {
  Table table;
  table.keeps(false);  // never was there
  EXPECT_EQ(table.routes.shares(), 0u);
  table.keeps(true);
  ASSERT_EQ(table.route("a/x").shares.size(), 1u);
  EXPECT_FALSE(table.route("a/x").shares.front()->takes_live(0));  // nobody is connected
  table.members(0, 1);
  EXPECT_TRUE(table.route("a/x").shares.front()->takes_live(0));
  EXPECT_FALSE(table.route("a/x").shares.front()->takes_live(1));
  table.keeps(false);
  EXPECT_TRUE(table.route("a/x").shares.front()->takes_live(1));
  table.keeps(true);
  table.members(0, 0);
  EXPECT_EQ(table.routes.shares(), 1u);
  table.routes.forget_shard(table.routes.share(kDefaultTenant, kShare)->home());
  EXPECT_EQ(table.route("a/x").shares.size(), 0u);
}

}  // namespace
}  // namespace stele::broker
