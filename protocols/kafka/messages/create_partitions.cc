#include "protocols/kafka/messages/create_partitions.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, CreatePartitionsRequest::Assignment& m) {
  a.field("broker_ids", m.broker_ids);
}

template <class Archive>
void describe(Archive& a, CreatePartitionsRequest::Topic& m) {
  a.field("name", m.name);
  a.field("count", m.count);
  a.nullable("assignments", m.assignments);
}

template <class Archive>
void describe(Archive& a, CreatePartitionsRequest& m) {
  a.field("topics", m.topics);
  a.field("timeout_ms", m.timeout_ms);
  a.field("validate_only", m.validate_only);
}

template <class Archive>
void describe(Archive& a, CreatePartitionsResponse::Topic& m) {
  a.field("name", m.name);
  a.field("error_code", m.error);
  a.nullable("error_message", m.error_message);
}

template <class Archive>
void describe(Archive& a, CreatePartitionsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("results", m.results);
}

STELE_KAFKA_INSTANTIATE_REQUEST(CreatePartitionsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(CreatePartitionsResponse)

}  // namespace stele::kafka
