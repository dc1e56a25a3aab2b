#include "server/cluster_health.h"

#include <algorithm>

#include "journal/quorum.h"

namespace stele::server {
namespace {

using journal::Quorum;

std::string name_of(NodeId node) {
  return "node " + std::to_string(node.value);
}

// "1 shard has", "3 shards have".
std::string count_of(std::size_t count, const char* one, const char* more) {
  return std::to_string(count) + " " + (count == 1 ? one : more);
}

std::unexpected<Error> wrong(std::string what) {
  return error(ErrorCode::kInvalidArgument, std::move(what));
}

bool lives(const NodeTable& nodes, NodeId node) {
  const auto found = nodes.find(node);
  return found != nodes.end() && found->second.lives;
}

bool is_journal(const meta::Node& node) {
  return (node.roles & meta::kJournalRole) && node.disk != 0;
}

std::size_t present_replicas(const meta::Segment& segment, const NodeTable& nodes) {
  return static_cast<std::size_t>(std::ranges::count_if(
      segment.replicas, [&](const meta::Replica& replica) { return is_present(replica, nodes); }));
}

// Of those who vote, without `without`.
struct Votes {
  std::size_t live = 0;
  std::size_t needed = 0;
  bool enough() const { return live >= needed; }
};
Votes votes_of(const raft::NodeSet& voters, const NodeTable& nodes, NodeId without) {
  Votes out{.live = 0, .needed = Quorum::of(voters.size()).acks};
  for (const NodeId voter : voters) out.live += voter != without && lives(nodes, voter);
  return out;
}

// What becomes of segments without a node, counted by shard.
struct Losses {
  std::size_t stopped = 0;     // shards whose open segment cannot commit
  std::size_t unreadable = 0;  // shards with a segment that nobody has
  ShardId first_stopped, first_unreadable;
  std::size_t left = 0, needed = 0;  // of first_stopped
};

void add_losses(Losses& losses, const meta::Shard& shard, const NodeTable& nodes, NodeId node) {
  bool unreadable = false;
  for (const meta::Segment& segment : shard.chain) {
    const bool here = std::ranges::any_of(segment.replicas, [&](const meta::Replica& replica) {
      return replica.node == node && is_present(replica, nodes);
    });
    if (!here) continue;
    const std::size_t left = present_replicas(segment, nodes) - 1;
    const std::size_t needed = replicas_needed(segment);
    if (!segment.end && left < needed && losses.stopped++ == 0) {
      losses.first_stopped = shard.id;
      losses.left = left;
      losses.needed = needed;
    }
    unreadable = unreadable || left == 0;
  }
  if (unreadable && losses.unreadable++ == 0) losses.first_unreadable = shard.id;
}

std::size_t journals_that_serve(const NodeTable& nodes, NodeId without) {
  return static_cast<std::size_t>(std::ranges::count_if(nodes, [&](const auto& one) {
    return one.first != without && one.second.lives && is_journal(one.second);
  }));
}

}  // namespace

// ---- shards ----------------------------------------------------------------------------------------------

std::string_view to_string(ShardState state) {
  switch (state) {
    case ShardState::kServed:
      return "served";
    case ShardState::kMoving:
      return "moving";
    case ShardState::kLeaderless:
      break;
  }
  return "leaderless";
}

ShardState state_of(const meta::ShardPlace& place, const NodeTable& nodes) {
  const auto owner = nodes.find(place.owner);
  if (place.epoch == Epoch() || owner == nodes.end() || !owner->second.lives ||
      owner->second.incarnation != place.owner_incarnation) {
    return ShardState::kLeaderless;
  }
  const bool moves = place.assigned && *place.assigned != place.owner && lives(nodes, *place.assigned);
  return moves ? ShardState::kMoving : ShardState::kServed;
}

// ---- segments --------------------------------------------------------------------------------------------

std::size_t replicas_wanted(const NodeTable& nodes, std::size_t configured) {
  const auto journals = static_cast<std::size_t>(std::ranges::count_if(
      nodes, [](const auto& one) { return is_journal(one.second) && !one.second.leaving; }));
  return std::clamp<std::size_t>(journals, 1, configured);
}

std::size_t replicas_at_least(std::size_t wanted, std::size_t configured) {
  return configured > 0 ? std::min(configured, wanted) : Quorum::of(wanted).acks;
}

bool is_present(const meta::Replica& replica, const NodeTable& nodes) {
  const auto node = nodes.find(replica.node);
  return node != nodes.end() && node->second.lives && node->second.disk == replica.disk;
}

std::size_t replicas_needed(const meta::Segment& segment) {
  return Quorum::of(segment.replicas.size()).acks;
}

void SegmentCounts::add(const meta::Segment& segment, const NodeTable& nodes, std::size_t wanted) {
  const std::size_t present = present_replicas(segment, nodes);
  ++all;
  under_replicated += present < wanted;
  without_quorum += !segment.end && present < replicas_needed(segment);
  unreadable += present == 0;
}

// ---- nodes -----------------------------------------------------------------------------------------------

std::vector<std::string> why_not_stop(const ClusterPicture& picture, NodeId node) {
  const NodeTable& nodes = picture.view->nodes();
  std::vector<std::string> reasons;
  for (const raft::NodeSet* voters : {&picture.membership.voters, &picture.membership.voters_outgoing}) {
    const Votes votes = votes_of(*voters, nodes, node);
    if (!voters->contains(node) || votes.enough()) continue;
    reasons.push_back("the meta service would have " + std::to_string(votes.live) + " of the " +
                      count_of(votes.needed, "voter", "voters") + " that it needs");
    break;
  }
  Losses losses;
  for (const meta::Shard& shard : *picture.shards) add_losses(losses, shard, nodes, node);
  if (losses.stopped > 0) {
    reasons.push_back(count_of(losses.stopped, "shard", "shards") +
                      " would take nothing new until a segment is opened elsewhere (shard " +
                      std::to_string(losses.first_stopped.value) + " would have " +
                      std::to_string(losses.left) + " of the " +
                      count_of(losses.needed, "replica", "replicas") + " that it needs)");
  }
  if (losses.unreadable > 0) {
    reasons.push_back(count_of(losses.unreadable, "shard has", "shards have") +
                      " a segment of which this node has the only copy that is there (shard " +
                      std::to_string(losses.first_unreadable.value) + ")");
  }
  const std::size_t least = replicas_at_least(replicas_wanted(nodes, picture.replicas), picture.min_replicas);
  const std::size_t serve = journals_that_serve(nodes, node);
  const auto self = nodes.find(node);
  if (self != nodes.end() && is_journal(self->second) && serve < least) {
    reasons.push_back("new segments would have " + std::to_string(serve) + " of the " +
                      count_of(least, "journal", "journals") + " that they need");
  }
  return reasons;
}

Result<void> check_node(const NodeTable& nodes, NodeId node) {
  if (nodes.contains(node)) return {};
  return error(ErrorCode::kNotFound, "there is no " + name_of(node) + " in the cluster");
}

Result<void> check_drain(const NodeTable& nodes, NodeId node) {
  STELE_CHECK(check_node(nodes, node));
  const bool owns = nodes.at(node).roles & meta::kBrokerRole;
  const bool others = std::ranges::any_of(nodes, [&](const auto& one) {
    return one.first != node && one.second.lives && !one.second.draining &&
           (one.second.roles & meta::kBrokerRole);
  });
  if (!owns || others) return {};
  return wrong("no other node serves clients and is not being drained: the shards of " + name_of(node) +
               " have nowhere to go");
}

Result<void> check_removal(const NodeTable& nodes, const raft::Membership& membership, NodeId node) {
  STELE_CHECK(check_node(nodes, node));
  raft::NodeSet left = membership.voters;
  left.erase(node);
  if (left.empty()) return wrong(name_of(node) + " is the only one that votes in the meta service");
  if (lives(nodes, node)) return wrong(name_of(node) + " lives; drain and stop it first");
  const Votes votes = votes_of(left, nodes, node);
  if (votes.enough()) return {};
  return wrong("without " + name_of(node) + " the meta service would have " + std::to_string(votes.live) +
               " of the " + count_of(votes.needed, "voter", "voters") +
               " that it needs: start the others first");
}

Result<VoterProgress> voter_progress(const NodeTable& nodes, const raft::Membership& membership, NodeId node,
                                     std::size_t max_voters) {
  STELE_CHECK(check_node(nodes, node));
  if (!(nodes.at(node).roles & meta::kMetaRole)) {
    return wrong(name_of(node) + " does not have the role meta: start it with --roles that name it");
  }
  const bool votes = membership.voters.contains(node);
  if (votes && !membership.joint()) return VoterProgress{.voter = true, .waits_for = {}};
  if (!votes && membership.voters.size() >= max_voters) {
    return wrong(count_of(membership.voters.size(), "node votes", "nodes vote") +
                 " already, and no more do: remove one of them first");
  }
  if (!lives(nodes, node)) return VoterProgress{.voter = false, .waits_for = "it does not run"};
  if (votes) return VoterProgress{.voter = false, .waits_for = "the group changes"};
  if (!membership.is_member(node))
    return VoterProgress{.voter = false, .waits_for = "it comes into the group"};
  return VoterProgress{.voter = false, .waits_for = "it catches up"};
}

}  // namespace stele::server
