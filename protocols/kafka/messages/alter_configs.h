// AlterConfigs (key 33, KIP-133): gives a resource other settings than it has; those that are not named get
// their defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct AlterConfigsRequest {
  static constexpr ApiKey kApi = ApiKey::kAlterConfigs;
  static constexpr bool kIsRequest = true;

  struct Config {
    std::string name;
    std::optional<std::string> value;
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Resource {
    std::int8_t resource_type = 0;
    std::string resource_name;
    std::vector<Config> configs;
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::vector<Resource> resources;
  bool validate_only = false;
  friend bool operator==(const AlterConfigsRequest&, const AlterConfigsRequest&) = default;
};

struct AlterConfigsResponse {
  static constexpr ApiKey kApi = ApiKey::kAlterConfigs;
  static constexpr bool kIsRequest = false;

  struct Resource {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::int8_t resource_type = 0;
    std::string resource_name;
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> responses;
  friend bool operator==(const AlterConfigsResponse&, const AlterConfigsResponse&) = default;
};

}  // namespace stele::kafka
