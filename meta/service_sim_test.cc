// The meta service in the simulator: hosts whose power fails in the middle of any file operation, disks that
// keep any part of what was not synced, syncs that fail. What was answered is there afterwards, and one seed
// is one history.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "meta/client.h"
#include "meta/service.h"
#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/world.h"

namespace stele::meta {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

constexpr std::uint32_t kCores = 3;
constexpr int kCommandsPerCore = 25;

// What was answered to whom, over all lives of the host.
struct Ledger {
  std::map<std::string, Topic> topics;
  std::set<std::string> doubtful;  // their last command was never answered
  std::set<std::int64_t> producer_ids;
  std::map<ShardId, Epoch> epochs;
  Incarnation incarnation;
  std::vector<std::string> wrong;
  std::string last_failure;  // of a start
  int cores_done = 0;
  int answers = 0;
  int starts = 0;
};

class MetaNode final : public sim::Program {
 public:
  MetaNode(sim::ProcessContext& process, Ledger& ledger) : ledger_(ledger) {
    for (runtime::Runtime* core : process.cores()) cores_.push_back(std::make_unique<OnCore>(*core));
    cores_.front()->scope.spawn(start(*this));
  }

 private:
  struct OnCore {
    explicit OnCore(runtime::Runtime& r) : runtime(r) {}
    runtime::Runtime& runtime;
    std::unique_ptr<MetaClient> client;
    runtime::Scope scope;
  };

  static Task<void> start(MetaNode& self) {
    OnCore& here = *self.cores_.front();
    auto service = co_await MetaService::open(
        here.runtime, {.directory = "/data/node/meta", .shard_count = 8, .limits = {}});
    if (!service) {
      self.ledger_.last_failure = service.error().to_string();
      co_return;
    }
    self.service_ = *std::move(service);
    self.ledger_.last_failure.clear();
    self.check_recovered(*self.service_->view());
    for (auto& core : self.cores_) {
      here.runtime.post(core->runtime.core(), [&self, &core] { core->scope.spawn(work(self, *core)); });
    }
  }

  static Task<void> work(MetaNode& self, OnCore& here) {
    Ledger& ledger = self.ledger_;
    auto client = co_await MetaClient::connect(here.runtime, self.service_->state());
    if (!client) co_return;
    here.client = *std::move(client);
    const std::uint32_t core = here.runtime.core().value;
    if (core == 0) {
      if (!co_await take_shards(self, here)) co_return;
      ++ledger.starts;
    }
    for (int i = 0; i < kCommandsPerCore; ++i) {
      const std::string name =
          "t" + std::to_string(core) + "-" + std::to_string(here.runtime.random().below(3));
      const bool answered = here.runtime.random().chance(1, 4) ? co_await draw_ids(self, here)
                                                               : co_await change_topic(self, here, name);
      if (!answered) co_return;
      ++ledger.answers;
    }
    ++ledger.cores_done;
  }

  // What a start of a broker does.
  static Task<bool> take_shards(MetaNode& self, OnCore& here) {
    Ledger& ledger = self.ledger_;
    auto node = co_await here.client->execute(RegisterNode{.node = NodeId(1), .addresses = {}});
    if (!node) co_return false;
    if (node->incarnation <= ledger.incarnation) self.wrong("an incarnation came twice");
    ledger.incarnation = node->incarnation;
    std::vector<ShardId> all;
    for (std::uint32_t id = 0; id < 8; ++id) all.emplace_back(id);
    auto shards = co_await here.client->execute(
        TakeShards{.node = NodeId(1), .incarnation = node->incarnation, .shards = std::move(all)});
    if (!shards) co_return false;
    SealAndOpen roll;
    for (const Shard& shard : *shards) {
      if (shard.epoch <= ledger.epochs[shard.id]) self.wrong("an epoch came twice");
      ledger.epochs[shard.id] = shard.epoch;
      const Segment* last = shard.chain.empty() ? nullptr : &shard.chain.back();
      for (std::size_t i = 1; i < shard.chain.size(); ++i) {
        if (shard.chain[i - 1].end != shard.chain[i].base) self.wrong("a chain has a gap");
      }
      roll.items.push_back({.shard = shard.id,
                            .epoch = shard.epoch,
                            .last = last ? std::optional(last->id) : std::nullopt,
                            .end = last ? last->base + here.runtime.random().below(3) : Lsn(0),
                            .replicas = {{NodeId(1), 7}}});
    }
    auto rolled = co_await here.client->execute(std::move(roll));
    if (!rolled) co_return false;
    for (const auto& item : *rolled) {
      if (!item) self.wrong(item.error().message);
    }
    co_return true;
  }

