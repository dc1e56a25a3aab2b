#include "broker/route_feed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "broker/route_follower.h"

namespace stele::broker {
namespace {

using Kind = RouteNews::Kind;
using News = std::vector<RouteNews>;

constexpr TenantId kTenant{7};
constexpr FollowerId kFollower{NodeId(2), 9};
constexpr std::size_t kRoom = 1 << 20;
constexpr std::size_t kOneAtATime = 1;

RouteNews live(std::string filter, bool on) {
  return {.kind = Kind::kLiveInterest, .tenant = kTenant, .text = std::move(filter), .number = on ? 1U : 0U};
}
RouteNews members(std::string share, std::uint32_t number) {
  return {.kind = Kind::kShareMembers, .tenant = kTenant, .text = std::move(share), .number = number};
}
RouteNews begins(std::uint32_t shard, std::uint64_t epoch) {
  return {.kind = Kind::kShardBegins, .shard = ShardId(shard), .epoch = Epoch(epoch), .number = 1};
}
RouteNews told(std::uint32_t shard, std::uint64_t epoch) {
  return {.kind = Kind::kShardTold, .shard = ShardId(shard), .epoch = Epoch(epoch), .number = 1};
}
RouteNews wants(std::uint32_t shard, std::uint64_t epoch, std::string filter, bool on = true) {
  return {Kind::kSessionInterest, ShardId(shard), Epoch(epoch), kTenant, std::move(filter), on ? 1U : 0U};
}
RouteNews keeps(std::uint32_t shard, std::uint64_t epoch, std::string share, bool on = true) {
  return {Kind::kShareKeeps, ShardId(shard), Epoch(epoch), kTenant, std::move(share), on ? 1U : 0U};
}

// A feed and who follows it, with nothing between them but the test.
class RouteFeedTest : public testing::Test {
 protected:
  explicit RouteFeedTest(RouteFeedLimits limits = {}) : feed_(5, limits) {}
  std::uint64_t note(RouteNews news, std::uint32_t core = 0) {
    return feed_.note(CoreId(core), std::move(news));
  }
  // One batch, sent, taken and answered: what changes by it.
  News exchange(std::size_t max_bytes = kRoom) {
    News changes;
    const auto batch = feed_.next_batch(kFollower, max_bytes);
    if (!batch) return changes;
    const auto answer = follower_.take(*batch, changes);
    EXPECT_TRUE(answer);
    if (answer) feed_.on_answer(kFollower, *answer);
    return changes;
  }
  News exchange_all(std::size_t max_bytes = kRoom) {
    News all;
    for (int i = 0; i < 1000; ++i) {
      News changes = exchange(max_bytes);
      all.insert(all.end(), changes.begin(), changes.end());
    }
    EXPECT_EQ(feed_.next_batch(kFollower, max_bytes), nullptr);
    return all;
  }
  void follow() {
    feed_.follow(kFollower);
    exchange_all();
  }

