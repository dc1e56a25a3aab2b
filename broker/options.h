// What a broker can be told. Defaults are production's; the simulator draws others.
#pragma once

#include <cstdint>
#include <string>

#include "broker/api.h"
#include "broker/group_options.h"
#include "broker/live_limits.h"
#include "broker/observer.h"
#include "journal/shard_log.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/time.h"

namespace stele::broker {

struct BrokerOptions {
  NodeId node;
  meta::Incarnation incarnation;           // given by the meta service to this start of the process
  bool by_assignment = false;              // owns what the metadata assigns to the node, and nothing else
  Authorizer* authorizer = nullptr;        // outlives the broker
  Authenticator* authenticator = nullptr;  // likewise
  ShardObserver* observer = nullptr;       // the simulator's; null in production
  std::string snapshot_directory;          // exists
  journal::ShardLogOptions log;

  bool auto_create_topics = kDefaultAutoCreateTopics;
  std::int32_t default_partitions = kDefaultPartitions;

  // A persistent session keeps so much while its client is away or slow; then the oldest goes.
  std::uint64_t session_queue_messages = 1'000'000;
  std::uint64_t session_queue_bytes = 1ULL << 30;
  std::uint64_t retained_messages = 1'000'000;  // per shard; more are refused
  std::uint64_t retained_bytes = 256ULL << 20;
  std::uint64_t sessions = 1'000'000;               // persistent ones, per shard; more are refused
  std::uint64_t shard_queue_messages = 10'000'000;  // queued for all of them; then the longest queues give
  std::uint32_t subscriptions_per_session = 10'000;
  // Shared subscriptions of one session, and what one of them may have sent to one client without its answer:
  // so many messages, and so many bytes, but always one message.
  std::uint32_t shares_per_session = 100;
  std::uint32_t share_window = 256;
  std::uint64_t share_window_bytes = 1ULL << 20;
  // QoS 2 messages from one client that it has not released, over all its connections; more are refused.
  std::uint64_t unreleased_per_session = 16'384;
  // Wills of all clients of a shard, of those that are connected and those that are about to be published; a
  // client whose will is too much is refused.
  std::uint64_t will_bytes = 256ULL << 20;

  // Idempotent producers that a shard remembers, each as often as the streams that it writes to; then those
  // go that have been silent longest. `producer.id.expiration.ms`.
  std::uint64_t producers = 50'000;
  runtime::Duration producer_expiry = kDefaultProducerExpiry;

  LiveLimits live;
  GroupOptions groups;

  // A shard writes a snapshot when its log grew by so much, or by its last snapshot's size if that is more.
  std::uint64_t snapshot_log_bytes = 64ULL << 20;
  // A core's shards together replay no more than about so much after a crash: those with the most write a
  // snapshot before. Looked at with each tick; snapshots that are large themselves may have it exceeded.
  std::uint64_t replay_bytes = 256ULL << 20;
  // Retention, expiry, forward progress and snapshots are looked at so often.
  runtime::Duration tick = std::chrono::seconds(1);
  // Sent to one client out of its persistent session and not yet acknowledged; one message always is.
  std::uint64_t session_in_flight_bytes = 16ULL << 20;
  // What waits for its commit so long while the disk is full is answered with an error. It stays in the log's
  // queue, and may be stored once there is room.
  runtime::Duration full_disk_patience = std::chrono::seconds(2);
  // Sent to one target shard and not yet answered.
  std::uint32_t forward_window = 1024;
  std::uint64_t forward_window_bytes = 4ULL << 20;
  // Read from the log for one persistent session at a time.
  std::size_t delivery_read_bytes = 256 << 10;
  // Retained messages for a new subscription are looked up so many at a time, so many bytes (but always one
  // message), and out of so many addresses.
  std::size_t retained_page_messages = 256;
  std::size_t retained_page_bytes = 256 << 10;
  std::size_t retained_page_looked_at = 4096;
  // In a cluster a publish waits so long for an owner of its shard; then it is refused.
  runtime::Duration owner_patience = std::chrono::seconds(10);
  // Uncommitted messages of all publishers of a core; above it each gets a small window.
  std::size_t max_publishing_bytes = 32 << 20;
  // Of live copies, on the way from one core to another: from then on publishers wait until the other one has
  // handled half of them. What a turn has published by then comes on top.
  std::size_t max_live_bytes = 16 << 20;
};

}  // namespace stele::broker
