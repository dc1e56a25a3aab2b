// Scenes of logs with several replicas: nodes with real journals, over simulated TCP.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/shard_log.h"
#include "journal/snapshot_segment.h"
#include "journal/testing/cluster_node.h"
#include "sim/network.h"

namespace stele::journal {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
using testing::ClusterModel;
using testing::ClusterNode;

struct Ignored final : AppendListener {
  void on_stored(std::uint64_t) override {}
  void on_append_failed(const Error&) override {}
};

// A process of a node, with logs of its own.
class NodeProgram final : public sim::Program {
 public:
  NodeProgram(sim::ProcessContext& process, ClusterModel& model, std::uint32_t number, bool has_journal)
      : at(process, model, number, has_journal) {
    scope.spawn(at.start());
  }
  // Written as one node alone would, on the disk of this process.
  LocalReplicas& alone() {
    if (!alone_) alone_ = std::make_unique<LocalReplicas>(at.node.client(0), here);
    return *alone_;
  }
  ClusterNode at;
  NodeId here{1};
  std::vector<std::unique_ptr<Heard>> heard;
  std::vector<std::unique_ptr<ShardLog>> logs;
  runtime::Scope scope;  // last

 private:
  std::unique_ptr<LocalReplicas> alone_;
};

struct ClusterLogTest : ::testing::Test {
  ClusterLogTest() : model(64), world(5) {
    model.journal.store.directory = "/journal";
    model.replicas.remote.timeout = 1s;
    model.replicas.remote.probe = 100ms;
    options.take.give_up_after = 3s;
    options.replace_after = 5s;
  }
  void add_node(bool has_journal = true) {
    const auto number = std::uint32_t(hosts.size() + 1);
    hosts.push_back(&world.add_host(rpc::testing::host_of(number)));
    programs.push_back(nullptr);
    hosts.back()->boot(1, [this, number, has_journal](sim::ProcessContext& process) {
      auto program = std::make_unique<NodeProgram>(process, model, number, has_journal);
      programs[number - 1] = program.get();
      return program;
    });
    until_serves(number);
  }
  void add_nodes(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) add_node();
    world.run_for(500ms);  // everybody has heard of everybody
  }
  void until_serves(std::uint32_t number) {
    const auto serves = [&] { return programs[number - 1] && at(number).at.serves(); };
    world.run_until(serves, 1min);
    ASSERT_TRUE(serves());
  }
  NodeProgram& at(std::uint32_t number) { return *programs[number - 1]; }
  // And the meta service notices.
  void crash(std::uint32_t number) {
    hosts[number - 1]->crash(sim::CrashMode::kPowerLoss);
    programs[number - 1] = nullptr;
    model.down.insert(NodeId(number));
    world.run_for(400ms);
  }
  void restart(std::uint32_t number) {
    hosts[number - 1]->restart();
    model.down.erase(NodeId(number));
    until_serves(number);
    world.run_for(500ms);
  }

