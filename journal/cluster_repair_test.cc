// Scenes of what looks after sealed segments, and of snapshots that are segments: nodes with real journals,
// over simulated TCP.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/shard_log.h"
#include "journal/snapshot_segment.h"
#include "journal/testing/cluster_log.h"
#include "sim/network.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using namespace testing;  // NOLINT: what the scenes are made of
using runtime::Task;

using ClusterRepairTest = ClusterLogTest;

// ---- looking after sealed segments ------------------------------------------------------------------------

TEST_F(ClusterRepairTest, WhatANodeHadAloneIsCopiedWhenThereAreMore) {
  add_nodes(1);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  add_nodes(2);
  world.run_for(5s);
  ASSERT_EQ((*log)->chain().segments().size(), 2u);
  const SegmentId sealed = chain().front().id;
  EXPECT_EQ(nodes_of(chain().front()), (Nodes{1, 2, 3}));
  for (std::uint32_t number = 1; number <= 3; ++number) EXPECT_EQ(held(number, sealed), 20u) << number;
  append(1, **log, 5);
  ASSERT_TRUE(commits(**log));
  crash(1);
  auto next = take(2);
  ASSERT_TRUE(next) << next.error().to_string();
  expect_entries(2, **next, 25);
}

TEST_F(ClusterRepairTest, ASealedSegmentIsCopiedWhenAReplicaIsAwayForLong) {
  options.repair_after = 60s;
  add_nodes(4);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  act(1, [&] { (*log)->roll(); });
  world.run_for(1s);
  ASSERT_EQ(chain().size(), 2u);
  const SegmentId sealed = chain().front().id;
  const Nodes first = nodes_of(chain().front());
  const std::uint32_t victim = first.back();
  // Not for a moment.
  crash(victim);
  world.run_for(40s);
  restart(victim);
  world.run_for(60s);
  EXPECT_EQ(nodes_of(chain().front()), first);
  EXPECT_EQ(model.chains.moves, 0u);
  crash(victim);
  world.run_for(70s);
  const Nodes now = nodes_of(chain().front());
  EXPECT_EQ(now.size(), 3u);
  EXPECT_FALSE(std::ranges::count(now, victim));
  for (const std::uint32_t number : now) EXPECT_EQ(held(number, sealed), 20u) << number;
  // It finds itself without.
  restart(victim);
  world.run_for(2s);
  EXPECT_EQ(held(victim, sealed), 0u);
  expect_entries(1, **log, 20);
  EXPECT_EQ(at(1).heard[0]->lost, std::nullopt);
}

// Whoever is to be removed from the cluster is soon without anything, whether it lives or not.
TEST_F(ClusterRepairTest, WhoLeavesForGoodKeepsNothing) {
  add_nodes(4);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  act(1, [&] { (*log)->roll(); });
  world.run_for(15s);  // all is known to be there
  ASSERT_EQ(chain().size(), 2u);
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  const auto is_without = [&](std::uint32_t number) {
    return std::ranges::none_of(chain(), [&](const meta::Segment& segment) {
      return std::ranges::count(nodes_of(segment), number) > 0;
    });
  };
  const std::uint32_t first = nodes_of(chain().front()).back();
  model.leaving.insert(NodeId(first));
  world.run_for(5s);
  EXPECT_TRUE(is_without(first));
  EXPECT_EQ(nodes_of(chain().front()).size(), 3u);
  // With two left, two are what is wanted. This one does not live any more.
  const std::uint32_t second = nodes_of(chain().front()).back();
  crash(second);
  model.leaving.insert(NodeId(second));
  world.run_for(20s);
  EXPECT_TRUE(is_without(second));
  EXPECT_EQ(nodes_of(chain().front()).size(), 2u);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  expect_entries(1, **log, 50);
}

// A seal waits for two. The third is asked afterwards.
TEST_F(ClusterRepairTest, AReplicaThatIsBehindIsCompleted) {
  options.replace_after = 1min;
  add_nodes(3);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  world.run_for(1s);
  crash(3);
  append(1, **log, 10);
  ASSERT_TRUE(commits(**log));
  act(1, [&] { (*log)->roll(); });
  world.run_for(1s);
  const SegmentId sealed = chain().front().id;
  ASSERT_EQ(nodes_of(chain().front()), (Nodes{1, 2, 3}));
  restart(3);
  EXPECT_EQ(held(3, sealed), 10u);
  world.run_for(20s);
  EXPECT_EQ(held(3, sealed), 20u);
  EXPECT_EQ(model.chains.moves, 0u);
}

TEST_F(ClusterRepairTest, WhatIsTrimmedIsNotCopied) {
  add_nodes(1);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  model.chains.publish(ShardId(0), (*log)->epoch(), Lsn(12));
  act(1, [&] { (*log)->trim(Lsn(12)); });
  world.run_for(1s);
  add_nodes(2);
  world.run_for(5s);
  const meta::Segment sealed = chain().front();
  EXPECT_EQ(nodes_of(sealed), (Nodes{1, 2, 3}));
  for (std::uint32_t number = 1; number <= 3; ++number) EXPECT_EQ(held(number, sealed.id), 20u) << number;
  crash(1);
  auto next = take(2);
  ASSERT_TRUE(next) << next.error().to_string();
  const auto entries = get<std::vector<std::string>>(2, [&] { return read_all(**next, Lsn(12), 1000); });
  ASSERT_EQ(entries.size(), 8u);
  EXPECT_TRUE(entries[0].starts_with("entry 12."));
  const auto trimmed = get<Result<std::vector<LogEntry>>>(2, [&] { return (*next)->read(Lsn(3), 100); });
  EXPECT_FALSE(trimmed);
}

