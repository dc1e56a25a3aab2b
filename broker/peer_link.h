// What a core asks of the broker of one other node, over a connection of its own (docs/cluster.md).
//
// Sessions of clients that are connected here, and whose shards are there, live as long as that connection:
// there somebody stands for each of them (peer_server.h), and what the shard has for it comes as the answers
// to calls that wait for it. When the connection is lost, the other side ends them, and so does this one.
//
// Lives on one core.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "base/result.h"
#include "broker/live_bundle.h"
#include "broker/live_numbers.h"
#include "broker/mail.h"
#include "broker/peer_codec.h"
#include "broker/session_asks.h"
#include "model/ids.h"
#include "rpc/channel.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"

namespace stele::broker {

class Core;

class PeerLink final : private runtime::TurnEndHook {
 public:
  // `channel` outlives it, and is its alone.
  PeerLink(Core& core, NodeId node, rpc::Channel& channel);
  ~PeerLink();

  // kUnavailable: it was not done. Any other error: whether it was is unknown.
  runtime::Task<Result<SessionAnswer>> ask(SessionAsk asked);
  // In the order of these calls and of those of ask().
  void tell(SessionAsk told);
  void settle(SettleMail mail);
  // Answered in any case, by Core::handle() of what `mail.reply` says.
  void publish(DataMail mail);
  void forward(ForwardMail mail);
  void send_live(LiveMail mail);
  void send_live(TenantId tenant, std::uint64_t publisher_hash, const MessageView& message);
  runtime::Task<Result<RouteBatchAnswer>> send_routes(const RouteBatch& batch);

  void on_view();
  // That client is gone.
  void forget(std::uint64_t attachment) { attached_.erase(attachment); }
  // So much has been sent to live subscribers there, and is not known to have arrived.
  std::size_t live_bytes() const { return live_bytes_; }
  // Ends what waits for the other side, and nothing more is taken.
  void give_up();
  // Sends what was taken, and if the other side has been sent all, says so.
  runtime::Task<void> close();

 private:
  void on_turn_end() override;
  void attach(const SessionAsk& asked);
  void on_down(const Error& why);
  runtime::Task<void> call_and_forget(SessionAsk told);
  runtime::Task<void> call_settle(std::vector<SettleMail> settled);
  runtime::Task<void> call_publish(DataMail mail);
  runtime::Task<void> call_forward(ForwardMail mail);
  runtime::Task<void> call_live(wire::Live live, std::size_t bytes);
  void flush_live();
  bool lives() const;
  // Lets the other side know how far live copies have come, until it does.
  void announce();
  runtime::Task<void> call_announce();
  runtime::Task<void> say_last();
  runtime::Task<void> pull();
  void deliver(wire::Items items);
  void hook();

  Core& core_;
  const NodeId node_;
  rpc::Channel& channel_;
  std::set<std::uint64_t> attached_;  // those of this core that the other node stands for
  std::uint32_t pulls_ = 0;
  std::vector<SettleMail> settled_;
  wire::Live live_;
  bool live_counts_ = false;  // it has what must not be lost unnoticed
  LiveNumbers numbers_;
  bool live_dropped_ = false;  // something was not even sent
  bool announced_ = false;     // over the connection that there is
  bool announcing_ = false;
  std::size_t live_unsent_ = 0;
  std::size_t live_bytes_ = 0;
  bool behind_ = false;
  bool closed_ = false;
  runtime::Scope scope_;  // last
};

}  // namespace stele::broker
