// Counters of one core of the broker, for /metrics. Written on that core only.
#pragma once

#include <cstdint>

#include "broker/group_coordinator.h"

namespace stele::broker {

struct CoreStats {
  std::uint64_t published_live = 0;   // went straight to live subscribers, or to nobody
  std::uint64_t published_kept = 0;   // committed first
  std::uint64_t published_again = 0;  // QoS 2 that was here before, and not stored again
  std::uint64_t produced_batches = 0;
  std::uint64_t produced_records = 0;
  std::uint64_t produced_bytes = 0;
  std::uint64_t produced_duplicates = 0;    // sent again, and not stored again
  std::uint64_t produced_out_of_order = 0;  // refused: not their producer's next
  std::uint64_t fetches = 0;
  std::uint64_t fetched_bytes = 0;
  std::uint64_t refused_no_space = 0;
  std::uint64_t forwarded = 0;  // entries taken from other shards
  std::uint64_t forward_duplicates = 0;
  std::uint64_t session_deliveries = 0;
  std::uint64_t session_redeliveries = 0;
  std::uint64_t sessions_opened = 0;
  std::uint64_t sessions_taken_over = 0;
  std::uint64_t sessions_expired = 0;
  std::uint64_t wills_published = 0;
  std::uint64_t shared_deliveries = 0;      // out of the queues of shared subscriptions
  std::uint64_t shared_given_back = 0;      // not settled by a member that went away
  std::uint64_t shared_without_member = 0;  // live copies that no member was left for
  GroupStats groups;
  std::uint64_t snapshots = 0;
  std::uint64_t snapshot_bytes = 0;
  std::uint64_t shards_lost = 0;
  std::uint64_t mail_sent = 0;
  std::uint64_t mail_bundles = 0;
  std::uint64_t live_behind = 0;  // times that publishers had to wait for a core or node that was behind
  std::uint64_t live_lost = 0;    // times that live copies did not reach another node, as far as is known
  std::uint64_t live_late = 0;    // times that some of another node came when others had overtaken them
  std::uint64_t live_gaps = 0;    // times that some of another node were found missing, or may be
  std::uint64_t live_gap_clients = 0;  // sent away for that
};

}  // namespace stele::broker
