// Every message of the codec, for code that treats them alike: tests, fuzzers, tools.
#pragma once

#include <tuple>
#include <type_traits>

#include "protocols/kafka/messages/alter_configs.h"
#include "protocols/kafka/messages/api_versions.h"
#include "protocols/kafka/messages/create_partitions.h"
#include "protocols/kafka/messages/create_topics.h"
#include "protocols/kafka/messages/delete_groups.h"
#include "protocols/kafka/messages/delete_records.h"
#include "protocols/kafka/messages/delete_topics.h"
#include "protocols/kafka/messages/describe_cluster.h"
#include "protocols/kafka/messages/describe_configs.h"
#include "protocols/kafka/messages/describe_groups.h"
#include "protocols/kafka/messages/describe_log_dirs.h"
#include "protocols/kafka/messages/fetch.h"
#include "protocols/kafka/messages/find_coordinator.h"
#include "protocols/kafka/messages/heartbeat.h"
#include "protocols/kafka/messages/incremental_alter_configs.h"
#include "protocols/kafka/messages/init_producer_id.h"
#include "protocols/kafka/messages/join_group.h"
#include "protocols/kafka/messages/leave_group.h"
#include "protocols/kafka/messages/list_groups.h"
#include "protocols/kafka/messages/list_offsets.h"
#include "protocols/kafka/messages/metadata.h"
#include "protocols/kafka/messages/offset_commit.h"
#include "protocols/kafka/messages/offset_delete.h"
#include "protocols/kafka/messages/offset_fetch.h"
#include "protocols/kafka/messages/offset_for_leader_epoch.h"
#include "protocols/kafka/messages/produce.h"
#include "protocols/kafka/messages/sasl_authenticate.h"
#include "protocols/kafka/messages/sasl_handshake.h"
#include "protocols/kafka/messages/sync_group.h"

namespace stele::kafka {

// Calls f(std::type_identity<Message>()) for each.
template <class F>
void for_each_message(F f) {
  auto call = [&]<class... Messages>(std::type_identity<std::tuple<Messages...>>) {
    (f(std::type_identity<Messages>()), ...);
  };
  call(std::type_identity<std::tuple<
           ProduceRequest, ProduceResponse, FetchRequest, FetchResponse, ListOffsetsRequest,
           ListOffsetsResponse, MetadataRequest, MetadataResponse, FindCoordinatorRequest,
           FindCoordinatorResponse, ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest,
           CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, InitProducerIdRequest,
           InitProducerIdResponse, DescribeConfigsRequest, DescribeConfigsResponse, DescribeClusterRequest,
           DescribeClusterResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
           OffsetFetchResponse, JoinGroupRequest, JoinGroupResponse, HeartbeatRequest, HeartbeatResponse,
           LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse, DescribeGroupsRequest,
           DescribeGroupsResponse, ListGroupsRequest, ListGroupsResponse, DeleteGroupsRequest,
           DeleteGroupsResponse, OffsetDeleteRequest, OffsetDeleteResponse, SaslHandshakeRequest,
           SaslHandshakeResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
           OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, DescribeLogDirsRequest,
           DescribeLogDirsResponse, DeleteRecordsRequest, DeleteRecordsResponse, CreatePartitionsRequest,
           CreatePartitionsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
           AlterConfigsRequest, AlterConfigsResponse>>());
}

}  // namespace stele::kafka
