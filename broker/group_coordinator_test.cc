// The classic group protocol as members see it. Time, ids and the log are the test's; after each step the
// state is what its log makes of it.
#include "broker/group_coordinator.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>

#include "broker/shard_testing.h"

namespace stele::broker {
namespace {

using namespace std::chrono_literals;
using runtime::Duration;
using runtime::Instant;

const GroupKey kKey(kDefaultTenant, "g");

// How a member joins; what is not said is as most do.
struct Joining {
  std::string id{};
  std::optional<std::string> instance{};
  std::vector<GroupProtocol> protocols{{"range", "m"}};
  std::string type = "consumer";
  bool id_required = false;
  bool may_skip = false;
  Duration session = 10s, rebalance = 60s;
  std::string client = "c";
};

struct Group final : GroupCoordinator::Host {
  testing::LogAndState log;
  Instant time{1000s};
  bool writable = true;
  std::set<TopicId> topics{TopicId(1), TopicId(2)};
  GroupOptions options;
  GroupStats stats;
  std::unique_ptr<GroupCoordinator> coordinator;

  explicit Group(Duration delay = 0s) {
    options.initial_rebalance_delay = delay;
    take_over();
  }

  const GroupTable& groups() const override { return log.state.groups(); }
  Instant monotonic_now() override { return time; }
  WallTime wall_now() override {
    return WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count()};
  }
  bool can_append() override { return writable; }
  void append_for_groups(storage::LogEntry entry) override { log.add(std::move(entry)); }
  std::string unique_id() override { return std::to_string(++ids_); }
  bool stream_exists(const StreamId& stream) override { return topics.contains(stream.topic); }

  // The next owner: has the log and nothing else.
  void take_over() {
    coordinator = std::make_unique<GroupCoordinator>(*this, options, stats);
    coordinator->start();
  }
  void pass(Duration duration) {
    const Instant until = time + duration;
    while (coordinator->next_due() <= until) {
      time = std::max(time, coordinator->next_due());
      coordinator->run_due();
    }
    time = until;
  }

  // ---- what members send
  using Joined = std::shared_ptr<std::optional<JoinedGroup>>;
  using Synced = std::shared_ptr<std::optional<SyncedGroup>>;

  Joined join(const Joining& joining) {
    JoinGroup request;
    request.group = "g";
    request.member.id = joining.id;
    request.member.instance_id = joining.instance;
    request.member.client_id = joining.client;
    request.member.session_timeout_ms = static_cast<std::int32_t>(joining.session / 1ms);
    request.member.rebalance_timeout_ms = static_cast<std::int32_t>(joining.rebalance / 1ms);
    request.member.protocols = joining.protocols;
    request.protocol_type = joining.type;
    request.id_required = joining.id_required;
    request.may_skip_assignment = joining.may_skip;
    auto answer = std::make_shared<std::optional<JoinedGroup>>();
    coordinator->join(kDefaultTenant, request, [answer](JoinedGroup got) { *answer = std::move(got); });
    return answer;
  }
  Synced sync(std::int32_t generation, const std::string& id,
              std::vector<std::pair<std::string, std::string>> assignments = {},
              std::optional<std::string> instance = std::nullopt) {
    SyncGroup request;
    request.group = "g";
    request.generation = generation;
    request.member_id = id;
    request.instance_id = std::move(instance);
    request.assignments = std::move(assignments);
    auto answer = std::make_shared<std::optional<SyncedGroup>>();
    coordinator->sync(kDefaultTenant, request, [answer](SyncedGroup got) { *answer = std::move(got); });
    return answer;
  }
  GroupError heartbeat(std::int32_t generation, const std::string& id,
                       std::optional<std::string> instance = std::nullopt) {
    return coordinator->heartbeat(kDefaultTenant, {"g", generation, id, std::move(instance)});
  }
  GroupError leave(const std::string& id, std::optional<std::string> instance = std::nullopt) {
    const LeftGroup left = coordinator->leave(kDefaultTenant, {"g", {{id, std::move(instance)}}});
    return left.error != GroupError::kNone ? left.error : left.members.at(0);
  }
  GroupError commit(std::int32_t generation, const std::string& id, std::int64_t offset,
                    std::optional<std::string> instance = std::nullopt, std::uint64_t topic = 1) {
    CommitOffsets request;
    request.group = "g";
    request.generation = generation;
    request.member_id = id;
    request.instance_id = std::move(instance);
    CommittedOffset committed;
    committed.offset = Offset(offset);
    request.offsets.emplace_back(StreamId{TopicId(topic), PartitionId(0)}, committed);
    const OffsetsAnswer answer = coordinator->commit_offsets(kDefaultTenant, std::move(request));
    return answer.error != GroupError::kNone ? answer.error : answer.partitions.at(0);
  }
  std::int64_t committed(std::uint64_t topic = 1) {
    FetchOffsets request{"g", {{StreamId{TopicId(topic), PartitionId(0)}}}};
    return coordinator->fetch_offsets(kDefaultTenant, request).offsets.at(0).second.offset.value;
  }
  GroupPhase phase() { return coordinator->describe(kDefaultTenant, "g").phase; }
  const GroupState& state() { return *groups().find(kKey); }

