#include "protocols/kafka/messages/describe_log_dirs.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, DescribeLogDirsRequest::Topic& m) {
  a.field("topic", m.topic);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, DescribeLogDirsRequest& m) {
  a.nullable("topics", m.topics);
}

template <class Archive>
void describe(Archive& a, DescribeLogDirsResponse::Partition& m) {
  a.field("partition_index", m.partition_index);
  a.field("partition_size", m.partition_size);
  a.field("offset_lag", m.offset_lag);
  a.field("is_future_key", m.is_future_key);
}

template <class Archive>
void describe(Archive& a, DescribeLogDirsResponse::Topic& m) {
  a.field("name", m.name);
  a.field("partitions", m.partitions);
}

template <class Archive>
void describe(Archive& a, DescribeLogDirsResponse::Result& m) {
  a.field("error_code", m.error);
  a.field("log_dir", m.log_dir);
  a.field("topics", m.topics);
  if (a.version() >= 4) {
    a.field("total_bytes", m.total_bytes);
    a.field("usable_bytes", m.usable_bytes);
  }
}

template <class Archive>
void describe(Archive& a, DescribeLogDirsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  if (a.version() >= 3) a.field("error_code", m.error);
  a.field("results", m.results);
}

STELE_KAFKA_INSTANTIATE_REQUEST(DescribeLogDirsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(DescribeLogDirsResponse)

}  // namespace stele::kafka