  RouteFeed feed_;
  ShardKnowledge shards_{4};
  RouteFollower follower_{NodeId(1), kFollower.incarnation, shards_};
};

class SmallFeedTest : public RouteFeedTest {
 protected:
  SmallFeedTest() : RouteFeedTest({.max_changes = 3, .max_change_bytes = 100'000}) {}
};

TEST_F(RouteFeedTest, versions_are_dense_from_1) {
  EXPECT_EQ(feed_.version(), 0);
  EXPECT_EQ(note(live("a", true)), 1);
  EXPECT_EQ(note(begins(1, 4)), 2);
  EXPECT_EQ(note(wants(1, 4, "b")), 3);
  EXPECT_EQ(note(wants(1, 4, "b", false)), 4);
  EXPECT_EQ(feed_.version(), 4);
}

TEST_F(RouteFeedTest, of_live_interest_the_first_and_the_last_core_count) {
  follow();
  EXPECT_EQ(note(live("a", true), 0), 1);
  note(live("b", true), 0);
  // Said already, by the first: whoever knows that knows this.
  EXPECT_EQ(note(live("a", true), 1), 1);
  note(live("a", false), 0);
  note(live("a", false), 0);
  EXPECT_EQ(exchange(), (News{live("a", true), live("b", true)}));
  note(live("a", false), 1);
  EXPECT_EQ(exchange(), (News{live("a", false)}));
}

TEST_F(RouteFeedTest, share_members_are_summed_over_the_cores) {
  follow();
  note(members("$share/s/a", 2), 0);
  note(members("$share/s/a", 3), 1);
  note(members("$share/s/a", 3), 1);
  note(members("$share/s/a", 0), 0);
  note(members("$share/s/a", 0), 1);
  EXPECT_EQ(exchange(), (News{members("$share/s/a", 2), members("$share/s/a", 5), members("$share/s/a", 3),
                              members("$share/s/a", 0)}));
  EXPECT_EQ(feed_.held(), 0);
}

TEST_F(RouteFeedTest, news_of_a_shard_in_another_epoch_are_ignored) {
  EXPECT_EQ(note(wants(1, 4, "early")), 0);
  note(begins(1, 4));
  EXPECT_EQ(note(begins(1, 4)), 1);
  EXPECT_EQ(note(begins(1, 3)), 1);
  EXPECT_EQ(note(wants(1, 3, "late")), 1);
  note(wants(1, 4, "a"));
  EXPECT_EQ(note(wants(1, 4, "a")), 2);
  note(told(1, 4));
  EXPECT_EQ(note(told(1, 4)), 3);
  feed_.forget_shard(ShardId(1), Epoch(3));
  EXPECT_EQ(feed_.held(), 3);
  // Begun again: what was told before does not hold any more.
  note(begins(1, 5));
  EXPECT_EQ(feed_.held(), 1);
}

TEST_F(RouteFeedTest, who_begins_to_follow_is_told_all_that_holds) {
  note(live("a", true));
  note(live("b", true));
  note(live("b", false));
  note(begins(1, 4));
  note(wants(1, 4, "x"));
  note(keeps(1, 4, "$share/s/x"));
  note(told(1, 4));
  feed_.follow(kFollower);
  EXPECT_FALSE(feed_.known_by_all(1));
  EXPECT_EQ(exchange(), (News{live("a", true), begins(1, 4), wants(1, 4, "x"), keeps(1, 4, "$share/s/x")}));
  EXPECT_TRUE(feed_.known_by_all(7));
  EXPECT_TRUE(follower_.complete(5));
  EXPECT_FALSE(follower_.complete(4));
  EXPECT_EQ(shards_.told(ShardId(1)), Epoch(4));
}

TEST_F(RouteFeedTest, of_a_node_that_has_nothing_to_tell_that_is_heard) {
  feed_.follow(kFollower);
  EXPECT_FALSE(follower_.complete(5));
  EXPECT_TRUE(exchange().empty());
  EXPECT_TRUE(follower_.complete(5));
}

TEST_F(RouteFeedTest, one_batch_is_under_way_until_it_is_answered) {
  feed_.follow(kFollower);
  const auto first = feed_.next_batch(kFollower, kRoom);
  ASSERT_TRUE(first);
  note(live("a", true));
  EXPECT_EQ(feed_.next_batch(kFollower, kRoom), nullptr);
  feed_.on_answer(kFollower, {5, first->number + 1, 1, false});
  feed_.on_answer(kFollower, {4, first->number, 0, false});
  EXPECT_EQ(feed_.next_batch(kFollower, kRoom), nullptr);
  feed_.on_answer(kFollower, {5, first->number, 0, false});
  const auto second = feed_.next_batch(kFollower, kRoom);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->news, (News{live("a", true)}));
}

TEST_F(RouteFeedTest, a_batch_that_may_be_lost_is_sent_again_and_taken_once) {
  follow();
  note(live("a", true));
  News changes;
  const auto batch = feed_.next_batch(kFollower, kRoom);
  const auto answer = follower_.take(*batch, changes);
  EXPECT_EQ(changes.size(), 1);
  note(live("a", false));
  feed_.on_lost(kFollower);
  const auto again = feed_.next_batch(kFollower, kRoom);
  EXPECT_EQ(again, batch);
  const auto answer_again = follower_.take(*again, changes);
  EXPECT_EQ(changes.size(), 1);
  ASSERT_TRUE(answer && answer_again);
  EXPECT_EQ(answer_again->version, answer->version);
  feed_.on_answer(kFollower, *answer);
  feed_.on_answer(kFollower, *answer_again);
  EXPECT_EQ(exchange(), (News{live("a", false)}));
}

TEST_F(RouteFeedTest, a_late_batch_is_refused) {
  follow();
  note(live("a", true));
  const auto batch = feed_.next_batch(kFollower, kRoom);
  News changes;
  feed_.on_answer(kFollower, *follower_.take(*batch, changes));
  note(live("a", false));
  exchange_all();
  EXPECT_EQ(follower_.take(*batch, changes), std::nullopt);
  EXPECT_EQ(changes.size(), 1);
}

TEST_F(RouteFeedTest, a_batch_for_a_predecessor_is_refused) {
  feed_.follow({kFollower.node, 8});
  const auto batch = feed_.next_batch({kFollower.node, 8}, kRoom);
  News changes;
  EXPECT_EQ(follower_.take(*batch, changes), std::nullopt);
}

TEST_F(RouteFeedTest, who_has_a_gap_is_told_everything_again) {
  follow();
  note(live("a", true));
  exchange();
  // Another process with the same name, as it were.
  RouteFollower other(NodeId(1), kFollower.incarnation, shards_);
  note(live("b", true));
  News changes;
  const auto answer = other.take(*feed_.next_batch(kFollower, kRoom), changes);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->gap);
  EXPECT_TRUE(changes.empty());
  feed_.on_answer(kFollower, *answer);
  const auto anew = feed_.next_batch(kFollower, kRoom);
  EXPECT_TRUE(anew->anew);
  feed_.on_answer(kFollower, *other.take(*anew, changes));
  EXPECT_EQ(changes, (News{live("a", true), live("b", true)}));
  EXPECT_TRUE(feed_.known_by_all(2));
}

TEST_F(RouteFeedTest, what_all_know_is_what_the_last_follower_knows) {
  EXPECT_TRUE(feed_.known_by_all(0));
  follow();
  const FollowerId other(NodeId(3), 1);
  note(live("a", true));
  exchange();
  EXPECT_TRUE(feed_.known_by_all(1));
  feed_.follow(other);
  EXPECT_EQ(feed_.lowest_acknowledged(), 0);
  EXPECT_FALSE(feed_.known_by_all(1));
  feed_.unfollow(other);
  EXPECT_TRUE(feed_.known_by_all(1));
  feed_.on_lost(other);
  feed_.on_answer(other, {});
  EXPECT_EQ(feed_.next_batch(other, kRoom), nullptr);
}

TEST_F(RouteFeedTest, a_batch_is_as_large_as_it_may_be) {
  follow();
  for (int i = 0; i < 10; ++i) note(live("filter/" + std::to_string(i), true));
  const std::size_t one = live("filter/0", true).bytes();
  EXPECT_EQ(exchange(3 * one).size(), 3);
  EXPECT_EQ(exchange(3 * one - 1).size(), 2);
  EXPECT_EQ(exchange(kOneAtATime).size(), 1);
  EXPECT_EQ(exchange().size(), 4);
}

// ---- snapshots that things happen to --------------------------------------------------------------------

TEST_F(RouteFeedTest, what_changes_before_the_place_of_a_snapshot_is_told_by_the_next_piece) {
  for (const char* filter : {"b", "d", "f"}) note(live(filter, true));
  feed_.follow(kFollower);
  EXPECT_EQ(exchange(kOneAtATime), (News{live("b", true)}));
  EXPECT_EQ(exchange(kOneAtATime), (News{live("d", true)}));
  note(live("b", false));  // told already
  note(live("c", true));   // its place is over
  note(live("e", true));   // its turn will come
  note(live("f", false));  // and that of this one will not
  EXPECT_EQ(exchange(kOneAtATime), (News{live("b", false)}));
  EXPECT_FALSE(feed_.known_by_all(1));
  EXPECT_EQ(exchange(kOneAtATime), (News{live("c", true)}));
  EXPECT_EQ(exchange(kOneAtATime), (News{live("e", true)}));
  EXPECT_TRUE(feed_.known_by_all(7));
  EXPECT_TRUE(exchange_all().empty());
}

TEST_F(RouteFeedTest, a_snapshot_goes_on_when_its_changes_are_told) {
  const std::string large(1000, 'a');
  for (const std::string& filter : {large, std::string("b"), std::string("c")}) note(live(filter, true));
  feed_.follow(kFollower);
  EXPECT_EQ(exchange(live(large, true).bytes()).size(), 1);
  note(live("a", true));
  note(live(large, false));
  note(live("c", false));
  // There is room for "b", but not for what comes before it.
  EXPECT_EQ(exchange(3 * live("b", true).bytes()), (News{live("a", true)}));
  EXPECT_FALSE(follower_.complete(5));
  EXPECT_EQ(exchange(), (News{live(large, false), live("b", true)}));
  EXPECT_TRUE(follower_.complete(5));
  EXPECT_TRUE(exchange_all().empty());
}

TEST_F(RouteFeedTest, a_piece_that_does_not_follow_is_a_gap) {
  for (const char* filter : {"a", "b", "c"}) note(live(filter, true));
  feed_.follow(kFollower);
  exchange(kOneAtATime);
  RouteBatch piece = *feed_.next_batch(kFollower, kOneAtATime);
  piece.after = piece.number++;
  News changes;
  const auto answer = follower_.take(piece, changes);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->gap);
  EXPECT_TRUE(changes.empty());
}

TEST_F(RouteFeedTest, a_shard_that_begins_again_is_told_at_the_end_of_a_snapshot) {
  note(begins(1, 4));
  for (const char* filter : {"a", "b", "c"}) note(wants(1, 4, filter));
  note(told(1, 4));
  note(begins(2, 1));
  note(told(2, 1));
  feed_.follow(kFollower);
  EXPECT_EQ(exchange(kOneAtATime), (News{begins(1, 4)}));
  EXPECT_EQ(exchange(kOneAtATime), (News{wants(1, 4, "a")}));
  note(begins(1, 5));
  note(wants(1, 5, "b"));
  EXPECT_EQ(exchange(kOneAtATime), (News{begins(2, 1)}));
  EXPECT_TRUE(exchange(kOneAtATime).empty());  // told
  EXPECT_EQ(exchange(kOneAtATime), (News{begins(1, 5)}));
  EXPECT_EQ(exchange(kOneAtATime), (News{wants(1, 5, "b")}));
  EXPECT_TRUE(follower_.complete(5));
  EXPECT_EQ(shards_.told(ShardId(1)), std::nullopt);
  note(told(1, 5));
  EXPECT_EQ(exchange(), (News{wants(1, 5, "a", false)}));
  EXPECT_EQ(shards_.told(ShardId(1)), Epoch(5));
}

TEST_F(SmallFeedTest, who_is_too_far_behind_for_the_changes_that_are_kept_is_told_everything_again) {
  follow();
  note(live("a", true));
  note(live("b", true));
  exchange();
  note(live("a", false));
  for (const char* filter : {"c", "d", "e"}) note(live(filter, true));
  EXPECT_EQ(feed_.changes(), 3);
  // Nothing that is there is forgotten on the way, not for a moment.
  EXPECT_EQ(exchange_all(kOneAtATime),
            (News{live("c", true), live("d", true), live("e", true), live("a", false)}));
  EXPECT_TRUE(feed_.known_by_all(6));
}

TEST_F(SmallFeedTest, a_snapshot_that_is_overtaken_by_changes_begins_again) {
  for (const char* filter : {"a", "b", "c"}) note(live(filter, true));
  feed_.follow(kFollower);
  EXPECT_EQ(exchange(kOneAtATime), (News{live("a", true)}));
  note(live("a", false));
  for (const char* filter : {"d", "e", "f"}) note(live(filter, true));
  EXPECT_EQ(exchange_all(kOneAtATime), (News{live("b", true), live("c", true), live("d", true),
                                             live("e", true), live("f", true), live("a", false)}));
}

TEST_F(SmallFeedTest, a_shard_s_interest_stays_while_a_snapshot_is_told_and_goes_with_it) {
  follow();
  note(begins(1, 4));
  note(told(1, 4));
  exchange_all();
  note(wants(1, 4, "a"));
  note(keeps(1, 4, "$share/s/a"));
  exchange_all();
  note(keeps(1, 4, "$share/s/a", false));
  note(wants(1, 4, "a", false));
  for (const char* filter : {"b", "c", "d"}) note(wants(1, 4, filter));
  const News changes = exchange_all(kOneAtATime);
  EXPECT_EQ(changes, (News{wants(1, 4, "b"), wants(1, 4, "c"), wants(1, 4, "d"),
                           keeps(1, 4, "$share/s/a", false), wants(1, 4, "a", false)}));
}

TEST_F(SmallFeedTest, what_is_kept_is_bounded_by_bytes_too) {
  RouteFeed feed(1, {.max_changes = 1000, .max_change_bytes = 3 * live("a", true).bytes()});
  for (const char* filter : {"a", "b", "c", "d"}) feed.note(CoreId(0), live(filter, true));
  EXPECT_EQ(feed.changes(), 3);
  EXPECT_EQ(feed.change_bytes(), 3 * live("a", true).bytes());
  feed.note(CoreId(0), live(std::string(1000, 'x'), true));
  EXPECT_EQ(feed.changes(), 0);
  EXPECT_EQ(feed.change_bytes(), 0);
}

// ---- nodes that end -------------------------------------------------------------------------------------

TEST_F(RouteFeedTest, a_node_that_ends_has_no_live_interest_but_its_shards_do) {
  note(live("a", true));
  note(members("$share/s/a", 2));
  note(begins(1, 4));
  note(wants(1, 4, "x"));
  note(told(1, 4));
  follow();
  News changes;
  follower_.source_ended(5, changes);
  EXPECT_EQ(changes, (News{live("a", false), members("$share/s/a", 0)}));
  EXPECT_FALSE(follower_.complete(5));
  EXPECT_EQ(shards_.told(ShardId(1)), Epoch(4));
  // What it sent before comes late.
  note(live("b", true));
  changes.clear();
  EXPECT_EQ(follower_.take(*feed_.next_batch(kFollower, kRoom), changes), std::nullopt);
  EXPECT_TRUE(changes.empty());
}

TEST_F(RouteFeedTest, a_successor_of_a_node_begins_anew) {
  note(live("a", true));
  note(live("b", true));
  follow();
  RouteFeed successor(6);
  successor.follow(kFollower);
  successor.note(CoreId(0), live("b", true));
  successor.note(CoreId(0), live("c", true));
  News changes;
  const auto batch = successor.next_batch(kFollower, kOneAtATime);
  successor.on_answer(kFollower, *follower_.take(*batch, changes));
  EXPECT_TRUE(changes.empty());
  EXPECT_FALSE(follower_.complete(6));
  // The predecessor says nothing any more, and that it has ended is no news.
  note(live("d", true));
  EXPECT_EQ(follower_.take(*feed_.next_batch(kFollower, kRoom), changes), std::nullopt);
  follower_.source_ended(5, changes);
  EXPECT_TRUE(changes.empty());
  successor.on_answer(kFollower, *follower_.take(*successor.next_batch(kFollower, kRoom), changes));
  EXPECT_EQ(changes, (News{live("c", true), live("a", false)}));
  EXPECT_TRUE(follower_.complete(6));
}

TEST_F(RouteFeedTest, a_successor_s_increments_need_their_beginning) {
  follow();
  RouteFeed successor(6);
  successor.follow(kFollower);
  const auto first = successor.next_batch(kFollower, kRoom);
  successor.on_answer(kFollower, {6, first->number, 0, false});
  successor.note(CoreId(0), live("a", true));
  News changes;
  const auto answer = follower_.take(*successor.next_batch(kFollower, kRoom), changes);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->gap);
  EXPECT_EQ(answer->version, 0);
  EXPECT_TRUE(changes.empty());
}

TEST_F(RouteFeedTest, a_shard_that_is_another_s_is_forgotten_here_and_kept_there) {
  note(begins(1, 4));
  note(wants(1, 4, "a"));
  note(told(1, 4));
  follow();
  feed_.forget_shard(ShardId(1), Epoch(4));
  EXPECT_EQ(feed_.held(), 0);
  EXPECT_EQ(note(wants(1, 4, "b")), 3);
  feed_.unfollow(kFollower);
  feed_.follow(kFollower);
  EXPECT_TRUE(exchange_all().empty());
  EXPECT_EQ(shards_.told(ShardId(1)), Epoch(4));
}

}  // namespace
}  // namespace stele::broker