  // A stable group of one; gives its id.
  std::string alone(const Joining& joining = {}) {
    const Joined joined = join(joining);
    EXPECT_TRUE(*joined && (*joined)->error == GroupError::kNone);
    const std::string id = (*joined)->member_id;
    const Synced synced = sync((*joined)->generation, id, {{id, "all"}}, joining.instance);
    EXPECT_TRUE(*synced && (*synced)->error == GroupError::kNone);
    return id;
  }

 private:
  int ids_ = 0;
};

GroupError error_of(const Group::Joined& joined) {
  return *joined ? (*joined)->error : GroupError::kUnavailable;
}

// ---- joining --------------------------------------------------------------------------------------------

TEST(GroupCoordinator, OneMemberIsAGroup) {
  Group group;
  const auto joined = group.join({.id = {}, .client = "app"});
  ASSERT_TRUE(*joined);
  EXPECT_EQ((*joined)->error, GroupError::kNone);
  EXPECT_EQ((*joined)->generation, 1);
  EXPECT_EQ((*joined)->member_id, "app-1");
  EXPECT_EQ((*joined)->leader, "app-1");
  EXPECT_EQ((*joined)->protocol, "range");
  ASSERT_EQ((*joined)->members.size(), 1U);
  EXPECT_EQ((*joined)->members[0].metadata, "m");
  EXPECT_EQ(group.phase(), GroupPhase::kAssigning);
  const auto synced = group.sync(1, "app-1", {{"app-1", "mine"}, {"stranger", "x"}});
  ASSERT_TRUE(*synced);
  EXPECT_EQ((*synced)->assignment, "mine");
  EXPECT_EQ((*synced)->protocol_type, "consumer");
  EXPECT_EQ(group.phase(), GroupPhase::kStable);
  EXPECT_EQ(group.heartbeat(1, "app-1"), GroupError::kNone);
}

// KIP-394: so that a client that does not hear the answer leaves nothing behind.
TEST(GroupCoordinator, ANewMemberIsFirstToldItsId) {
  Group group;
  const auto told = group.join({.id = {}, .id_required = true});
  ASSERT_EQ(error_of(told), GroupError::kMemberIdRequired);
  const std::string id = (*told)->member_id;
  EXPECT_EQ(id, "c-1");
  EXPECT_EQ(group.groups().all().size(), 0U);
  const auto joined = group.join({.id = id, .id_required = true});
  EXPECT_EQ(error_of(joined), GroupError::kNone);
  EXPECT_EQ((*joined)->member_id, id);
  // The next owner has never heard of a promise.
  const auto other = group.join({.id = {}, .id_required = true});
  group.take_over();
  EXPECT_EQ(error_of(group.join({.id = (*other)->member_id})), GroupError::kUnknownMember);
}

TEST(GroupCoordinator, APromisedIdIsWaitedForAndForgotten) {
  Group group;
  const std::string first = group.alone();
  const auto told = group.join({.id = {}, .id_required = true});
  const auto again = group.join({.id = first, .protocols = {{"range", "other"}}});
  EXPECT_FALSE(*again);  // somebody is about to come
  group.pass(11s);
  ASSERT_TRUE(*again);
  EXPECT_EQ((*again)->generation, 2);
  EXPECT_EQ(error_of(group.join({.id = (*told)->member_id})), GroupError::kUnknownMember);
}

TEST(GroupCoordinator, RefusesWhatCannotBe) {
  Group group;
  EXPECT_EQ(error_of(group.join({.id = "nobody"})), GroupError::kUnknownMember);
  EXPECT_EQ(error_of(group.join({.id = {}, .session = 5s})), GroupError::kInvalidSessionTimeout);
  EXPECT_EQ(error_of(group.join({.id = {}, .session = 31min})), GroupError::kInvalidSessionTimeout);
  EXPECT_EQ(error_of(group.join({.id = {}, .protocols = {}})), GroupError::kInconsistentProtocol);
  EXPECT_EQ(error_of(group.join({.id = {}, .type = ""})), GroupError::kInconsistentProtocol);
  group.alone();
  EXPECT_EQ(error_of(group.join({.id = {}, .type = "connect"})), GroupError::kInconsistentProtocol);
  EXPECT_EQ(error_of(group.join({.id = {}, .protocols = {{"sticky", "m"}}})),
            GroupError::kInconsistentProtocol);
  EXPECT_EQ(error_of(group.join({.id = "nobody"})), GroupError::kUnknownMember);
}

TEST(GroupCoordinator, ASecondMemberBeginsANewGeneration) {
  Group group;
  const std::string first = group.alone();
  const auto second = group.join({.id = {}});
  EXPECT_FALSE(*second);
  EXPECT_EQ(group.phase(), GroupPhase::kRebalancing);
  EXPECT_EQ(group.heartbeat(1, first), GroupError::kRebalancing);
  EXPECT_EQ(group.commit(1, first, 7), GroupError::kNone);  // before it gives up what it has
  const auto again = group.join({.id = first});
  ASSERT_TRUE(*second && *again);
  EXPECT_EQ((*again)->generation, 2);
  EXPECT_EQ((*again)->leader, first);
  EXPECT_EQ((*again)->members.size(), 2U);
  EXPECT_EQ((*second)->members.size(), 0U);
  const std::string id = (*second)->member_id;
  const auto follower = group.sync(2, id);
  EXPECT_FALSE(*follower);
  EXPECT_EQ(group.commit(2, id, 8), GroupError::kRebalancing);
  const auto leader = group.sync(2, first, {{first, "a"}, {id, "b"}});
  ASSERT_TRUE(*follower && *leader);
  EXPECT_EQ((*leader)->assignment, "a");
  EXPECT_EQ((*follower)->assignment, "b");
  // Of the generation before:
  EXPECT_EQ(group.commit(1, first, 9), GroupError::kIllegalGeneration);
  EXPECT_EQ(group.heartbeat(1, first), GroupError::kIllegalGeneration);
  EXPECT_EQ((**group.sync(1, first)).error, GroupError::kIllegalGeneration);
  EXPECT_EQ(group.committed(), 7);
}

TEST(GroupCoordinator, TheProtocolThatMostPreferOfThoseThatAllHave) {
  Group group(3s);
  const auto a = group.join({.id = {}, .protocols = {{"sticky", "a"}, {"range", "ra"}, {"only", "x"}}});
  const auto b = group.join({.id = {}, .protocols = {{"range", "rb"}, {"sticky", "b"}}});
  const auto c = group.join({.id = {}, .protocols = {{"range", "rc"}, {"sticky", "c"}}});
  group.pass(10s);
  ASSERT_TRUE(*a && *b && *c);
  EXPECT_EQ((*a)->protocol, "range");
  EXPECT_EQ((*a)->leader, (*a)->member_id);
  ASSERT_EQ((*a)->members.size(), 3U);
  EXPECT_EQ((*a)->members[0].metadata, "ra");
}

TEST(GroupCoordinator, AnEmptyGroupWaitsForMoreMembers) {
  Group group(3s);
  const auto first = group.join({.id = {}});
  group.pass(2s);
  EXPECT_FALSE(*first);
  const auto second = group.join({.id = {}});
  group.pass(1s);
  EXPECT_FALSE(*first);  // somebody came, so it waits once more
  group.pass(3s);
  ASSERT_TRUE(*first && *second);
  EXPECT_EQ((*first)->generation, 1);
  EXPECT_EQ((*second)->generation, 1);
}

TEST(GroupCoordinator, ThatWaitIsNoLongerThanTheRebalanceTimeout) {
  Group group(3s);
  std::vector<Group::Joined> joined;
  joined.push_back(group.join({.id = {}, .rebalance = 7s}));
  for (int i = 0; i < 3; ++i) {
    group.pass(2500ms);
    joined.push_back(group.join({.id = {}, .rebalance = 7s}));
  }
  // 3 s, 3 s, and the one that is left.
  EXPECT_TRUE(*joined[0]);
  EXPECT_EQ((*joined[0])->generation, 1);
}

TEST(GroupCoordinator, WhoHasNotChangedIsToldWhatItKnew) {
  Group group(3s);
  const auto a = group.join({.id = {}});
  const auto b = group.join({.id = {}});
  group.pass(10s);
  const std::string leader = (*a)->leader,
                    other = leader == (*a)->member_id ? (*b)->member_id : (*a)->member_id;
  // The answer was lost while the leader assigns …
  auto again = group.join({.id = other});
  ASSERT_TRUE(*again);
  EXPECT_EQ((*again)->generation, 1);
  EXPECT_TRUE((*again)->members.empty());
  again = group.join({.id = leader});
  EXPECT_EQ((*again)->members.size(), 2U);
  (void)group.sync(1, leader);
  // … or later. Only a leader, or new metadata, make a new generation.
  EXPECT_TRUE(*group.join({.id = other}));
  EXPECT_EQ(group.phase(), GroupPhase::kStable);
  EXPECT_FALSE(*group.join({.id = leader}));
  EXPECT_EQ(group.phase(), GroupPhase::kRebalancing);
}

TEST(GroupCoordinator, WhoDoesNotRejoinInTimeIsOut) {
  Group group;
  const std::string first = group.alone({.id = {}, .session = 2min});
  const auto second = group.join({.id = {}, .session = 2min, .rebalance = 20s});
  group.pass(59s);
  EXPECT_FALSE(*second);
  group.pass(2s);
  ASSERT_TRUE(*second);
  EXPECT_EQ((*second)->generation, 2);
  EXPECT_EQ((*second)->leader, (*second)->member_id);
  EXPECT_EQ(group.heartbeat(1, first), GroupError::kUnknownMember);
  EXPECT_EQ(group.commit(1, first, 5), GroupError::kUnknownMember);
  EXPECT_EQ(error_of(group.join({.id = first})), GroupError::kUnknownMember);
}

TEST(GroupCoordinator, WhoAsksTwiceIsAnsweredTwice) {
  Group group;
  const std::string first = group.alone();
  const auto second = group.join({.id = {}});
  const std::string id = [&] {
    for (const auto& member : group.coordinator->describe(kDefaultTenant, "g").members) {
      if (member.id != first) return member.id;
    }
    return std::string();
  }();
  const auto again = group.join({.id = id});
  EXPECT_EQ(error_of(second), GroupError::kRebalancing);
  (void)group.join({.id = first});
  EXPECT_EQ(error_of(again), GroupError::kNone);
}

// ---- leaving --------------------------------------------------------------------------------------------

TEST(GroupCoordinator, ASessionThatEnds) {
  Group group;
  const std::string id = group.alone();
  group.pass(9s);
  EXPECT_EQ(group.heartbeat(1, id), GroupError::kNone);
  group.pass(9s);
  EXPECT_EQ(group.commit(1, id, 3), GroupError::kNone);  // keeps it too
  group.pass(9s);
  EXPECT_EQ(group.phase(), GroupPhase::kStable);
  group.pass(2s);
  EXPECT_EQ(group.phase(), GroupPhase::kEmpty);
  EXPECT_EQ(group.state().generation, 2);
  EXPECT_EQ(group.heartbeat(1, id), GroupError::kUnknownMember);
  EXPECT_EQ(group.committed(), 3);
}

TEST(GroupCoordinator, LeavingMakesTheOthersRebalance) {
  Group group(1s);
  const auto a = group.join({.id = {}});
  const auto b = group.join({.id = {}});
  group.pass(10s);
  (void)group.sync(1, (*a)->leader);
  EXPECT_EQ(group.leave("nobody"), GroupError::kUnknownMember);
  EXPECT_EQ(group.leave((*a)->member_id), GroupError::kNone);
  EXPECT_EQ(group.leave((*a)->member_id), GroupError::kUnknownMember);
  EXPECT_EQ(group.heartbeat(1, (*b)->member_id), GroupError::kRebalancing);
  // Also with the next owner, who knows no more than the log does.
  group.take_over();
  EXPECT_EQ(group.heartbeat(1, (*b)->member_id), GroupError::kRebalancing);
  const auto again = group.join({.id = (*b)->member_id});
  ASSERT_TRUE(*again);
  EXPECT_EQ((*again)->generation, 2);
  EXPECT_EQ((*again)->leader, (*b)->member_id);
  EXPECT_EQ(group.leave((*b)->member_id), GroupError::kNone);
  EXPECT_EQ(group.phase(), GroupPhase::kEmpty);
  EXPECT_EQ(group.state().generation, 3);
}

TEST(GroupCoordinator, WhoNeverAsksForItsAssignmentIsOut) {
  Group group(1s);
  const auto a = group.join({.id = {}, .session = 2min, .rebalance = 20s});
  const auto b = group.join({.id = {}, .session = 2min, .rebalance = 20s});
  group.pass(5s);
  const std::string leader = (*a)->leader,
                    other = leader == (*a)->member_id ? (*b)->member_id : (*a)->member_id;
  (void)group.sync(1, leader);
  group.pass(21s);
  EXPECT_EQ(group.heartbeat(1, leader), GroupError::kRebalancing);
  EXPECT_EQ(group.heartbeat(1, other), GroupError::kUnknownMember);
}

TEST(GroupCoordinator, AFollowerWaitsForADeadLeaderOnlySoLong) {
  Group group(1s);
  const auto a = group.join({.id = {}});
  const auto b = group.join({.id = {}});
  group.pass(5s);
  const std::string leader = (*a)->leader,
                    other = leader == (*a)->member_id ? (*b)->member_id : (*a)->member_id;
  const auto waiting = group.sync(1, other);
  EXPECT_FALSE(*waiting);
  group.pass(11s);
  ASSERT_TRUE(*waiting);
  EXPECT_EQ((*waiting)->error, GroupError::kRebalancing);
}

// ---- static members (KIP-345) ---------------------------------------------------------------------------

TEST(GroupCoordinator, AStaticMemberKeepsItsPlace) {
  Group group;
  const std::string first = group.alone({.id = {}, .instance = "i"});
  EXPECT_EQ(first, "i-1");
  // Its process begins anew, and knows no id.
  const auto back = group.join({.id = {}, .instance = "i"});
  ASSERT_TRUE(*back);
  EXPECT_EQ((*back)->error, GroupError::kNone);
  EXPECT_EQ((*back)->generation, 1);
  const std::string second = (*back)->member_id;
  EXPECT_NE(second, first);
  EXPECT_EQ((*back)->leader, first);  // it must not assign anew
  const auto synced = group.sync(1, second, {}, "i");
  EXPECT_EQ((**synced).assignment, "all");
  // Who had the old id is fenced.
  EXPECT_EQ(group.heartbeat(1, first, "i"), GroupError::kFencedInstance);
  EXPECT_EQ(group.commit(1, first, 1, "i"), GroupError::kFencedInstance);
  EXPECT_EQ(error_of(group.join({.id = first, .instance = "i"})), GroupError::kFencedInstance);
  EXPECT_EQ(group.leave(first, "i"), GroupError::kFencedInstance);
  EXPECT_EQ(group.heartbeat(1, second, "j"), GroupError::kUnknownMember);
  EXPECT_EQ(group.heartbeat(1, second, "i"), GroupError::kNone);
  // After a crash too.
  group.take_over();
  EXPECT_EQ(group.heartbeat(1, first, "i"), GroupError::kFencedInstance);
  EXPECT_EQ(group.heartbeat(1, second, "i"), GroupError::kNone);
  EXPECT_EQ(group.leave({}, "i"), GroupError::kNone);  // an administrator
  EXPECT_EQ(group.phase(), GroupPhase::kEmpty);
}

// KIP-814
TEST(GroupCoordinator, AStaticLeaderThatKnowsHowSkipsTheAssignment) {
  Group group;
  (void)group.alone({.id = {}, .instance = "i"});
  const auto back = group.join({.id = {}, .instance = "i", .may_skip = true});
  EXPECT_TRUE((*back)->skip_assignment);
  EXPECT_EQ((*back)->leader, (*back)->member_id);
  EXPECT_EQ((*back)->members.size(), 1U);
}

TEST(GroupCoordinator, AStaticMemberThatComesBackInARebalance) {
  Group group;
  const std::string first = group.alone({.id = {}, .instance = "i"});
  const auto other = group.join({.id = {}});
  const auto stale = group.join({.id = first, .instance = "i"});
  ASSERT_TRUE(*other && *stale);
  // While the leader assigns: what it assigns would go to the old id.
  const auto waiting = group.sync(2, (*other)->member_id);
  const auto back = group.join({.id = {}, .instance = "i"});
  EXPECT_FALSE(*back);
  EXPECT_EQ((**waiting).error, GroupError::kRebalancing);
  const auto again = group.join({.id = (*other)->member_id});
  ASSERT_TRUE(*back && *again);
  EXPECT_EQ((*back)->generation, 3);
  EXPECT_EQ((*back)->leader, (*again)->leader);
  EXPECT_EQ(group.state().members.size(), 2U);
}

TEST(GroupCoordinator, AnAbsentStaticMemberIsNotThrownOutByARebalance) {
  Group group;
  const std::string fixed = group.alone({.id = {}, .instance = "i", .session = 2min, .rebalance = 20s});
  const auto other = group.join({.id = {}, .rebalance = 20s});
  group.pass(21s);
  ASSERT_TRUE(*other);
  EXPECT_EQ((*other)->generation, 2);
  EXPECT_EQ((*other)->leader, (*other)->member_id);
  EXPECT_EQ((*other)->members.size(), 2U);
  EXPECT_TRUE(group.state().members.contains(fixed));
}

// ---- owners ---------------------------------------------------------------------------------------------

TEST(GroupCoordinator, TheNextOwnerGoesOn) {
  Group group;
  const std::string id = group.alone();
  EXPECT_EQ(group.commit(1, id, 4), GroupError::kNone);
  group.pass(9s);
  group.take_over();
  EXPECT_EQ(group.committed(), 4);
  group.pass(9s);  // a whole session again
  EXPECT_EQ(group.heartbeat(1, id), GroupError::kNone);
  EXPECT_EQ((**group.sync(1, id)).assignment, "all");
  const auto again = group.join({.id = id});
  EXPECT_EQ((*again)->generation, 2);
  // Between the generation and its assignment.
  group.take_over();
  EXPECT_EQ(group.phase(), GroupPhase::kAssigning);
  EXPECT_EQ(group.commit(1, id, 5), GroupError::kIllegalGeneration);
  EXPECT_EQ((**group.sync(2, id, {{id, "new"}})).assignment, "new");
}

TEST(GroupCoordinator, AnEndTellsEverybodyWhoWaits) {
  Group group(5s);
  const auto joined = group.join({.id = {}});
  group.coordinator->stop();
  EXPECT_EQ(error_of(joined), GroupError::kUnavailable);
  EXPECT_TRUE(*joined);
}

TEST(GroupCoordinator, AFullDiskPutsThingsOff) {
  Group group;
  const std::string id = group.alone();
  group.writable = false;
  EXPECT_EQ(group.commit(1, id, 4), GroupError::kUnavailable);
  EXPECT_EQ(group.leave(id), GroupError::kUnavailable);
  EXPECT_EQ(group.heartbeat(1, id), GroupError::kNone);
  const auto joined = group.join({.id = id});
  EXPECT_FALSE(*joined);
  group.pass(1min);
  EXPECT_FALSE(*joined);
  group.writable = true;
  group.pass(2s);
  ASSERT_TRUE(*joined);
  EXPECT_EQ((*joined)->generation, 2);
}

// ---- limits ---------------------------------------------------------------------------------------------

TEST(GroupCoordinator, Limits) {
  Group group;
  group.options.members = 1;
  group.options.groups = 1;
  group.options.member_bytes = 1000;
  group.take_over();
  EXPECT_EQ(error_of(group.join({.id = {}, .protocols = {{"range", std::string(1000, 'm')}}})),
            GroupError::kTooLarge);
  const std::string id = group.alone();
  EXPECT_EQ(error_of(group.join({.id = {}})), GroupError::kTooLarge);
  EXPECT_TRUE(*group.join({.id = id}));
  JoinGroup other;
  other.group = "h";
  other.member.session_timeout_ms = 10'000;
  GroupError error = GroupError::kNone;
  group.coordinator->join(kDefaultTenant, other, [&](const JoinedGroup& got) { error = got.error; });
  EXPECT_EQ(error, GroupError::kTooLarge);
  EXPECT_EQ(group.stats.refused_at_limit, 3U);
}

// ---- offsets --------------------------------------------------------------------------------------------

TEST(GroupCoordinator, OffsetsWithoutMembership) {
  Group group;
  EXPECT_EQ(group.committed(), -1);
  EXPECT_EQ(group.commit(3, "m", 1), GroupError::kIllegalGeneration);  // of a group that never was
  EXPECT_EQ(group.commit(-1, {}, 10), GroupError::kNone);
  EXPECT_EQ(group.committed(), 10);
  EXPECT_EQ(group.commit(-1, {}, 2), GroupError::kNone);
  EXPECT_EQ(group.committed(), 2);
  EXPECT_EQ(group.commit(-1, {}, 1, std::nullopt, 9), GroupError::kUnknownPartition);
  const std::string id = group.alone();
  EXPECT_EQ(group.commit(-1, {}, 11), GroupError::kUnknownMember);  // it has members now
  EXPECT_EQ(group.commit(1, id, 12), GroupError::kNone);
  EXPECT_EQ(group.committed(), 12);
}

TEST(GroupCoordinator, OffsetLimits) {
  Group group;
  group.options.offsets = 1;
  group.options.offset_metadata_bytes = 4;
  group.take_over();
  CommitOffsets request;
  request.group = "g";
  CommittedOffset one;
  one.offset = Offset(1);
  one.metadata = "12345";
  request.offsets.emplace_back(StreamId{TopicId(1), PartitionId(0)}, one);
  one.metadata = "1234";
  request.offsets.emplace_back(StreamId{TopicId(1), PartitionId(1)}, one);
  request.offsets.emplace_back(StreamId{TopicId(1), PartitionId(2)}, one);
  const OffsetsAnswer answer = group.coordinator->commit_offsets(kDefaultTenant, request);
  EXPECT_EQ(answer.partitions,
            (std::vector{GroupError::kMetadataTooLarge, GroupError::kNone, GroupError::kTooManyOffsets}));
  EXPECT_EQ(group.groups().offsets(), 1U);
  // What is there goes on.
  one.offset = Offset(2);
  request.offsets = {{StreamId{TopicId(1), PartitionId(1)}, one}};
  EXPECT_EQ(group.coordinator->commit_offsets(kDefaultTenant, request).partitions,
            std::vector{GroupError::kNone});
  EXPECT_EQ(group.groups().offsets(), 1U);
}

TEST(GroupCoordinator, OffsetsOfAnEmptyGroupExpire) {
  Group group;
  const std::string id = group.alone({.id = {}, .session = 30min});
  EXPECT_EQ(group.commit(1, id, 4), GroupError::kNone);
  const auto days = [&](int count) {
    for (int i = 0; i < count * 96; ++i) {
      group.pass(15min);
      (void)group.heartbeat(1, id);
      group.coordinator->expire_offsets();
    }
  };
  days(8);
  EXPECT_EQ(group.committed(), 4);  // it has a member
  EXPECT_EQ(group.leave(id), GroupError::kNone);
  days(6);
  EXPECT_EQ(group.commit(-1, {}, 5, std::nullopt, 2), GroupError::kNone);
  days(2);
  EXPECT_EQ(group.committed(1), -1);
  EXPECT_EQ(group.committed(2), 5);
  days(6);
  EXPECT_EQ(group.groups().all().size(), 0U);
  EXPECT_EQ(group.stats.offsets_expired, 2U);
}

TEST(GroupCoordinator, OffsetsOfADeletedTopicGo) {
  Group group;
  EXPECT_EQ(group.commit(-1, {}, 1), GroupError::kNone);
  EXPECT_EQ(group.commit(-1, {}, 2, std::nullopt, 2), GroupError::kNone);
  group.coordinator->drop_topics([](TopicId topic) { return topic != TopicId(1); });
  EXPECT_EQ(group.committed(1), -1);
  EXPECT_EQ(group.committed(2), 2);
}

std::string subscription(const std::string& topic) {
  std::string out;
  Writer writer(out);
  writer.u16_be(0).u32_be(1).u16_be(static_cast<std::uint16_t>(topic.size())).bytes(topic).u32_be(0);
  return out;
}

// KIP-496
TEST(GroupCoordinator, DeletingOffsets) {
  Group group;
  const StreamId stream{TopicId(1), PartitionId(0)};
  const DeleteOffsets orders{"g", {{stream, "orders"}}}, other{"g", {{stream, "other"}}};
  EXPECT_EQ(group.coordinator->delete_offsets(kDefaultTenant, orders).error, GroupError::kNotFound);
  const std::string id = group.alone({.id = {}, .protocols = {{"range", subscription("orders")}}});
  EXPECT_EQ(group.commit(1, id, 4), GroupError::kNone);
  EXPECT_EQ(group.coordinator->delete_offsets(kDefaultTenant, orders).partitions.at(0),
            GroupError::kSubscribed);
  EXPECT_EQ(group.committed(), 4);
  EXPECT_EQ(group.coordinator->delete_offsets(kDefaultTenant, other).partitions.at(0), GroupError::kNone);
  EXPECT_EQ(group.committed(), -1);
}

TEST(GroupCoordinator, DeletingAGroup) {
  Group group;
  EXPECT_EQ(group.coordinator->remove(kDefaultTenant, "g"), GroupError::kNotFound);
  const std::string id = group.alone();
  EXPECT_EQ(group.coordinator->remove(kDefaultTenant, "g"), GroupError::kNotEmpty);
  EXPECT_EQ(group.leave(id), GroupError::kNone);
  EXPECT_EQ(group.coordinator->remove(kDefaultTenant, "g"), GroupError::kNone);
  EXPECT_EQ(group.coordinator->describe(kDefaultTenant, "g").error, GroupError::kNotFound);
}

TEST(GroupCoordinator, LookingAtGroups) {
  Group group;
  const std::string id = group.alone({.id = {}, .client = "app"});
  const GroupDescription there = group.coordinator->describe(kDefaultTenant, "g");
  EXPECT_EQ(there.phase, GroupPhase::kStable);
  EXPECT_EQ(there.protocol, "range");
  ASSERT_EQ(there.members.size(), 1U);
  EXPECT_EQ(there.members[0].assignment, "all");
  EXPECT_EQ(there.members[0].protocols.at(0).metadata, "m");
  EXPECT_EQ(there.members[0].client_id, "app");
  const auto all = group.coordinator->list(kDefaultTenant);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].protocol_type, "consumer");
  EXPECT_TRUE(group.coordinator->list(TenantId(7)).empty());
}

}  // namespace
}  // namespace stele::broker
