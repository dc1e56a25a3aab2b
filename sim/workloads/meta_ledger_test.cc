// Each kind of violation is seen, and what may be is not taken for one.
#include "sim/workloads/meta_ledger.h"

#include <gtest/gtest.h>

#include <string>

#include "sim/workloads/ledger_testing.h"
#include "sim/workloads/world_judge.h"
#include "sim/world.h"

namespace stele::sim {
namespace {

meta::Topic topic(const std::string& name, std::int64_t retention_ms = 1000) {
  meta::Topic out;
  out.id = TopicId(7);
  out.name = name;
  out.shards = {ShardId(1)};
  out.config.retention_ms = retention_ms;
  return out;
}

std::shared_ptr<const meta::MetaView> view_of(std::uint64_t version, const meta::Topic* there = nullptr) {
  meta::MetaViewBuilder builder;
  if (there) builder.put_topic(*there);
  return std::move(builder).finish(version);
}

meta::Shard shard(std::uint32_t id, std::uint64_t epoch) {
  meta::Shard out;
  out.id = ShardId(id);
  out.epoch = Epoch(epoch);
  return out;
}

struct MetaLedgerTest : ::testing::Test {
  bool failed(const std::string& with) { return testing::failure_of(world).find(with) != std::string::npos; }
  World world{1};
  WorldJudge judge{world};
  MetaLedger ledger{judge};
};

TEST_F(MetaLedgerTest, ALifeOfATopic) {
  ledger.changing("t1");
  ledger.changed("t1", topic("t1"));
  ledger.changing("t1");
  ledger.changed("t1", topic("t1", 5));
  const meta::Topic now = topic("t1", 5);
  ledger.check_known(*view_of(3, &now), "m1");
  ledger.changing("t1");
  ledger.removed("t1");
  ledger.check_known(*view_of(4), "m1");
  // Nothing is said of what nobody was answered.
  ledger.changing("t2");
  ledger.refused("t2", {ErrorCode::kTimedOut, "nobody knows"});
  EXPECT_TRUE(ledger.doubtful("t2"));
  const meta::Topic other = topic("t2");
  ledger.check_known(*view_of(5, &other), "m1");
  EXPECT_EQ(testing::failure_of(world), "");
}

TEST_F(MetaLedgerTest, ATopicIsLost) {
  ledger.changing("t1");
  ledger.changed("t1", topic("t1"));
  ledger.check_known(*view_of(1), "m1");
  EXPECT_TRUE(failed("topic t1 is not known to m1"));
}

TEST_F(MetaLedgerTest, ATopicIsSaidToBeLost) {
  ledger.changing("t1");
  ledger.refused("t1", {ErrorCode::kNotFound, "no such"});
  EXPECT_TRUE(failed("topic t1 is lost"));
}

TEST_F(MetaLedgerTest, ATopicIsAnother) {
  ledger.changing("t1");
  ledger.changed("t1", topic("t1"));
  const meta::Topic other = topic("t1", 2);
  ledger.check_known(*view_of(1, &other), "m1");
  EXPECT_TRUE(failed("another than was answered"));
}

TEST_F(MetaLedgerTest, ATopicComesBack) {
  ledger.changing("t1");
  ledger.changed("t1", topic("t1"));
  ledger.changing("t1");
  ledger.removed("t1");
  const meta::Topic other = topic("t1");
  ledger.check_known(*view_of(1, &other), "m1");
  EXPECT_TRUE(failed("topic t1 came back"));
}

TEST_F(MetaLedgerTest, WhatWasSaidNotToHaveHappenedDid) {
  ledger.changing("t1");
  ledger.refused("t1", {ErrorCode::kUnavailable, "it was not done"});
  const meta::Topic other = topic("t1");
  ledger.check_known(*view_of(1, &other), "m1");
  EXPECT_TRUE(failed("topic t1 came back"));
}

TEST_F(MetaLedgerTest, ACommandIsAppliedTwice) {
  ledger.tenant_not_made("tenant-1", {ErrorCode::kTimedOut, "nobody knows"});
  EXPECT_EQ(testing::failure_of(world), "");
  ledger.tenant_not_made("tenant-2", {ErrorCode::kAlreadyExists, "there is one"});
  EXPECT_TRUE(failed("tenant-2 was made twice"));
}

TEST_F(MetaLedgerTest, ProducerIdsOverlap) {
  ledger.ids_given({.first = 10, .count = 5});
  ledger.ids_given({.first = 15, .count = 5});
  ledger.ids_given({.first = 5, .count = 5});
  EXPECT_EQ(testing::failure_of(world), "");
  ledger.ids_given({.first = 19, .count = 2});
  EXPECT_TRUE(failed("given out twice"));
}

TEST_F(MetaLedgerTest, AnIncarnationComesTwice) {
  ledger.incarnation_given(NodeId(1), meta::Incarnation(2));
  ledger.incarnation_given(NodeId(2), meta::Incarnation(2));
  EXPECT_EQ(testing::failure_of(world), "");
  ledger.incarnation_given(NodeId(1), meta::Incarnation(2));
  EXPECT_TRUE(failed("incarnation of node 1 came twice"));
}

TEST_F(MetaLedgerTest, AnEpochComesTwice) {
  ledger.shard_taken(shard(1, 4));
  ledger.shard_taken(shard(1, 3));
  EXPECT_EQ(ledger.epoch_told(ShardId(1)), Epoch(4));
  EXPECT_EQ(testing::failure_of(world), "");
  ledger.shard_taken(shard(1, 4));
  EXPECT_TRUE(failed("was given out twice"));
}

TEST_F(MetaLedgerTest, AReadIsStale) {
  ledger.shard_read(shard(1, 4), Epoch(4));
  EXPECT_EQ(testing::failure_of(world), "");
  ledger.shard_read(shard(1, 4), Epoch(5));
  EXPECT_TRUE(failed("is stale"));
}

TEST_F(MetaLedgerTest, TwoViewsOfOneVersion) {
  const meta::Topic one = topic("t1"), other = topic("t1", 2);
  ledger.view_seen(*view_of(3, &one), "m1");
  ledger.view_seen(*view_of(3, &one), "m2");
  ledger.view_seen(*view_of(4, &other), "m2");
  EXPECT_EQ(testing::failure_of(world), "");
  ledger.view_seen(*view_of(3, &other), "m3");
  EXPECT_TRUE(failed("m3 sees another state as version 3"));
}

TEST_F(MetaLedgerTest, TwoDatabasesAtOneIndex) {
  ledger.database_seen(3, 1, "m1");
  ledger.database_seen(4, 2, "m2");
  EXPECT_EQ(testing::failure_of(world), "");
  ledger.database_seen(3, 2, "m2");
  EXPECT_TRUE(failed("the database of m2 is another"));
}

}  // namespace
}  // namespace stele::sim
