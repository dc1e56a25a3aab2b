#include "protocols/kafka/messages/list_offsets.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, ListOffsetsRequest::Partition& m) {
  a.field("partition_index", m.partition_index);
  if (a.version() >= 4) a.field("current_leader_epoch", m.current_leader_epoch);
  a.field("timestamp", m.timestamp);
}

template <class Archive>
void describe(Archive& a, ListOffsetsRequest::Topic& m) {
  a.field("name", m.name);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, ListOffsetsRequest& m) {
  a.field("replica_id", m.replica_id);
  if (a.version() >= 2) a.field("isolation_level", m.isolation_level);
  a.field("topics", m.topics);
  if (a.version() >= 10) a.field("timeout_ms", m.timeout_ms);
}

template <class Archive>
void describe(Archive& a, ListOffsetsResponse::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("error_code", m.error);
  a.field("timestamp", m.timestamp);
  a.field("offset", m.offset);
  if (a.version() >= 4) a.field("leader_epoch", m.leader_epoch);
}

template <class Archive>
void describe(Archive& a, ListOffsetsResponse::Topic& m) {
  a.field("name", m.name);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, ListOffsetsResponse& m) {
  if (a.version() >= 2) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("topics", m.topics);
}

STELE_KAFKA_INSTANTIATE_REQUEST(ListOffsetsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(ListOffsetsResponse)

}  // namespace stele::kafka
