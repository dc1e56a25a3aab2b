// A process of a simulated host that is one member of a group: RegisterMachine, TcpPeers and Member, in
// /raft of its disk. One that does not open, or has failed, exits; somebody has to start it again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "raft/member.h"
#include "raft/testing/group_ledger.h"
#include "raft/testing/register_machine.h"
#include "raft/testing/tcp_peers.h"
#include "runtime/scope.h"
#include "sim/host.h"

namespace stele::raft::testing {

struct MemberNodeOptions {
  MemberOptions member;  // self in it; without the directory
  std::map<NodeId, runtime::Endpoint> group;
  std::size_t trail = 1000;
  // One message in so many is lost, sent twice, or late; 0: none.
  std::uint64_t disorder_one_in = 0;
  // What else of that is sent is lost.
  std::function<bool(NodeId from, NodeId to, const std::vector<Bytes>& message)> loses;
};

class MemberNode final : public sim::Program {
 public:
  // Runs with each process once its member is open.
  using Load = std::function<runtime::Task<void>(MemberNode&)>;
  // Told why a process ends that was not told to.
  using Ends = std::function<void(const Error&)>;

  MemberNode(sim::ProcessContext& process, MemberNodeOptions options, GroupLedger& ledger, Load load,
             Ends ends);
  ~MemberNode() override;
  void on_terminate() override;

  NodeId self() const { return options_.member.core.self; }
  runtime::Runtime& runtime() { return runtime_; }
  Member* member() { return member_.get(); }  // null until it is open
  const RegisterMachine* machine() const { return machine_.get(); }
  bool stopping() const { return stopping_; }
  bool leads() const { return member_ && member_->leader() == self(); }
  LogIndex applied() const { return member_ ? member_->applied() : LogIndex(0); }
  // What still waits when the process stops in good order is waited for.
  runtime::Scope& scope() { return scope_; }

  // Proposes here, and lets the ledger know of the answer.
  runtime::Task<Result<LogIndex>> write(std::uint64_t number, std::uint64_t value);
  runtime::Task<Result<std::uint64_t>> read(std::uint64_t number);

 private:
  class Filter;
  runtime::Task<void> send_late(NodeId to, std::vector<Bytes> message);
  static runtime::Task<void> start(MemberNode& self);
  static runtime::Task<void> end(MemberNode& self, std::optional<Error> why);
  static runtime::Task<Result<void>> open(MemberNode& self);
  void look();

  sim::ProcessContext& process_;
  runtime::Runtime& runtime_;
  const MemberNodeOptions options_;
  GroupLedger& ledger_;
  Load load_;
  Ends ends_;
  std::unique_ptr<TcpPeers> peers_;
  std::unique_ptr<Filter> filter_;
  std::unique_ptr<RegisterMachine> machine_;
  std::unique_ptr<Member> member_;
  bool stopping_ = false;
  runtime::Scope scope_;   // of the load
  runtime::Scope ending_;  // last
};

}  // namespace stele::raft::testing
