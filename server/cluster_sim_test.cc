// Nodes that are a cluster, as whole processes on simulated hosts: they come in, come back, are cut off,
// stand still, leave, and are one cluster all the while.
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
#include "meta/types.h"
#include "rpc/channel.h"
#include "runtime/scope.h"
#include "server/cluster_part.h"
#include "server/node.h"
#include "sim/host.h"
#include "sim/network.h"
#include "sim/world.h"

namespace stele::server {
namespace {

using runtime::Task;
using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 7000;
constexpr std::uint32_t kWithoutBroker = meta::kMetaRole | meta::kJournalRole;

// What is known of a member over all of its processes.
struct Member {
  sim::Host* host = nullptr;
  NodeConfig config;
  class Program* program = nullptr;  // null: no process
  std::vector<Error> refused;        // starts
  std::vector<Error> failed;         // processes that could not go on
  std::vector<meta::Incarnation> anew;
};

class Program final : public sim::Program {
 public:
  Program(sim::ProcessContext& process, Member& member) : process_(process), member_(member) {
    NodeConfig config = member.config;
    config.on_failure = [this](const Error& why) {
      member_.failed.push_back(why);
      if (node_->serving()) on_terminate();
    };
    config.cluster->on_incarnation = [this](meta::Incarnation incarnation) {
      member_.anew.push_back(incarnation);
    };
    node_ = std::make_unique<Node>(process.cores(), std::move(config));
    member.program = this;
    scope_.spawn(start(this));
  }
  ~Program() override { member_.program = nullptr; }
  void on_terminate() override {
    if (!std::exchange(stopping_, true)) scope_.spawn(stop(this));
  }
  Node& node() { return *node_; }
  runtime::Runtime& runtime() { return process_.core(0); }
  runtime::Scope& scope() { return scope_; }
  bool serving() const { return !stopping_ && node_->serving(); }

 private:
  static Task<void> start(Program* self) {
    auto started = co_await self->node_->start();
    if (self->stopping_ || started) co_return;
    self->member_.refused.push_back(started.error());
    self->on_terminate();
  }
  static Task<void> stop(Program* self) {
    co_await self->node_->stop();
    self->process_.exit();
  }
  sim::ProcessContext& process_;
  Member& member_;
  std::unique_ptr<Node> node_;
  bool stopping_ = false;
  runtime::Scope scope_;  // last
};

class Cluster {
 public:
  explicit Cluster(std::uint64_t seed, std::uint32_t members = 3)
      : members_(members + 1), world(seed, sim::WorldConfig::draw(seed)) {
    for (std::uint32_t i = 1; i <= members; ++i) {
      Member& member = members_[i];
      member.host = &world.add_host("n" + std::to_string(i));
      member.config.data = "/data";
      member.config.shards = 8;
      ClusterConfig& cluster = member.config.cluster.emplace();
      cluster.node = NodeId(i);
      cluster.rpc = {"n" + std::to_string(i), kPort};
      cluster.roles = kWithoutBroker;
      cluster.open_without_certificates = true;
      cluster.controller.leases = {.expiry = 2s, .drift = 50};
      cluster.group.member.core.compaction_tail = 20;
      cluster.group.member.snapshot_every = 30;
      cluster.group.member.snapshot_part_bytes = 8000;
      if (i > 1) cluster.join = {{"n1", kPort}};
    }
  }

  Member& operator[](std::uint32_t i) { return members_[i]; }
  sim::Host& host(std::uint32_t i) { return *members_[i].host; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(members_.size() - 1); }

  void boot(std::uint32_t i, std::uint32_t cores = 2) {
    host(i).boot(cores, [member = &members_[i]](sim::ProcessContext& process) {
      return std::make_unique<Program>(process, *member);
    });
  }
  // Until its process has ended.
  bool stop(std::uint32_t i) {
    host(i).terminate();
    return until([&] { return !host(i).running(); });
  }
  bool serves(std::uint32_t i) const { return members_[i].program && members_[i].program->serving(); }
  Node& node(std::uint32_t i) { return members_[i].program->node(); }
  std::shared_ptr<const meta::MetaView> view(std::uint32_t i) { return node(i).cluster()->log()->view(); }
  raft::MemberStatus status(std::uint32_t i) { return node(i).cluster()->log()->member().status(); }

