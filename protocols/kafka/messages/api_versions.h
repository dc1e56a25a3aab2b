// ApiVersions (key 18): what the server speaks. The first request on most connections (KIP-35, KIP-511).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct ApiVersionsRequest {
  static constexpr ApiKey kApi = ApiKey::kApiVersions;
  static constexpr bool kIsRequest = true;

  std::string client_software_name;     // 3+
  std::string client_software_version;  // 3+
  friend bool operator==(const ApiVersionsRequest&, const ApiVersionsRequest&) = default;
};

struct ApiVersionsResponse {
  static constexpr ApiKey kApi = ApiKey::kApiVersions;
  static constexpr bool kIsRequest = false;

  struct Api {
    std::int16_t api_key = 0;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    friend bool operator==(const Api&, const Api&) = default;
  };
  // What the binaries could speak, and what the cluster has agreed on (KIP-584).
  struct SupportedFeature {
    std::string name;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    friend bool operator==(const SupportedFeature&, const SupportedFeature&) = default;
  };
  struct FinalizedFeature {
    std::string name;
    std::int16_t max_version_level = 0;
    std::int16_t min_version_level = 0;
    friend bool operator==(const FinalizedFeature&, const FinalizedFeature&) = default;
  };

  KafkaError error = KafkaError::kNone;
  std::vector<Api> apis;
  std::int32_t throttle_time_ms = 0;                 // 1+
  std::vector<SupportedFeature> supported_features;  // 3+
  std::int64_t finalized_features_epoch = -1;        // 3+
  std::vector<FinalizedFeature> finalized_features;  // 3+
  bool zk_migration_ready = false;                   // 3+
  friend bool operator==(const ApiVersionsResponse&, const ApiVersionsResponse&) = default;
};

// The answer of a broker: every served API, with nothing but that and the error filled in. With
// kUnsupportedVersion it is to be encoded in version 0, whatever was asked for (KIP-511).
ApiVersionsResponse make_api_versions_response(KafkaError error = KafkaError::kNone);

// For clients: decodes the answer to a request of this version, which may have come in version 0 (KIP-511).
Result<ApiVersionsResponse> decode_api_versions_response(std::string_view body,
                                                         std::int16_t requested_version);

}  // namespace stele::kafka
