// DescribeLogDirs (key 35, KIP-113): where partitions lie and how large they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct DescribeLogDirsRequest {
  static constexpr ApiKey kApi = ApiKey::kDescribeLogDirs;
  static constexpr bool kIsRequest = true;

  struct Topic {
    std::string topic;
    std::vector<std::int32_t> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::optional<std::vector<Topic>> topics;  // null: all of them
  friend bool operator==(const DescribeLogDirsRequest&, const DescribeLogDirsRequest&) = default;
};

struct DescribeLogDirsResponse {
  static constexpr ApiKey kApi = ApiKey::kDescribeLogDirs;
  static constexpr bool kIsRequest = false;

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t partition_size = 0;  // bytes
    std::int64_t offset_lag = 0;
    bool is_future_key = false;
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };
  struct Result {
    KafkaError error = KafkaError::kNone;
    std::string log_dir;
    std::vector<Topic> topics;
    std::int64_t total_bytes = -1;   // 4+; of the volume, -1: not known
    std::int64_t usable_bytes = -1;  // 4+; likewise
    friend bool operator==(const Result&, const Result&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;  // 3+
  std::vector<Result> results;
  friend bool operator==(const DescribeLogDirsResponse&, const DescribeLogDirsResponse&) = default;
};

}  // namespace stele::kafka
