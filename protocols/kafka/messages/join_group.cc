#include "protocols/kafka/messages/join_group.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, JoinGroupRequest::Protocol& m) {
  a.field("name", m.name);
  a.bytes("metadata", m.metadata);
}

template <class Archive>
void describe(Archive& a, JoinGroupRequest& m) {
  a.field("group_id", m.group_id);
  a.field("session_timeout_ms", m.session_timeout_ms);
  if (a.version() >= 1) a.field("rebalance_timeout_ms", m.rebalance_timeout_ms);
  a.field("member_id", m.member_id);
  if (a.version() >= 5) a.nullable("group_instance_id", m.group_instance_id);
  a.field("protocol_type", m.protocol_type);
  a.field("protocols", m.protocols);
  if (a.version() >= 8) a.nullable("reason", m.reason);
}

template <class Archive>
void describe(Archive& a, JoinGroupResponse::Member& m) {
  a.field("member_id", m.member_id);
  if (a.version() >= 5) a.nullable("group_instance_id", m.group_instance_id);
  a.bytes("metadata", m.metadata);
}

template <class Archive>
void describe(Archive& a, JoinGroupResponse& m) {
  if (a.version() >= 2) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("error_code", m.error);
  a.field("generation_id", m.generation_id);
  if (a.version() >= 7) a.nullable("protocol_type", m.protocol_type);
  a.nullable_since(7, "protocol_name", m.protocol_name);
  a.field("leader", m.leader);
  if (a.version() >= 9) a.field("skip_assignment", m.skip_assignment);
  a.field("member_id", m.member_id);
  a.field("members", m.members);
}

STELE_KAFKA_INSTANTIATE_REQUEST(JoinGroupRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(JoinGroupResponse)

}  // namespace stele::kafka