  bool until(const std::function<bool()>& done, runtime::Duration limit = 60s) {
    world.run_until(done, limit);
    return done();
  }
  bool all_serve(runtime::Duration limit = 60s) {
    return until(
        [&] {
          for (std::uint32_t i = 1; i <= size(); ++i) {
            if (host(i).running() && !serves(i)) return false;
          }
          return true;
        },
        limit);
  }
  bool voters(std::uint32_t seen_by, const std::set<std::uint32_t>& wanted) {
    return until([&] {
      if (!serves(seen_by)) return false;
      const raft::Membership members = status(seen_by).membership;
      std::set<std::uint32_t> found;
      for (const NodeId id : members.voters) found.insert(id.value);
      return !members.joint() && found == wanted;
    });
  }

  // A command by way of a node; its answer, or none in time.
  template <class C>
  std::optional<Result<typename C::Answer>> run(std::uint32_t i, C command, runtime::Duration limit = 60s) {
    auto answer = std::make_shared<std::optional<Result<typename C::Answer>>>();
    Program* program = members_[i].program;
    program->runtime().post(CoreId(0), [program, command = std::move(command), answer]() mutable {
      program->scope().spawn(execute<C>(program, std::move(command), answer));
    });
    until([&] { return answer->has_value() || members_[i].program != program; }, limit);
    return *answer;
  }
  bool make_topic(std::uint32_t by, const std::string& name) {
    const auto made = run(by, meta::CreateTopic{.tenant = {}, .name = name, .partitions = 2, .config = {}});
    return made && made->has_value();
  }
  bool knows_topic(std::uint32_t i, const std::string& name) {
    return until([&] { return serves(i) && view(i)->find_topic(kDefaultTenant, name); }, 10s);
  }

 private:
  template <class C>
  static Task<void> execute(Program* program, C command,
                            std::shared_ptr<std::optional<Result<typename C::Answer>>> answer) {
    *answer = co_await program->node().meta(CoreId(0)).execute(std::move(command));
  }

  std::vector<Member> members_;  // from 1

 public:
  sim::World world;  // what its processes refer to is above
};

// All of them are one cluster, and what is made at one is known at all.
void expect_one_cluster(Cluster& cluster, const std::string& mark) {
  ASSERT_TRUE(cluster.all_serve());
  for (std::uint32_t i = 1; i <= cluster.size(); ++i) {
    ASSERT_TRUE(cluster.make_topic(i, mark + std::to_string(i)));
  }
  for (std::uint32_t i = 1; i <= cluster.size(); ++i) {
    EXPECT_EQ(cluster.view(i)->cluster().id, cluster.view(1)->cluster().id);
    for (std::uint32_t by = 1; by <= cluster.size(); ++by) {
      EXPECT_TRUE(cluster.knows_topic(i, mark + std::to_string(by))) << i << " of " << by;
    }
  }
}

TEST(Cluster, TheFirstFoundsItAndOthersJoin) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Cluster cluster(seed);
    for (const std::uint32_t i : {3, 1, 2}) cluster.boot(i);
    ASSERT_TRUE(cluster.all_serve());
    EXPECT_TRUE(cluster.voters(1, {1, 2, 3}));
    expect_one_cluster(cluster, "t");
    for (const auto& [id, node] : cluster.view(3)->nodes()) {
      EXPECT_TRUE(node.lives);
      EXPECT_EQ(meta::rpc_address(node), (runtime::Endpoint{"n" + std::to_string(id.value), kPort}));
    }
    EXPECT_EQ(cluster.view(3)->nodes().size(), 3u);
    EXPECT_GT(cluster.view(3)->nodes().at(NodeId(2)).disk, 0u);
  }
}

// Whoever was in needs nobody's list, and nobody needs to be first.
TEST(Cluster, MembersComeBackByWhatIsOnTheirDisks) {
  Cluster cluster(4);
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
  for (const auto how : {sim::CrashMode::kPowerLoss, sim::CrashMode::kKill}) {
    for (std::uint32_t i = 1; i <= 3; ++i) cluster.host(i).crash(how);
    cluster.world.run_for(1s);
    for (std::uint32_t i = 1; i <= 3; ++i) {
      cluster[i].config.cluster->join.clear();
      cluster[i].config.cluster->node.reset();
      cluster.host(i).restart();
    }
    expect_one_cluster(cluster, how == sim::CrashMode::kKill ? "k" : "p");
  }
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.host(i).terminate();
  EXPECT_TRUE(cluster.until([&] {
    return !cluster.host(1).running() && !cluster.host(2).running() && !cluster.host(3).running();
  }));
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.host(i).restart();
  expect_one_cluster(cluster, "s");
}

