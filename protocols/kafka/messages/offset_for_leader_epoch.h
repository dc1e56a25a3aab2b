// OffsetForLeaderEpoch (key 23, KIP-320): where the records of an ownership end, so that a client can tell
// whether what it has read is still there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/kafka/api_versions.h"
#include "protocols/kafka/errors.h"

namespace stele::kafka {

struct OffsetForLeaderEpochRequest {
  static constexpr ApiKey kApi = ApiKey::kOffsetForLeaderEpoch;
  static constexpr bool kIsRequest = true;

  struct Partition {
    std::int32_t partition = 0;
    std::int32_t current_leader_epoch = -1;  // as the client knows it; -1: it does not
    std::int32_t leader_epoch = -1;          // to look up
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string topic;
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t replica_id = -2;  // 3+; -1: a consumer, -2: a debugger
  std::vector<Topic> topics;
  friend bool operator==(const OffsetForLeaderEpochRequest&, const OffsetForLeaderEpochRequest&) = default;
};

struct OffsetForLeaderEpochResponse {
  static constexpr ApiKey kApi = ApiKey::kOffsetForLeaderEpoch;
  static constexpr bool kIsRequest = false;

  struct Partition {
    KafkaError error = KafkaError::kNone;
    std::int32_t partition = 0;
    std::int32_t leader_epoch = -1;  // the latest that is not after the one asked for
    std::int64_t end_offset = -1;    // where its records end; -1: not known
    friend bool operator==(const Partition&, const Partition&) = default;
  };
  struct Topic {
    std::string topic;
    std::vector<Partition> partitions;
    friend bool operator==(const Topic&, const Topic&) = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  friend bool operator==(const OffsetForLeaderEpochResponse&, const OffsetForLeaderEpochResponse&) = default;
};

}  // namespace stele::kafka
