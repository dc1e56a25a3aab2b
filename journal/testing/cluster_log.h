// Nodes with real journals, over simulated TCP, and the logs of shards on them: for scenes of several
// replicas. World, nodes and test are on one thread.
#pragma once

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
#include "journal/testing/cluster_node.h"
#include "sim/network.h"

namespace stele::journal::testing {

using namespace std::chrono_literals;
using runtime::Task;

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

}  // namespace stele::journal::testing
