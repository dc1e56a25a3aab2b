// Three meta services that are one, on simulated hosts that lose power, are cut
// off from each other, and find their disks full or failing. What was answered
// is known to everybody ever after, nothing is done twice, and in the end all
// databases are the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "meta/client.h"
#include "meta/controller.h"
#include "meta/group_log.h"
#include "meta/group_peers.h"
#include "meta/service.h"
#include "rpc/peers.h"
#include "rpc/server.h"
#include "runtime/scope.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::meta {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

constexpr std::uint32_t kNodes = 3, kCores = 2, kShards = 8;
constexpr std::uint16_t kPort = 7000;

std::string name_of(std::uint32_t node) {
  return "node-" + std::to_string(node);
}

// What was answered to whom, over all lives of all nodes. A worker's topics are
// its own.
struct Ledger {
  std::map<std::string, Topic> topics;
  std::set<std::string> doubtful;  // their last command was not answered
  std::set<std::int64_t> producer_ids;
  std::map<NodeId, Incarnation> incarnations;
  std::set<std::pair<ShardId, Epoch>> epochs;
  std::set<std::string> names;  // of tenants, each made once
  std::vector<std::string> wrong;
  std::uint64_t answers = 0, unknown = 0;
  std::uint64_t copies = 0, again = 0, forwarded = 0;
  std::uint64_t next_name = 0;
  std::uint64_t ended = 0, moves = 0, taken = 0;
  bool calm = false;
};

const LeaseOptions kLeases{.expiry = 2s, .drift = 50};

class MetaNode final : public sim::Program {
 public:
  MetaNode(sim::ProcessContext& process, std::uint32_t number, Ledger& ledger, MetaNode** slot)
      : process_(process),
        slot_(slot),
        number_(number),
        ledger_(ledger),
        identity_{.cluster = {1, 2}, .node = NodeId(number), .incarnation = process.incarnation()},
        channels_(process.core(0), identity_, {}),
        peers_(process.core(0), channels_, 2s) {
    for (runtime::Runtime* core : process.cores()) {
      auto& on = *cores_.emplace_back(std::make_unique<OnCore>(*core, identity_));
      peers_.serve(*core, on.server);
    }
    cores_.front()->scope.spawn(start(*this));
  }

  ~MetaNode() override { *slot_ = nullptr; }
  void on_terminate() override {
    stopping_ = true;
    ending_.spawn(end(*this));
  }
  bool serving() const { return service_ != nullptr; }
  std::shared_ptr<const MetaView> view() const { return service_->view(); }
  GroupLog& log() { return *log_; }
  const Controller& controller() const { return *controller_; }
  // How long that incarnation takes itself to be part of the cluster, by its
  // own clock.
  std::optional<runtime::Instant> holds_until(Incarnation incarnation) const {
    return keeper_ && registered_ == incarnation ? keeper_->until() : std::nullopt;
  }

 private:
  struct OnCore {
    OnCore(runtime::Runtime& r, const rpc::Identity& self)
        : runtime(r), server(r, self, {.open_without_certificates = true}) {}
    runtime::Runtime& runtime;
    rpc::Server server;
    std::unique_ptr<MetaClient> client;
    runtime::Scope scope;
  };

  GroupOptions options() const {
    GroupOptions out;
    out.directory = "/data/meta";
    out.member.core.self = NodeId(number_);
    out.member.core.compaction_tail = 20;
    out.member.snapshot_every = 30;
    out.member.snapshot_part_bytes = 8000;
    for (std::uint32_t node = 1; node <= kNodes; ++node) out.member.founders.voters.insert(NodeId(node));
    return out;
  }

  // In good order, with commands under way.
  static Task<void> end(MetaNode& self) {
    if (!self.service_) co_return self.process_.exit();
    co_await self.keeper_->close();
    co_await self.controller_->close();
    co_await self.service_->close();
    co_await self.peers_.close();
    self.process_.exit();
  }

  static Task<void> start(MetaNode& self) {
    OnCore& here = *self.cores_.front();
    for (std::uint32_t node = 1; node <= kNodes; ++node) {
      if (node != self.number_) self.channels_.set(NodeId(node), {name_of(node), kPort}).keep_open();
    }
    for (auto& core : self.cores_) {
      here.runtime.post(core->runtime.core(), [&self, &core] {
        if (!core->server.listen(core->runtime.network(), {name_of(self.number_), kPort}))
          self.wrong("a node cannot listen");
      });
    }
    auto log = co_await GroupLog::open(here.runtime, self.options(), self.peers_, self.peers_);
    if (!log) co_return self.process_.exit();
    self.log_ = log->get();
    self.controller_.emplace(here.runtime, *self.log_,
                             ControllerOptions{.leases = kLeases, .balance = 2s, .balance_moves = 2});
    self.keeper_.emplace(here.runtime, *self.log_, *self.controller_, self.peers_, kLeases);
    self.peers_.attach(self.log_, &*self.controller_);
    auto service = co_await MetaService::serve(
        here.runtime,
        {.directory = "/data/meta",
         .shard_count = kShards,
         .limits = {},
         .on_failure = [&self](const Error&) { self.process_.exit(); }},
        *std::move(log), self.number_ == 1 ? MetaService::Founder::kYes : MetaService::Founder::kNo);
    if (!service) {
      self.peers_.attach(nullptr, nullptr);
      co_return self.process_.exit();
    }
    self.service_ = *std::move(service);
    for (auto& core : self.cores_) {
      here.runtime.post(core->runtime.core(), [&self, &core] { core->scope.spawn(work(self, *core)); });
    }
  }

