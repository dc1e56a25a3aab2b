// What each version of the group APIs makes of the coordinator's answers.
#include <gtest/gtest.h>

#include "protocols/kafka/all_messages.h"
#include "protocols/kafka/server/testing/fake_broker.h"

namespace stele::kafka {
namespace {

using broker::GroupError;
using testing::FakeBroker;
using testing::FakeClient;

struct Groups : ::testing::Test {
  FakeBroker broker;
  FakeClient client{broker};
};

TEST_F(Groups, FindCoordinator) {
  FindCoordinatorRequest request;
  request.keys = {"g"};
  for (std::int16_t version = 0; version <= 6; ++version) {
    const auto response = client.ask<FindCoordinatorResponse>(version, request);
    ASSERT_EQ(response.coordinators.size(), 1U);
    const auto& one = response.coordinators[0];
    EXPECT_EQ(one.error, KafkaError::kNone);
    EXPECT_EQ(one.node_id, 1);
    EXPECT_EQ(one.host, "broker.example");
    EXPECT_EQ(one.port, 9092);
    if (version >= 4) EXPECT_EQ(one.key, "g");
  }
  request.key_type = 1;
  EXPECT_EQ(client.ask<FindCoordinatorResponse>(3, request).coordinators[0].error,
            KafkaError::kUnsupportedVersion);
  request.key_type = 2;
  EXPECT_EQ(client.ask<FindCoordinatorResponse>(6, request).coordinators[0].error,
            KafkaError::kInvalidRequest);
  broker.forbidden.emplace(broker::Action::kDescribeGroup, "g");
  request.key_type = 0;
  EXPECT_EQ(client.ask<FindCoordinatorResponse>(6, request).coordinators[0].error,
            KafkaError::kGroupAuthorizationFailed);
}

TEST_F(Groups, JoinGroup) {
  broker.join_answer = {.member_id = "m",
                        .generation = 3,
                        .protocol_type = "consumer",
                        .protocol = "range",
                        .leader = "m",
                        .members = {{"m", "i", "data"}}};
  JoinGroupRequest request;
  request.group_id = "g";
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 60'000;
  request.protocol_type = "consumer";
  request.protocols = {{"range", "data"}};
  for (std::int16_t version = 0; version <= 9; ++version) {
    const auto response = client.ask<JoinGroupResponse>(version, request);
    EXPECT_EQ(response.error, KafkaError::kNone);
    EXPECT_EQ(response.generation_id, 3);
    EXPECT_EQ(response.protocol_name, "range");
    ASSERT_EQ(response.members.size(), 1U);
    EXPECT_EQ(response.members[0].metadata, "data");
    // Version 0 has one timeout only; new members are told their id first from 4 on.
    EXPECT_EQ(broker.join_asked.member.rebalance_timeout_ms, version == 0 ? 10'000 : 60'000);
    EXPECT_EQ(broker.join_asked.id_required, version >= 4);
    EXPECT_EQ(broker.join_asked.may_skip_assignment, version >= 9);
    EXPECT_EQ(broker.join_asked.member.client_id, "test");
    EXPECT_EQ(broker.join_asked.member.protocols.at(0).metadata, "data");
  }
  broker.join_answer = {.error = GroupError::kMemberIdRequired, .member_id = "c-1"};
  for (const std::int16_t version : {4, 9}) {
    const auto response = client.ask<JoinGroupResponse>(version, request);
    EXPECT_EQ(response.error, KafkaError::kMemberIdRequired);
    EXPECT_EQ(response.member_id, "c-1");
    EXPECT_EQ(response.generation_id, -1);
    EXPECT_EQ(response.protocol_name.has_value(), version < 7);
  }
}

TEST_F(Groups, WhatTheCoordinatorRefuses) {
  const auto error_of = [&](GroupError error) {
    broker.join_answer = {.error = error};
    return client.ask<JoinGroupResponse>(5, JoinGroupRequest()).error;
  };
  EXPECT_EQ(error_of(GroupError::kUnavailable), KafkaError::kCoordinatorLoadInProgress);
  EXPECT_EQ(error_of(GroupError::kUnauthorized), KafkaError::kGroupAuthorizationFailed);
  EXPECT_EQ(error_of(GroupError::kInvalidGroup), KafkaError::kInvalidGroupId);
  EXPECT_EQ(error_of(GroupError::kInvalidSessionTimeout), KafkaError::kInvalidSessionTimeout);
  EXPECT_EQ(error_of(GroupError::kInconsistentProtocol), KafkaError::kInconsistentGroupProtocol);
  EXPECT_EQ(error_of(GroupError::kTooLarge), KafkaError::kGroupMaxSizeReached);
  EXPECT_EQ(error_of(GroupError::kUnknownMember), KafkaError::kUnknownMemberId);
  EXPECT_EQ(error_of(GroupError::kFencedInstance), KafkaError::kFencedInstanceId);
  // What clients take for "ask again" differs: to Java's, only this is one in a heartbeat's answer.
  broker.heartbeat_answer = GroupError::kUnavailable;
  EXPECT_EQ(client.ask<HeartbeatResponse>(4, HeartbeatRequest()).error, KafkaError::kCoordinatorNotAvailable);
  broker.heartbeat_answer = GroupError::kRebalancing;
  EXPECT_EQ(client.ask<HeartbeatResponse>(0, HeartbeatRequest()).error, KafkaError::kRebalanceInProgress);
}

TEST_F(Groups, SyncGroup) {
  broker.sync_answer = {.protocol_type = "consumer", .protocol = "range", .assignment = "mine"};
  SyncGroupRequest request;
  request.assignments = {{"m", "mine"}};
  EXPECT_EQ(client.ask<SyncGroupResponse>(0, request).assignment, "mine");
  EXPECT_EQ(broker.sync_asked.assignments.at(0).second, "mine");
  // KIP-559: who could say the protocol must.
  EXPECT_EQ(client.ask<SyncGroupResponse>(5, request).error, KafkaError::kInconsistentGroupProtocol);
  request.protocol_type = "consumer";
  request.protocol_name = "range";
  const auto response = client.ask<SyncGroupResponse>(5, request);
  EXPECT_EQ(response.error, KafkaError::kNone);
  EXPECT_EQ(response.protocol_name, "range");
}

TEST_F(Groups, LeaveGroup) {
  broker.leave_answer.members = {GroupError::kUnknownMember};
  LeaveGroupRequest request;
  request.members = {{"m", std::nullopt, std::nullopt}};
  EXPECT_EQ(client.ask<LeaveGroupResponse>(0, request).error, KafkaError::kUnknownMemberId);
  const auto response = client.ask<LeaveGroupResponse>(5, request);
  EXPECT_EQ(response.error, KafkaError::kNone);
  EXPECT_EQ(response.members.at(0).error, KafkaError::kUnknownMemberId);
  broker.leave_answer = {.error = GroupError::kUnknownMember};
  EXPECT_EQ(client.ask<LeaveGroupResponse>(5, request).error, KafkaError::kUnknownMemberId);
}

TEST_F(Groups, OffsetCommit) {
  const meta::Topic topic = broker.add_topic("orders");
  OffsetCommitRequest request;
  request.group_id = "g";
  request.retention_time_ms = 5000;
  request.topics.resize(2);
  request.topics[0].name = "missing";
  request.topics[0].topic_id = {9, 9};
  request.topics[0].partitions = {{0, 7, -1, "x"}};
  request.topics[1].name = "orders";
  request.topics[1].topic_id = uuid_of(topic);
  request.topics[1].partitions = {{0, 8, 2, "note"}, {1, 9, -1, std::nullopt}};
  broker.offsets_answer.partitions = {GroupError::kNone, GroupError::kMetadataTooLarge};
  for (std::int16_t version = 2; version <= 10; ++version) {
    const auto response = client.ask<OffsetCommitResponse>(version, request);
    ASSERT_EQ(response.topics.size(), 2U);
    EXPECT_EQ(response.topics[0].partitions[0].error,
              version >= 10 ? KafkaError::kUnknownTopicId : KafkaError::kUnknownTopicOrPartition);
    EXPECT_EQ(response.topics[1].partitions[0].error, KafkaError::kNone);
    EXPECT_EQ(response.topics[1].partitions[1].error, KafkaError::kOffsetMetadataTooLarge);
    ASSERT_EQ(broker.commit_asked.offsets.size(), 2U);
    EXPECT_EQ(broker.commit_asked.retention_ms, version <= 4 ? 5000 : -1);
    EXPECT_EQ(broker.commit_asked.offsets[0].second.metadata, "note");
    EXPECT_EQ(broker.commit_asked.offsets[0].second.leader_epoch, version >= 6 ? 2 : -1);
  }
  broker.offsets_answer = {.error = GroupError::kIllegalGeneration};
  const auto response = client.ask<OffsetCommitResponse>(8, request);
  EXPECT_EQ(response.topics[0].partitions[0].error, KafkaError::kIllegalGeneration);
  EXPECT_EQ(response.topics[1].partitions[1].error, KafkaError::kIllegalGeneration);
}

TEST_F(Groups, OffsetFetch) {
  const meta::Topic topic = broker.add_topic("orders");
  OffsetFetchRequest request;
  auto& group = request.groups.emplace_back();
  group.group_id = "g";
  group.topics->resize(2);
  (*group.topics)[0].name = "missing";
  (*group.topics)[0].topic_id = {9, 9};
  (*group.topics)[0].partition_indexes = {0};
  (*group.topics)[1].name = "orders";
  (*group.topics)[1].topic_id = uuid_of(topic);
  (*group.topics)[1].partition_indexes = {0, 1};
  broker::CommittedOffset committed;
  committed.offset = Offset(5);
  committed.metadata = "note";
  broker.fetch_offsets_answer.offsets = {{{topic.id, PartitionId(0)}, committed},
                                         {{topic.id, PartitionId(1)}, {}}};
  for (std::int16_t version = 1; version <= 10; ++version) {
    const auto response = client.ask<OffsetFetchResponse>(version, request);
    const auto& topics = response.groups.at(0).topics;
    ASSERT_EQ(topics.size(), 2U);
    EXPECT_EQ(topics[0].partitions[0].committed_offset, -1);
    EXPECT_EQ(topics[0].partitions[0].error, version >= 10 ? KafkaError::kUnknownTopicId : KafkaError::kNone);
    EXPECT_EQ(topics[1].partitions[0].committed_offset, 5);
    EXPECT_EQ(topics[1].partitions[0].metadata, "note");
    EXPECT_EQ(topics[1].partitions[1].committed_offset, -1);
    EXPECT_EQ(topics[1].partitions[1].metadata, "");
  }
  // All that the group has.
  request.groups[0].topics.reset();
  for (const std::int16_t version : {2, 8, 10}) {
    const auto response = client.ask<OffsetFetchResponse>(version, request);
    ASSERT_EQ(response.groups.at(0).topics.size(), 1U);
    EXPECT_EQ(response.groups[0].topics[0].partitions.size(), 2U);
    if (version < 10) EXPECT_EQ(response.groups[0].topics[0].name, "orders");
    if (version == 10) EXPECT_EQ(response.groups[0].topics[0].topic_id, uuid_of(topic));
  }
  broker.fetch_offsets_answer = {.error = GroupError::kUnavailable};
  EXPECT_EQ(client.ask<OffsetFetchResponse>(2, request).groups[0].error,
            KafkaError::kCoordinatorLoadInProgress);
}

TEST_F(Groups, DescribeGroups) {
  DescribeGroupsRequest request;
  request.groups = {"g"};
  broker.description = {.error = GroupError::kNotFound};
  for (const std::int16_t version : {0, 5, 6}) {
    const auto response = client.ask<DescribeGroupsResponse>(version, request);
    EXPECT_EQ(response.groups.at(0).group_state, "Dead");
    EXPECT_EQ(response.groups[0].error, version >= 6 ? KafkaError::kGroupIdNotFound : KafkaError::kNone);
  }
  broker::GroupMember member;
  member.id = "m";
  member.client_id = "app";
  member.client_host = "/::1";
  member.protocols = {{"range", "data"}};
  member.assignment = "mine";
  broker.description = {.phase = broker::GroupPhase::kStable,
                        .protocol_type = "consumer",
                        .protocol = "range",
                        .members = {member}};
  request.include_authorized_operations = true;
  broker.forbidden.emplace(broker::Action::kDeleteGroup, "g");
  const auto response = client.ask<DescribeGroupsResponse>(6, request);
  const auto& group = response.groups.at(0);
  EXPECT_EQ(group.group_state, "Stable");
  EXPECT_EQ(group.protocol_data, "range");
  EXPECT_EQ(group.members.at(0).metadata, "data");
  EXPECT_EQ(group.members[0].assignment, "mine");
  EXPECT_EQ(group.authorized_operations, (1 << 3) | (1 << 8));
}

TEST_F(Groups, ListGroups) {
  broker.group_list = {{"a", "consumer", broker::GroupPhase::kStable}, {"b", "", broker::GroupPhase::kEmpty}};
  ListGroupsRequest request;
  EXPECT_EQ(client.ask<ListGroupsResponse>(0, request).groups.size(), 2U);
  request.states_filter = {"stable"};
  const auto stable = client.ask<ListGroupsResponse>(5, request);
  ASSERT_EQ(stable.groups.size(), 1U);
  EXPECT_EQ(stable.groups[0].group_id, "a");
  EXPECT_EQ(stable.groups[0].group_type, "classic");
  request.states_filter.clear();
  request.types_filter = {"consumer"};
  EXPECT_TRUE(client.ask<ListGroupsResponse>(5, request).groups.empty());
  broker.group_list = error(ErrorCode::kUnavailable, "starting");
  EXPECT_EQ(client.ask<ListGroupsResponse>(5, request).error, KafkaError::kCoordinatorLoadInProgress);
}

TEST_F(Groups, DeleteGroups) {
  DeleteGroupsRequest request;
  request.groups = {"g"};
  broker.delete_group_answer = GroupError::kNotEmpty;
  EXPECT_EQ(client.ask<DeleteGroupsResponse>(2, request).results.at(0).error, KafkaError::kNonEmptyGroup);
  broker.delete_group_answer = GroupError::kNotFound;
  EXPECT_EQ(client.ask<DeleteGroupsResponse>(0, request).results.at(0).error, KafkaError::kGroupIdNotFound);
}

TEST_F(Groups, OffsetDelete) {
  (void)broker.add_topic("orders");
  OffsetDeleteRequest request;
  request.group_id = "g";
  request.topics = {{"missing", {{0}}}, {"orders", {{0}, {5}}}};
  broker.offsets_answer.partitions = {GroupError::kSubscribed};
  const auto response = client.ask<OffsetDeleteResponse>(0, request);
  EXPECT_EQ(response.topics.at(0).partitions[0].error, KafkaError::kUnknownTopicOrPartition);
  EXPECT_EQ(response.topics.at(1).partitions[0].error, KafkaError::kGroupSubscribedToTopic);
  EXPECT_EQ(response.topics.at(1).partitions[1].error, KafkaError::kUnknownTopicOrPartition);
  broker.offsets_answer = {.error = GroupError::kNotFound};
  EXPECT_EQ(client.ask<OffsetDeleteResponse>(0, request).error, KafkaError::kGroupIdNotFound);
}

}  // namespace
}  // namespace stele::kafka
