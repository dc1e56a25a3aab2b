#include "protocols/kafka/messages/leave_group.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, LeaveGroupRequest::Member& m) {
  a.field("member_id", m.member_id);
  a.nullable("group_instance_id", m.group_instance_id);
  if (a.version() >= 5) a.nullable("reason", m.reason);
}

template <class Archive>
void describe(Archive& a, LeaveGroupRequest& m) {
  a.field("group_id", m.group_id);
  if (a.version() >= 3) return a.field("members", m.members);
  if (auto* sole = a.only("member", m.members)) a.field("member_id", sole->member_id);
}

template <class Archive>
void describe(Archive& a, LeaveGroupResponse::Member& m) {
  a.field("member_id", m.member_id);
  a.nullable("group_instance_id", m.group_instance_id);
  a.field("error_code", m.error);
}

template <class Archive>
void describe(Archive& a, LeaveGroupResponse& m) {
  if (a.version() >= 1) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("error_code", m.error);
  if (a.version() >= 3) a.field("members", m.members);
}

STELE_KAFKA_INSTANTIATE_REQUEST(LeaveGroupRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(LeaveGroupResponse)

}  // namespace stele::kafka
