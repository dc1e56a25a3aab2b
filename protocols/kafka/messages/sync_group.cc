#include "protocols/kafka/messages/sync_group.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, SyncGroupRequest::Assignment& m) {
  a.field("member_id", m.member_id);
  a.bytes("assignment", m.assignment);
}

template <class Archive>
void describe(Archive& a, SyncGroupRequest& m) {
  a.field("group_id", m.group_id);
  a.field("generation_id", m.generation_id);
  a.field("member_id", m.member_id);
  if (a.version() >= 3) a.nullable("group_instance_id", m.group_instance_id);
  if (a.version() >= 5) {
    a.nullable("protocol_type", m.protocol_type);
    a.nullable("protocol_name", m.protocol_name);
  }
  a.field("assignments", m.assignments);
}

template <class Archive>
void describe(Archive& a, SyncGroupResponse& m) {
  if (a.version() >= 1) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("error_code", m.error);
  if (a.version() >= 5) {
    a.nullable("protocol_type", m.protocol_type);
    a.nullable("protocol_name", m.protocol_name);
  }
  a.bytes("assignment", m.assignment);
}

STELE_KAFKA_INSTANTIATE_REQUEST(SyncGroupRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(SyncGroupResponse)

}  // namespace stele::kafka
