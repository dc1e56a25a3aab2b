// Names of the things Stele is made of. Distinct types that never mix; see docs/architecture.md.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/strong_id.h"

namespace stele {

using NodeId = StrongId<struct NodeIdTag, std::uint32_t>;
using TenantId = StrongId<struct TenantIdTag, std::uint32_t>;  // 0 is the tenant `default`
using TopicId = StrongId<struct TopicIdTag>;                   // given by the meta service, never used twice
using UserId = StrongId<struct UserIdTag>;                     // likewise; 0 is nobody
using PartitionId = StrongId<struct PartitionIdTag, std::int32_t>;  // within a topic
using ShardId = StrongId<struct ShardIdTag, std::uint32_t>;
using SegmentId = StrongId<struct SegmentIdTag>;           // unique in a cluster, never used twice
using CoreId = StrongId<struct CoreIdTag, std::uint32_t>;  // a thread of one process

// Ownership of a shard: each take-over, and so each process start, gets a higher one.
using Epoch = StrongIndex<struct EpochTag>;
// Index of an entry in a shard's log, dense over the whole chain of segments, from 0.
using Lsn = StrongIndex<struct LsnTag>;
// What a stream's consumers see: index of a record in a partition, from 0.
using Offset = StrongIndex<struct OffsetTag, std::int64_t>;
// A byte position in a file.
using Position = StrongIndex<struct PositionTag>;

// A stream: one partition of a topic.
struct StreamId {
  TopicId topic;
  PartitionId partition;
  friend auto operator<=>(const StreamId&, const StreamId&) = default;
  template <class H>
  friend H AbslHashValue(H h, const StreamId& id) {
    return H::combine(std::move(h), id.topic.value, id.partition.value);
  }
};

// Milliseconds since 1970 (UTC). What entries carry and clients see.
struct WallTime {
  std::int64_t ms = 0;
  friend auto operator<=>(WallTime, WallTime) = default;
};

constexpr TenantId kDefaultTenant{0};

}  // namespace stele
