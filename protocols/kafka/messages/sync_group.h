// SyncGroup (key 14): the leader hands in who gets what, every member gets its part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct SyncGroupRequest {
  static constexpr ApiKey kApi = ApiKey::kSyncGroup;
  static constexpr bool kIsRequest = true;

  struct Assignment {
    std::string member_id;
    std::string assignment;
    friend bool operator==(const Assignment&, const Assignment&) = default;
  };

  std::string group_id;
  std::int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> group_instance_id;  // 3+
  std::optional<std::string> protocol_type;      // 5+ (KIP-559)
  std::optional<std::string> protocol_name;      // 5+
  std::vector<Assignment> assignments;           // of the leader's only
  friend bool operator==(const SyncGroupRequest&, const SyncGroupRequest&) = default;
};

struct SyncGroupResponse {
  static constexpr ApiKey kApi = ApiKey::kSyncGroup;
  static constexpr bool kIsRequest = false;

  std::int32_t throttle_time_ms = 0;  // 1+
  KafkaError error = KafkaError::kNone;
  std::optional<std::string> protocol_type;  // 5+
  std::optional<std::string> protocol_name;  // 5+
  std::string assignment;
  friend bool operator==(const SyncGroupResponse&, const SyncGroupResponse&) = default;
};

}  // namespace stele::kafka
