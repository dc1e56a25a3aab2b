// What brokers of other nodes ask of this core, whose rpc server met them (docs/cluster.md).
//
// For each client that is connected to another node and has its session, or a shared subscription, in a shard
// of this one, somebody stands here (PeerSession): to the shard it is a session on this core like any other.
// What it is given is passed on as the answer to a call that waits for it. It ends with the connection over
// which it came: to the shard the client is gone then.
//
// Lives on one core.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/attached.h"
#include "broker/mail.h"
#include "broker/peer_codec.h"
#include "broker/session_asks.h"
#include "model/ids.h"
#include "rpc/server.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::broker {

class Core;

class PeerServer final : private runtime::TurnEndHook {
 public:
  // Before `server` listens, which ends before this, as this does before the core.
  explicit PeerServer(rpc::Server& server);
  ~PeerServer();
  // What comes before attach() is not taken, nor what comes after close().
  void attach(Core& core);

  // Of shards, to what came by this.
  void on_answer(const DataAnswerMail& answer);
  void on_answer(const ForwardAnswerMail& answer);

  std::size_t sessions() const;
  // What waits is answered or given up, and all who stand here end.
  runtime::Task<void> close();

 private:
  class PeerSession;
  struct Connection {
    NodeId node;
    std::map<std::uint64_t, std::unique_ptr<PeerSession>> sessions;  // by their attachments there
    std::deque<wire::Items::Part> items;                             // for them
    std::deque<std::pair<rpc::Responder, runtime::Instant>> pulls;   // which wait for some
    std::optional<std::uint32_t> live_core;                          // of the node, which sends live copies
  };
  using Forwards = std::deque<std::pair<Lsn, rpc::Responder>>;

  void on_turn_end() override;
  void on_publish(rpc::Request request, rpc::Responder responder);
  void on_forward(rpc::Request request, rpc::Responder responder);
  void on_live(rpc::Request request, rpc::Responder responder);
  runtime::Task<void> note_last(NodeId from, LiveHead head, rpc::Responder responder);
  void on_settle(rpc::Request request, rpc::Responder responder);
  void on_pull(rpc::Request request, rpc::Responder responder);
  void on_ask(rpc::Request request, rpc::Responder responder);
  void on_routes(rpc::Request request, rpc::Responder responder);
  runtime::Task<void> answer_routes(NodeId from, RouteBatch batch, rpc::Responder responder);

  // Each says what it is about by the attachments of this core, and to which core it goes.
  void take(const rpc::Peer& peer, ask::OpenSession asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::Subscribe asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::Unsubscribe asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::QueueRetained asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::FinishRetained told, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::StartDelivery told, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::EndSession asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::JoinShare asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::LeaveShare asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::StartShare told, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::AreMembers asked, rpc::Responder responder);
  void take(const rpc::Peer& peer, ask::LookForRetained asked, rpc::Responder responder);
  template <class Ask>
  void ask(ShardId shard, Ask asked, rpc::Responder responder);
  template <class Ask>
  runtime::Task<void> ask_shard(ShardId shard, Ask asked, rpc::Responder responder);
  template <class Ask>
  void tell(ShardId shard, Ask told, rpc::Responder responder);
  runtime::Task<void> look(ask::LookForRetained asked, rpc::Responder responder);
  runtime::Task<void> check(ask::AreMembers asked, rpc::Responder responder);

  PeerSession& stand_for(const rpc::Peer& peer, std::uint64_t attachment);
  // Null: nobody of this core stands for it (any more).
  PeerSession* find(const rpc::Peer& peer, std::uint64_t attachment);
  void drop_if_idle(const rpc::Peer& peer, std::uint64_t attachment);
  void pass_on(std::uint64_t connection, wire::Items::Part part);
  void answer_pulls(Connection& connection);
  void end_connection(std::uint64_t id);
  runtime::Task<void> answer_old_pulls();
  void hook();

  Core* core_ = nullptr;
  bool closing_ = false;  // nothing more is taken
  std::map<std::uint64_t, Connection> connections_;  // by rpc::Peer::connection
  std::map<std::uint64_t, rpc::Responder> publishes_;
  std::uint64_t next_publish_ = 1;
  std::map<std::pair<ShardId, ShardId>, Forwards> forwards_;  // by source and target
  std::vector<std::uint64_t> gone_;                           // connections
  std::vector<std::uint64_t> fresh_;                          // connections with something to be passed on
  runtime::Scope scope_;                                      // last
};

}  // namespace stele::broker
