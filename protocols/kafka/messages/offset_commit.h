// OffsetCommit (key 8): stores how far a group has come in partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

struct OffsetCommitRequest {
  static constexpr ApiKey kApi = ApiKey::kOffsetCommit;
  static constexpr bool kIsRequest = true;

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t committed_offset = 0;
    std::int32_t committed_leader_epoch = -1;  // 6+
    std::optional<std::string> committed_metadata;
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;  // 2-9
    Uuid topic_id;     // 10+ (KIP-848)
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::string group_id;
  std::int32_t generation_id = -1;  // -1: of no member
  std::string member_id;
  std::optional<std::string> group_instance_id;  // 7+ (KIP-345)
  std::int64_t retention_time_ms = -1;           // 2-4; -1: the broker's
  std::vector<Topic> topics;
  friend bool operator==(const OffsetCommitRequest&, const OffsetCommitRequest&) = default;
};

struct OffsetCommitResponse {
  static constexpr ApiKey kApi = ApiKey::kOffsetCommit;
  static constexpr bool kIsRequest = false;

  struct Partition {
    std::int32_t partition_index = 0;
    KafkaError error = KafkaError::kNone;
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;  // 2-9
    Uuid topic_id;     // 10+
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;  // 3+
  std::vector<Topic> topics;
  friend bool operator==(const OffsetCommitResponse&, const OffsetCommitResponse&) = default;
};

}  // namespace stele::kafka
