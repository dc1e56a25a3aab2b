// For tests: nodes of a cluster, as far as logs with replicas need it. Each has a journal (or none), serves
// it to the others, and finds theirs. Chains and view are kept outside of every process.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "journal/cluster_replicas.h"
#include "journal/replica_service.h"
#include "journal/testing/test_node.h"
#include "rpc/server.h"
#include "rpc/testing/node.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::journal::testing {

// What the meta service would know, and how nodes are configured.
struct ClusterModel {
  explicit ClusterModel(std::uint32_t shards) : chains(shards) {}

  ModelChains chains;
  std::map<NodeId, std::uint64_t> disks;  // of nodes that have registered; 0: no journal
  std::set<NodeId> down;                  // their leases are over
  std::set<NodeId> leaving;               // for good
  std::uint64_t version = 0;
  JournalOptions journal;
  JournalClientOptions client;
  ClusterReplicasOptions replicas;

  std::shared_ptr<const meta::MetaView> view() {
    meta::MetaViewBuilder builder;
    for (const auto& [id, disk] : disks) {
      builder.put_node({.id = id,
                        .incarnation = {},
                        .addresses = {{"rpc", rpc::testing::host_of(id.value), rpc::testing::kPort}},
                        .zone = {},
                        .disk = disk,
                        .product = {},
                        .lives = !down.contains(id),
                        .draining = leaving.contains(id),
                        .leaving = leaving.contains(id),
                        .directory = {}});
    }
    return std::move(builder).finish(++version);
  }
};

class ClusterNode {
 public:
  ClusterNode(sim::ProcessContext& process, ClusterModel& model, std::uint32_t number,
              bool has_journal = true)
      : model_(model), id_(number), has_journal_(has_journal), self_(rpc::testing::identity(number)) {
    node.process = &process;
    node.chains = &model.chains;
    self_.incarnation = process.incarnation();
  }
  // From core 0 to the last one, where everything is but the journal. In the order of a node: what there is
  // is served before anything new may be begun here.
  runtime::Task<void> start() {
    using namespace std::chrono_literals;
    while (has_journal_ && !co_await node.open(model_.journal, model_.client))
      co_await runtime::sleep(node.core(0), 50ms);
    co_await go_to(node.core(0), core().core());
    JournalClient* const local = has_journal_ ? node.clients.back().get() : nullptr;
    model_.disks[id_] = local ? local->disk() : 0;
    replicas = std::make_unique<ClusterReplicas>(core(), self_, local, model_.replicas);
    scope_.spawn(follow_view());
    if (local) {
      server_ =
          std::make_unique<rpc::Server>(core(), self_, rpc::ServerOptions{.open_without_certificates = true});
      service_ = std::make_unique<ReplicaService>(*server_, *local);
      STELE_ASSERT(server_->listen(core().network(), {"0.0.0.0", rpc::testing::kPort}));
      while (!co_await remove_orphans(*local, keeper(), model_.chains.all()))
        co_await runtime::sleep(core(), 50ms);
    }
    serves_ = true;
  }
  runtime::Runtime& core() const { return node.core(std::uint32_t(node.process->cores().size()) - 1); }
  std::shared_ptr<ChainKeeper> keeper() const {
    return std::make_shared<ModelKeeper>(core(), model_.chains, id_);
  }
  bool serves() const { return serves_; }
  // The store has given up: nothing but another process helps.
  bool failed() const { return node.server && node.server->store().failed(); }

  TestNode node;
  std::unique_ptr<ClusterReplicas> replicas;

 private:
  // A while behind what is.
  runtime::Task<void> follow_view() {
    using namespace std::chrono_literals;
    while (true) {
      replicas->learn(model_.view());
      co_await runtime::sleep(core(), 300ms);
    }
  }

  ClusterModel& model_;
  const NodeId id_;
  const bool has_journal_;
  rpc::Identity self_;
  bool serves_ = false;
  std::unique_ptr<ReplicaService> service_;
  std::unique_ptr<rpc::Server> server_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::journal::testing
