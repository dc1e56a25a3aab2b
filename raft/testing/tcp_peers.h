// The way between the members of a group, for tests: a connection from each to each, which carries one way,
// in frames of length, checksum and message. The other end answers each frame with a byte: one that does not
// is left for a new connection. What does not fit the queue, or finds no connection, is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "raft/peer_transport.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace stele::raft::testing {

class TcpPeers final : public PeerTransport, private runtime::AcceptHandler {
 public:
  using Deliver = std::function<void(NodeId from, const Bytes& message)>;
  TcpPeers(runtime::Runtime& runtime, NodeId self, std::map<NodeId, runtime::Endpoint> peers,
           Deliver deliver);
  ~TcpPeers() override;

  Result<void> listen(const runtime::Endpoint& at);
  void send(NodeId to, std::vector<Bytes> message) override;
  runtime::Task<void> close();

 private:
  class Outgoing;
  class Incoming;
  void on_accept(std::unique_ptr<runtime::Connection> connection) override;
  runtime::Task<void> connect(Outgoing& peer);

  runtime::Runtime& runtime_;
  const NodeId self_;
  Deliver deliver_;
  std::map<NodeId, std::unique_ptr<Outgoing>> outgoing_;
  std::map<std::uint64_t, std::unique_ptr<Incoming>> incoming_;
  std::uint64_t next_incoming_ = 1;
  std::unique_ptr<runtime::Listener> listener_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::raft::testing
