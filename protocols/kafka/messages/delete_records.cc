#include "protocols/kafka/messages/delete_records.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, DeleteRecordsRequest::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("offset", m.offset);
}

template <class Archive>
void describe(Archive& a, DeleteRecordsRequest::Topic& m) {
  a.field("name", m.name);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, DeleteRecordsRequest& m) {
  a.field("topics", m.topics);
  a.field("timeout_ms", m.timeout_ms);
}

template <class Archive>
void describe(Archive& a, DeleteRecordsResponse::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("low_watermark", m.low_watermark);
  a.field("error_code", m.error);
}

template <class Archive>
void describe(Archive& a, DeleteRecordsResponse::Topic& m) {
  a.field("name", m.name);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, DeleteRecordsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("topics", m.topics);
}

STELE_KAFKA_INSTANTIATE_REQUEST(DeleteRecordsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(DeleteRecordsResponse)

}  // namespace stele::kafka
