#include "protocols/kafka/messages/describe_configs.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, DescribeConfigsRequest::Resource& m) {
  a.field("resource_type", m.resource_type);
  a.field("resource_name", m.resource_name);
  a.nullable("configuration_keys", m.configuration_keys);
}

template <class Archive>
void describe(Archive& a, DescribeConfigsRequest& m) {
  a.field("resources", m.resources);
  a.field("include_synonyms", m.include_synonyms);
  if (a.version() >= 3) a.field("include_documentation", m.include_documentation);
}

template <class Archive>
void describe(Archive& a, DescribeConfigsResponse::Synonym& m) {
  a.field("name", m.name);
  a.nullable("value", m.value);
  a.field("source", m.source);
}

template <class Archive>
void describe(Archive& a, DescribeConfigsResponse::Config& m) {
  a.field("name", m.name);
  a.nullable("value", m.value);
  a.field("read_only", m.read_only);
  a.field("config_source", m.config_source);
  a.field("is_sensitive", m.is_sensitive);
  a.field("synonyms", m.synonyms);
  if (a.version() >= 3) {
    a.field("config_type", m.config_type);
    a.nullable("documentation", m.documentation);
  }
}

template <class Archive>
void describe(Archive& a, DescribeConfigsResponse::Resource& m) {
  a.field("error_code", m.error);
  a.nullable("error_message", m.error_message);
  a.field("resource_type", m.resource_type);
  a.field("resource_name", m.resource_name);
  a.field("configs", m.configs);
}

template <class Archive>
void describe(Archive& a, DescribeConfigsResponse& m) {
  a.field("throttle_time_ms", m.throttle_time_ms);
  a.field("results", m.resources);
}

STELE_KAFKA_INSTANTIATE_REQUEST(DescribeConfigsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(DescribeConfigsResponse)

}  // namespace stele::kafka
