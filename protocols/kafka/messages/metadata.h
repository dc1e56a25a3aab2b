// Metadata (key 3): brokers, topics, and who leads each partition.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

struct MetadataRequest {
  static constexpr ApiKey kApi = ApiKey::kMetadata;
  static constexpr bool kIsRequest = true;

  struct Topic {
    Uuid topic_id;                    // 10+; used from 12 on
    std::optional<std::string> name;  // null from 10 on: look at the id
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::optional<std::vector<Topic>> topics;  // null: all of them (in version 0 written as an empty array)
  bool allow_auto_topic_creation = true;     // 4+; before that, creation is allowed
  bool include_cluster_authorized_operations = false;  // 8-10
  bool include_topic_authorized_operations = false;    // 8+
  friend bool operator==(const MetadataRequest&, const MetadataRequest&) = default;
};

struct MetadataResponse {
  static constexpr ApiKey kApi = ApiKey::kMetadata;
  static constexpr bool kIsRequest = false;

  struct Broker {
    std::int32_t node_id = -1;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;  // 1+
    friend bool operator==(const Broker&, const Broker&) = default;
  };
  struct Partition {
    KafkaError error = KafkaError::kNone;
    std::int32_t partition_index = 0;
    std::int32_t leader_id = -1;
    std::int32_t leader_epoch = -1;  // 7+
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
    std::vector<std::int32_t> offline_replicas;  // 5+
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    KafkaError error = KafkaError::kNone;
    std::optional<std::string> name;  // null from 12 on, for an unknown id
    Uuid topic_id;                    // 10+
    bool is_internal = false;         // 1+
    std::vector<Partition> partitions;
    std::int32_t authorized_operations = kOperationsNotAsked;  // 8+
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;  // 3+
  std::vector<Broker> brokers;
  std::optional<std::string> cluster_id;  // 2+
  std::int32_t controller_id = -1;        // 1+
  std::vector<Topic> topics;
  std::int32_t cluster_authorized_operations = kOperationsNotAsked;  // 8-10
  KafkaError error = KafkaError::kNone;                              // 13+: REBOOTSTRAP_REQUIRED (KIP-1102)
  friend bool operator==(const MetadataResponse&, const MetadataResponse&) = default;
};

}  // namespace stele::kafka
