#include "protocols/kafka/messages/create_topics.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, CreateTopicsRequest::Assignment& m) {
  a.field("partition_index", m.partition_index);
  a.field("broker_ids", m.broker_ids);
}

template <class Archive>
void describe(Archive& a, CreateTopicsRequest::Config& m) {
  a.field("name", m.name);
  a.nullable("value", m.value);
}

template <class Archive>
void describe(Archive& a, CreateTopicsRequest::Topic& m) {
  a.field("name", m.name);
  a.field("num_partitions", m.num_partitions);
  a.field("replication_factor", m.replication_factor);
  a.field("assignments", m.assignments);
  a.field("configs", m.configs);
}

template <class Archive>
void describe(Archive& a, CreateTopicsRequest& m) {
  a.field("topics", m.topics);
  a.field("timeout_ms", m.timeout_ms);
  a.field("validate_only", m.validate_only);
}

template <class Archive>
void describe(Archive& a, CreateTopicsResponse::Config& m) {
  a.field("name", m.name);
  a.nullable("value", m.value);
  a.field("read_only", m.read_only);
  a.field("config_source", m.config_source);
  a.field("is_sensitive", m.is_sensitive);
}

template <class Archive>
void describe(Archive& a, CreateTopicsResponse::Topic& m) {
  a.field("name", m.name);
  if (a.version() >= 7) a.field("topic_id", m.topic_id);
  a.field("error_code", m.error);
  a.nullable("error_message", m.error_message);
  if (a.version() >= 5) {
    a.field("num_partitions", m.num_partitions);
    a.field("replication_factor", m.replication_factor);
    a.nullable("configs", m.configs);
  }
}

template <class Archive>
void describe_tags(Archive& t, CreateTopicsResponse::Topic& m) {
  t.field(0, "topic_config_error_code", m.topic_config_error);
}

template <class Archive>
void describe(Archive& a, CreateTopicsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("topics", m.topics);
}

STELE_KAFKA_INSTANTIATE_REQUEST(CreateTopicsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(CreateTopicsResponse)

}  // namespace stele::kafka
