#include "protocols/kafka/messages/offset_fetch.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, OffsetFetchRequest::Topic& m) {
  if (a.version() >= 10) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("name", m.name);
  }
  a.field("partition_indexes", m.partition_indexes);
}

template <class Archive>
void describe(Archive& a, OffsetFetchRequest::Group& m) {
  a.field("group_id", m.group_id);
  if (a.version() >= 9) {
    a.nullable("member_id", m.member_id);
    a.field("member_epoch", m.member_epoch);
  }
  a.nullable("topics", m.topics);
}

template <class Archive>
void describe(Archive& a, OffsetFetchRequest& m) {
  if (a.version() >= 8) {
    a.field("groups", m.groups);
  } else if (auto* sole = a.only("group", m.groups)) {
    a.field("group_id", sole->group_id);
    a.nullable_since(2, "topics", sole->topics);
  }
  if (a.version() >= 7) a.field("require_stable", m.require_stable);
}

template <class Archive>
void describe(Archive& a, OffsetFetchResponse::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("committed_offset", m.committed_offset);
  if (a.version() >= 5) a.field("committed_leader_epoch", m.committed_leader_epoch);
  a.nullable("metadata", m.metadata);
  a.field("error_code", m.error);
}

template <class Archive>
void describe(Archive& a, OffsetFetchResponse::Topic& m) {
  if (a.version() >= 10) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("name", m.name);
  }
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, OffsetFetchResponse::Group& m) {
  a.field("group_id", m.group_id);
  a.field("topics", m.topics);
  a.field("error_code", m.error);
}

template <class Archive>
void describe(Archive& a, OffsetFetchResponse& m) {
  if (a.version() >= 3) a.field("throttle_time_ms", m.throttle_time_ms);
  if (a.version() >= 8) return a.field("groups", m.groups);
  auto* sole = a.only("group", m.groups);
  if (sole == nullptr) return;
  a.field("topics", sole->topics);
  if (a.version() >= 2) a.field("error_code", sole->error);
}

STELE_KAFKA_INSTANTIATE_REQUEST(OffsetFetchRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(OffsetFetchResponse)

}  // namespace stele::kafka
