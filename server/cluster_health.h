// What is to be said of a cluster: which shards nobody serves, which segments have too few replicas, and
// whether a node may be stopped, drained, removed, or will vote. Pure; docs/operating.md has it in words.
//
// It goes by the table of nodes and the chains. A node that *lives* has not been silent for so long that its
// incarnation was ended, so what is judged here may be late by a lease's expiry.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/types.h"
#include "model/ids.h"
#include "raft/core/types.h"

namespace stele::server {

using NodeTable = std::map<NodeId, meta::Node>;

// ---- shards ----------------------------------------------------------------------------------------------

enum class ShardState {
  kServed,      // by a process that lives, and that shall own it
  kMoving,      // by one that lives, and another one that lives shall take it
  kLeaderless,  // nobody has it: its owner's process has ended, or nobody has taken it yet
};
std::string_view to_string(ShardState state);
ShardState state_of(const meta::ShardPlace& place, const NodeTable& nodes);

// ---- segments --------------------------------------------------------------------------------------------

// So many replicas a segment should have, as of journal::ClusterReplicas: as many as there are journals in
// the cluster and do not leave it for good, whether or not they are there now; no more than `configured`.
std::size_t replicas_wanted(const NodeTable& nodes, std::size_t configured);
// With fewer journals that serve no segment is opened. `configured`: 0 for a majority of `wanted`.
std::size_t replicas_at_least(std::size_t wanted, std::size_t configured);

// Its node lives, with the disk that the replica was put on.
bool is_present(const meta::Replica& replica, const NodeTable& nodes);

// So many of its replicas commit an entry.
std::size_t replicas_needed(const meta::Segment& segment);

struct SegmentCounts {
  std::size_t all = 0;
  std::size_t under_replicated = 0;  // fewer present than a segment should have
  std::size_t without_quorum = 0;    // open, and fewer present than it commits with
  std::size_t unreadable = 0;        // none present
  void add(const meta::Segment& segment, const NodeTable& nodes, std::size_t wanted);
};

// ---- nodes -----------------------------------------------------------------------------------------------

// What is judged by, as of one moment.
struct ClusterPicture {
  std::shared_ptr<const meta::MetaView> view;
  raft::Membership membership;
  std::shared_ptr<const std::vector<meta::Shard>> shards;  // with their chains
  std::size_t replicas = 3;                                // ClusterReplicasOptions
  std::size_t min_replicas = 0;
};

// Why `node` should not be stopped now, each a sentence without its end; none: nothing speaks against it.
//   - of the voters (each half of a joint configuration) too few live besides it
//   - an open segment would have fewer present replicas than it commits with
//   - a segment would have no present replica at all
//   - fewer journals would serve than a new segment needs
std::vector<std::string> why_not_stop(const ClusterPicture& picture, NodeId node);

// kNotFound: there is no such node.
Result<void> check_node(const NodeTable& nodes, NodeId node);
// kInvalidArgument: nobody else serves, so that its shards have nowhere to go.
Result<void> check_drain(const NodeTable& nodes, NodeId node);
// What RemoveNode refuses, said for people, and also kInvalidArgument: those who are left to vote would be
// too few of them alive.
Result<void> check_removal(const NodeTable& nodes, const raft::Membership& membership, NodeId node);

struct VoterProgress {
  bool voter = false;
  std::string waits_for;  // until it is
};
// Of a node that is to vote. kInvalidArgument: it will not, and why.
Result<VoterProgress> voter_progress(const NodeTable& nodes, const raft::Membership& membership, NodeId node,
                                     std::size_t max_voters);

}  // namespace stele::server
