// Majorities, of one set of voters and of two at a time.
//
// Two majorities of one set have a member in common; so what a majority has stored, a later majority knows
// of. In a joint configuration each decision needs a majority of either set, so it has a member in common
// with every decision made in the old configuration alone, and with every one made in the new alone (Ongaro's
// thesis, section 4.3). An empty set decides nothing and stands in nobody's way: it is the missing half of a
// configuration that is not joint.
//
// Pure functions. The callbacks are asked once per voter.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "raft/core/types.h"

namespace stele::raft {

enum class VoteResult : std::uint8_t { kPending, kWon, kLost };

// The highest value that a majority has reached; the maximum of 64 bits for an empty set.
std::uint64_t majority_reached(const NodeSet& voters, const std::function<std::uint64_t(NodeId)>& reached);
// The same in both halves of a membership.
std::uint64_t quorum_reached(const Membership& members, const std::function<std::uint64_t(NodeId)>& reached);

// What has come of a vote: true, false, or not answered yet.
VoteResult vote_result(const Membership& members, const std::function<std::optional<bool>(NodeId)>& answer);

}  // namespace stele::raft
