// Scenes of logs with several replicas: nodes with real journals, over simulated TCP.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/shard_log.h"
#include "journal/testing/cluster_log.h"
#include "sim/network.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using namespace testing;  // NOLINT: what the scenes are made of
using runtime::Task;

TEST_F(ClusterLogTest, ThreeReplicasAndTheNextOwnerIsAnother) {
  add_nodes(3);
  auto log = take(1);
  ASSERT_TRUE(log) << log.error().to_string();
  EXPECT_EQ(nodes_of((*log)->chain().last()), Nodes({1, 2, 3}));
  EXPECT_EQ((*log)->chain().last().replicas.front().node, NodeId(1));  // near its writer
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  (*log)->roll();
  world.run_for(1s);
  EXPECT_EQ((*log)->chain().segments().size(), 2u);
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  crash(1);
  auto next = take(2);
  ASSERT_TRUE(next) << next.error().to_string();
  EXPECT_EQ((*next)->next(), Lsn(40));
  EXPECT_EQ(nodes_of((*next)->chain().last()), Nodes({2, 3}));
  expect_entries(2, **next, 40);
  append(2, **next, 5);
  EXPECT_TRUE(commits(**next));
}

TEST_F(ClusterLogTest, AnOldOwnerIsFencedEverywhere) {
  add_nodes(3);
  auto log = take(1);
  ASSERT_TRUE(log);
  auto next = take(2);
  ASSERT_TRUE(next);
  append(1, **log, 3);
  world.run_for(2s);
  EXPECT_EQ((*log)->committed(), Lsn(0));
  ASSERT_TRUE(at(1).heard[0]->lost);
  EXPECT_EQ(at(1).heard[0]->lost->code, ErrorCode::kFenced);
  append(2, **next, 3);
  EXPECT_TRUE(commits(**next));
}

// What was written when the node was alone, and what came since.
TEST_F(ClusterLogTest, ChainsMix) {
  add_nodes(3);
  at(1).here = NodeId(1);
  for (const ShardId shard : {ShardId(0), ShardId(1)}) {
    auto alone = get<Result<std::vector<std::unique_ptr<ShardLog>>>>(
        1, [&] { return ShardLog::take_over_all(at(1).alone(), at(1).at.keeper(), {shard}, options); });
    ASSERT_TRUE(alone);
    ShardLog* const log = keep_log(1, std::move(alone->at(0)));
    EXPECT_EQ(nodes_of(log->chain().last()), Nodes({1}));
    append(1, *log, 10);
    ASSERT_TRUE(commits(*log));
  }
  auto log = take(2);
  ASSERT_TRUE(log) << log.error().to_string();
  EXPECT_EQ(nodes_of((*log)->chain().last()), Nodes({1, 2, 3}));
  append(2, **log, 10);
  ASSERT_TRUE(commits(**log));
  expect_entries(2, **log, 20);

  // The last segment of one shard lies on node 1 only: that one waits, and says for whom; the other goes on.
  crash(1);
  auto each = take_each(3, {ShardId(1), ShardId(0)});
  ASSERT_TRUE(each);
  ASSERT_FALSE(each->at(0));
  EXPECT_EQ(each->at(0).error().code, ErrorCode::kUnavailable);
  const std::string why = each->at(0).error().to_string();
  const std::string segment = std::to_string(chain(ShardId(1)).back().id.value);
  for (const std::string& part : {std::string("shard 1"), "segment " + segment, std::string("node 1")})
    EXPECT_NE(why.find(part), std::string::npos) << part << " in " << why;
  ASSERT_TRUE(each->at(1)) << each->at(1).error().to_string();
  EXPECT_EQ(each->at(1).value()->next(), Lsn(20));
  ShardLog* const other = keep_log(3, *std::move(each->at(1)));
  append(3, *other, 5);
  EXPECT_TRUE(commits(*other));
  // What lies on node 1 alone can be read when it is back.
  const auto early = get<Result<std::vector<LogEntry>>>(3, [&] { return other->read(Lsn(3), 100); });
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::kUnavailable);
  restart(1);
  expect_entries(3, *other, 25);
  auto late = take(3, ShardId(1));
  ASSERT_TRUE(late) << late.error().to_string();
  expect_entries(3, **late, 10);
}

