// DescribeGroups (key 15): state and members of groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

struct DescribeGroupsRequest {
  static constexpr ApiKey kApi = ApiKey::kDescribeGroups;
  static constexpr bool kIsRequest = true;

  std::vector<std::string> groups;
  bool include_authorized_operations = false;  // 3+
  friend bool operator==(const DescribeGroupsRequest&, const DescribeGroupsRequest&) = default;
};

struct DescribeGroupsResponse {
  static constexpr ApiKey kApi = ApiKey::kDescribeGroups;
  static constexpr bool kIsRequest = false;

  struct Member {
    std::string member_id;
    std::optional<std::string> group_instance_id;  // 4+
    std::string client_id;
    std::string client_host;
    std::string metadata;
    std::string assignment;
    friend bool operator==(const Member&, const Member&) = default;
  };
  struct Group {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> error_message;  // 6+ (KIP-1043)
    std::string group_id;
    std::string group_state;
    std::string protocol_type;
    std::string protocol_data;
    std::vector<Member> members;
    std::int32_t authorized_operations = kOperationsNotAsked;  // 3+
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::int32_t throttle_time_ms = 0;  // 1+
  std::vector<Group> groups;
  friend bool operator==(const DescribeGroupsResponse&, const DescribeGroupsResponse&) = default;
};

}  // namespace stele::kafka