  static Task<void> work(MetaNode& self, OnCore& here) {
    Ledger& ledger = self.ledger_;
    auto client = co_await MetaClient::connect(here.runtime, self.service_->state());
    if (!client) co_return;
    here.client = *std::move(client);
    const std::string worker = std::to_string(self.number_) + "-" + std::to_string(here.runtime.core().value);
    if (here.runtime.core() == CoreId(0)) here.scope.spawn(own(self, here));
    while (!ledger.calm) {
      co_await runtime::sleep(here.runtime, runtime::Duration(here.runtime.random().between(0, 100'000'000)));
      const std::string name = "t" + worker + "-" + std::to_string(here.runtime.random().below(3));
      switch (here.runtime.random().below(4)) {
        case 0:
          co_await self.draw_ids(here);
          break;
        case 1:
          co_await self.make_once(here);
          break;
        case 2:
          co_await self.read(here);
          break;
        default:
          co_await self.change_topic(here, name);
      }
    }
  }

  bool answered(bool yes) {
    ++(yes ? ledger_.answers : ledger_.unknown);
    return yes;
  }

  // What a broker does: registers, keeps its lease, takes what it is assigned,
  // and begins anew when it is told that it has ended.
  static Task<void> own(MetaNode& self, OnCore& here) {
    while (true) {
      auto node = co_await here.client->execute(RegisterNode{.node = NodeId(self.number_), .addresses = {}});
      if (!self.answered(node.has_value())) continue;
      Incarnation& before = self.ledger_.incarnations[NodeId(self.number_)];
      if (node->incarnation <= before) self.wrong("an incarnation came twice");
      before = self.registered_ = node->incarnation;
      bool ended = false;
      self.keeper_->keep(node->incarnation, [&ended] { ended = true; });
      while (!ended) {
        co_await runtime::sleep(here.runtime, 50ms);
        if (self.keeper_->holds()) co_await self.take_assigned(here);
      }
      self.registered_ = Incarnation(0);
    }
  }

  Task<void> take_assigned(OnCore& here) {
    std::vector<ShardId> wanted;
    const auto& places = here.client->view()->shards();
    for (std::uint32_t i = 0; i < places.size(); ++i) {
      const ShardPlace& place = places[i];
      if (place.assigned == NodeId(number_) &&
          (place.owner != NodeId(number_) || place.owner_incarnation != registered_))
        wanted.emplace_back(i);
    }
    if (wanted.empty()) co_return;
    const auto taken = co_await here.client->execute(
        TakeShards{.node = NodeId(number_), .incarnation = registered_, .shards = std::move(wanted)});
    if (taken) ledger_.taken += taken->size();
    if (!taken) co_return;
    for (const Shard& shard : *taken) {
      // Answers to several nodes may come in any order.
      if (!ledger_.epochs.insert({shard.id, shard.epoch}).second) wrong("an epoch came twice");
    }
  }

  Task<void> draw_ids(OnCore& here) {
    const auto ids = co_await here.client->execute(AllocateProducerIds{.count = 10});
    if (answered(ids.has_value()) && !ledger_.producer_ids.insert(ids->first).second)
      wrong("producer ids came twice");
  }

  // Nobody else has the name, so "there is one already" is said only to a
  // command that comes again.
  Task<void> make_once(OnCore& here) {
    const std::string name = "tenant-" + std::to_string(ledger_.next_name++);
    const auto made = co_await here.client->execute(CreateTenant{.name = name});
    if (answered(made.has_value())) {
      ledger_.names.insert(name);
    } else if (made.error().code == ErrorCode::kAlreadyExists) {
      wrong("a command was applied twice");
    }
  }

  Task<void> read(OnCore& here) {
    std::vector<ShardId> ids{ShardId(3)};
    answered((co_await here.client->read_shards(std::move(ids))).has_value());
  }

