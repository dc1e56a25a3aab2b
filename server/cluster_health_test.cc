#include "server/cluster_health.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace stele::server {
namespace {

constexpr std::uint64_t kDisk = 100;  // of node n: kDisk + n

meta::Node make_node(std::uint32_t id, bool lives = true, std::uint32_t roles = meta::kAllRoles) {
  return {.id = NodeId(id),
          .incarnation = meta::Incarnation(1),
          .addresses = {},
          .roles = roles,
          .zone = {},
          .disk = kDisk + id,
          .product = {},
          .lives = lives,
          .draining = false,
          .directory = {}};
}

NodeTable table(std::vector<meta::Node> nodes) {
  NodeTable out;
  for (meta::Node& node : nodes) out.emplace(node.id, std::move(node));
  return out;
}

meta::Segment segment(std::vector<std::uint32_t> nodes, bool open = true) {
  meta::Segment out{.id = SegmentId(1), .base = Lsn(0), .end = {}, .epoch = Epoch(1), .replicas = {}};
  if (!open) out.end = Lsn(5);
  for (const std::uint32_t node : nodes) out.replicas.push_back({NodeId(node), kDisk + node});
  return out;
}

meta::Shard shard(std::uint32_t id, std::vector<meta::Segment> chain) {
  return {.id = ShardId(id),
          .assigned = {},
          .owner = NodeId(1),
          .owner_incarnation = meta::Incarnation(1),
          .epoch = Epoch(1),
          .chain = std::move(chain),
          .snapshot = {}};
}

ClusterPicture picture(const NodeTable& nodes, raft::NodeSet voters, std::vector<meta::Shard> shards = {}) {
  meta::MetaViewBuilder builder;
  for (const auto& [id, node] : nodes) builder.put_node(node);
  ClusterPicture out;
  out.view = std::move(builder).finish(1);
  out.membership.voters = std::move(voters);
  out.shards = std::make_shared<const std::vector<meta::Shard>>(std::move(shards));
  return out;
}

raft::NodeSet set(std::vector<std::uint32_t> nodes) {
  raft::NodeSet out;
  for (const std::uint32_t node : nodes) out.insert(NodeId(node));
  return out;
}

// What is said has these words.
void says(const std::vector<std::string>& reasons, std::vector<const char*> words) {
  ASSERT_EQ(reasons.size(), words.size()) << (reasons.empty() ? "" : reasons.front());
  for (std::size_t i = 0; i < words.size(); ++i)
    EXPECT_NE(reasons[i].find(words[i]), std::string::npos) << reasons[i];
}
template <class T>
std::string refusal(const Result<T>& result) {
  return result ? "" : result.error().message;
}
bool has(const std::string& text, const char* word) {
  return text.find(word) != std::string::npos;
}

TEST(ClusterHealth, OfShards) {
  NodeTable nodes = table({make_node(1), make_node(2), make_node(3, false)});
  meta::ShardPlace place{.assigned = NodeId(1),
                         .owner = NodeId(1),
                         .owner_incarnation = meta::Incarnation(1),
                         .epoch = Epoch(4)};
  EXPECT_EQ(state_of(place, nodes), ShardState::kServed);
  place.assigned = std::nullopt;
  EXPECT_EQ(state_of(place, nodes), ShardState::kServed) << "whoever takes it";
  place.assigned = NodeId(2);
  EXPECT_EQ(state_of(place, nodes), ShardState::kMoving);
  place.assigned = NodeId(3);
  EXPECT_EQ(state_of(place, nodes), ShardState::kServed) << "nobody there to take it";
  place.owner_incarnation = meta::Incarnation(2);
  EXPECT_EQ(state_of(place, nodes), ShardState::kLeaderless) << "another process of the node";
  place = {.assigned = NodeId(1),
           .owner = NodeId(3),
           .owner_incarnation = meta::Incarnation(1),
           .epoch = Epoch(4)};
  EXPECT_EQ(state_of(place, nodes), ShardState::kLeaderless) << "its owner is gone";
  place.owner = NodeId(9);
  EXPECT_EQ(state_of(place, nodes), ShardState::kLeaderless) << "it was removed";
  EXPECT_EQ(state_of({}, nodes), ShardState::kLeaderless) << "nobody has had it yet";
}

TEST(ClusterHealth, OfSegments) {
  NodeTable nodes = table({make_node(1), make_node(2), make_node(3, false)});
  EXPECT_EQ(replicas_wanted(nodes, 3), 3u) << "one that is away counts";
  EXPECT_EQ(replicas_wanted(nodes, 2), 2u);
  EXPECT_EQ(replicas_wanted({}, 3), 1u);
  nodes.at(NodeId(2)).roles = meta::kMetaRole;
  EXPECT_EQ(replicas_wanted(nodes, 3), 2u) << "it has no journal";
  nodes.at(NodeId(1)).leaving = true;
  EXPECT_EQ(replicas_wanted(nodes, 3), 1u) << "one that leaves for good shall have none";
  EXPECT_EQ(replicas_at_least(3, 0), 2u);
  EXPECT_EQ(replicas_at_least(3, 1), 1u);
  EXPECT_EQ(replicas_at_least(1, 2), 1u);

  nodes = table({make_node(1), make_node(2), make_node(3, false)});
  const auto counts = [&](const meta::Segment& one) {
    SegmentCounts out;
    out.add(one, nodes, 3);
    return std::vector{out.all, out.under_replicated, out.without_quorum, out.unreadable};
  };
  using V = std::vector<std::size_t>;
  EXPECT_EQ(counts(segment({1, 2, 3})), (V{1, 1, 0, 0}));
  EXPECT_EQ(counts(segment({1, 3})), (V{1, 1, 1, 0}));
  EXPECT_EQ(counts(segment({1, 3}, false)), (V{1, 1, 0, 0})) << "sealed: it commits nothing";
  EXPECT_EQ(counts(segment({3}, false)), (V{1, 1, 0, 1}));
  nodes.at(NodeId(3)).lives = true;
  EXPECT_EQ(counts(segment({1, 2, 3})), (V{1, 0, 0, 0}));
  nodes.at(NodeId(3)).disk = 5;
  EXPECT_EQ(counts(segment({1, 2, 3})), (V{1, 1, 0, 0})) << "it came back with another disk";
}

TEST(ClusterHealth, StoppingOneOfThreeIsFine) {
  const auto nodes = table({make_node(1), make_node(2), make_node(3)});
  const auto three = picture(nodes, set({1, 2, 3}), {shard(0, {segment({1, 2}, false), segment({1, 2, 3})})});
  for (const std::uint32_t node : {1, 2, 3}) says(why_not_stop(three, NodeId(node)), {});
}

TEST(ClusterHealth, StoppingTheOnlyOneIsNot) {
  const auto one = picture(table({make_node(1)}), set({1}), {shard(4, {segment({1})})});
  says(why_not_stop(one, NodeId(1)), {"0 of the 1 voter ", "shard 4 would have 0 of the 1 replica ",
                                      "only copy that is there (shard 4)", "0 of the 1 journal "});
}

TEST(ClusterHealth, WhoDoesNotVoteIsNotMissed) {
  const auto nodes = table({make_node(1), make_node(2, false), make_node(3), make_node(4)});
  auto asked = picture(nodes, set({1, 2, 3}));
  asked.replicas = 1;
  says(why_not_stop(asked, NodeId(4)), {});
  says(why_not_stop(asked, NodeId(1)), {"1 of the 2 voters"});
  // Both halves of a joint configuration count.
  asked.membership = {.voters = set({1, 3, 4}),
                      .voters_outgoing = set({1, 2, 3}),
                      .learners = {},
                      .learners_next = {},
                      .auto_leave = true};
  says(why_not_stop(asked, NodeId(1)), {"1 of the 2 voters"});
  says(why_not_stop(asked, NodeId(4)), {});
}

TEST(ClusterHealth, OnlyItsOwnReplicasCount) {
  const auto nodes = table({make_node(1), make_node(2), make_node(3, false), make_node(4)});
  // Shard 0 has no quorum, and node 4 has no part in that; shard 1 would lose it with node 2.
  auto asked = picture(nodes, set({4}), {shard(0, {segment({1, 3})}), shard(1, {segment({2, 3, 4})})});
  asked.membership.voters = set({1, 2, 4});
  says(why_not_stop(asked, NodeId(1)), {"shard 0 would have 0 of the 2 replicas", "only copy"});
  says(why_not_stop(asked, NodeId(2)), {"shard 1 would have 1 of the 2 replicas"});
  asked = picture(nodes, set({1, 2, 4}), {shard(0, {segment({1, 3})})});
  says(why_not_stop(asked, NodeId(4)), {});
}

TEST(ClusterHealth, JournalsThatANewSegmentNeeds) {
  const auto nodes = table({make_node(1), make_node(2), make_node(3, false)});
  auto asked = picture(nodes, set({3}));
  says(why_not_stop(asked, NodeId(1)), {"1 of the 2 journals"});
  asked.min_replicas = 1;
  says(why_not_stop(asked, NodeId(1)), {});
}

// As if it were stopped, and then counted.
RC_GTEST_PROP(ClusterHealth, IsWhatComesOfStoppingIt, ()) {
  const auto count = *rc::gen::inRange<std::uint32_t>(1, 6);
  std::vector<meta::Node> all;
  raft::NodeSet voters;
  for (std::uint32_t i = 1; i <= count; ++i) {
    all.push_back(make_node(i, *rc::gen::arbitrary<bool>()));
    if (i == 1 || *rc::gen::arbitrary<bool>()) voters.insert(NodeId(i));
  }
  const NodeId node(*rc::gen::inRange<std::uint32_t>(1, count + 1));
  NodeTable nodes = table(all);
  nodes.at(node).lives = true;
  std::vector<std::uint32_t> on;
  for (std::uint32_t i = 1; i <= count; ++i) {
    if (*rc::gen::arbitrary<bool>()) on.push_back(i);
  }
  auto before = picture(nodes, voters, {shard(0, {segment(on, *rc::gen::arbitrary<bool>())})});
  before.min_replicas = 1;
  const bool fine = why_not_stop(before, node).empty();

  NodeTable after = nodes;
  after.at(node).lives = false;
  const auto live = std::ranges::count_if(voters, [&](NodeId voter) { return after.at(voter).lives; });
  SegmentCounts counts;
  counts.add(before.shards->front().chain[0], after, 1);
  const bool has_part = std::ranges::count(on, node.value) > 0;
  const bool quorum = !voters.contains(node) || 2 * static_cast<std::size_t>(live) > voters.size();
  const bool journals = std::ranges::any_of(after, [](const auto& one) { return one.second.lives; });
  RC_ASSERT(fine == (quorum && journals && !(has_part && (counts.without_quorum || counts.unreadable))));
}

TEST(ClusterHealth, Draining) {
  auto nodes = table({make_node(1), make_node(2), make_node(3, true, meta::kMetaRole)});
  EXPECT_TRUE(check_drain(nodes, NodeId(1)));
  EXPECT_TRUE(has(refusal(check_drain(nodes, NodeId(9))), "no node 9"));
  nodes.at(NodeId(2)).draining = true;
  EXPECT_TRUE(has(refusal(check_drain(nodes, NodeId(1))), "nowhere to go"));
  EXPECT_TRUE(check_drain(nodes, NodeId(3))) << "it owns nothing anyway";
}

TEST(ClusterHealth, Removing) {
  auto nodes = table({make_node(1), make_node(2), make_node(3, false)});
  raft::Membership group{
      .voters = set({1, 2, 3}), .voters_outgoing = {}, .learners = {}, .learners_next = {}};
  EXPECT_TRUE(check_removal(nodes, group, NodeId(3)));
  EXPECT_TRUE(has(refusal(check_removal(nodes, group, NodeId(2))), "lives"));
  EXPECT_TRUE(has(refusal(check_removal(nodes, group, NodeId(9))), "no node 9"));
  nodes.at(NodeId(2)).lives = false;
  EXPECT_TRUE(has(refusal(check_removal(nodes, group, NodeId(3))), "1 of the 2 voters"));
  group.voters = set({1});
  EXPECT_TRUE(has(refusal(check_removal(nodes, group, NodeId(1))), "the only one that votes"));
}

TEST(ClusterHealth, Voting) {
  const auto nodes =
      table({make_node(1), make_node(2), make_node(3, false), make_node(4, true, meta::kBrokerRole)});
  raft::Membership group{
      .voters = set({1}), .voters_outgoing = {}, .learners = set({2}), .learners_next = {}};
  EXPECT_TRUE(voter_progress(nodes, group, NodeId(1), 5)->voter);
  EXPECT_EQ(voter_progress(nodes, group, NodeId(2), 5)->waits_for, "it catches up");
  EXPECT_EQ(voter_progress(nodes, group, NodeId(3), 5)->waits_for, "it does not run");
  EXPECT_TRUE(has(refusal(voter_progress(nodes, group, NodeId(4), 5)), "role meta"));
  EXPECT_TRUE(has(refusal(voter_progress(nodes, group, NodeId(9), 5)), "no node 9"));
  EXPECT_TRUE(has(refusal(voter_progress(nodes, group, NodeId(2), 1)), "1 node votes already"));
  group.learners.clear();
  EXPECT_EQ(voter_progress(nodes, group, NodeId(2), 5)->waits_for, "it comes into the group");
  group.voters = set({1, 2});
  group.voters_outgoing = set({1});
  EXPECT_EQ(voter_progress(nodes, group, NodeId(2), 5)->waits_for, "the group changes");
}

}  // namespace
}  // namespace stele::server