// The answers of the keeper are lost, and what it was told has happened or not.
TEST_F(ClusterRepairTest, WhetherASegmentWasMovedIsLookedUp) {
  model.chains.lost_answers_of_8 = 6;
  add_nodes(1);
  auto log = take(1);
  ASSERT_TRUE(log);
  append(1, **log, 20);
  ASSERT_TRUE(commits(**log));
  add_nodes(2);
  world.run_for(60s);
  EXPECT_EQ(nodes_of(chain().front()), (Nodes{1, 2, 3}));
  EXPECT_EQ((*log)->chain().segments().front().replicas, chain().front().replicas);
  expect_entries(1, **log, 20);
}

// ---- snapshots ------------------------------------------------------------------------------------------

// Several entries, the last one short.
Bytes large_snapshot(char fill = 'x') {
  return Bytes::copy(std::string(600'000, fill) + "end");
}

TEST_F(ClusterRepairTest, ASnapshotIsFoundFromEveryNodeAlsoWhenItsWriterIsGone) {
  add_nodes(3);
  const auto stored = get<Result<SnapshotSegment>>(
      1, [&] { return store_snapshot(*at(1).at.replicas, ShardId(3), Epoch(7), 1, large_snapshot()); });
  ASSERT_TRUE(stored) << stored.error().to_string();
  EXPECT_EQ(stored->replicas.size(), 3u);
  EXPECT_EQ(stored->entries, 3u);
  const auto load = [&](std::uint32_t from) {
    return get<Result<std::string>>(from, [&] { return load_snapshot(*at(from).at.replicas, *stored); });
  };
  for (std::uint32_t from = 1; from <= 3; ++from) EXPECT_EQ(load(from), std::string(large_snapshot()));
  crash(1);
  for (std::uint32_t from = 2; from <= 3; ++from) EXPECT_EQ(load(from), std::string(large_snapshot()));
  // Lazily: who is not reached keeps it until its process starts again.
  const auto held = [&](std::uint32_t number) {
    return at(number).at.node.server->store().segments().size();
  };
  act(2, [&] { remove_snapshot(*at(2).at.replicas, *stored); });
  world.run_for(1s);
  EXPECT_EQ(held(2), 0u);
  crash(3);
  restart(3);
  world.run_for(1s);
  EXPECT_EQ(held(3), 0u);
  EXPECT_FALSE(load(2));
}

// Simulated time: the requests to the silent one have minutes, and the others answer at once.
TEST_F(ClusterRepairTest, ASnapshotDoesNotWaitForAReplicaThatIsSilent) {
  model.replicas.remote.timeout = 4min;
  model.replicas.channel.silent_after = 4min;
  add_nodes(3);
  const auto store = [&](std::uint64_t number) {
    return get<Result<SnapshotSegment>>(1, [&] {
      return store_snapshot(*at(1).at.replicas, ShardId(3), Epoch(7), number, large_snapshot());
    });
  };
  ASSERT_TRUE(store(1));  // connections are there
  for (std::uint32_t silent = 2; silent <= 3; ++silent) {
    world.fabric().split(*hosts[0], *hosts[silent - 1]);
    const auto before = world.now();
    EXPECT_TRUE(store(silent));
    EXPECT_LT(world.now() - before, 1min) << "node " << silent << " is silent";
    world.fabric().heal(*hosts[0], *hosts[silent - 1]);
    world.run_for(1min);
  }
}

TEST_F(ClusterRepairTest, ASnapshotOfAnOldOwnerIsRefusedAndAnEmptyOneIsNone) {
  add_nodes(3);
  const auto store = [&](std::uint32_t node, std::uint64_t number, Bytes bytes) {
    return get<Result<SnapshotSegment>>(
        node, [&] { return store_snapshot(*at(node).at.replicas, ShardId(3), Epoch(7), number, bytes); });
  };
  const auto empty = store(1, 1, {});
  ASSERT_TRUE(empty) << empty.error().to_string();
  EXPECT_EQ(get<Result<std::string>>(2, [&] { return load_snapshot(*at(2).at.replicas, *empty); }), "");
  // With two of three gone there is nobody to say that it is stored.
  crash(2);
  crash(3);
  const auto alone = store(1, 2, large_snapshot());
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, ErrorCode::kUnavailable);
}

// One that is not named yet is not taken for left behind by a node that comes back just then.
TEST_F(ClusterRepairTest, ASnapshotThatIsAboutToBeNamedIsNoOrphan) {
  add_nodes(3);
  const auto log = take(1, ShardId(3));
  ASSERT_TRUE(log);
  const Epoch epoch = model.chains.shard(ShardId(3)).epoch;
  const auto store = [&](std::uint64_t number, Epoch of) {
    const auto stored = get<Result<SnapshotSegment>>(
        1, [&] { return store_snapshot(*at(1).at.replicas, ShardId(3), of, number, large_snapshot()); });
    return stored.value();
  };
  const SnapshotSegment old = store(1, Epoch(epoch.value - 1)), next = store(2, epoch);
  crash(2);
  restart(2);
  const auto held_by_2 = [&](const SnapshotSegment& snapshot) {
    return get<Result<std::string>>(
               2,
               [&] {
                 SnapshotSegment here = snapshot;
                 std::erase_if(here.replicas, [](const meta::Replica& one) { return one.node != NodeId(2); });
                 return load_snapshot(*at(2).at.replicas, here);
               })
        .has_value();
  };
  EXPECT_FALSE(held_by_2(old));
  EXPECT_TRUE(held_by_2(next));
}

}  // namespace
}  // namespace stele::journal
