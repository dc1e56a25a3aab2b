// What those who look after a cluster see of it and do to it, at one of its nodes: behind the HTTP interface.
//
// Nodes and owners are those of the view, chains are read from the node's own copy of the metadata, which is
// shared by those who ask at the same time: many may. None of that needs a leader. What changes something
// goes by commands of the meta service, and does.
//
// Lives on core 0.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/client.h"
#include "meta/types.h"
#include "model/ids.h"
#include "protocols/http/cluster_info.h"
#include "runtime/notification.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "server/cluster_health.h"
#include "server/cluster_part.h"

namespace stele::server {

class ClusterAdmin final : public http::ClusterAdministration {
 public:
  // Of a node that has entered. All of it outlives this.
  ClusterAdmin(runtime::Runtime& runtime, ClusterPart& part, meta::MetaClient& meta)
      : runtime_(runtime), part_(part), meta_(meta) {}

  runtime::Task<Result<http::ClusterStatus>> status() override;
  runtime::Task<Result<std::vector<http::ClusterNode>>> nodes() override;
  runtime::Task<Result<std::vector<http::ClusterShard>>> shards() override;
  runtime::Task<Result<std::vector<std::string>>> why_not_stop() override;
  runtime::Task<Result<void>> drain(NodeId node, bool draining, bool leaving) override;
  runtime::Task<Result<void>> remove(NodeId node) override;
  Result<http::VoterState> voter(NodeId node) override;

  // Of all chains, where this node leads the meta service, so that one node counts them; a few seconds old.
  runtime::Task<std::optional<SegmentCounts>> count_segments();

  // Complete when nothing of it is under way; nobody asks any more. Before the log is closed.
  runtime::Task<void> close() { return scope_.close(); }

 private:
  using Chains = std::shared_ptr<const std::vector<meta::Shard>>;
  // Read no longer ago than that when this was called.
  runtime::Task<Result<Chains>> chains(runtime::Duration max_age);
  runtime::Task<void> read();
  Result<void> check_leader() const;
  std::size_t replicas_wanted(const meta::MetaView& view) const;

  runtime::Runtime& runtime_;
  ClusterPart& part_;
  meta::MetaClient& meta_;
  Chains chains_;  // null: never read
  runtime::Instant read_at_{};
  bool reading_ = false;
  std::uint64_t reads_ = 0;
  std::optional<Error> failure_;  // of the last
  runtime::Notification read_done_;
  runtime::Scope scope_;  // last
};

}  // namespace stele::server
