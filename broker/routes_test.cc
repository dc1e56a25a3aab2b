#include "broker/routes.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

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
  EXPECT_TRUE(table.route("a/x").live_places.empty());
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
  for (int i = 0; i < 60; ++i) ++turns[table.route("a/x").shares.front()->next().core().value];
  EXPECT_EQ(turns, (std::map<std::uint32_t, int>{{0, 20}, {1, 30}, {2, 10}}));
  table.members(1, 0);
  turns.clear();
  for (int i = 0; i < 60; ++i) ++turns[table.route("a/x").shares.front()->next().core().value];
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

TEST(Routes, AMemoIsGoodUntilTheRoutesAreForgotten) {
  RouteTable routes(4);
  RouteMemo memo;
  const Route* first = &routes.route(kDefaultTenant, "a", memo);
  EXPECT_EQ(&routes.route(kDefaultTenant, "a", memo), first);
  EXPECT_EQ(routes.route(kDefaultTenant, "b", memo).address, "b");
  EXPECT_EQ(routes.route(kDefaultTenant, "a", memo).address, "a");
  EXPECT_TRUE(routes.route(kDefaultTenant, "a", memo).live_places.empty());
  routes.set_live_interest(CoreId(1), kDefaultTenant, "+", true);
  EXPECT_EQ(routes.route(kDefaultTenant, "a", memo).live_places.size(), 1u);
  // Another tenant's route to the same address is another one.
  EXPECT_TRUE(routes.route(TenantId(7), "a", memo).live_places.empty());
  EXPECT_EQ(routes.route(kDefaultTenant, "a", memo).live_places.size(), 1u);
}

TEST(Routes, LiveMatchesAreKeptWithTheRouteAndBounded) {
  RouteTable routes(4);
  const std::vector<LiveMatch> one(1), many(1 << 19);
  routes.keep_live(routes.route(kDefaultTenant, "a"), one, 5);
  EXPECT_EQ(routes.route(kDefaultTenant, "a").live_here.size(), 1u);
  EXPECT_EQ(routes.route(kDefaultTenant, "a").live_version, 5u);
  routes.keep_live(routes.route(kDefaultTenant, "b"), many, 5);
  // Those of before do not count when they are replaced.
  for (int i = 0; i < 4; ++i) routes.keep_live(routes.route(kDefaultTenant, "b"), many, 6);
  EXPECT_EQ(routes.route(kDefaultTenant, "a").live_here.size(), 1u);
  RouteMemo memo;
  routes.route(kDefaultTenant, "a", memo);
  routes.keep_live(routes.route(kDefaultTenant, "c"), many, 6);
  EXPECT_EQ(routes.route(kDefaultTenant, "a", memo).live_version, 0u);
  EXPECT_EQ(routes.route(kDefaultTenant, "b").live_here.size(), 0u);
  EXPECT_EQ(routes.route(kDefaultTenant, "c").live_here.size(), 0u);
}

}  // namespace
}  // namespace stele::broker
