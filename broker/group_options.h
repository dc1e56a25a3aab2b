// What the coordinators of consumer groups can be told, and their limits.
#pragma once

#include <chrono>
#include <cstdint>

#include "runtime/time.h"

namespace stele::broker {

struct GroupOptions {
  // What members may ask for. `group.min.session.timeout.ms`, `group.max.session.timeout.ms`.
  runtime::Duration min_session = std::chrono::seconds(6);
  runtime::Duration max_session = std::chrono::minutes(30);
  // An empty group waits so long for more members before its first generation.
  // `group.initial.rebalance.delay.ms`.
  runtime::Duration initial_rebalance_delay = std::chrono::seconds(3);
  // Offsets of a group without members are forgotten so long after it lost the last one, or after they were
  // committed if that is later. `offsets.retention.minutes`.
  runtime::Duration offsets_retention = std::chrono::hours(7 * 24);
  // They are looked at so often. `offsets.retention.check.interval.ms`.
  runtime::Duration retention_check = std::chrono::minutes(10);

  // Limits; what is beyond them is refused.
  std::uint64_t members = 10'000;                  // of one group; `group.max.size`
  std::uint64_t member_bytes = 1 << 20;            // metadata of all protocols of one member
  std::uint64_t offset_metadata_bytes = 4096;      // `offset.metadata.max.bytes`
  std::uint64_t groups = 100'000;                  // of one shard
  std::uint64_t offsets = 1'000'000;               // of all groups of one shard
  std::uint64_t bytes = std::uint64_t{256} << 20;  // of all groups of one shard
};

}  // namespace stele::broker
