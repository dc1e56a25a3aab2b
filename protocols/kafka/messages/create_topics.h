// CreateTopics (key 19).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

struct CreateTopicsRequest {
  static constexpr ApiKey kApi = ApiKey::kCreateTopics;
  static constexpr bool kIsRequest = true;

  struct Assignment {
    std::int32_t partition_index = 0;
    std::vector<std::int32_t> broker_ids;
    friend bool operator==(const Assignment&, const Assignment&) = default;
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Topic {
    std::string name;
    std::int32_t num_partitions = -1;      // -1: the broker's default, or as many as there are assignments
    std::int16_t replication_factor = -1;  // likewise
    std::vector<Assignment> assignments;
    std::vector<Config> configs;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 60000;
  bool validate_only = false;
  friend bool operator==(const CreateTopicsRequest&, const CreateTopicsRequest&) = default;
};

struct CreateTopicsResponse {
  static constexpr ApiKey kApi = ApiKey::kCreateTopics;
  static constexpr bool kIsRequest = false;

  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    std::int8_t config_source = -1;
    bool is_sensitive = false;
    friend bool operator==(const Config&, const Config&) = default;
  };
  struct Topic {
    std::string name;
    Uuid topic_id;  // 7+
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;
    KafkaError topic_config_error = KafkaError::kNone;                   // 5+; why `configs` is null
    std::int32_t num_partitions = -1;                                    // 5+
    std::int16_t replication_factor = -1;                                // 5+
    std::optional<std::vector<Config>> configs = std::vector<Config>();  // 5+
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  friend bool operator==(const CreateTopicsResponse&, const CreateTopicsResponse&) = default;
};

}  // namespace stele::kafka
