// Produce (key 0): appends record batches to partitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

// Names and records point into the frame that it was decoded from; one that is encoded keeps them alive
// itself.
struct ProduceRequest {
  static constexpr ApiKey kApi = ApiKey::kProduce;
  static constexpr bool kIsRequest = true;

  struct Partition {
    std::int32_t index = 0;
    std::optional<std::string_view> records;  // RecordBatch v2, checked by nobody yet
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string_view name;  // 3-12
    Uuid topic_id;          // 13+
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::optional<std::string_view> transactional_id;
  std::int16_t acks = -1;  // -1: all, 1: the leader; 0: and no response is to be sent at all
  std::int32_t timeout_ms = 0;
  std::vector<Topic> topics;
  friend bool operator==(const ProduceRequest&, const ProduceRequest&) = default;
};

struct ProduceResponse {
  static constexpr ApiKey kApi = ApiKey::kProduce;
  static constexpr bool kIsRequest = false;

  struct RecordError {
    std::int32_t batch_index = 0;
    std::optional<std::string> message;
    friend bool operator==(const RecordError&, const RecordError&) = default;
  };
  struct Partition {
    std::int32_t index = 0;
    KafkaError error = KafkaError::kNone;
    std::int64_t base_offset = -1;
    std::int64_t log_append_time_ms = -1;      // -1 unless the topic stamps with LogAppendTime
    std::int64_t log_start_offset = -1;        // 5+
    std::vector<RecordError> record_errors;    // 8+ (KIP-467)
    std::optional<std::string> error_message;  // 8+
    LeaderIdAndEpoch current_leader;           // 10+ (KIP-951)
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string name;  // 3-12
    Uuid topic_id;     // 13+
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::vector<Topic> topics;
  std::int32_t throttle_time_ms = 0;
  std::vector<NodeEndpoint> node_endpoints;  // 10+: of the leaders named above (KIP-951)
  friend bool operator==(const ProduceResponse&, const ProduceResponse&) = default;
};

}  // namespace stele::kafka
