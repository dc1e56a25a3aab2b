#include "protocols/kafka/messages/heartbeat.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, HeartbeatRequest& m) {
  a.field("group_id", m.group_id);
  a.field("generation_id", m.generation_id);
  a.field("member_id", m.member_id);
  if (a.version() >= 3) a.nullable("group_instance_id", m.group_instance_id);
}

template <class Archive>
void describe(Archive& a, HeartbeatResponse& m) {
  if (a.version() >= 1) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("error_code", m.error);
}

STELE_KAFKA_INSTANTIATE_REQUEST(HeartbeatRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(HeartbeatResponse)

}  // namespace stele::kafka
