// JoinGroup (key 11): asks to be a member of the next generation of a group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct JoinGroupRequest {
  static constexpr ApiKey kApi = ApiKey::kJoinGroup;
  static constexpr bool kIsRequest = true;

  struct Protocol {
    std::string name;
    std::string metadata;
    friend bool operator==(const Protocol&, const Protocol&) = default;
  };

  std::string group_id;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;        // 1+; in 0 the session timeout is meant
  std::string member_id;                         // empty: has none yet
  std::optional<std::string> group_instance_id;  // 5+ (KIP-345)
  std::string protocol_type;
  std::vector<Protocol> protocols;    // the preferred one first
  std::optional<std::string> reason;  // 8+ (KIP-800)
  friend bool operator==(const JoinGroupRequest&, const JoinGroupRequest&) = default;
};

struct JoinGroupResponse {
  static constexpr ApiKey kApi = ApiKey::kJoinGroup;
  static constexpr bool kIsRequest = false;

  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;  // 5+
    std::string metadata;
    friend bool operator==(const Member&, const Member&) = default;
  };

  std::int32_t throttle_time_ms = 0;  // 2+
  KafkaError error = KafkaError::kNone;
  std::int32_t generation_id = -1;
  std::optional<std::string> protocol_type;                  // 7+
  std::optional<std::string> protocol_name = std::string();  // null from 7 on
  std::string leader;
  bool skip_assignment = false;  // 9+ (KIP-814)
  std::string member_id;
  std::vector<Member> members;  // of the leader's only
  friend bool operator==(const JoinGroupResponse&, const JoinGroupResponse&) = default;
};

}  // namespace stele::kafka
