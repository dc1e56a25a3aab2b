#include "broker/shard_knowledge.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stele::broker {
namespace {

using Kind = RouteNews::Kind;
using News = std::vector<RouteNews>;

constexpr NodeId kOld{1}, kNew{2};
constexpr ShardId kShard{1};

RouteNews begins(std::uint64_t epoch) {
  return {Kind::kShardBegins, kShard, Epoch(epoch), {}, {}, 1};
}
RouteNews told(std::uint64_t epoch) {
  return {Kind::kShardTold, kShard, Epoch(epoch), {}, {}, 1};
}
RouteNews wants(std::uint64_t epoch, std::string filter) {
  return {Kind::kSessionInterest, kShard, Epoch(epoch), {}, std::move(filter), 1};
}
RouteNews wants_not(std::uint64_t epoch, std::string filter) {
  return {Kind::kSessionInterest, kShard, Epoch(epoch), {}, std::move(filter), 0};
}
RouteNews keeps(std::uint64_t epoch, std::string share) {
  return {Kind::kShareKeeps, kShard, Epoch(epoch), {}, std::move(share), 1};
}

class ShardKnowledgeTest : public testing::Test {
 protected:
  News hear(NodeId source, const News& news) {
    News changes;
    for (const RouteNews& one : news) shards_.apply(source, one, changes);
    return changes;
  }
  ShardKnowledge shards_{2};
};

TEST_F(ShardKnowledgeTest, each_change_is_given_once) {
  EXPECT_EQ(hear(kOld, {begins(1), wants(1, "a"), wants(1, "a"), told(1), wants_not(1, "b")}),
            (News{begins(1), wants(1, "a")}));
  EXPECT_EQ(hear(kOld, {wants_not(1, "a"), wants_not(1, "a"), wants(1, "a")}),
            (News{wants_not(1, "a"), wants(1, "a")}));
}

TEST_F(ShardKnowledgeTest, what_was_known_stays_until_the_new_owner_has_told_everything) {
  hear(kOld, {begins(1), wants(1, "a"), wants(1, "b"), keeps(1, "$share/s/b"), told(1)});
  EXPECT_EQ(hear(kNew, {begins(2), wants(2, "a"), wants(2, "c")}), (News{begins(2), wants(2, "c")}));
  RouteNews gone = keeps(2, "$share/s/b");
  gone.number = 0;
  EXPECT_EQ(hear(kNew, {told(2)}), (News{gone, wants_not(2, "b")}));
  EXPECT_TRUE(hear(kNew, {told(2)}).empty());
}

TEST_F(ShardKnowledgeTest, an_old_owner_undoes_nothing) {
  hear(kOld, {begins(1), wants(1, "a"), told(1)});
  hear(kNew, {begins(2), wants(2, "b")});
  EXPECT_TRUE(hear(kOld, {wants_not(1, "a"), wants_not(1, "b"), told(1)}).empty());
  EXPECT_EQ(hear(kNew, {told(2)}), (News{wants_not(2, "a")}));
  EXPECT_TRUE(hear(kOld, {begins(1), wants(1, "a"), wants_not(1, "b"), told(1)}).empty());
  EXPECT_EQ(shards_.begun(kShard), Epoch(2));
  EXPECT_EQ(shards_.told(kShard), Epoch(2));
}

// It was committed before the new owner took over, who has not come to tell it yet; the old one confirms it
// as soon as it is answered.
TEST_F(ShardKnowledgeTest, late_interest_of_an_old_owner_counts_until_the_new_one_has_told) {
  hear(kOld, {begins(1), told(1)});
  hear(kNew, {begins(2)});
  EXPECT_EQ(hear(kOld, {wants(1, "a"), wants(1, "b")}), (News{wants(1, "a"), wants(1, "b")}));
  EXPECT_TRUE(hear(kNew, {wants(2, "a")}).empty());
  EXPECT_TRUE(hear(kOld, {wants(1, "a")}).empty());
  EXPECT_EQ(hear(kNew, {told(2)}), (News{wants_not(2, "b")}));
  EXPECT_TRUE(hear(kOld, {wants(1, "b")}).empty());
}

TEST_F(ShardKnowledgeTest, an_owner_that_begins_again_keeps_what_it_tells_again) {
  hear(kOld, {begins(1), wants(1, "a"), wants(1, "b"), told(1)});
  EXPECT_TRUE(hear(kOld, {begins(1), wants(1, "a")}).empty());
  EXPECT_EQ(shards_.told(kShard), Epoch(1));
  EXPECT_EQ(hear(kOld, {told(1)}), (News{wants_not(1, "b")}));
  EXPECT_EQ(hear(kOld, {begins(3), told(3)}), (News{begins(3), wants_not(3, "a")}));
}

TEST_F(ShardKnowledgeTest, nothing_is_taken_without_its_beginning) {
  EXPECT_TRUE(hear(kOld, {wants(1, "a"), told(1)}).empty());
  hear(kOld, {begins(1)});
  EXPECT_TRUE(hear(kOld, {wants(2, "a"), told(2)}).empty());
  EXPECT_TRUE(hear(kNew, {wants(1, "a"), told(1), begins(1)}).empty());
  EXPECT_EQ(shards_.told(kShard), std::nullopt);
  EXPECT_TRUE(hear(kOld, {{Kind::kShardBegins, ShardId(2), Epoch(1), {}, {}, 1}}).empty());
}

TEST_F(ShardKnowledgeTest, complete_is_what_was_told_to_its_end) {
  const std::vector<Epoch> wanted = {Epoch(0), Epoch(2)};
  News changes;
  shards_.apply(kNew, {Kind::kShardBegins, ShardId(0), Epoch(0), {}, {}, 1}, changes);
  shards_.apply(kNew, {Kind::kShardTold, ShardId(0), Epoch(0), {}, {}, 1}, changes);
  EXPECT_FALSE(shards_.complete(wanted));
  hear(kOld, {begins(1), told(1)});
  EXPECT_FALSE(shards_.complete(wanted));
  hear(kNew, {begins(3), wants(3, "a")});
  EXPECT_FALSE(shards_.complete(wanted));
  hear(kNew, {told(3)});
  EXPECT_TRUE(shards_.complete(wanted));
  // All that was told in epoch 3 is known still.
  hear(kOld, {begins(4)});
  EXPECT_TRUE(shards_.complete(wanted));
  EXPECT_FALSE(shards_.complete({}));
}

}  // namespace
}  // namespace stele::broker
