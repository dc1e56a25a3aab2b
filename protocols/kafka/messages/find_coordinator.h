// FindCoordinator (key 10): which broker coordinates a group or a transactional id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct FindCoordinatorRequest {
  static constexpr ApiKey kApi = ApiKey::kFindCoordinator;
  static constexpr bool kIsRequest = true;

  std::int8_t key_type = 0;       // 1+; 0: group, 1: transaction, 2: share group
  std::vector<std::string> keys;  // before 4 exactly one (KIP-699)
  friend bool operator==(const FindCoordinatorRequest&, const FindCoordinatorRequest&) = default;
};

struct FindCoordinatorResponse {
  static constexpr ApiKey kApi = ApiKey::kFindCoordinator;
  static constexpr bool kIsRequest = false;

  struct Coordinator {
    std::string key;  // 4+
    std::int32_t node_id = -1;
    std::string host;
    std::int32_t port = -1;
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;  // 1+
    friend bool operator==(const Coordinator&, const Coordinator&) = default;
  };

  std::int32_t throttle_time_ms = 0;      // 1+
  std::vector<Coordinator> coordinators;  // before 4 exactly one
  friend bool operator==(const FindCoordinatorResponse&, const FindCoordinatorResponse&) = default;
};

}  // namespace stele::kafka
