// Majorities against brute force: count, for every value, who has reached it.
#include "raft/core/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <vector>

#include "raft/core/membership.h"

namespace stele::raft {
namespace {

NodeSet some_nodes(int least) {
  const auto picked = *rc::gen::container<std::vector<std::uint32_t>>(
      static_cast<std::size_t>(*rc::gen::inRange(least, 8)), rc::gen::inRange<std::uint32_t>(1, 10));
  NodeSet nodes;
  for (const std::uint32_t id : picked) nodes.insert(NodeId(id));
  return nodes;
}

std::map<NodeId, std::uint64_t> some_values() {
  std::map<NodeId, std::uint64_t> values;
  for (std::uint32_t id = 1; id < 10; ++id) values[NodeId(id)] = *rc::gen::inRange<std::uint64_t>(0, 6);
  return values;
}

bool majority_has(const NodeSet& voters, const std::map<NodeId, std::uint64_t>& values, std::uint64_t value) {
  const auto having = std::ranges::count_if(voters, [&](NodeId id) { return values.at(id) >= value; });
  return voters.empty() || 2 * static_cast<std::size_t>(having) > voters.size();
}

TEST(Quorum, TheHighestValueThatBothMajoritiesHaveReached) {
  EXPECT_TRUE(rc::check([] {
    Membership members;
    members.voters = some_nodes(1);
    members.voters_outgoing = some_nodes(0);
    const auto values = some_values();
    const std::uint64_t reached = quorum_reached(members, [&](NodeId id) { return values.at(id); });
    const auto quorum_has = [&](std::uint64_t value) {
      return majority_has(members.voters, values, value) &&
             majority_has(members.voters_outgoing, values, value);
    };
    RC_ASSERT(quorum_has(reached));
    RC_ASSERT(!quorum_has(reached + 1));
  }));
}

TEST(Quorum, AVoteIsWonOrLostOnceNobodyCanChangeIt) {
  EXPECT_TRUE(rc::check([] {
    Membership members;
    members.voters = some_nodes(1);
    members.voters_outgoing = some_nodes(0);
    const auto values = some_values();  // 0, 1: no; 2, 3: yes; else no answer yet
    const VoteResult result = vote_result(members, [&](NodeId id) -> std::optional<bool> {
      if (values.at(id) > 3) return std::nullopt;
      return values.at(id) > 1;
    });
    // If everybody who is missing says no, or yes.
    const auto granted = [&](bool by_missing) {
      std::map<NodeId, std::uint64_t> yes;
      for (const auto& [id, value] : values) yes[id] = value > 3 ? by_missing : value > 1;
      return majority_has(members.voters, yes, 1) && majority_has(members.voters_outgoing, yes, 1);
    };
    RC_ASSERT((result == VoteResult::kWon) == granted(false));
    RC_ASSERT((result == VoteResult::kLost) == !granted(true));
  }));
}

TEST(Quorum, AnyTwoQuorumsOfNeighbouringConfigurationsMeet) {
  EXPECT_TRUE(rc::check([] {
    Membership old;
    old.voters = some_nodes(1);
    const Membership joint = enter_change(old, {some_nodes(1), {}});
    RC_ASSERT(well_formed(joint));
    const Membership last = joint.joint() ? leave_joint(joint) : joint;
    const auto values = some_values();
    const auto is_quorum = [&](const Membership& members, bool even) {
      return quorum_reached(
                 members, [&](NodeId id) -> std::uint64_t { return (values.at(id) % 2 == 0) == even; }) >= 1;
    };
    // The nodes are split in two: never is a quorum of one configuration on one side, and one of its
    // neighbour on the other.
    RC_ASSERT(!(is_quorum(old, true) && is_quorum(joint, false)));
    RC_ASSERT(!(is_quorum(joint, true) && is_quorum(last, false)));
  }));
}

TEST(Membership, LeavingAJointOneGivesTheTarget) {
  EXPECT_TRUE(rc::check([] {
    Membership old;
    old.voters = some_nodes(1);
    MembershipTarget target{some_nodes(1), some_nodes(0)};
    for (const NodeId id : target.voters) target.learners.erase(id);
    const Membership first = enter_change(old, target);
    RC_ASSERT(well_formed(first));
    const Membership last = first.joint() ? leave_joint(first) : first;
    RC_ASSERT(last.voters == target.voters);
    RC_ASSERT(last.learners == target.learners);
    RC_ASSERT(first.joint() == (old.voters != target.voters));
  }));
}

}  // namespace
}  // namespace stele::raft
