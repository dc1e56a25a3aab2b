// What becomes of a Raft group when the table of nodes says who is in the cluster.
#include "meta/admission.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <string>

#include "meta/join_codec.h"

namespace stele::meta {
namespace {

using raft::MembershipTarget;

Node node(std::uint32_t id, std::uint32_t roles = kAllRoles) {
  Node out;
  out.id = NodeId(id);
  out.roles = roles;
  return out;
}

std::map<NodeId, Node> table(std::initializer_list<Node> nodes) {
  std::map<NodeId, Node> out;
  for (const Node& one : nodes) out[one.id] = one;
  return out;
}

raft::NodeSet set(std::initializer_list<std::uint32_t> ids) {
  raft::NodeSet out;
  for (const std::uint32_t id : ids) out.insert(NodeId(id));
  return out;
}

// Node 1 leads; the others are there and have everything.
raft::MemberStatus group(const raft::NodeSet& voters, const raft::NodeSet& learners = {}) {
  raft::MemberStatus out;
  out.self = NodeId(1);
  out.role = raft::Role::kLeader;
  out.last = raft::LogIndex(1000);
  out.membership.voters = voters;
  out.membership.learners = learners;
  for (const raft::NodeSet* some : {&voters, &learners}) {
    for (const NodeId id : *some)
      out.peers[id] = {raft::ProgressState::kReplicate, raft::LogIndex(1000), raft::LogIndex(1001), true};
  }
  return out;
}

std::string text(const std::optional<MembershipTarget>& target) {
  if (!target) return "stays";
  std::string out;
  for (const NodeId id : target->voters) out += " +" + std::to_string(id.value);
  for (const NodeId id : target->learners) out += " ~" + std::to_string(id.value);
  return out;
}

TEST(NextGroup, WhoIsLetInLearnsAndThenVotesOneAtATime) {
  const auto nodes = table({node(1), node(2), node(3)});
  EXPECT_EQ(text(next_group(nodes, group(set({1})), 5)), " +1 ~2 ~3");
  EXPECT_EQ(text(next_group(nodes, group(set({1}), set({2, 3})), 5)), " +1 +2 ~3");
  EXPECT_EQ(text(next_group(nodes, group(set({1, 2}), set({3})), 5)), " +1 +2 +3");
  EXPECT_EQ(text(next_group(nodes, group(set({1, 2, 3})), 5)), "stays");
}

TEST(NextGroup, WhoIsBehindOrAwayOrWithoutTheRoleDoesNotVote) {
  const auto nodes = table({node(1), node(2), node(3, kBrokerRole)});
  auto behind = group(set({1}), set({2, 3}));
  behind.peers[NodeId(2)].match = raft::LogIndex(100);
  EXPECT_EQ(text(next_group(nodes, behind, 5)), "stays");
  auto away = group(set({1}), set({2, 3}));
  away.peers[NodeId(2)].active = false;
  EXPECT_EQ(text(next_group(nodes, away, 5)), "stays");
  EXPECT_EQ(text(next_group(nodes, group(set({1, 2}), set({3})), 5)), "stays");
  EXPECT_EQ(text(next_group(nodes, group(set({1, 2, 3})), 5)), " +1 +2 ~3") << "the role was taken from it";
  EXPECT_EQ(text(next_group(table({node(1), node(2)}), group(set({1}), set({2})), 1)), "stays");
}

TEST(NextGroup, WhoIsRemovedLeaves) {
  EXPECT_EQ(text(next_group(table({node(1), node(3)}), group(set({1, 2, 3}), set({4})), 5)), " +1 +3");
  EXPECT_EQ(text(next_group(table({node(2)}), group(set({1, 2})), 5)), "stays")
      << "who leads hands over first";
  EXPECT_EQ(next_leader(table({node(2), node(3)}), group(set({1, 2, 3}))), NodeId(2));
  EXPECT_EQ(next_leader(table({node(1), node(2)}), group(set({1, 2}))), std::nullopt);
  EXPECT_EQ(next_leader(table({node(1, kBrokerRole), node(2)}), group(set({1, 2}))), NodeId(2));
  auto alone = group(set({1, 2}));
  alone.peers[NodeId(2)].active = false;
  EXPECT_EQ(next_leader(table({node(2)}), alone), std::nullopt);
}

TEST(NextGroup, NothingWhileAChangeIsUnderWay) {
  auto joint = group(set({1, 2}));
  joint.membership.voters_outgoing = set({1});
  EXPECT_EQ(text(next_group(table({node(1)}), joint, 5)), "stays");
}

// Step after step it comes to an end, at which the group is what the table wants; on the way somebody always
// votes, and the leader among them.
RC_GTEST_PROP(NextGroup, ComesToItsEnd, ()) {
  const auto ids = *rc::gen::container<std::set<std::uint32_t>>(rc::gen::inRange(2u, 12u));
  std::map<NodeId, Node> nodes = table({node(1)});
  for (const std::uint32_t id : ids) nodes[NodeId(id)] = node(id, *rc::gen::inRange(1u, 8u));
  raft::NodeSet voters = set({1}), learners;
  for (std::uint32_t id = 2; id < 12; ++id) {
    const int what = *rc::gen::inRange(0, 3);
    if (what == 1) voters.insert(NodeId(id));
    if (what == 2) learners.insert(NodeId(id));
  }
  raft::MemberStatus now = group(voters, learners);
  for (int steps = 0; const auto target = next_group(nodes, now, 5); ++steps) {
    RC_ASSERT(steps < 50);
    RC_ASSERT(target->voters.contains(NodeId(1)));
    for (const NodeId id : target->voters)
      RC_ASSERT(now.membership.voters.contains(id) || now.membership.learners.contains(id));
    now = group(target->voters, target->learners);
  }
  std::size_t may_vote = 0;
  for (const auto& [id, one] : nodes) {
    RC_ASSERT(now.membership.is_member(id));
    may_vote += (one.roles & kMetaRole) != 0;
    RC_ASSERT(!now.membership.voters.contains(id) || (one.roles & kMetaRole));
  }
  RC_ASSERT(now.membership.voters.size() + now.membership.learners.size() == nodes.size());
  RC_ASSERT(now.membership.voters.size() >= std::min<std::size_t>(may_vote, 5));
}

TEST(JoinCodec, ComesBackAsItWas) {
  const JoinRequest request{.node = NodeId(3),
                            .directory = {4, 5},
                            .address = {"host", 7000},
                            .roles = kMetaRole,
                            .zone = "z",
                            .product = "stele 1",
                            .member = true,
                            .forwarded = true};
  EXPECT_EQ(decode_join_request(encode(request)).value(), request);
  const JoinAnswer answer{
      .cluster = {1, 2}, .founders = set({1}), .members = {{NodeId(1), {"a", 1}}, {NodeId(2), {"b", 2}}}};
  EXPECT_EQ(decode_join_answer(encode(answer)).value(), answer);
  EXPECT_FALSE(decode_join_answer(encode(JoinAnswer{})));
}

RC_GTEST_PROP(JoinCodec, NonsenseIsMalformedOrSomething, (std::string nonsense)) {
  (void)decode_join_request(nonsense);
  (void)decode_join_answer(nonsense);
}

}  // namespace
}  // namespace stele::meta
