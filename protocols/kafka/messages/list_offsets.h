// ListOffsets (key 2): the offset of a timestamp, or of one of the ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

// Values of `timestamp` that ask for a place and not for a time.
enum : std::int64_t {
  kLatestTimestamp = -1,
  kEarliestTimestamp = -2,
  kMaxTimestamp = -3,                   // 7+ (KIP-734)
  kEarliestLocalTimestamp = -4,         // 8+ (KIP-405)
  kLatestTieredTimestamp = -5,          // 9+ (KIP-1005)
  kEarliestPendingUploadTimestamp = -6  // 11+ (KIP-1023)
};

struct ListOffsetsRequest {
  static constexpr ApiKey kApi = ApiKey::kListOffsets;
  static constexpr bool kIsRequest = true;

  struct Partition {
    std::int32_t partition_index = 0;
    std::int32_t current_leader_epoch = -1;  // 4+
    std::int64_t timestamp = kLatestTimestamp;
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t replica_id = -1;
  std::int8_t isolation_level = 0;  // 2+
  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;  // 10+ (KIP-1075)
  friend bool operator==(const ListOffsetsRequest&, const ListOffsetsRequest&) = default;
};

struct ListOffsetsResponse {
  static constexpr ApiKey kApi = ApiKey::kListOffsets;
  static constexpr bool kIsRequest = false;

  struct Partition {
    std::int32_t partition_index = 0;
    KafkaError error = KafkaError::kNone;
    std::int64_t timestamp = -1;
    std::int64_t offset = -1;
    std::int32_t leader_epoch = -1;  // 4+
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;  // 2+
  std::vector<Topic> topics;
  friend bool operator==(const ListOffsetsResponse&, const ListOffsetsResponse&) = default;
};

}  // namespace stele::kafka
