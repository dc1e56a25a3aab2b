// A node as part of a cluster.
#include <algorithm>
#include <string>
#include <utility>

#include "broker/cluster.h"
#include "server/cluster_file.h"
#include "server/node.h"
#include "server/node_parts.h"

namespace stele::server {

using runtime::Task;

const ClusterPart* Node::cluster() const {
  return shared_->cluster.get();
}

// Alone, a node orders commands by itself; those of its cluster would never hear of them.
Task<Result<void>> Node::check_alone() {
  STELE_CO_TRY(const auto file, co_await read_cluster_file(runtime_.files(), config_.data));
  if (!file) co_return Result<void>();
  co_return error(ErrorCode::kInvalidArgument,
                  "data directory " + config_.data + " is that of node " + std::to_string(file->node.value) +
                      " of a cluster and cannot serve alone: start it as part of the cluster (--rpc), or "
                      "choose another with --data");
}

Task<Result<void>> Node::open_cluster() {
  std::vector<runtime::Runtime*> runtimes;
  for (const auto& core : cores_) runtimes.push_back(&core->runtime);
  config_.cluster->on_incarnation =
      [this, also = std::move(config_.cluster->on_incarnation)](meta::Incarnation incarnation) {
        begin_anew(incarnation);
        if (also) also(incarnation);
      };
  shared_->cluster = std::make_unique<ClusterPart>(runtimes, config_.data, config_.version, *config_.cluster,
                                                   config_.on_failure);
  STELE_CO_TRY(const auto held, co_await runtime_.files().list(config_.data + "/journal"));
  STELE_CO_CHECK(co_await shared_->cluster->prepare(!held.empty()));
  config_.node = shared_->cluster->node();
  co_return Result<void>();
}

Task<Result<void>> Node::listen_between_nodes() {
  STELE_CO_CHECK(co_await shared_->cluster->join());
  co_return co_await shared_->cluster->listen([this](std::size_t core, rpc::Server& server) {
    OnCore& there = *cores_[core];
    if (there.journal) {
      there.replica_service = std::make_unique<journal::ReplicaService>(server, *there.journal);
    }
    if (serves_clients()) there.peer_server = std::make_unique<broker::PeerServer>(server);
  });
}

Task<Result<void>> Node::enter_cluster() {
  meta::MetaServiceOptions options = config_.meta;
  options.shard_count = config_.shards;
  options.on_failure = config_.on_failure;
  STELE_CO_TRY(shared_->meta, co_await shared_->cluster->serve(std::move(options)));
  STELE_CO_CHECK(co_await connect_meta_everywhere());
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    co_await shared_->cluster->follow(core, *cores_[core]->meta);
  }
  STELE_CO_TRY(shared_->incarnation, co_await shared_->cluster->enter(*cores_.front()->meta, registration()));
  shared_->cluster_admin = std::make_unique<ClusterAdmin>(runtime_, *shared_->cluster, *cores_.front()->meta);
  co_return co_await make_administrator();
}

http::ClusterAdministration* Node::cluster_administration() {
  return shared_->cluster_admin.get();
}

// Where segments lie is known from the metadata, and new ones go where nodes serve.
Task<void> Node::find_replicas(std::size_t core) {
  (void)co_await on_core<bool>(core, [this](OnCore& there) -> Task<bool> {
    journal::ClusterReplicasOptions options = config_.cluster->replicas;
    options.channel = shared_->cluster->channel_options();
    auto replicas = std::make_unique<journal::ClusterReplicas>(
        there.runtime, shared_->cluster->identity(), there.journal.get(), options, shared_->cluster->dial());
    there.cluster_replicas = replicas.get();
    there.replicas = std::move(replicas);
    there.cluster_replicas->learn(there.meta->view());
    there.replicas_watch =
        there.meta->on_change([found = there.cluster_replicas](
                                  const std::shared_ptr<const meta::MetaView>& view) { found->learn(view); });
    co_return true;
  });
}

Task<void> Node::join_brokers() {
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    (void)co_await on_core<bool>(core, [this](OnCore& there) -> Task<bool> {
      broker::ClusterOptions options;
      options.self = shared_->cluster->identity();
      options.channel = shared_->cluster->channel_options();
      // Clients wait for what goes by these: a peer that is not heard of is given up after three seconds.
      options.channel.ping_interval = std::min(options.channel.ping_interval, broker::kLinkPing);
      options.channel.silent_after = std::min(options.channel.silent_after, broker::kLinkSilence);
      options.dial = shared_->cluster->dial();
      there.broker->join(std::move(options), *there.peer_server);
      co_return true;
    });
  }
}

// Clients are let in once the brokers know each other.
Task<void> Node::let_brokers_accept() {
  cores_.front()->calls->spawn(tell_lease());
  co_await cores_.front()->broker->accept_when_complete();
}

// What is known of the lease here, all cores are to go by.
Task<void> Node::tell_lease() {
  constexpr runtime::Duration kLook = std::chrono::milliseconds(50);
  std::optional<runtime::Instant> told;
  while (!stopping_ && shared_->cluster) {
    const auto until = shared_->cluster->lease_until();
    if (until && until != told) {
      told = until;
      for (const auto& core : cores_) {
        runtime_.post(core->runtime.core(), [there = core.get(), until = *until] {
          if (there->broker) there->broker->lease(until);
        });
      }
    }
    co_await runtime::sleep(runtime_, kLook);
  }
}

void Node::begin_anew(meta::Incarnation incarnation) {
  shared_->incarnation = incarnation;
  for (const auto& core : cores_) {
    runtime_.post(core->runtime.core(), [there = core.get(), incarnation] {
      if (there->broker) there->broker->begin_anew(incarnation);
    });
  }
}

// Where clients find this node: by what it is known as between nodes, where it listens on all addresses.
meta::RegisterNode Node::registration() const {
  meta::RegisterNode out;
  const runtime::Endpoint between = config_.cluster->advertise.value_or(config_.cluster->rpc);
  const auto add = [&](const char* listener, const std::vector<runtime::Endpoint>& list,
                       const std::optional<runtime::Endpoint>& advertised) {
    if (list.empty()) return;
    runtime::Endpoint at = advertised.value_or(list.front());
    if (at.port == 0) at.port = list.front().port;
    if (at.host == "0.0.0.0" || at.host == "::") at.host = between.host;
    if (at.port != 0) out.addresses.push_back({listener, at.host, at.port});
  };
  if (serves_clients()) {
    add("mqtt", config_.mqtt, std::nullopt);
    add("kafka", config_.kafka, config_.advertise_kafka);
    add("mqtt-tls", config_.mqtt_tls, std::nullopt);
    add("kafka-tls", config_.kafka_tls, config_.advertise_kafka_tls);
  }
  add("http", config_.http, std::nullopt);
  add("http-tls", config_.http_tls, std::nullopt);
  if (has_journal()) out.disk = shared_->journal->store().incarnation();
  return out;
}

// What serves other nodes from this core's journal ends before that.
Task<void> Node::close_cluster() {
  co_await shared_->cluster->close(shared_->meta.get());
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    co_await on_core<bool>(core, [](OnCore& there) { return drop_journal(there); });
  }
}

}  // namespace stele::server
