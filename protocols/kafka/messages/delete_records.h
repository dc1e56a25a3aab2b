// DeleteRecords (key 21, KIP-107): moves the beginning of partitions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct DeleteRecordsRequest {
  static constexpr ApiKey kApi = ApiKey::kDeleteRecords;
  static constexpr bool kIsRequest = true;

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t offset = 0;  // of the first that stays; -1: none that can be read now
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  friend bool operator==(const DeleteRecordsRequest&, const DeleteRecordsRequest&) = default;
};

struct DeleteRecordsResponse {
  static constexpr ApiKey kApi = ApiKey::kDeleteRecords;
  static constexpr bool kIsRequest = false;

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t low_watermark = -1;
    KafkaError error = KafkaError::kNone;
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  friend bool operator==(const DeleteRecordsResponse&, const DeleteRecordsResponse&) = default;
};

}  // namespace stele::kafka
