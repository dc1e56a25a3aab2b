// How nodes come into a cluster and leave it. The table of nodes says who is in; the Raft group follows it,
// step by step, at whoever leads: so it makes no difference where a crash interrupts any of this.
//
// A node asks any member to be let in (kJoinMethod; a member that does not lead passes it on). The leader
// puts it into the table (AdmitNode), and answers once it is a learner of the group: it has a copy of
// everything and no vote. One that has the meta role becomes a voter when it has caught up, one at a time, as
// long as there are not too many. Who is removed from the table (RemoveNode) is taken out of the group.
//
//   Admission admission(core_0, channels, {});
//   admission.serve(core_k, server_k);            // each core's server, before it listens
//   admission.attach(log, founders);              // once the node itself is in the table
//   …
//   co_await admission.close();                   // before the log is destroyed
//
// Lives on the core of its channels and of the log.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/result.h"
#include "meta/group_log.h"
#include "meta/join_codec.h"
#include "meta/types.h"
#include "model/ids.h"
#include "raft/core/membership.h"
#include "raft/core/types.h"
#include "raft/member.h"
#include "rpc/channel.h"
#include "rpc/frame.h"
#include "rpc/peers.h"
#include "rpc/server.h"
#include "runtime/one_shot.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::meta {

// JoinRequest, answered with JoinAnswer; also of those who are not of the cluster.
inline constexpr rpc::MethodId kJoinMethod{3};
// Under this name a node's address between nodes is among its addresses.
inline constexpr const char* kRpcListener = "rpc";
// Where that is; none: it has told of none.
std::optional<runtime::Endpoint> rpc_address(const Node& node);

struct AdmissionOptions {
  std::size_t max_voters = 5;
  runtime::Duration look = std::chrono::milliseconds(200);  // how often the group is compared with the table
  runtime::Duration timeout = std::chrono::seconds(5);      // of a request, here and where it is passed on to
};

// The next step from the group that there is to the one that the table wants; none: there is nothing to do,
// or not yet. Pure.
std::optional<raft::MembershipTarget> next_group(const std::map<NodeId, Node>& nodes,
                                                 const raft::MemberStatus& leader, std::size_t max_voters);
// A leader that shall not vote any more hands over; none: it stays. Pure.
std::optional<NodeId> next_leader(const std::map<NodeId, Node>& nodes, const raft::MemberStatus& leader);

// Of a node that asks. kAlreadyExists: another directory is that node. kNotFound: it has been removed.
// Whatever else: ask again, perhaps somebody else.
runtime::Task<Result<JoinAnswer>> ask_to_join(rpc::Channel& channel, JoinRequest request,
                                              runtime::Duration timeout);

class Admission {
 public:
  // `peers` outlives it.
  Admission(runtime::Runtime& runtime, rpc::Peers& peers, AdmissionOptions options)
      : runtime_(runtime), peers_(peers), options_(options) {}

  // `server` lives on `there`, and is stopped before this ends.
  void serve(runtime::Runtime& there, rpc::Server& server);
  void attach(GroupLog& log, raft::NodeSet founders);
  runtime::Task<void> close();

 private:
  runtime::Task<Result<rpc::Payload>> answer(runtime::Runtime& there, rpc::Request request);
  runtime::Task<void> take(JoinRequest request, CoreId back, runtime::OneShot<Result<JoinAnswer>> reply);
  runtime::Task<Result<JoinAnswer>> pass_on_or_admit(JoinRequest request);
  runtime::Task<Result<JoinAnswer>> admit(JoinRequest request);
  runtime::Task<void> run();
  runtime::Task<void> look();
  bool stopping() const { return !log_ || scope_.token().stop_requested(); }

  runtime::Runtime& runtime_;
  rpc::Peers& peers_;
  const AdmissionOptions options_;
  GroupLog* log_ = nullptr;
  raft::NodeSet founders_;
  std::optional<raft::Term> led_;  // the term in which all that was answered before is known
  runtime::Scope scope_;           // last
};

}  // namespace stele::meta