TEST_F(ClusterLogTest, ALostReplicaIsReplacedAndComesBack) {
  add_nodes(4);
  auto log = take(1);
  ASSERT_TRUE(log);
  const Nodes first = nodes_of((*log)->chain().last());
  ASSERT_EQ(first.size(), 3u);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  const std::uint32_t victim = first.back();
  crash(victim);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));  // without it, at once
  EXPECT_TRUE((*log)->writable());
  EXPECT_EQ((*log)->chain().segments().size(), 1u);
  world.run_for(10s);
  EXPECT_EQ((*log)->chain().segments().size(), 2u);
  Nodes now = nodes_of((*log)->chain().last());
  EXPECT_EQ(now.size(), 3u);
  EXPECT_FALSE(std::ranges::count(now, victim));
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  // With two left it is two, which both must have it.
  const std::uint32_t second = now.back();
  crash(second);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  world.run_for(10s);
  EXPECT_EQ(nodes_of((*log)->chain().last()).size(), 2u);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  restart(victim);
  restart(second);
  world.run_for(10s);
  EXPECT_EQ(nodes_of((*log)->chain().last()).size(), 3u);
  EXPECT_EQ(at(1).heard[0]->lost, std::nullopt);
  expect_entries(1, **log, 50);
}

// Nothing is lost, so nothing is waited for.
TEST_F(ClusterLogTest, MoreNodesThanBeforeTakePartAtOnce) {
  add_nodes(1);
  auto log = take(1);
  ASSERT_TRUE(log);
  EXPECT_EQ(nodes_of((*log)->chain().last()), Nodes{1});
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  add_nodes(1);
  world.run_for(3s);
  EXPECT_EQ(nodes_of((*log)->chain().last()), (Nodes{1, 2}));
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  add_nodes(1);
  world.run_for(3s);
  EXPECT_EQ(nodes_of((*log)->chain().last()), (Nodes{1, 2, 3}));
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  expect_entries(1, **log, 30);
}

// Two are lost before anything was committed: an empty segment is replaced without a trace.
TEST_F(ClusterLogTest, AnEmptySegmentIsReplaced) {
  add_nodes(5);
  auto log = take(1);
  ASSERT_TRUE(log);
  const meta::Segment first = (*log)->chain().last();
  for (const std::uint32_t number : nodes_of(first)) {
    if (number != 1) crash(number);
  }
  append(1, **log, 10);
  world.run_for(2s);
  EXPECT_EQ((*log)->committed(), Lsn(0));
  EXPECT_FALSE((*log)->writable());
  world.run_for(10s);
  EXPECT_TRUE(commits(**log));
  EXPECT_TRUE((*log)->writable());
  ASSERT_EQ((*log)->chain().segments().size(), 1u);
  EXPECT_NE((*log)->chain().last().id, first.id);
  EXPECT_EQ(at(1).at.node.server->store().segments().size(), 1u);
  expect_entries(1, **log, 10);
}

TEST_F(ClusterLogTest, BelowTheMinimumNothingIsWritable) {
  add_nodes(3);
  auto log = take(1);
  ASSERT_TRUE(log);
  crash(2);
  crash(3);
  append(1, **log, 10);
  world.run_for(20s);
  EXPECT_EQ((*log)->committed(), Lsn(0));
  EXPECT_FALSE((*log)->writable());
  EXPECT_EQ((*log)->why_not_writable().code, ErrorCode::kUnavailable);
  const int unblocked = at(1).heard[0]->unblocked;
  const auto other = take(1, ShardId(1));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kUnavailable);
  restart(2);
  EXPECT_TRUE(commits(**log, 20s));
  EXPECT_TRUE((*log)->writable());
  EXPECT_GT(at(1).heard[0]->unblocked, unblocked);
  expect_entries(1, **log, 10);
}

// Both others come back without what they had: too few are left that could store more of this segment, but
// its owner has everything, and lives.
TEST_F(ClusterLogTest, TooFewAreLeftAndItGoesOnInTheNext) {
  add_nodes(3);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  crash(3);
  hosts[2]->disk().wipe();
  restart(3);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  crash(2);
  hosts[1]->disk().wipe();
  append(1, **log, 10);
  world.run_for(200ms);
  restart(2);
  world.run_for(20s);
  EXPECT_TRUE((*log)->writable());
  EXPECT_TRUE(commits(**log));
  EXPECT_EQ((*log)->chain().segments().size(), 2u);
  expect_entries(1, **log, 30);
}

TEST_F(ClusterLogTest, WithoutTheMetaServiceItGoesOnWithTwo) {
  add_nodes(3);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  model.chains.reachable = false;
  crash(3);
  for (int i = 0; i < 5; ++i) {
    append(1, **log, 10);
    EXPECT_TRUE(commits(**log));
    EXPECT_TRUE((*log)->writable());
    world.run_for(4s);
  }
  EXPECT_EQ(chain().size(), 1u);
  model.chains.reachable = true;
  world.run_for(10s);
  EXPECT_EQ(chain().size(), 2u);
  EXPECT_EQ(nodes_of(chain().back()), Nodes({1, 2}));
  append(1, **log, 10);
  EXPECT_TRUE(commits(**log));
}

