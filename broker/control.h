// Control entries as LogEntries. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/group_state.h"
#include "broker/shard_state.h"
#include "broker/subscription.h"
#include "broker/will_table.h"
#include "storage/log_entry.h"

namespace stele::broker::control {

storage::LogEntry owner_started(WallTime time, Epoch epoch, NodeId node, const ShardLimits& limits);
storage::LogEntry stream_set(WallTime time, StreamId stream, const StreamConfig& config);
storage::LogEntry stream_deleted(WallTime time, StreamId stream);
storage::LogEntry stream_trimmed(WallTime time, StreamId stream, Offset start);
// `will`: null if the connection has none.
storage::LogEntry session_opened(WallTime time, TenantId tenant, std::string_view client_id, bool clean,
                                 std::uint32_t expiry_s, const WillContent* will = nullptr);
// `goodbye`: the connection's will is not to be published.
storage::LogEntry session_closed(WallTime time, TenantId tenant, std::string_view client_id,
                                 std::uint64_t epoch, std::uint32_t expiry_s, Lsn sent_below,
                                 bool goodbye = false);
storage::LogEntry session_removed(WallTime time, TenantId tenant, std::string_view client_id,
                                  bool goodbye = false);
storage::LogEntry will_set(WallTime time, TenantId tenant, std::string_view client_id,
                           const WillContent& will);
storage::LogEntry will_ended(WallTime time, Lsn will, bool goodbye);
storage::LogEntry subscribed(WallTime time, TenantId tenant, std::string_view client_id,
                             std::span<const SubscribeRequest> requests);
storage::LogEntry unsubscribed(WallTime time, TenantId tenant, std::string_view client_id,
                               std::span<const std::string> filters);
struct Settled {
  Lsn lsn;
  std::uint32_t session = 0;  // its number
  std::uint32_t index = 0;
};
storage::LogEntry settled(WallTime time, std::span<const Settled> items);
struct PacketId {
  std::uint32_t session = 0;  // its number
  std::uint16_t id = 0;
  friend bool operator==(const PacketId&, const PacketId&) = default;
};
struct Numbered {
  Lsn lsn;
  std::uint32_t session = 0;
  std::uint32_t index = 0;
  std::uint16_t packet_id = 0;
};
storage::LogEntry released(WallTime time, std::span<const PacketId> ids);
storage::LogEntry numbered(WallTime time, std::span<const Numbered> items);
storage::LogEntry accepted(WallTime time, std::span<const Settled> items);
storage::LogEntry completed(WallTime time, std::span<const PacketId> ids);
struct ExpiredRetained {
  TenantId tenant;
  std::string_view address;
  Lsn lsn;
};
storage::LogEntry retained_expired(WallTime time, std::span<const ExpiredRetained> messages);
storage::LogEntry producers_expired(WallTime time, WallTime silent_since);

storage::LogEntry group_generation(WallTime time, const GroupKey& group, const GroupGeneration& generation);
storage::LogEntry group_assigned(WallTime time, const GroupKey& group, std::int32_t generation,
                                 std::span<const std::pair<std::string, std::string>> assignments);
storage::LogEntry group_members_removed(WallTime time, const GroupKey& group,
                                        std::span<const std::string> ids);
storage::LogEntry group_member_replaced(WallTime time, const GroupKey& group, std::string_view old_id,
                                        const GroupMember& member, bool rebalance);
storage::LogEntry group_removed(WallTime time, const GroupKey& group);
// Each is committed at `time`.
storage::LogEntry offsets_committed(WallTime time, const GroupKey& group,
                                    std::span<const std::pair<StreamId, CommittedOffset>> offsets);
storage::LogEntry offsets_removed(WallTime time, const GroupKey& group, std::span<const StreamId> streams);
storage::LogEntry offsets_of_topic_removed(WallTime time, TopicId topic);

storage::LogEntry forwarded_up_to(WallTime time, ShardId target, Lsn end);

}  // namespace stele::broker::control
