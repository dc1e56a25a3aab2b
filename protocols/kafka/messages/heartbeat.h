// Heartbeat (key 12): a member of a group is alive, and asks whether the group rebalances.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct HeartbeatRequest {
  static constexpr ApiKey kApi = ApiKey::kHeartbeat;
  static constexpr bool kIsRequest = true;

  std::string group_id;
  std::int32_t generation_id = 0;
  std::string member_id;
  std::optional<std::string> group_instance_id;  // 3+
  friend bool operator==(const HeartbeatRequest&, const HeartbeatRequest&) = default;
};

struct HeartbeatResponse {
  static constexpr ApiKey kApi = ApiKey::kHeartbeat;
  static constexpr bool kIsRequest = false;

  std::int32_t throttle_time_ms = 0;  // 1+
  KafkaError error = KafkaError::kNone;
  friend bool operator==(const HeartbeatResponse&, const HeartbeatResponse&) = default;
};

}  // namespace stele::kafka
