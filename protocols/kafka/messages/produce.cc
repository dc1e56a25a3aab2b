#include "protocols/kafka/messages/produce.h"

#include "protocols/kafka/codec_impl.h"
#include "protocols/kafka/shared_structs.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, ProduceRequest::Partition& m) {
  a.field("index", m.index);
  a.records("records", m.records);
}

template <class Archive>
void describe(Archive& a, ProduceRequest::Topic& m) {
  if (a.version() >= 13) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("name", m.name);
  }
  a.field("partition_data", m.partitions);
}

template <class Archive>
void describe(Archive& a, ProduceRequest& m) {
  a.nullable("transactional_id", m.transactional_id);
  a.field("acks", m.acks);
  a.field("timeout_ms", m.timeout_ms);
  a.field("topic_data", m.topics);
}

template <class Archive>
void describe(Archive& a, ProduceResponse::RecordError& m) {
  a.field("batch_index", m.batch_index);
  a.nullable("batch_index_error_message", m.message);
}

template <class Archive>
void describe(Archive& a, ProduceResponse::Partition& m) {
  a.field("index", m.index);
  a.field("error_code", m.error);
  a.field("base_offset", m.base_offset);
  a.field("log_append_time_ms", m.log_append_time_ms);
  if (a.version() >= 5) a.field("log_start_offset", m.log_start_offset);
  if (a.version() >= 8) {
    a.field("record_errors", m.record_errors);
    a.nullable("error_message", m.error_message);
  }
}

template <class Archive>
void describe_tags(Archive& t, ProduceResponse::Partition& m) {
  if (t.version() >= 10) t.field(0, "current_leader", m.current_leader);
}

template <class Archive>
void describe(Archive& a, ProduceResponse::Topic& m) {
  if (a.version() >= 13) {
    a.field("topic_id", m.topic_id);
  } else {
    a.field("name", m.name);
  }
  a.field("partition_responses", m.partitions);
}

template <class Archive>
void describe(Archive& a, ProduceResponse& m) {
  a.field("responses", m.topics);
  a.field("throttle_time_ms", m.throttle_time_ms);
}

template <class Archive>
void describe_tags(Archive& t, ProduceResponse& m) {
  if (t.version() >= 10) t.field(0, "node_endpoints", m.node_endpoints);
}

STELE_KAFKA_INSTANTIATE_REQUEST(ProduceRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(ProduceResponse)

}  // namespace stele::kafka
