// OffsetFetch (key 9): how far groups have come. Before version 8 of exactly one group (KIP-709).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

struct OffsetFetchRequest {
  static constexpr ApiKey kApi = ApiKey::kOffsetFetch;
  static constexpr bool kIsRequest = true;

  struct Topic {
    std::string name;  // 1-9
    Uuid topic_id;     // 10+
    std::vector<std::int32_t> partition_indexes;
    friend bool operator==(const Topic&, const Topic&) = default;
  };
  struct Group {
    std::string group_id;
    std::optional<std::string> member_id;                             // 9+ (KIP-848)
    std::int32_t member_epoch = -1;                                   // 9+
    std::optional<std::vector<Topic>> topics = std::vector<Topic>();  // null, 2+: all that have offsets
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::vector<Group> groups;    // before 8 exactly one
  bool require_stable = false;  // 7+ (KIP-447)
  friend bool operator==(const OffsetFetchRequest&, const OffsetFetchRequest&) = default;
};

struct OffsetFetchResponse {
  static constexpr ApiKey kApi = ApiKey::kOffsetFetch;
  static constexpr bool kIsRequest = false;

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t committed_offset = -1;        // -1: none
    std::int32_t committed_leader_epoch = -1;  // 5+
    std::optional<std::string> metadata;
    KafkaError error = KafkaError::kNone;
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;  // 1-9
    Uuid topic_id;     // 10+
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };
  struct Group {
    std::string group_id;  // 8+
    std::vector<Topic> topics;
    KafkaError error = KafkaError::kNone;  // 2+
    friend bool operator==(const Group&, const Group&) = default;
  };

  std::int32_t throttle_time_ms = 0;  // 3+
  std::vector<Group> groups;          // before 8 exactly one
  friend bool operator==(const OffsetFetchResponse&, const OffsetFetchResponse&) = default;
};

}  // namespace stele::kafka