  Task<void> change_topic(OnCore& here, std::string name) {
    const bool there = ledger_.topics.contains(name);
    const bool known = !ledger_.doubtful.contains(name);
    ledger_.doubtful.insert(name);
    if (there) {
      auto deleted = co_await here.client->execute(DeleteTopic{.tenant = {}, .name = name, .id = {}});
      if (!answered(deleted.has_value())) {
        if (known && deleted.error().code == ErrorCode::kNotFound) wrong("topic " + name + " is lost");
        if (deleted.error().code != ErrorCode::kNotFound) co_return;
      }
      ledger_.topics.erase(name);
    } else {
      auto made = co_await here.client->execute(
          CreateTopic{.tenant = {}, .name = name, .partitions = 3, .config = {}});
      if (!answered(made.has_value())) {
        if (known && made.error().code == ErrorCode::kAlreadyExists) wrong("topic " + name + " came back");
        const Topic* found = here.client->view()->find_topic(kDefaultTenant, name);
        if (made.error().code != ErrorCode::kAlreadyExists || !found) co_return;
        ledger_.topics[name] = *found;
      } else {
        ledger_.topics[name] = *made;
      }
    }
    ledger_.doubtful.erase(name);
    // A service that stops answers what is under way without waiting for the other cores.
    for (const auto& core : cores_) {
      if (!stopping_ && core->client && bool(core->client->view()->find_topic(kDefaultTenant, name)) == there)
        wrong("a core does not know what was answered");
    }
  }

  void wrong(std::string what) { ledger_.wrong.push_back(std::move(what)); }

  sim::ProcessContext& process_;
  MetaNode** const slot_;  // null when this is gone
  const std::uint32_t number_;
  Ledger& ledger_;
  const rpc::Identity identity_;
  rpc::Peers channels_;
  GroupPeers peers_;
  GroupLog* log_ = nullptr;  // of the service
  Incarnation registered_;
  bool stopping_ = false;
  std::unique_ptr<MetaService> service_;
  std::optional<Controller> controller_;
  std::optional<LeaseKeeper> keeper_;
  std::vector<std::unique_ptr<OnCore>> cores_;
  runtime::Scope ending_;  // last
};

class Trial {
 public:
  explicit Trial(std::uint64_t seed) : nodes_(kNodes), world_(seed, sim::WorldConfig::draw(seed)) {
    for (std::uint32_t i = 0; i < kNodes; ++i) {
      sim::Host& host = world_.add_host(name_of(i + 1));
      hosts_.push_back(&host);
      host.boot(kCores, [this, i](sim::ProcessContext& process) {
        auto node = std::make_unique<MetaNode>(process, i + 1, ledger, &nodes_[i]);
        nodes_[i] = node.get();
        return node;
      });
    }
  }