TEST(Cluster, ANodeWithoutTheMetaRoleLearnsAndDoesNotVote) {
  Cluster cluster(5);
  cluster[2].config.cluster->roles = meta::kJournalRole;
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  EXPECT_TRUE(cluster.voters(1, {1, 3}));
  expect_one_cluster(cluster, "t");
  EXPECT_TRUE(cluster.status(1).membership.learners.contains(NodeId(2)));
}

// What was one node's data is the cluster's.
TEST(Cluster, ADirectoryOfANodeAloneGrows) {
  Cluster cluster(6);
  const ClusterConfig grown = *cluster[1].config.cluster;
  {
    // As if by an earlier version: no cluster, no brokers' clients.
    NodeConfig alone = cluster[1].config;
    alone.cluster.reset();
    bool ready = false, done = false;
    cluster.host(1).boot(1, [&, alone](sim::ProcessContext& process) mutable {
      struct Alone final : sim::Program {
        Alone(sim::ProcessContext& p, NodeConfig config, bool& r, bool& d)
            : process(p), node(p.cores(), std::move(config)), ready(r), done(d) {
          scope.spawn(run(this));
        }
        static Task<void> run(Alone* self) {
          self->ready = (co_await self->node.start()).has_value();
          for (int i = 0; i < 40; ++i) {
            self->done = (co_await self->node.meta(CoreId(0)).execute(meta::CreateTopic{
                              .tenant = {}, .name = "old" + std::to_string(i), .config = {}}))
                             .has_value();
          }
          co_await self->node.stop();
          self->process.exit();
        }
        sim::ProcessContext& process;
        Node node;
        bool &ready, &done;
        runtime::Scope scope;
      };
      return std::make_unique<Alone>(process, alone, ready, done);
    });
    ASSERT_TRUE(cluster.until([&] { return !cluster.host(1).running(); }));
    ASSERT_TRUE(ready && done);
  }
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  EXPECT_TRUE(cluster.voters(3, {1, 2, 3}));
  for (std::uint32_t i = 1; i <= 3; ++i) {
    EXPECT_TRUE(cluster.knows_topic(i, "old0"));
    EXPECT_TRUE(cluster.knows_topic(i, "old39"));
  }
  expect_one_cluster(cluster, "new");
  cluster.host(1).crash(sim::CrashMode::kPowerLoss);
  cluster.world.run_for(1s);
  cluster.host(1).restart();
  expect_one_cluster(cluster, "again");

  // And it is no node alone any more, nor anybody else's.
  ASSERT_TRUE(cluster.stop(2));
  cluster[2].config.cluster->node = NodeId(7);
  cluster.host(2).restart();
  ASSERT_TRUE(cluster.until([&] { return !cluster[2].refused.empty(); }));
  EXPECT_EQ(cluster[2].refused[0].code, ErrorCode::kInvalidArgument);
  EXPECT_NE(cluster[2].refused[0].message.find("is that of node 2, not of node 7"), std::string::npos);
}

TEST(Cluster, ANumberThatIsTakenIsRefused) {
  Cluster cluster(7);
  cluster[3].config.cluster->node = NodeId(2);
  cluster.boot(1);
  cluster.boot(2);
  ASSERT_TRUE(cluster.all_serve());
  cluster.boot(3);
  ASSERT_TRUE(cluster.until([&] { return !cluster[3].refused.empty(); }));
  EXPECT_EQ(cluster[3].refused[0].code, ErrorCode::kAlreadyExists) << cluster[3].refused[0].message;
  // And that of the one who is asked.
  ASSERT_TRUE(cluster.until([&] { return !cluster.host(3).running(); }));
  cluster[3].config.cluster->node = NodeId(1);
  cluster[3].config.data = "/other";
  cluster.host(3).restart();
  ASSERT_TRUE(cluster.until([&] { return cluster[3].refused.size() == 2; }));
  EXPECT_EQ(cluster[3].refused[1].code, ErrorCode::kAlreadyExists) << cluster[3].refused[1].message;
  cluster[3].config.data = "/data";
  // A directory that was about to join asks again, with what it has drawn.
  ASSERT_TRUE(cluster.until([&] { return !cluster.host(3).running(); }));
  cluster[3].config.cluster->node.reset();
  cluster[3].config.cluster->join.clear();
  cluster.host(3).restart();
  ASSERT_TRUE(cluster.until([&] { return cluster[3].refused.size() == 3; }));
  EXPECT_NE(cluster[3].refused[2].message.find("was about to join"), std::string::npos);
}

