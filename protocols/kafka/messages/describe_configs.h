// DescribeConfigs (key 32): settings of topics and brokers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct DescribeConfigsRequest {
  static constexpr ApiKey kApi = ApiKey::kDescribeConfigs;
  static constexpr bool kIsRequest = true;

  struct Resource {
    std::int8_t resource_type = 0;  // 2: topic, 4: broker
    std::string resource_name;
    std::optional<std::vector<std::string>> configuration_keys;  // null: all of them
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::vector<Resource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;  // 3+
  friend bool operator==(const DescribeConfigsRequest&, const DescribeConfigsRequest&) = default;
};

struct DescribeConfigsResponse {
  static constexpr ApiKey kApi = ApiKey::kDescribeConfigs;
  static constexpr bool kIsRequest = false;

  struct Synonym {
    std::string name;
    std::optional<std::string> value;
    std::int8_t source = 0;
    friend bool operator==(const Synonym&, const Synonym&) = default;
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    std::int8_t config_source = -1;
    bool is_sensitive = false;
    std::vector<Synonym> synonyms;
    std::int8_t config_type = 0;               // 3+
    std::optional<std::string> documentation;  // 3+
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Resource {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    std::int8_t resource_type = 0;
    std::string resource_name;
    std::vector<Config> configs;
    friend bool operator==(const Resource&, const Resource&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> resources;
  friend bool operator==(const DescribeConfigsResponse&, const DescribeConfigsResponse&) = default;
};

}  // namespace stele::kafka
