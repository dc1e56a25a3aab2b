#include "protocols/kafka/messages/delete_topics.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, DeleteTopicsRequest::Topic& m) {
  a.nullable("name", m.name);
  a.field("topic_id", m.topic_id);
}

template <class Archive>
void describe(Archive& a, DeleteTopicsRequest& m) {
  if (a.version() >= 6) {
    a.field("topics", m.topics);
  } else {
    a.array("topic_names", m.topics,
            [](Archive& name, auto& topic) { name.required("topic_names", topic.name); });
  }
  a.field("timeout_ms", m.timeout_ms);
}

template <class Archive>
void describe(Archive& a, DeleteTopicsResponse::Topic& m) {
  a.nullable_since(6, "name", m.name);
  if (a.version() >= 6) a.field("topic_id", m.topic_id);
  a.field("error_code", m.error);
  if (a.version() >= 5) a.nullable("error_message", m.error_message);
}

template <class Archive>
void describe(Archive& a, DeleteTopicsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("responses", m.topics);
}

STELE_KAFKA_INSTANTIATE_REQUEST(DeleteTopicsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(DeleteTopicsResponse)

}  // namespace stele::kafka