  static Task<bool> draw_ids(MetaNode& self, OnCore& here) {
    const auto ids = co_await here.client->execute(AllocateProducerIds{.count = 10});
    if (!ids) co_return false;
    if (!self.ledger_.producer_ids.insert(ids->first).second) self.wrong("producer ids came twice");
    co_return true;
  }

  // Makes or deletes a topic that is this core's alone.
  static Task<bool> change_topic(MetaNode& self, OnCore& here, std::string name) {
    Ledger& ledger = self.ledger_;
    const bool there = ledger.topics.contains(name);
    ledger.doubtful.insert(name);
    if (there) {
      auto deleted = co_await here.client->execute(DeleteTopic{.tenant = {}, .name = name, .id = {}});
      if (!deleted) co_return false;
      ledger.topics.erase(name);
    } else {
      auto made = co_await here.client->execute(
          CreateTopic{.tenant = {}, .name = name, .partitions = 3, .config = {}});
      if (!made) co_return false;
      ledger.topics[name] = *made;
    }
    ledger.doubtful.erase(name);
    for (const auto& core : self.cores_) {
      if (core->client && bool(core->client->view()->find_topic(kDefaultTenant, name)) == there) {
        self.wrong("a core does not know what was answered");
      }
    }
    co_return true;
  }

  void check_recovered(const MetaView& view) {
    for (const auto& [name, topic] : ledger_.topics) {
      if (ledger_.doubtful.contains(name)) continue;
      const Topic* found = view.find_topic(kDefaultTenant, name);
      if (!found || *found != topic) wrong("topic " + name + " is lost or changed");
    }
    ledger_.topics.clear();
    ledger_.doubtful.clear();
    for (const auto& [id, topic] : view.topics()) {
      if (topic->partition_count() != 3) wrong("half a topic");
      ledger_.topics[topic->name] = *topic;
    }
  }

  void wrong(std::string what) { ledger_.wrong.push_back(std::move(what)); }

  Ledger& ledger_;
  std::unique_ptr<MetaService> service_;
  std::vector<std::unique_ptr<OnCore>> cores_;
};

struct Outcome {
  Ledger ledger;
  std::uint64_t hash = 0;
};

Outcome run(std::uint64_t seed, bool failing_syncs) {
  Outcome run;
  Ledger& ledger = run.ledger;
  sim::World world(seed, sim::WorldConfig::draw(seed));
  sim::Host& host = world.add_host("node");
  runtime::Random& faults = world.random(sim::Concern::kFaults);
  const auto node = [&](sim::ProcessContext& process) { return std::make_unique<MetaNode>(process, ledger); };
  for (int life = 0; life < 6; ++life) {
    life == 0 ? host.boot(kCores, node) : host.restart();
    ledger.cores_done = 0;
    const auto mode = faults.chance(1, 4) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss;
    host.crash_at_file_operation(1 + faults.below(400), mode);
    if (failing_syncs && faults.chance(1, 2)) host.disk().faults().failing_syncs = 1;
    world.run_until([&] { return !host.running() || ledger.cores_done == int(kCores); }, 10min);
    host.cancel_planned_crash();
    host.disk().faults() = {};
    if (host.running()) host.crash(mode);
  }
  // A last life without faults does all it has to.
  host.restart();
  ledger.cores_done = 0;
  world.run_until([&] { return ledger.cores_done == int(kCores); }, 10min);
  if (ledger.cores_done != int(kCores)) {
    ledger.wrong.push_back("the last life did not get through: " + ledger.last_failure);
  }
  run.hash = world.hash();
  return run;
}

TEST(MetaServiceInASimulation, KeepsWhatItAnswered) {
  int answers = 0, starts = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const Outcome result = run(seed, seed % 2 == 0);
    EXPECT_EQ(result.ledger.wrong, std::vector<std::string>()) << "seed " << seed;
    answers += result.ledger.answers;
    starts += result.ledger.starts;
  }
  EXPECT_GT(answers, 60 * 3 * kCommandsPerCore);
  EXPECT_GT(starts, 60 * 2);
}

TEST(MetaServiceInASimulation, OneSeedIsOneHistory) {
  for (std::uint64_t seed : {3, 4}) EXPECT_EQ(run(seed, true).hash, run(seed, true).hash);
  EXPECT_NE(run(3, true).hash, run(4, true).hash);
}

}  // namespace
}  // namespace stele::meta
