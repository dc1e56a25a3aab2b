// What a Node has of a cluster: the ways between nodes on every core, its place in the Raft group of the meta
// service, and its lease. docs/cluster.md has how a node comes in, and comes back.
//
//   prepare   who this is, from the data directory; a new cluster or a new member begins
//   join      a new member asks for its place, until it has one
//   listen    others may connect; handlers of the servers are registered before
//   serve     the meta service, once the cluster is known here
//   follow    a core's channels go where the nodes are, as its view tells
//   enter     registers the node, from then on keeps its lease
//   leave     what a stop in good order tells the others
//   close     in any case, before it is destroyed
//
// Lives on core 0; what is of a core is made and ended there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "meta/admission.h"
#include "meta/client.h"
#include "meta/commands.h"
#include "meta/controller.h"
#include "meta/group_log.h"
#include "meta/group_peers.h"
#include "meta/service.h"
#include "model/ids.h"
#include "rpc/peers.h"
#include "rpc/server.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "runtime/tls/connection.h"
#include "server/cluster_config.h"
#include "server/cluster_file.h"

namespace stele::server {

class ClusterPart {
 public:
  // `data`: the node's directory, whose lock is held. `product` is for people.
  ClusterPart(std::span<runtime::Runtime* const> cores, std::string data, std::string product,
              ClusterConfig config, std::function<void(const Error&)> on_failure);
  ~ClusterPart();
  // What of it would work on the meta service, whose log is about to be destroyed: of a node that crashes.
  void abandon();
  ClusterPart(const ClusterPart&) = delete;
  ClusterPart& operator=(const ClusterPart&) = delete;

  // `holds_journal`: there is a journal in the directory. kInvalidArgument: the directory does not fit what
  // is asked for; kCorrupt, kUnsupported: its file of the cluster.
  runtime::Task<Result<void>> prepare(bool holds_journal);
  NodeId node() const { return file_.node; }
  std::uint32_t roles() const { return config_.roles; }

  // kAlreadyExists: another directory is this node. kCancelled: request_stop().
  runtime::Task<Result<void>> join();

  // `register_services(core, server)` runs on each core before its server listens. The errors of
  // rpc::Server::listen.
  using RegisterServices = std::function<void(std::size_t core, rpc::Server& server)>;
  runtime::Task<Result<void>> listen(RegisterServices register_services);

  // `options`: the directory and whether a cluster may be made are filled in.
  runtime::Task<Result<std::unique_ptr<meta::MetaService>>> serve(meta::MetaServiceOptions options);

  // On core 0; `client` is that of the core, and is not used any more once close() began.
  runtime::Task<void> follow(std::size_t core, meta::MetaClient& client);

  // `what`: addresses of other listeners, and the disk. kNotFound, kAlreadyExists: the node was removed.
  runtime::Task<Result<meta::Incarnation>> enter(meta::MetaClient& client, meta::RegisterNode what);
  meta::Incarnation incarnation() const { return incarnation_; }
  // Whether the node may take itself to be part of the cluster.
  bool holds_lease() const { return keeper_ && keeper_->holds(); }
  std::optional<runtime::Instant> lease_until() const { return keeper_ ? keeper_->until() : std::nullopt; }

  // What waits for others gives up, with kCancelled.
  void request_stop();
  // The incarnation ends and who leads hands over, as far as that can be had in a moment.
  runtime::Task<void> leave();
  // `service`: that of serve(), if there is one; closed here, since each needs the other to end.
  runtime::Task<void> close(meta::MetaService* service);

  // ---- For others on the core: once it has a place in the cluster, how nodes are reached.
  rpc::Identity identity() const;
  rpc::ChannelOptions channel_options() const;
  rpc::Peers::DialFor dial() const;
  // As long as the node runs; null before listen().
  rpc::Peers* peers(std::size_t core) { return cores_[core]->peers.get(); }
  const meta::GroupLog* log() const { return log_; }
  meta::GroupLog* log() { return log_; }
  const ClusterConfig& config() const { return config_; }
  const meta::Controller* controller() const { return controller_ ? &*controller_ : nullptr; }
  const ClusterFile& file() const { return file_; }

  struct OnCore {
    explicit OnCore(runtime::Runtime& r) : runtime(r) {}
    runtime::Runtime& runtime;
    std::unique_ptr<runtime::Scope> calls = std::make_unique<runtime::Scope>();  // on behalf of core 0
    std::unique_ptr<runtime::tls::Server> tls;                                   // null: without certificates
    std::unique_ptr<rpc::Peers> peers;
    std::unique_ptr<rpc::Server> server;
    meta::MetaClient::Watch watch;
  };
  // For metrics, on its core.
  const OnCore& on_core(std::size_t core) const { return *cores_[core]; }

 private:
  struct Found {  // of the meta database
    std::uint64_t applied = 0;
    std::string cluster;
    std::vector<NodeId> nodes;
  };
  runtime::Task<Result<Found>> look_into_database();
  runtime::Task<Result<void>> found(bool holds_journal);
  runtime::Task<Result<void>> begin_joining(bool holds_journal);
  Result<void> check_node(NodeId in_directory) const;
  runtime::Task<Result<meta::JoinAnswer>> ask(const runtime::Endpoint& at);
  meta::JoinRequest request(bool member) const;
  void make_peers(OnCore& there);
  static void set_peer(OnCore& there, NodeId node, const runtime::Endpoint& at);
  runtime::Task<Result<void>> listen_on(OnCore& there, std::size_t core,
                                        const RegisterServices& register_services);
  template <class C>
  runtime::Task<Result<typename C::Answer>> propose(C command);
  runtime::Task<Result<void>> found_here(std::uint32_t shards);
  runtime::Task<Result<void>> wait_for_cluster();
  void sync_peers(OnCore& there, const meta::MetaView& view);
  void note_addresses(const meta::MetaView& view);
  runtime::Task<void> keep_file();
  runtime::Task<void> live(meta::RegisterNode what);
  void be_removed(const Error& why);
  runtime::Task<void> announce();
  runtime::Task<void> say_farewell();
  static runtime::Task<bool> close_core(OnCore& there);
  runtime::Endpoint advertised() const { return config_.advertise.value_or(config_.rpc); }

  runtime::Runtime& runtime_;
  const std::string data_;
  const std::string product_;
  const ClusterConfig config_;
  const std::function<void(const Error&)> on_failure_;
  const std::uint64_t process_;  // tells the processes of a node apart
  ClusterFile file_;
  bool file_changed_ = false;
  std::vector<std::unique_ptr<OnCore>> cores_;
  std::optional<meta::GroupPeers> group_peers_;
  std::optional<meta::Admission> admission_;
  std::unique_ptr<meta::GroupLog> own_log_;  // until a service has it
  meta::GroupLog* log_ = nullptr;            // of the service, or own_log_
  std::optional<meta::Controller> controller_;
  std::optional<meta::LeaseKeeper> keeper_;
  meta::MetaClient* client_ = nullptr;
  meta::Incarnation incarnation_;
  std::optional<Error> removed_;  // the node is not of the cluster any more
  bool stopping_ = false, leaving_ = false, left_ = false, lease_ended_ = false;
  runtime::Notification changed_;  // any of these
  runtime::Notification file_dirty_;
  std::optional<runtime::Scope> scope_{std::in_place};  // last
};

}  // namespace stele::server
