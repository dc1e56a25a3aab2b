// DeleteTopics (key 20).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

struct DeleteTopicsRequest {
  static constexpr ApiKey kApi = ApiKey::kDeleteTopics;
  static constexpr bool kIsRequest = true;

  struct Topic {
    std::optional<std::string> name;  // null only from 6 on: look at the id
    Uuid topic_id;                    // 6+
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::vector<Topic> topics;  // an array of plain names before 6
  std::int32_t timeout_ms = 60000;
  friend bool operator==(const DeleteTopicsRequest&, const DeleteTopicsRequest&) = default;
};

struct DeleteTopicsResponse {
  static constexpr ApiKey kApi = ApiKey::kDeleteTopics;
  static constexpr bool kIsRequest = false;

  struct Topic {
    std::optional<std::string> name;  // null only from 6 on
    Uuid topic_id;                    // 6+
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;  // 5+
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  friend bool operator==(const DeleteTopicsResponse&, const DeleteTopicsResponse&) = default;
};

}  // namespace stele::kafka
