#include "protocols/kafka/messages/describe_groups.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, DescribeGroupsRequest& m) {
  a.field("groups", m.groups);
  if (a.version() >= 3) a.field("include_authorized_operations", m.include_authorized_operations);
}

template <class Archive>
void describe(Archive& a, DescribeGroupsResponse::Member& m) {
  a.field("member_id", m.member_id);
  if (a.version() >= 4) a.nullable("group_instance_id", m.group_instance_id);
  a.field("client_id", m.client_id);
  a.field("client_host", m.client_host);
  a.bytes("member_metadata", m.metadata);
  a.bytes("member_assignment", m.assignment);
}

template <class Archive>
void describe(Archive& a, DescribeGroupsResponse::Group& m) {
  a.field("error_code", m.error);
  if (a.version() >= 6) a.nullable("error_message", m.error_message);
  a.field("group_id", m.group_id);
  a.field("group_state", m.group_state);
  a.field("protocol_type", m.protocol_type);
  a.field("protocol_data", m.protocol_data);
  a.field("members", m.members);
  if (a.version() >= 3) a.field("authorized_operations", m.authorized_operations);
}

template <class Archive>
void describe(Archive& a, DescribeGroupsResponse& m) {
  if (a.version() >= 1) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("groups", m.groups);
}

STELE_KAFKA_INSTANTIATE_REQUEST(DescribeGroupsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(DescribeGroupsResponse)

}  // namespace stele::kafka
