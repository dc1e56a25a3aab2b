// Fetch (key 1): reads record batches from partitions, as a one-off or within a fetch session (KIP-227).
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

// Names point into the frame that it was decoded from; one that is encoded keeps them alive itself.
struct FetchRequest {
  static constexpr ApiKey kApi = ApiKey::kFetch;
  static constexpr bool kIsRequest = true;

  // Who reads, if it is a replica and not a consumer (KIP-903).
  struct ReplicaState {
    std::int32_t replica_id = -1;
    std::int64_t replica_epoch = -1;
    friend bool operator==(const ReplicaState&, const ReplicaState&) = default;
  };
  struct Partition {
    std::int32_t partition = 0;
    std::int32_t current_leader_epoch = -1;  // 9+ (KIP-320)
    std::int64_t fetch_offset = 0;
    std::int32_t last_fetched_epoch = -1;  // 12+
    std::int64_t log_start_offset = -1;    // 5+; of a replica
    std::int32_t partition_max_bytes = 0;
    Uuid replica_directory_id;                // 17+
    std::int64_t high_watermark = INT64_MAX;  // 18+; of a replica (KIP-1166)
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string_view topic;  // 4-12
    Uuid topic_id;           // 13+
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };
  struct ForgottenTopic {
    std::string_view topic;  // 7-12
    Uuid topic_id;           // 13+
    std::vector<std::int32_t> partitions;
    friend bool operator==(const ForgottenTopic&, const ForgottenTopic&) = default;
  };

  std::optional<std::string_view> cluster_id;  // 12+
  std::int32_t replica_id = -1;                // 4-14
  ReplicaState replica_state;                  // 15+
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = INT32_MAX;
  std::int8_t isolation_level = 0;  // 1: committed records only
  std::int32_t session_id = 0;      // 7+
  std::int32_t session_epoch = -1;  // 7+; -1: no session, 0: a new one
  std::vector<Topic> topics;
  std::vector<ForgottenTopic> forgotten_topics;  // 7+
  std::string_view rack_id;                      // 11+
  friend bool operator==(const FetchRequest&, const FetchRequest&) = default;
};

struct FetchResponse {
  static constexpr ApiKey kApi = ApiKey::kFetch;
  static constexpr bool kIsRequest = false;

  struct EpochEndOffset {
    std::int32_t epoch = -1;
    std::int64_t end_offset = -1;
    friend bool operator==(const EpochEndOffset&, const EpochEndOffset&) = default;
  };
  struct SnapshotId {
    std::int64_t end_offset = -1;
    std::int32_t epoch = -1;
    friend bool operator==(const SnapshotId&, const SnapshotId&) = default;
  };
  struct AbortedTransaction {
    std::int64_t producer_id = -1;
    std::int64_t first_offset = -1;
    friend bool operator==(const AbortedTransaction&, const AbortedTransaction&) = default;
  };
  struct Partition {
    std::int32_t partition_index = 0;
    KafkaError error = KafkaError::kNone;
    std::int64_t high_watermark = -1;
    std::int64_t last_stable_offset = -1;
    std::int64_t log_start_offset = -1;  // 5+
    EpochEndOffset diverging_epoch;      // 12+
    LeaderIdAndEpoch current_leader;     // 12+
    SnapshotId snapshot_id;              // 12+
    std::optional<std::vector<AbortedTransaction>> aborted_transactions;
    std::int32_t preferred_read_replica = -1;  // 11+ (KIP-392)
    Records records;
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string topic;  // 4-12
    Uuid topic_id;      // 13+
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  KafkaError error = KafkaError::kNone;  // 7+
  std::int32_t session_id = 0;           // 7+
  std::vector<Topic> topics;
  std::vector<NodeEndpoint> node_endpoints;  // 16+: of the leaders named above (KIP-951)
  friend bool operator==(const FetchResponse&, const FetchResponse&) = default;
};

}  // namespace stele::kafka
