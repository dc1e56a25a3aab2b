#include "protocols/kafka/messages/offset_commit.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, OffsetCommitRequest::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("committed_offset", m.committed_offset);
  if (a.version() >= 6) a.field("committed_leader_epoch", m.committed_leader_epoch);
  a.nullable("committed_metadata", m.committed_metadata);
}

template <class Archive>
void describe(Archive& a, OffsetCommitRequest::Topic& m) {
  if (a.version() >= 10) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("name", m.name);
  }
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, OffsetCommitRequest& m) {
  a.field("group_id", m.group_id);
  a.field("generation_id_or_member_epoch", m.generation_id);
  a.field("member_id", m.member_id);
  if (a.version() >= 7) a.nullable("group_instance_id", m.group_instance_id);
  if (a.version() <= 4) a.field("retention_time_ms", m.retention_time_ms);
  a.field("topics", m.topics);
}

template <class Archive>
void describe(Archive& a, OffsetCommitResponse::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("error_code", m.error);
}

template <class Archive>
void describe(Archive& a, OffsetCommitResponse::Topic& m) {
  if (a.version() >= 10) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("name", m.name);
  }
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, OffsetCommitResponse& m) {
  if (a.version() >= 3) a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("topics", m.topics);
}

STELE_KAFKA_INSTANTIATE_REQUEST(OffsetCommitRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(OffsetCommitResponse)

}  // namespace stele::kafka