TEST(Cluster, WhoIsRemovedStaysOutUntilItComesAsAnother) {
  Cluster cluster(8, 4);
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
  const auto remove = meta::RemoveNode{.node = NodeId(3)};
  EXPECT_EQ(cluster.run(1, remove)->error().code, ErrorCode::kInvalidArgument) << "it lives";
  ASSERT_TRUE(cluster.stop(3));
  ASSERT_TRUE(cluster.run(1, remove)->has_value());
  EXPECT_TRUE(cluster.voters(1, {1, 2}));
  cluster.host(3).restart();
  ASSERT_TRUE(cluster.until([&] { return !cluster[3].refused.empty(); }));
  EXPECT_EQ(cluster[3].refused[0].code, ErrorCode::kNotFound) << cluster[3].refused[0].message;
  cluster[4].config.cluster->node = NodeId(3);
  cluster.boot(4);
  ASSERT_TRUE(cluster.until([&] { return cluster.serves(4); }));
  EXPECT_TRUE(cluster.voters(1, {1, 2, 3}));
  EXPECT_TRUE(cluster.make_topic(4, "t"));
  EXPECT_TRUE(cluster.knows_topic(1, "t"));
  // Removed while it runs: its incarnation is ended first.
  const auto it = cluster.view(1)->nodes().at(NodeId(3));
  cluster.world.fabric().isolate(cluster.host(4), true);
  ASSERT_TRUE(cluster.until([&] { return !cluster.view(1)->nodes().at(NodeId(3)).lives; }));
  ASSERT_TRUE(cluster.run(1, remove)->has_value());
  ASSERT_TRUE(cluster.voters(1, {1, 2}));
  cluster.world.fabric().heal_all();
}

// A leader that is removed hands over first.
TEST(Cluster, TheLeaderTooCanBeRemoved) {
  Cluster cluster(9);
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
  cluster[1].config.cluster->roles = meta::kJournalRole;
  ASSERT_TRUE(cluster.stop(1));
  cluster.host(1).restart();
  ASSERT_TRUE(cluster.all_serve());
  EXPECT_TRUE(cluster.voters(2, {2, 3}));
  ASSERT_TRUE(cluster.stop(1));
  ASSERT_TRUE(cluster.run(2, meta::RemoveNode{.node = NodeId(1)})->has_value());
  EXPECT_TRUE(cluster.until([&] { return !cluster.status(2).membership.is_member(NodeId(1)); }));
}

// Who stood still for too long hears that it has ended, and goes on as another.
TEST(Cluster, WhoStoodStillRegistersAnew) {
  Cluster cluster(10);
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
  const auto before = cluster.view(1)->nodes().at(NodeId(2)).incarnation;
  cluster.host(2).pause(8s);
  ASSERT_TRUE(cluster.until([&] { return !cluster[2].anew.empty(); }));
  EXPECT_GT(cluster[2].anew[0], before);
  EXPECT_TRUE(cluster.until([&] { return cluster.node(2).cluster()->holds_lease(); }));
  expect_one_cluster(cluster, "t");
}

// The others keep their leases while they find another leader.
TEST(Cluster, TheLeaderIsLostAndNobodyElse) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Cluster cluster(300 + seed);
    for (std::uint32_t i = 1; i <= 3; ++i) {
      cluster[i].config.cluster->controller.leases = {};
      cluster.boot(i);
    }
    ASSERT_TRUE(cluster.all_serve());
    ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
    cluster.world.run_for(3s);
    std::uint32_t leader = 0;
    ASSERT_TRUE(cluster.until([&] {
      leader = cluster.status(2).leader ? cluster.status(2).leader->value : 0;
      return leader != 0;
    }));
    cluster.host(leader).crash(seed % 2 ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss);
    const std::uint32_t other = leader % 3 + 1;
    EXPECT_TRUE(cluster.until([&] { return !cluster.view(other)->nodes().at(NodeId(leader)).lives; }, 15s));
    cluster.world.run_for(2s);
    for (std::uint32_t i = 1; i <= 3; ++i) {
      EXPECT_TRUE(cluster[i].anew.empty()) << i;
      EXPECT_EQ(cluster.view(other)->nodes().at(NodeId(i)).lives, i != leader) << i;
    }
  }
}