  void run() {
    runtime::Random& faults = world_.random(sim::Concern::kFaults);
    for (int i = 0; i < 50; ++i) {
      const auto length = runtime::Duration(faults.between(0, 1'500'000'000));
      for (runtime::Duration done{}; done < length; done += 20ms) {
        world_.run_for(20ms);
        check_leases();
      }
      collect();
      fault(faults);
    }
    world_.fabric().heal_all();
    for (sim::Host* host : hosts_) {
      host->cancel_planned_crash();
      host->disk().faults() = {};
      host->disk().set_free_bytes(UINT64_MAX);
    }
    ledger.calm = true;
    for (int i = 0; i < 120 && !(equal() && settled()); ++i) {
      for (sim::Host* host : hosts_) {
        if (host->down()) host->restart();
      }
      world_.run_for(1s);
    }
    collect();
    if (equal() && !settled()) return ledger.wrong.push_back("the shards are not owned evenly in the end");
    if (!equal()) return ledger.wrong.push_back("the databases are not the same in the end");
    check_known();
  }

  Ledger ledger;
  std::uint64_t hash() const { return world_.hash(); }

 private:
  void fault(runtime::Random& random) {
    const std::size_t first = random.below(kNodes);
    sim::Host &a = *hosts_[first], &b = *hosts_[(first + 1 + random.below(kNodes - 1)) % kNodes];
    switch (random.below(11)) {
      case 0:
      case 1:
        if (a.running()) a.crash(random.chance(1, 2) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss);
        break;
      case 2:
        if (a.running() && !a.crash_planned())
          a.crash_at_file_operation(1 + random.below(60), sim::CrashMode::kPowerLoss);
        break;
      case 3:
        a.disk().faults().failing_syncs = 1;
        break;
      case 4:
        world_.fabric().isolate(a, true);
        break;
      case 5:
        random.chance(1, 2) ? world_.fabric().split(a, b) : world_.fabric().split_one_way(a, b);
        break;
      case 6:
        if (a.running()) a.pause(runtime::Duration(random.between(0, 4'000'000'000)));
        break;
      case 7:
        world_.fabric().heal_all();
        break;
      case 8:
        terminate(a, b, random);
        break;
      default:
        for (sim::Host* host : hosts_) {
          if (host->down()) host->restart();
        }
    }
  }

  void terminate(sim::Host& host, sim::Host& other, runtime::Random& random) {
    if (!host.running()) return;
    world_.fabric().slow(host, other, 1u << random.below(6));
    host.terminate();
    const auto ended = world_.run_until([&] { return !host.running(); }, 3min);
    if (ended.reason == sim::StopReason::kTime) ledger.wrong.push_back("a stop does not come to its end");
  }

  void collect() {
    for (std::size_t i = 0; i < kNodes; ++i) {
      if (!nodes_[i] || !nodes_[i]->serving()) continue;
      ledger.copies += nodes_[i]->log().member().stats().snapshots_installed > 0;
      ledger.again += nodes_[i]->log().stats().again > 0;
      ledger.forwarded += nodes_[i]->log().stats().forwarded > 0;
      ledger.ended += nodes_[i]->controller().stats().ended > 0;
      ledger.moves += nodes_[i]->controller().stats().moved > 0;
    }
  }

  // Whoever has ended in the eyes of anybody knows it by then.
  void check_leases() {
    for (const MetaNode* node : nodes_) {
      if (!node || !node->serving()) continue;
      for (const auto& [id, known] : node->view()->nodes()) {
        const MetaNode* other = nodes_[id.value - 1];
        if (known.lives || !other || !other->serving()) continue;
        const auto until = other->holds_until(known.incarnation);
        if (until && hosts_[id.value - 1]->clock().monotonic(world_.now()) < *until)
          ledger.wrong.push_back("a node holds a lease that has ended");
      }
    }
  }

  // Shards are owned by those that they are assigned to, evenly.
  bool settled() const {
    const auto view = nodes_[0]->view();
    std::map<NodeId, int> owned;
    for (const ShardPlace& place : view->shards()) {
      const auto owner = view->nodes().find(place.owner);
      if (place.assigned != place.owner || owner == view->nodes().end() || !owner->second.lives ||
          owner->second.incarnation != place.owner_incarnation)
        return false;
      ++owned[place.owner];
    }
    return owned.size() == kNodes && std::ranges::all_of(owned, [](const auto& one) {
             return one.second >= int(kShards / kNodes) && one.second <= int(kShards / kNodes) + 1;
           });
  }

  bool equal() const {
    for (std::size_t i = 0; i < kNodes; ++i) {
      if (!nodes_[i] || !nodes_[i]->serving()) return false;
      const auto view = nodes_[i]->view(), first = nodes_[0]->view();
      if (view->version() != first->version() ||
          !std::ranges::equal(view->topics(), first->topics(),
                              [](const auto& a, const auto& b) { return *a.second == *b.second; }))
        return false;
      if (nodes_[i]->log().member().status().applied != nodes_[0]->log().member().status().applied)
        return false;
    }
    return true;
  }

  void check_known() {
    const auto view = nodes_[0]->view();
    for (const auto& [name, topic] : ledger.topics) {
      if (ledger.doubtful.contains(name)) continue;
      const Topic* found = view->find_topic(kDefaultTenant, name);
      if (!found || *found != topic) ledger.wrong.push_back("topic " + name + " is lost or changed");
    }
    for (const auto& [id, topic] : view->topics()) {
      if (!ledger.topics.contains(topic->name) && !ledger.doubtful.contains(topic->name))
        ledger.wrong.push_back("topic " + topic->name + " came back");
    }
    for (const std::string& name : ledger.names) {
      if (!view->find_tenant(name)) ledger.wrong.push_back(name + " is lost");
    }
  }

  std::vector<MetaNode*> nodes_;  // null: no process
  sim::World world_;
  std::vector<sim::Host*> hosts_;
};

TEST(MetaGroupInASimulation, KnowsWhatWasAnswered) {
  std::uint64_t answers = 0, copies = 0, again = 0, forwarded = 0, ended = 0, moves = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Trial trial(seed);
    trial.run();
    EXPECT_EQ(trial.ledger.wrong, std::vector<std::string>()) << "seed " << seed;
    answers += trial.ledger.answers;
    copies += trial.ledger.copies;
    again += trial.ledger.again;
    forwarded += trial.ledger.forwarded;
    ended += trial.ledger.ended;
    moves += trial.ledger.moves;
  }
  EXPECT_GT(answers, 40u * 50);
  EXPECT_GT(copies, 40u);
  EXPECT_GT(again, 40u);
  EXPECT_GT(forwarded, 40u);
  EXPECT_GT(ended, 40u);
  EXPECT_GT(moves, 20u);
}

TEST(MetaGroupInASimulation, OneSeedIsOneHistory) {
  for (std::uint64_t seed : {3, 4}) {
    Trial one(seed), other(seed);
    one.run();
    other.run();
    EXPECT_EQ(one.hash(), other.hash());
  }
}

}  // namespace
}  // namespace stele::meta
