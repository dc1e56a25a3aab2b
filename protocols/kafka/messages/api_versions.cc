#include "protocols/kafka/messages/api_versions.h"

#include "protocols/kafka/codec_impl.h"

namespace stele::kafka {

template <class Archive>
void describe(Archive& a, ApiVersionsRequest& m) {
  if (a.version() >= 3) {
    a.field("client_software_name", m.client_software_name);
    a.field("client_software_version", m.client_software_version);
  }
}

template <class Archive>
void describe(Archive& a, ApiVersionsResponse::Api& m) {
  a.field("api_key", m.api_key);
  a.field("min_version", m.min_version);
  a.field("max_version", m.max_version);
}

template <class Archive>
void describe(Archive& a, ApiVersionsResponse::SupportedFeature& m) {
  a.field("name", m.name);
  a.field("min_version", m.min_version);
  a.field("max_version", m.max_version);
}

template <class Archive>
void describe(Archive& a, ApiVersionsResponse::FinalizedFeature& m) {
  a.field("name", m.name);
  a.field("max_version_level", m.max_version_level);
  a.field("min_version_level", m.min_version_level);
}

template <class Archive>
void describe(Archive& a, ApiVersionsResponse& m) {
  a.field("error_code", m.error);
  a.field("api_keys", m.apis);
  if (a.version() >= 1) a.field("throttle_time_ms", m.throttle_time_ms);
}

template <class Archive>
void describe_tags(Archive& t, ApiVersionsResponse& m) {
  t.field(0, "supported_features", m.supported_features);
  t.field(1, "finalized_features_epoch", m.finalized_features_epoch, std::int64_t{-1});
  t.field(2, "finalized_features", m.finalized_features);
  t.field(3, "zk_migration_ready", m.zk_migration_ready);
}

STELE_KAFKA_INSTANTIATE_REQUEST(ApiVersionsRequest)
STELE_KAFKA_INSTANTIATE_RESPONSE(ApiVersionsResponse)

ApiVersionsResponse make_api_versions_response(KafkaError error) {
  ApiVersionsResponse response;
  response.error = error;
  for (const ApiInfo& api : known_apis()) {
    if (!api.served) continue;
    response.apis.push_back(
        {static_cast<std::int16_t>(api.key), api.advertised_min_version, api.max_version});
  }
  return response;
}

Result<ApiVersionsResponse> decode_api_versions_response(std::string_view body,
                                                         std::int16_t requested_version) {
  KafkaError error = static_cast<KafkaError>(Reader(body).be<std::int16_t>());
  return decode<ApiVersionsResponse>(body, error == KafkaError::kUnsupportedVersion ? 0 : requested_version);
}

}  // namespace stele::kafka