// A node that moves tells the others where it is.
TEST(Cluster, AnAddressMayChange) {
  Cluster cluster(11);
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
  ASSERT_TRUE(cluster.stop(2));
  cluster[2].config.cluster->rpc.port = kPort + 1;
  cluster.host(2).restart();
  expect_one_cluster(cluster, "t");
  EXPECT_EQ(meta::rpc_address(cluster.view(3)->nodes().at(NodeId(2))), (runtime::Endpoint{"n2", kPort + 1}));
}

// ---- strangers -------------------------------------------------------------------------------------------

// Says what makes no sense, of another cluster, or asks for what is not its own.
class Stranger final : public sim::Program, private runtime::ConnectionHandler {
 public:
  explicit Stranger(sim::ProcessContext& process) : runtime_(process.core(0)) { scope_.spawn(run(this)); }
  std::uint64_t answers = 0, rounds = 0;

 private:
  void on_data(Bytes) override {}
  void on_closed(const Error&) override {}
  static Task<void> run(Stranger* self) {
    while (true) {
      ++self->rounds;
      for (const char* node : {"n1", "n2", "n3"}) co_await self->disturb({node, kPort});
      co_await runtime::sleep(self->runtime_, 20ms);
    }
  }
  Task<void> disturb(runtime::Endpoint at) {
    auto raw = co_await runtime_.network().connect(at, 1s, {});
    if (raw) {
      (*raw)->start(*this);
      std::string garbage(runtime_.random().below(200), '\0');
      for (char& c : garbage) c = static_cast<char>(runtime_.random().next());
      (*raw)->write(Bytes::copy(garbage));
      kept_.push_back(*std::move(raw));
      if (kept_.size() > 20) kept_.erase(kept_.begin());
    }
    const rpc::Identity other{.cluster = {9, 9}, .node = NodeId(2), .incarnation = 1, .product = "other"};
    co_await call(other, at, {}, "");
    const rpc::Identity nobody{.cluster = {}, .node = NodeId(9), .incarnation = 1, .product = "nobody"};
    co_await call(nobody, at, {.joins = true}, "no request");
    co_await call(nobody, at, {.joins = true},
                  meta::encode(meta::JoinRequest{.node = NodeId(2), .directory = {1, 1}, .address = at}));
  }
  Task<void> call(rpc::Identity as, runtime::Endpoint at, rpc::ChannelOptions options, std::string request) {
    rpc::Channel channel(runtime_, std::move(as), NodeId(1), std::move(at), std::move(options));
    const rpc::MethodId methods[] = {meta::kJoinMethod, rpc::MethodId(1), rpc::MethodId(2)};
    for (const rpc::MethodId method : methods) {
      const auto answer = co_await channel.call(method, rpc::Payload(Bytes::copy(request)), 300ms);
      answers += answer.has_value();
    }
    co_await channel.close(100ms);
  }

  runtime::Runtime& runtime_;
  std::vector<std::unique_ptr<runtime::Connection>> kept_;
  runtime::Scope scope_;  // last
};

TEST(Cluster, StrangersDisturbNobody) {
  Cluster cluster(12);
  for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
  ASSERT_TRUE(cluster.all_serve());
  ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
  const raft::Term term = cluster.status(1).term;
  Stranger* stranger = nullptr;
  cluster.world.add_host("stranger").boot(1, [&](sim::ProcessContext& process) {
    auto made = std::make_unique<Stranger>(process);
    stranger = made.get();
    return made;
  });
  cluster.world.run_for(20s);
  EXPECT_GT(stranger->rounds, 5u);
  EXPECT_EQ(stranger->answers, 0u);
  expect_one_cluster(cluster, "t");
  EXPECT_EQ(cluster.status(1).term, term) << "nobody had to be elected";
  EXPECT_EQ(cluster.view(1)->nodes().size(), 3u);
  std::uint64_t refused = 0;
  for (std::uint32_t i = 1; i <= 3; ++i) {
    for (std::size_t core = 0; core < 2; ++core) {
      const auto& stats = cluster.node(i).cluster()->on_core(core).server->stats();
      refused += stats.refused[std::size_t(rpc::Reason::kCluster)];
    }
  }
  EXPECT_GT(refused, 5u);
}

// ---- everything breaks -----------------------------------------------------------------------------------

void restart_all(Cluster& cluster) {
  for (std::uint32_t i = 1; i <= cluster.size(); ++i) {
    sim::Host& host = cluster.host(i);
    host.cancel_planned_crash();
    if (host.down()) host.restart();
  }
}

// Everybody is there again; who was still stopping too.
bool settle(Cluster& cluster) {
  for (int i = 0; i < 240; ++i) {
    restart_all(cluster);
    cluster.world.run_for(500ms);
    bool all = true;
    for (std::uint32_t node = 1; node <= cluster.size(); ++node) all = all && cluster.serves(node);
    if (all) return true;
  }
  return false;
}

