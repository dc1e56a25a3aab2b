#include "protocols/kafka/messages/alter_configs.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, AlterConfigsRequest::Config& m) {
  a.field("name", m.name);
  a.nullable("value", m.value);
}

template <class Archive>
void describe(Archive& a, AlterConfigsRequest::Resource& m) {
  a.field("resource_type", m.resource_type);
  a.field("resource_name", m.resource_name);
  a.field("configs", m.configs);
}

template <class Archive>
void describe(Archive& a, AlterConfigsRequest& m) {
  a.field("resources", m.resources);
  a.field("validate_only", m.validate_only);
}

template <class Archive>
void describe(Archive& a, AlterConfigsResponse::Resource& m) {
  a.field("error_code", m.error);
  a.nullable("error_message", m.error_message);
  a.field("resource_type", m.resource_type);
  a.field("resource_name", m.resource_name);
}

template <class Archive>
void describe(Archive& a, AlterConfigsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("responses", m.responses);
}

STELE_KAFKA_INSTANTIATE_REQUEST(AlterConfigsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(AlterConfigsResponse)

}  // namespace stele::kafka