TEST_F(ClusterLogTest, ANodeWithoutAJournalOwnsShards) {
  add_nodes(3);
  add_node(false);
  world.run_for(500ms);
  auto log = take(4);
  ASSERT_TRUE(log) << log.error().to_string();
  EXPECT_EQ(nodes_of((*log)->chain().last()), Nodes({1, 2, 3}));
  append(4, **log, 30);
  ASSERT_TRUE(commits(**log));
  EXPECT_TRUE(get<Result<void>>(4, [&] { return (*log)->sync(); }));
  ASSERT_TRUE(model.chains.publish(ShardId(0), (*log)->epoch(), Lsn(30)));
  (*log)->roll();
  world.run_for(1s);
  append(4, **log, 30);
  ASSERT_TRUE(commits(**log));
  (*log)->trim(Lsn(30));
  world.run_for(1s);
  EXPECT_EQ(chain().size(), 1u);
  for (std::uint32_t number = 1; number <= 3; ++number)
    EXPECT_EQ(at(number).at.node.server->store().segments().size(), 1u);
  auto next = take(1);
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)->next(), Lsn(60));
}

// Of a replica that does not answer one read waits, and not each.
TEST_F(ClusterLogTest, ReadingGoesToWhoAnswers) {
  model.client.tail_bytes = model.replicas.without_journal.tail_bytes = 0;
  add_nodes(3);
  add_node(false);
  world.run_for(500ms);
  auto log = take(4);
  ASSERT_TRUE(log);
  append(4, **log, 200);
  ASSERT_TRUE(commits(**log));
  for (const std::uint32_t number : {1u, 2u, 3u}) {
    hosts[number - 1]->crash(sim::CrashMode::kPowerLoss);  // the view does not tell
    const runtime::Instant before = at(4).at.core().now();
    expect_entries(4, **log, 200);
    EXPECT_LT(at(4).at.core().now() - before, 2s);
    programs[number - 1] = nullptr;
    restart(number);
  }
}

// The start of a process: three commands, and no commit for each shard on its own.
TEST_F(ClusterLogTest, ManyShardsAreTakenTogether) {
  add_nodes(3);
  auto first = take_each(1, model.chains.all());
  ASSERT_TRUE(first);
  for (auto& log : *first) {
    ASSERT_TRUE(log);
    keep_log(1, *std::move(log));
    append(1, *at(1).logs.back(), 2);
  }
  for (const auto& log : at(1).logs) ASSERT_TRUE(commits(*log));
  const auto batches = [&] {
    std::uint64_t most = 0;
    for (std::uint32_t number = 1; number <= 3; ++number)
      most = std::max(most, at(number).at.node.server->store().stats().batches);
    return most;
  };
  const std::uint64_t before = batches(), swaps = model.chains.swaps, takes = model.chains.takes;
  auto second = take_each(2, model.chains.all());
  ASSERT_TRUE(second);
  for (auto& log : *second) {
    ASSERT_TRUE(log) << log.error().to_string();
    EXPECT_EQ((*log)->next(), Lsn(2));
  }
  EXPECT_EQ(model.chains.takes, takes + 1);
  EXPECT_EQ(model.chains.swaps, swaps + 64);
  world.run_for(1s);
  EXPECT_LT(batches() - before, 12u);
}

TEST_F(ClusterLogTest, OrphansAreWhatNoChainHasHere) {
  add_nodes(4);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 5);
  ASSERT_TRUE(commits(**log));
  const meta::Segment segment = (*log)->chain().last();
  std::uint32_t without = 0;
  for (std::uint32_t number = 1; number <= 4; ++number)
    if (!std::ranges::count(nodes_of(segment), number)) without = number;
  // As a repair that was broken off would leave it.
  Ignored heard;
  std::unique_ptr<SegmentWriter> writer;
  act(without, [&] {
    writer = at(without).at.node.client(0).open_writer(segment.id, segment.epoch, 0, heard);
    writer->append(entry_of("copied"));
  });
  world.run_for(1s);
  act(without, [&] { writer.reset(); });
  EXPECT_EQ(at(without).at.node.server->store().segments().size(), 1u);
  for (std::uint32_t number = 2; number <= 4; ++number) {
    crash(number);
    restart(number);
    world.run_for(1s);
    EXPECT_EQ(at(number).at.node.server->store().segments().size(), number == without ? 0u : 1u);
  }
}

}  // namespace
}  // namespace stele::journal
