// For tests: a host whose process serves its journal to other nodes, and one that uses it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "journal/remote_replica.h"
#include "journal/replica_service.h"
#include "journal/testing/test_node.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "rpc/testing/node.h"
#include "runtime/scope.h"

namespace stele::journal::testing {

struct ReplicaNodeOptions {
  JournalOptions journal = {};
  JournalClientOptions client = {};
  rpc::ServerOptions server = {.open_without_certificates = true};
  std::uint32_t cores = 2;  // the journal is on the first, connections come to the last
  // Of the chains, when a process begins; none: it never gets to know them.
  std::optional<std::set<SegmentId>> chained = std::set<SegmentId>();
};

// What there is of it while its process lives.
class ReplicaProgram final : public sim::Program {
 public:
  ReplicaProgram(sim::ProcessContext& process, rpc::Identity self, const ReplicaNodeOptions& options)
      : options_(options), self_(std::move(self)) {
    node.process = &process;
    scope_.spawn(run());
  }
  bool serves() const { return serves_; }
  // The store has given up: nothing but another process helps.
  bool failed() const { return node.server && node.server->store().failed(); }

  TestNode node;
  std::unique_ptr<ReplicaService> service;
  std::unique_ptr<rpc::Server> server;

 private:
  runtime::Task<void> run() {
    while (!co_await node.open(options_.journal, options_.client))
      co_await runtime::sleep(node.core(0), std::chrono::milliseconds(50));
    if (options_.chained) node.client(0).admit(SegmentAdmission(*options_.chained));
    const std::uint32_t core = options_.cores - 1;
    co_await go_to(node.core(0), CoreId(core));
    server = std::make_unique<rpc::Server>(node.core(core), self_, options_.server);
    service = std::make_unique<ReplicaService>(*server, node.client(core));
    STELE_ASSERT(server->listen(node.core(core).network(), {"0.0.0.0", rpc::testing::kPort}));
    serves_ = true;
  }

  const ReplicaNodeOptions& options_;
  const rpc::Identity self_;
  bool serves_ = false;
  runtime::Scope scope_;
};

class ReplicaNode {
 public:
  ReplicaNode(sim::World& world, std::uint32_t number, ReplicaNodeOptions o)
      : options(std::move(o)), number_(number), host_(world.add_host(rpc::testing::host_of(number))) {}
  void boot() {
    host_.boot(options.cores, [this](sim::ProcessContext& process) {
      rpc::Identity self = rpc::testing::identity(number_);
      self.incarnation = process.incarnation();
      auto program = std::make_unique<ReplicaProgram>(process, std::move(self), options);
      program_ = program.get();
      return program;
    });
  }
  sim::Host& host() { return host_; }
  NodeId id() const { return NodeId(number_); }
  ReplicaProgram& program() { return *program_; }
  bool serves() const { return host_.running() && program_ && program_->serves(); }
  std::uint64_t disk() const { return program_->node.server->store().incarnation(); }
  void restart() {
    program_ = nullptr;
    host_.restart();
  }

  ReplicaNodeOptions options;

 private:
  const std::uint32_t number_;
  sim::Host& host_;
  ReplicaProgram* program_ = nullptr;
};

// Hears what became of a writer's entries.
struct HeardStored final : AppendListener {
  std::uint64_t stored = 0;
  std::optional<Error> failed;
  std::function<void()> when_stored, when_failed;
  void on_stored(std::uint64_t end) override {
    EXPECT_FALSE(failed);
    EXPECT_GT(end, stored);
    stored = end;
    if (when_stored) when_stored();
  }
  void on_append_failed(const Error& why) override {
    EXPECT_FALSE(failed);
    failed = why;
    if (when_failed) when_failed();
  }
};

// A process that has nothing but a channel to a node and a replica there.
class OwnerProgram final : public sim::Program {
 public:
  OwnerProgram(sim::ProcessContext& process, NodeId to, std::uint64_t disk, RemoteReplicaOptions options,
               rpc::ChannelOptions channel_options)
      : runtime(process.core(0)),
        channel(runtime, identity_of(process), to, {rpc::testing::host_of(to.value), rpc::testing::kPort},
                std::move(channel_options)),
        replica(runtime, channel, {to, disk}, options) {}
  runtime::Runtime& runtime;
  rpc::Channel channel;
  RemoteReplica replica;
  runtime::Scope scope;

 private:
  static rpc::Identity identity_of(sim::ProcessContext& process) {
    rpc::Identity self = rpc::testing::identity(1);
    self.incarnation = process.incarnation();
    return self;
  }
};

}  // namespace stele::journal::testing