// Wherever a crash comes between nodes that find together, starting again goes on.
TEST(Cluster, JoiningMayBeInterruptedAnywhere) {
  std::uint64_t crashes = 0;
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 299}) {
    SCOPED_TRACE(seed);
    Cluster cluster(100 + seed);
    runtime::Random& random = cluster.world.random(sim::Concern::kFaults);
    for (std::uint32_t i = 1; i <= 3; ++i) {
      cluster.host(i).crash_next_process_at(1 + random.below(150));
      cluster.boot(i);
    }
    for (int round = 0; round < 25; ++round) {
      cluster.world.run_for(runtime::Duration(random.between(0, 800'000'000)));
      for (std::uint32_t i = 1; i <= 3; ++i) {
        sim::Host& host = cluster.host(i);
        if (host.running() && random.chance(1, 8)) host.crash(sim::CrashMode::kKill);
        if (!host.down()) continue;
        if (random.chance(2, 3)) host.crash_next_process_at(1 + random.below(400));
        host.restart();
      }
    }
    ASSERT_TRUE(settle(cluster));
    expect_one_cluster(cluster, "t");
    EXPECT_TRUE(cluster.voters(1, {1, 2, 3}));
    for (std::uint32_t i = 1; i <= 3; ++i) {
      crashes += cluster.host(i).crashes();
      EXPECT_TRUE(cluster[i].refused.empty()) << cluster[i].refused[0].to_string();
      EXPECT_TRUE(cluster[i].failed.empty()) << cluster[i].failed[0].to_string();
    }
  }
  EXPECT_GT(crashes, 50u);
}

// What was answered is known ever after, whatever is cut, stands still or loses power.
TEST(Cluster, GoesOnThroughFaults) {
  std::uint64_t made = 0, anew = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    Cluster cluster(200 + seed);
    runtime::Random& random = cluster.world.random(sim::Concern::kFaults);
    for (std::uint32_t i = 1; i <= 3; ++i) cluster.boot(i);
    ASSERT_TRUE(cluster.all_serve());
    ASSERT_TRUE(cluster.voters(1, {1, 2, 3}));
    std::set<std::string> topics;
    for (int round = 0; round < 25; ++round) {
      const auto at = static_cast<std::uint32_t>(1 + random.below(3));
      sim::Host &a = cluster.host(at), &b = cluster.host(at % 3 + 1);
      switch (random.below(7)) {
        case 0:
          if (a.running()) a.crash(random.chance(1, 2) ? sim::CrashMode::kKill : sim::CrashMode::kPowerLoss);
          break;
        case 1:
          cluster.world.fabric().isolate(a, true);
          break;
        case 2:
          random.chance(1, 2) ? cluster.world.fabric().split(a, b)
                              : cluster.world.fabric().split_one_way(a, b);
          break;
        case 3:
          if (a.running()) a.pause(runtime::Duration(random.between(0, 6'000'000'000)));
          break;
        case 4:
          a.terminate();
          break;
        default:
          cluster.world.fabric().heal_all();
          restart_all(cluster);
      }
      cluster.world.run_for(runtime::Duration(random.between(0, 2'000'000'000)));
      const auto by = static_cast<std::uint32_t>(1 + random.below(3));
      const std::string name = "t" + std::to_string(round);
      if (!cluster.serves(by)) continue;
      const auto answer =
          cluster.run(by, meta::CreateTopic{.tenant = {}, .name = name, .partitions = 1, .config = {}}, 3s);
      if (answer && *answer) topics.insert(name);
    }
    cluster.world.fabric().heal_all();
    ASSERT_TRUE(settle(cluster));
    expect_one_cluster(cluster, "end");
    for (std::uint32_t i = 1; i <= 3; ++i) {
      for (const std::string& name : topics)
        EXPECT_TRUE(cluster.view(i)->find_topic(kDefaultTenant, name)) << i << " " << name;
      EXPECT_TRUE(cluster[i].refused.empty()) << cluster[i].refused[0].to_string();
      EXPECT_TRUE(cluster[i].failed.empty()) << cluster[i].failed[0].to_string();
      anew += cluster[i].anew.size();
    }
    made += topics.size();
  }
  EXPECT_GT(made, 8u * 5);
  EXPECT_GT(anew, 3u);
}

}  // namespace
}  // namespace stele::server
