#include "raft/core/quorum.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/assert.h"

namespace stele::raft {
namespace {

VoteResult majority_vote(const NodeSet& voters, const std::function<std::optional<bool>(NodeId)>& answer) {
  if (voters.empty()) return VoteResult::kWon;
  const std::size_t needed = voters.size() / 2 + 1;
  std::size_t granted = 0;
  std::size_t missing = 0;
  for (const NodeId voter : voters) {
    const std::optional<bool> said = answer(voter);
    if (!said) {
      ++missing;
    } else if (*said) {
      ++granted;
    }
  }
  STELE_ASSERT(granted + missing <= voters.size());
  if (granted >= needed) return VoteResult::kWon;
  return granted + missing >= needed ? VoteResult::kPending : VoteResult::kLost;
}

}  // namespace

std::uint64_t majority_reached(const NodeSet& voters, const std::function<std::uint64_t(NodeId)>& reached) {
  if (voters.empty()) return std::numeric_limits<std::uint64_t>::max();
  std::vector<std::uint64_t> values;
  values.reserve(voters.size());
  for (const NodeId voter : voters) values.push_back(reached(voter));
  // In descending order the one at n/2 has n/2 at or above it besides itself: a majority.
  std::ranges::sort(values, std::greater<>());
  return values[values.size() / 2];
}

std::uint64_t quorum_reached(const Membership& members, const std::function<std::uint64_t(NodeId)>& reached) {
  STELE_ASSERT(!members.voters.empty());
  return std::min(majority_reached(members.voters, reached),
                  majority_reached(members.voters_outgoing, reached));
}

VoteResult vote_result(const Membership& members, const std::function<std::optional<bool>(NodeId)>& answer) {
  const VoteResult incoming = majority_vote(members.voters, answer);
  const VoteResult outgoing = majority_vote(members.voters_outgoing, answer);
  if (incoming == VoteResult::kLost || outgoing == VoteResult::kLost) return VoteResult::kLost;
  return incoming == VoteResult::kWon ? outgoing : incoming;
}

}  // namespace stele::raft
