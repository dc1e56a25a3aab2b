// What the HTTP interface shows of the cluster that a node is part of, and does to it: implemented by the
// server, which alone knows all the parts. On the core of the listener.
//
// What is shown is as the node itself knows it, which may be behind, so that it can be asked when nobody
// leads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/task.h"

namespace stele::http {

// docs/cluster.md says what each of these means.
struct SegmentCounts {
  std::size_t all = 0;
  std::size_t under_replicated = 0;
  std::size_t without_quorum = 0;
  std::size_t unreadable = 0;
};

struct ClusterStatus {
  std::string id = {};
  NodeId node;         // who tells
  bool lease = false;  // it may take itself to be part of the cluster
  struct Meta {
    std::optional<NodeId> leader;  // as far as is known
    std::uint64_t term = 0, committed = 0, applied = 0;
    std::vector<NodeId> voters, voters_outgoing, learners;
  } meta = {};
  struct Nodes {
    std::size_t all = 0, live = 0, draining = 0;
  } nodes = {};
  std::map<std::string, std::size_t> versions = {};  // nodes of each
  struct Shards {
    std::size_t all = 0, leaderless = 0, moving = 0;
  } shards = {};
  SegmentCounts segments = {};
};

struct ClusterNode {
  NodeId node;
  std::string state;  // live, gone, new (it has never registered)
  std::uint64_t incarnation = 0;
  bool draining = false, leaving = false;
  std::vector<std::string> roles = {};
  std::string meta;  // leader, voter, learner, none
  std::string zone = {}, version = {};
  std::vector<std::pair<std::string, std::string>> addresses = {};  // by listener
  std::size_t shards = 0;                                           // that it owns
  std::size_t assigned = 0;                                         // that it shall own
  std::size_t replicas = 0;                                         // copies of segments that lie there
};

struct ClusterShard {
  ShardId shard;
  std::string state;  // served, moving, leaderless
  std::optional<NodeId> owner, assigned;
  std::uint64_t epoch = 0;
  SegmentCounts segments = {};
  struct Replica {
    NodeId node;
    bool present = false;
  };
  std::vector<Replica> replicas = {};  // of the last segment
  std::size_t needed = 0;              // of these
};

// What becomes of a node that is to vote in the meta service.
struct VoterState {
  bool voter = false;
  std::string waits_for;  // until it is
};

class ClusterAdministration {
 public:
  virtual ~ClusterAdministration() = default;

  // kUnavailable, kClosed: the node's copy of the metadata cannot be read.
  virtual runtime::Task<Result<ClusterStatus>> status() = 0;
  virtual runtime::Task<Result<std::vector<ClusterNode>>> nodes() = 0;
  virtual runtime::Task<Result<std::vector<ClusterShard>>> shards() = 0;
  // Why this node should not be stopped now, for people; empty: nothing speaks against it.
  virtual runtime::Task<Result<std::vector<std::string>>> why_not_stop() = 0;

  // kNotFound: no such node. kInvalidArgument: it would not do. kUnavailable, kTimedOut: nobody leads.
  // `leaving`: for good, so that what lies on it is copied elsewhere as well.
  virtual runtime::Task<Result<void>> drain(NodeId node, bool draining, bool leaving) = 0;
  virtual runtime::Task<Result<void>> remove(NodeId node) = 0;
  virtual Result<VoterState> voter(NodeId node) = 0;
};

}  // namespace stele::http
