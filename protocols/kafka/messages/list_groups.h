// ListGroups (key 16): all groups of this broker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct ListGroupsRequest {
  static constexpr ApiKey kApi = ApiKey::kListGroups;
  static constexpr bool kIsRequest = true;

  std::vector<std::string> states_filter;  // 4+ (KIP-518); empty: all
  std::vector<std::string> types_filter;   // 5+ (KIP-848); likewise
  friend bool operator==(const ListGroupsRequest&, const ListGroupsRequest&) = default;
};

struct ListGroupsResponse {
  static constexpr ApiKey kApi = ApiKey::kListGroups;
  static constexpr bool kIsRequest = false;

  struct Group {
    std::string group_id;
    std::string protocol_type;
    std::string group_state;  // 4+
    std::string group_type;   // 5+
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::int32_t throttle_time_ms = 0;  // 1+
  KafkaError error = KafkaError::kNone;
  std::vector<Group> groups;
  friend bool operator==(const ListGroupsResponse&, const ListGroupsResponse&) = default;
};

}  // namespace stele::kafka
