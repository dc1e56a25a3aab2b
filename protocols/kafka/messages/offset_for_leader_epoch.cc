#include "protocols/kafka/messages/offset_for_leader_epoch.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, OffsetForLeaderEpochRequest::Partition& m) {
  a.field("partition", m.partition);
  a.field("current_leader_epoch", m.current_leader_epoch);
  a.field("leader_epoch", m.leader_epoch);
}

template <class Archive>
void describe(Archive& a, OffsetForLeaderEpochRequest::Topic& m) {
  a.field("topic", m.topic);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, OffsetForLeaderEpochRequest& m) {
  if (a.version() >= 3) a.field("replica_id", m.replica_id);
  a.field("topics", m.topics);
}

template <class Archive>
void describe(Archive& a, OffsetForLeaderEpochResponse::Partition& m) {
  a.field("error_code", m.error);
  a.field("partition", m.partition);
  a.field("leader_epoch", m.leader_epoch);
  a.field("end_offset", m.end_offset);
}

template <class Archive>
void describe(Archive& a, OffsetForLeaderEpochResponse::Topic& m) {
  a.field("topic", m.topic);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, OffsetForLeaderEpochResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("topics", m.topics);
}

STELE_KAFKA_INSTANTIATE_REQUEST(OffsetForLeaderEpochRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(OffsetForLeaderEpochResponse)

}  // namespace stele::kafka