  // In a turn of the node.
  void act(std::uint32_t number, const std::function<void()>& work) {
    bool done = false;
    runtime::Runtime& core = at(number).at.core();
    core.post(core.core(), [&] {
      work();
      done = true;
    });
    world.run_until([&] { return done; }, 1min);
    ASSERT_TRUE(done);
  }
  // What a task of the node gives.
  template <class T>
  T get(std::uint32_t number, std::function<Task<T>()> make) {
    std::optional<T> value;
    act(number, [&] { at(number).scope.spawn(keep(make(), value)); });
    world.run_until([&] { return value.has_value(); }, 5min);
    STELE_ASSERT(value);
    return *std::move(value);
  }
  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
  }

  using Each = ShardLog::EachTaken;
  Result<Each> take_each(std::uint32_t number, std::vector<ShardId> shards) {
    return get<Result<Each>>(number, [&] {
      return ShardLog::take_over_each(*at(number).at.replicas, at(number).at.keeper(), shards, options);
    });
  }
  Result<ShardLog*> take(std::uint32_t number, ShardId shard = ShardId(0)) {
    STELE_TRY(auto each, take_each(number, {shard}));
    if (!each[0]) return std::unexpected(each[0].error());
    return keep_log(number, *std::move(each[0]));
  }
  ShardLog* keep_log(std::uint32_t number, std::unique_ptr<ShardLog> log) {
    NodeProgram& program = at(number);
    program.heard.push_back(std::make_unique<Heard>());
    log->set_listener(*program.heard.back());
    program.logs.push_back(std::move(log));
    return program.logs.back().get();
  }
  void append(std::uint32_t number, ShardLog& log, int count, std::size_t size = 100) {
    act(number, [&] {
      for (int i = 0; i < count; ++i) {
        std::string text = "entry " + std::to_string(log.next().value);
        text.resize(std::max(size, text.size()), '.');
        log.append(entry_of(text));
      }
    });
  }
  bool commits(ShardLog& log, runtime::Duration within = 2s) {
    world.run_for(1ms);
    world.run_until([&] { return log.committed() == log.next(); }, within);
    return log.committed() == log.next();
  }
  // From the disks, not from the memory of who wrote it.
  std::vector<std::string> read(std::uint32_t number, ShardLog& log) {
    return get<std::vector<std::string>>(number, [&] { return read_all(log, log.begin(), 1000); });
  }
  void expect_entries(std::uint32_t number, ShardLog& log, std::uint64_t count) {
    const auto entries = read(number, log);
    ASSERT_EQ(entries.size(), count);
    for (std::uint64_t i = 0; i < count; ++i)
      EXPECT_TRUE(entries[i].starts_with("entry " + std::to_string(i) + ".")) << entries[i];
  }
  std::vector<std::uint32_t> nodes_of(const meta::Segment& segment) {
    std::vector<std::uint32_t> nodes;
    for (const meta::Replica& replica : segment.replicas) nodes.push_back(replica.node.value);
    std::ranges::sort(nodes);
    return nodes;
  }
  // Entries, on the disk of that node.
  std::uint64_t held(std::uint32_t number, SegmentId segment) {
    const auto info = at(number).at.node.server->store().info(segment);
    return info ? info->stored : 0;
  }
  const std::vector<meta::Segment>& chain(ShardId shard = ShardId(0)) {
    return model.chains.shard(shard).chain;
  }
  using Nodes = std::vector<std::uint32_t>;

  ClusterModel model;
  ShardLogOptions options;
  std::vector<sim::Host*> hosts;
  std::vector<NodeProgram*> programs;
  sim::World world;  // last
};

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

// ---- looking after sealed segments ------------------------------------------------------------------------

TEST_F(ClusterLogTest, WhatANodeHadAloneIsCopiedWhenThereAreMore) {
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

TEST_F(ClusterLogTest, ASealedSegmentIsCopiedWhenAReplicaIsAwayForLong) {
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
TEST_F(ClusterLogTest, WhoLeavesForGoodKeepsNothing) {
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
TEST_F(ClusterLogTest, AReplicaThatIsBehindIsCompleted) {
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

TEST_F(ClusterLogTest, WhatIsTrimmedIsNotCopied) {
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
TEST_F(ClusterLogTest, WhetherASegmentWasMovedIsLookedUp) {
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

TEST_F(ClusterLogTest, ASnapshotIsFoundFromEveryNodeAlsoWhenItsWriterIsGone) {
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
TEST_F(ClusterLogTest, ASnapshotDoesNotWaitForAReplicaThatIsSilent) {
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

TEST_F(ClusterLogTest, ASnapshotOfAnOldOwnerIsRefusedAndAnEmptyOneIsNone) {
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
TEST_F(ClusterLogTest, ASnapshotThatIsAboutToBeNamedIsNoOrphan) {
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
