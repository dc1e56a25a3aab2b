#include "protocols/kafka/messages/offset_delete.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, OffsetDeleteRequest::Partition& m) {
  a.field("partition_index", m.partition_index);
}

template <class Archive>
void describe(Archive& a, OffsetDeleteRequest::Topic& m) {
  a.field("name", m.name);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, OffsetDeleteRequest& m) {
  a.field("group_id", m.group_id);
  a.field("topics", m.topics);
}

template <class Archive>
void describe(Archive& a, OffsetDeleteResponse::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("error_code", m.error);
}

template <class Archive>
void describe(Archive& a, OffsetDeleteResponse::Topic& m) {
  a.field("name", m.name);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, OffsetDeleteResponse& m) {
  a.field("error_code", m.error);
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("topics", m.topics);
}

STELE_KAFKA_INSTANTIATE_REQUEST(OffsetDeleteRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(OffsetDeleteResponse)

}  // namespace stele::kafka
