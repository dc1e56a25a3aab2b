// The part that a simulated process has in a group of meta services, put together as server/cluster_part.h
// does: ways between nodes on every core, its member of the Raft group with the real database, controller and
// lease, and a client on every core. What else the process does is for its program (meta_run.cc,
// journal_run.cc).
//
//   MetaMember member(process, options, NodeId(1));
//   co_await member.listen(register_more);   // on core 0, like all that follows
//   co_await member.serve();                 // until the group answers, and every core has its client
//   co_await member.enter(disk);             // registers, from then on keeps its lease
//   co_await member.close();                 // in good order
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/client.h"
#include "meta/controller.h"
#include "meta/group_log.h"
#include "meta/group_peers.h"
#include "meta/service.h"
#include "model/ids.h"
#include "rpc/peers.h"
#include "rpc/server.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "sim/config.h"
#include "sim/host.h"
#include "sim/knobs.h"

namespace stele::sim {

// Goes on in a later turn of another core; at once on the same one.
inline auto go_to(runtime::Runtime& from, runtime::Runtime& to) {
  struct Awaiter {
    runtime::Runtime& from;
    CoreId to;
    bool await_ready() const { return from.core() == to; }
    void await_suspend(std::coroutine_handle<> waiter) {
      from.post(to, [waiter] { waiter.resume(); });
    }
    void await_resume() const {}
  };
  return Awaiter{from, to.core()};
}

struct MetaMemberOptions {
  meta::GroupOptions group;  // without its own number
  std::uint32_t shards = 4;
  meta::LeaseOptions leases;
  std::map<NodeId, std::string> hosts;  // of all members, this one included
};
// Raft and its database as the knobs say; `voters` of `members` vote, the others learn.
MetaMemberOptions meta_options(const Knobs& knobs, std::uint32_t voters, std::uint32_t members,
                               const std::function<std::string(std::uint32_t)>& host_of);
// A world in which nodes come to hold leases: what a way takes stays far below those.
WorldConfig meta_world(const Knobs& knobs);

// Lives on core 0 of its process.
class MetaMember {
 public:
  static constexpr std::uint16_t kPort = 7000;
  MetaMember(ProcessContext& process, MetaMemberOptions options, NodeId self);
  ~MetaMember();

  using RegisterServices = std::function<void(std::size_t core, rpc::Server& server)>;
  runtime::Task<void> listen(RegisterServices register_services);
  // False: it cannot, and the process is to end; so it is too when the database or the log fails later.
  runtime::Task<bool> serve();
  // Again and again until it is registered; and anew whenever its incarnation has ended.
  void enter(std::uint64_t disk);
  runtime::Task<void> close();

  NodeId self() const { return self_; }
  rpc::Identity identity() const { return identity_; }
  bool serving() const { return serving_; }
  std::size_t cores() const { return cores_.size(); }
  runtime::Runtime& core(std::size_t index) const { return cores_[index]->runtime; }
  // Once it serves.
  meta::MetaClient& client(std::size_t core) const { return *cores_[core]->client; }
  const meta::GroupLog& log() const { return *log_; }
  meta::GroupLog& log() { return *log_; }
  const meta::Controller& controller() const { return *controller_; }
  // 0: none now.
  meta::Incarnation incarnation() const { return incarnation_; }
  bool holds_lease() const { return keeper_ && keeper_->holds(); }
  // How long that incarnation takes itself to be part of the cluster, by its own clock.
  std::optional<runtime::Instant> holds_until(meta::Incarnation incarnation) const;
  // Each incarnation that it is given; set before enter().
  std::function<void(meta::Incarnation)> on_incarnation;

 private:
  struct OnCore {
    OnCore(runtime::Runtime& r, const rpc::Identity& self)
        : runtime(r), server(r, self, {.open_without_certificates = true}) {}
    runtime::Runtime& runtime;
    rpc::Server server;
    std::unique_ptr<meta::MetaClient> client;
  };
  static runtime::Task<void> stay(MetaMember& self, std::uint64_t disk);

  ProcessContext& process_;
  const MetaMemberOptions options_;
  const NodeId self_;
  const rpc::Identity identity_;
  rpc::Peers channels_;
  meta::GroupPeers peers_;
  meta::GroupLog* log_ = nullptr;  // of the service
  meta::Incarnation incarnation_;
  bool serving_ = false, closing_ = false;
  std::unique_ptr<meta::MetaService> service_;
  std::optional<meta::Controller> controller_;
  std::optional<meta::LeaseKeeper> keeper_;
  std::vector<std::unique_ptr<OnCore>> cores_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::sim
