// A group of meta services over rpc: Raft's messages, and commands on their way to the leader.
//
//   GroupPeers peers(core_0, channels);                        // rpc::Peers of core 0
//   peers.serve(core_k, server_k);                             // each core's rpc::Server, before it listens
//   auto log = co_await GroupLog::open(core_0, options, peers, peers);
//   peers.attach(log->get(), &controller);
//   …
//   co_await peers.close();                                    // before the log is destroyed
//
// Lives on the core of its channels. Of servers on other cores, what comes is posted there, and answers back.
// What comes while no log is attached is dropped, or refused with kUnavailable.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "meta/group_log.h"
#include "model/ids.h"
#include "raft/peer_transport.h"
#include "rpc/frame.h"
#include "rpc/peers.h"
#include "rpc/server.h"
#include "runtime/one_shot.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::meta {

// docs/formats/meta-commands.md has what they carry.
inline constexpr rpc::MessageId kRaftMessage{1};
inline constexpr rpc::MethodId kProposeMethod{1};
inline constexpr rpc::MethodId kRenewMethod{2};

class GroupPeers final : public raft::PeerTransport, public LeaderLink {
 public:
  // `peers` outlives it. A proposal waits for its answer for `timeout`.
  GroupPeers(runtime::Runtime& runtime, rpc::Peers& peers,
             runtime::Duration timeout = std::chrono::seconds(5))
      : runtime_(runtime), peers_(peers), timeout_(timeout) {}

  // `server` lives on `there`, and is stopped before this ends.
  void serve(runtime::Runtime& there, rpc::Server& server);
  void attach(GroupLog* log, class Controller* controller) {
    log_ = log;
    controller_ = controller;
  }
  // No more reaches the log. Complete when what is under way is answered.
  runtime::Task<void> close();

  void send(NodeId to, std::vector<Bytes> message) override;
  runtime::Task<Result<ProposalAnswer>> propose(NodeId leader, Bytes proposal) override;
  runtime::Task<Result<bool>> renew(NodeId leader, Incarnation incarnation) override;

 private:
  runtime::Task<Result<rpc::Payload>> answer(runtime::Runtime& there, rpc::Request request);
  runtime::Task<Result<rpc::Payload>> answer_renewal(runtime::Runtime& there, rpc::Request request);
  runtime::Task<void> renew_here(NodeId node, Incarnation incarnation, CoreId back,
                                 runtime::OneShot<Result<bool>> reply);
  runtime::Task<void> take(Bytes proposal, CoreId back, runtime::OneShot<Result<ProposalAnswer>> reply);

  runtime::Runtime& runtime_;
  rpc::Peers& peers_;
  const runtime::Duration timeout_;
  GroupLog* log_ = nullptr;
  class Controller* controller_ = nullptr;
  runtime::Scope taking_;  // last
};

}  // namespace stele::meta
