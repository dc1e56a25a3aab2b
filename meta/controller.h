// What the leader of the meta group does for the cluster, and what each node does to be part of it.
//
// The Controller runs at every member and acts where its member leads: it ends the incarnations of nodes
// whose lease is over (leases.h), and says who shall own which shard (placement.h). It proposes at its own
// member only, so what it decided as a leader is applied only if it still is one. A leader that was stopped
// for a while does not take others for silent: everybody gets a new lease.
//
// The LeaseKeeper renews the lease of its node's present incarnation with whoever leads.
//
// Both live on the core of the log.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "meta/commands.h"
#include "meta/group_log.h"
#include "meta/leases.h"
#include "meta/types.h"
#include "model/ids.h"
#include "raft/core/types.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::meta {

struct ControllerOptions {
  LeaseOptions leases;
  runtime::Duration look = std::chrono::milliseconds(200);  // how often
  runtime::Duration balance = std::chrono::seconds(5);      // between moves that nothing forces
  std::size_t balance_moves = 4;                            // at a time
};

struct ControllerStats {
  std::uint64_t renewals = 0;
  std::uint64_t ended = 0;     // incarnations
  std::uint64_t assigned = 0;  // shards
  std::uint64_t moved = 0;     // of these, only for balance
};

class Controller {
 public:
  // `log` outlives it.
  Controller(runtime::Runtime& runtime, GroupLog& log, ControllerOptions options);

  // True: the lease is renewed; false: that incarnation has ended. kUnavailable: this does not lead, or not
  // yet. Complete when the others have confirmed that this led after it was called: another leader, which
  // would give the node a lease of its own, has begun later then.
  runtime::Task<Result<bool>> renew(NodeId node, Incarnation incarnation);
  const ControllerStats& stats() const { return stats_; }
  // Complete when nothing of it is under way. Before the log is closed.
  runtime::Task<void> close();

 private:
  runtime::Task<void> run();
  runtime::Task<bool> leads();
  bool leads_in(raft::Term term) const;
  runtime::Task<void> end_the_silent();
  runtime::Task<void> assign();
  runtime::Task<bool> propose(Command command);
  bool stopping() const { return scope_.token().stop_requested(); }

  runtime::Runtime& runtime_;
  GroupLog& log_;
  const ControllerOptions options_;
  ControllerStats stats_;
  LeaseTable leases_;
  std::optional<raft::Term> led_;  // the term in which the leases began
  runtime::Instant looked_{}, balanced_{};
  runtime::Scope scope_;  // last
};

class LeaseKeeper {
 public:
  // Told that the incarnation has ended, in a turn of its own: whatever it owned is somebody else's, and the
  // node registers anew.
  using OnEnded = std::function<void()>;
  // `controller` is that of this node, for when it leads itself.
  LeaseKeeper(runtime::Runtime& runtime, GroupLog& log, Controller& controller, LeaderLink& link,
              LeaseOptions options);

  // From now on for this incarnation, until it has ended.
  void keep(Incarnation incarnation, OnEnded ended);
  // Whether this node may take itself to be part of the cluster.
  bool holds() const { return own_.holds(runtime_.now()); }
  std::optional<runtime::Instant> until() const { return own_.until(); }
  runtime::Task<void> close();

 private:
  runtime::Task<void> run();

  runtime::Runtime& runtime_;
  GroupLog& log_;
  Controller& controller_;
  LeaderLink& link_;
  const LeaseOptions options_;
  OwnLease own_;
  Incarnation incarnation_;
  OnEnded ended_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::meta
