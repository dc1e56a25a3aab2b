#include "broker/control.h"

#include <flatbuffers/flatbuffers.h>

#include "broker/control_entries_generated.h"
#include "broker/entry.h"

namespace stele::broker::control {
namespace {

using Builder = flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

template <class Table>
storage::LogEntry finish(Builder& builder, WallTime time, Offset<Table> table) {
  builder.Finish(fbs::CreateControlEntry(builder, fbs::BodyTraits<Table>::enum_value, table.Union()));
  return encode_control(time, {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()});
}

Offset<fbs::Stream> stream_of(Builder& builder, StreamId stream) {
  return fbs::CreateStream(builder, stream.topic.value, stream.partition.value);
}
Offset<flatbuffers::Vector<std::uint8_t>> bytes_of(Builder& builder, std::string_view bytes) {
  return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}
Offset<fbs::Will> will_of(Builder& builder, const WillContent& will) {
  const auto address = bytes_of(builder, will.address);
  const auto batch = bytes_of(builder, will.batch);
  return fbs::CreateWill(builder, will.delay_s, will.qos, will.retain, address, batch);
}
Offset<fbs::Session> session_of(Builder& builder, TenantId tenant, std::string_view client_id) {
  return fbs::CreateSession(builder, tenant.value, builder.CreateString(client_id.data(), client_id.size()));
}

auto items_of(Builder& builder, std::span<const Settled> items) {
  std::vector<fbs::SettledItem> list;
  list.reserve(items.size());
  for (const Settled& item : items) list.emplace_back(item.lsn.value, item.session, item.index);
  return builder.CreateVectorOfStructs(list);
}

auto ids_of(Builder& builder, std::span<const PacketId> ids) {
  std::vector<fbs::PacketId> list;
  list.reserve(ids.size());
  for (const PacketId& one : ids) list.emplace_back(one.session, one.id);
  return builder.CreateVectorOfStructs(list);
}

Offset<fbs::Group> group_of(Builder& builder, const GroupKey& key) {
  return fbs::CreateGroup(builder, key.first.value, builder.CreateString(key.second));
}
Offset<fbs::GroupMember> member_of(Builder& builder, const GroupMember& member) {
  std::vector<Offset<fbs::GroupProtocol>> protocols;
  for (const GroupProtocol& one : member.protocols) {
    const auto name = builder.CreateString(one.name);
    protocols.push_back(fbs::CreateGroupProtocol(builder, name, bytes_of(builder, one.metadata)));
  }
  const auto id = builder.CreateString(member.id);
  const auto instance = member.instance_id ? builder.CreateString(*member.instance_id) : 0;
  const auto client_id = builder.CreateString(member.client_id);
  const auto host = builder.CreateString(member.client_host);
  const auto list = builder.CreateVector(protocols);
  return fbs::CreateGroupMember(builder, id, instance, client_id, host, member.session_timeout_ms,
                                member.rebalance_timeout_ms, list);
}

}  // namespace

storage::LogEntry owner_started(WallTime time, Epoch epoch, NodeId node, const ShardLimits& limits) {
  Builder builder;
  return finish(
      builder, time,
      fbs::CreateOwnerStarted(builder, epoch.value, node.value, limits.session_queue.messages,
                              limits.session_queue.bytes, limits.retained_messages, limits.retained_bytes,
                              limits.queued_messages, limits.sessions, limits.subscriptions_per_session,
                              limits.producers, limits.unreleased_per_session, limits.will_bytes));
}

storage::LogEntry stream_set(WallTime time, StreamId stream, const StreamConfig& config) {
  Builder builder;
  const auto captures = builder.CreateVectorOfStrings(config.captures);
  const auto name = builder.CreateString(config.name);
  const auto key = builder.CreateString(config.key);
  const auto table =
      fbs::CreateStreamConfig(builder, config.tenant.value, name, config.partition_count, captures, key,
                              config.retention_ms, config.retention_bytes, config.log_append_time);
  return finish(builder, time, fbs::CreateStreamSet(builder, stream_of(builder, stream), table));
}

storage::LogEntry stream_deleted(WallTime time, StreamId stream) {
  Builder builder;
  return finish(builder, time, fbs::CreateStreamDeleted(builder, stream_of(builder, stream)));
}

storage::LogEntry stream_trimmed(WallTime time, StreamId stream, stele::Offset start) {
  Builder builder;
  return finish(builder, time, fbs::CreateStreamTrimmed(builder, stream_of(builder, stream), start.value));
}

storage::LogEntry session_opened(WallTime time, TenantId tenant, std::string_view client_id, bool clean,
                                 std::uint32_t expiry_s, const WillContent* will) {
  Builder builder;
  const auto session = session_of(builder, tenant, client_id);
  const auto table = will ? will_of(builder, *will) : 0;
  return finish(builder, time, fbs::CreateSessionOpened(builder, session, clean, expiry_s, table));
}

storage::LogEntry session_closed(WallTime time, TenantId tenant, std::string_view client_id,
                                 std::uint64_t epoch, std::uint32_t expiry_s, Lsn sent_below, bool goodbye) {
  Builder builder;
  return finish(builder, time,
                fbs::CreateSessionClosed(builder, session_of(builder, tenant, client_id), epoch, expiry_s,
                                         sent_below.value, goodbye));
}

storage::LogEntry session_removed(WallTime time, TenantId tenant, std::string_view client_id, bool goodbye) {
  Builder builder;
  return finish(builder, time,
                fbs::CreateSessionRemoved(builder, session_of(builder, tenant, client_id), goodbye));
}

storage::LogEntry will_set(WallTime time, TenantId tenant, std::string_view client_id,
                           const WillContent& will) {
  Builder builder;
  const auto session = session_of(builder, tenant, client_id);
  return finish(builder, time, fbs::CreateWillSet(builder, session, will_of(builder, will)));
}

storage::LogEntry will_ended(WallTime time, Lsn will, bool goodbye) {
  Builder builder;
  return finish(builder, time, fbs::CreateWillEnded(builder, will.value, goodbye));
}

storage::LogEntry subscribed(WallTime time, TenantId tenant, std::string_view client_id,
                             std::span<const SubscribeRequest> requests) {
  Builder builder;
  std::vector<Offset<fbs::Subscription>> list;
  for (const SubscribeRequest& request : requests) {
    list.push_back(fbs::CreateSubscription(builder, builder.CreateString(request.filter), request.qos,
                                           request.no_local, request.retain_as_published,
                                           request.retain_handling, request.subscription_id));
  }
  const auto subscriptions = builder.CreateVector(list);
  return finish(builder, time,
                fbs::CreateSubscribed(builder, session_of(builder, tenant, client_id), subscriptions));
}

storage::LogEntry unsubscribed(WallTime time, TenantId tenant, std::string_view client_id,
                               std::span<const std::string> filters) {
  Builder builder;
  const auto list = builder.CreateVectorOfStrings(std::vector<std::string>(filters.begin(), filters.end()));
  return finish(builder, time,
                fbs::CreateUnsubscribed(builder, session_of(builder, tenant, client_id), list));
}

storage::LogEntry settled(WallTime time, std::span<const Settled> items) {
  Builder builder;
  const auto vector = items_of(builder, items);
  return finish(builder, time, fbs::CreateSettled(builder, vector));
}

storage::LogEntry released(WallTime time, std::span<const PacketId> ids) {
  Builder builder;
  const auto vector = ids_of(builder, ids);
  return finish(builder, time, fbs::CreateReleased(builder, vector));
}

storage::LogEntry numbered(WallTime time, std::span<const Numbered> items) {
  Builder builder;
  std::vector<fbs::NumberedItem> list;
  list.reserve(items.size());
  for (const Numbered& item : items)
    list.emplace_back(item.lsn.value, item.session, item.index, item.packet_id);
  const auto vector = builder.CreateVectorOfStructs(list);
  return finish(builder, time, fbs::CreateNumbered(builder, vector));
}

storage::LogEntry accepted(WallTime time, std::span<const Settled> items) {
  Builder builder;
  const auto vector = items_of(builder, items);
  return finish(builder, time, fbs::CreateAccepted(builder, vector));
}

storage::LogEntry completed(WallTime time, std::span<const PacketId> ids) {
  Builder builder;
  const auto vector = ids_of(builder, ids);
  return finish(builder, time, fbs::CreateCompleted(builder, vector));
}

storage::LogEntry retained_expired(WallTime time, std::span<const ExpiredRetained> messages) {
  Builder builder;
  std::vector<Offset<fbs::RetainedMessage>> list;
  for (const ExpiredRetained& one : messages) {
    const auto address = builder.CreateString(one.address.data(), one.address.size());
    list.push_back(fbs::CreateRetainedMessage(builder, one.tenant.value, address, one.lsn.value));
  }
  const auto vector = builder.CreateVector(list);
  return finish(builder, time, fbs::CreateRetainedExpired(builder, vector));
}

storage::LogEntry producers_expired(WallTime time, WallTime silent_since) {
  Builder builder;
  return finish(builder, time, fbs::CreateProducersExpired(builder, silent_since.ms));
}

// ---- groups ---------------------------------------------------------------------------------------------

storage::LogEntry group_generation(WallTime time, const GroupKey& group, const GroupGeneration& generation) {
  Builder builder;
  std::vector<Offset<fbs::GroupMember>> list;
  for (const GroupMember& member : generation.members) list.push_back(member_of(builder, member));
  const auto members = builder.CreateVector(list);
  const auto key = group_of(builder, group);
  const auto type = builder.CreateString(generation.protocol_type);
  const auto protocol = builder.CreateString(generation.protocol);
  const auto leader = builder.CreateString(generation.leader);
  return finish(
      builder, time,
      fbs::CreateGroupGeneration(builder, key, generation.generation, type, protocol, leader, members));
}

storage::LogEntry group_assigned(WallTime time, const GroupKey& group, std::int32_t generation,
                                 std::span<const std::pair<std::string, std::string>> assignments) {
  Builder builder;
  std::vector<Offset<fbs::GroupAssignment>> list;
  for (const auto& [member, assignment] : assignments) {
    const auto id = builder.CreateString(member);
    list.push_back(fbs::CreateGroupAssignment(builder, id, bytes_of(builder, assignment)));
  }
  const auto vector = builder.CreateVector(list);
  return finish(builder, time,
                fbs::CreateGroupAssigned(builder, group_of(builder, group), generation, vector));
}

storage::LogEntry group_members_removed(WallTime time, const GroupKey& group,
                                        std::span<const std::string> ids) {
  Builder builder;
  const auto list = builder.CreateVectorOfStrings(std::vector<std::string>(ids.begin(), ids.end()));
  return finish(builder, time, fbs::CreateGroupMembersRemoved(builder, group_of(builder, group), list));
}

storage::LogEntry group_member_replaced(WallTime time, const GroupKey& group, std::string_view old_id,
                                        const GroupMember& member, bool rebalance) {
  Builder builder;
  const auto key = group_of(builder, group);
  const auto old = builder.CreateString(old_id.data(), old_id.size());
  const auto table = member_of(builder, member);
  return finish(builder, time, fbs::CreateGroupMemberReplaced(builder, key, old, table, rebalance));
}

storage::LogEntry group_removed(WallTime time, const GroupKey& group) {
  Builder builder;
  return finish(builder, time, fbs::CreateGroupRemoved(builder, group_of(builder, group)));
}

storage::LogEntry offsets_committed(WallTime time, const GroupKey& group,
                                    std::span<const std::pair<StreamId, CommittedOffset>> offsets) {
  Builder builder;
  std::vector<Offset<fbs::CommittedOffset>> list;
  for (const auto& [stream, offset] : offsets) {
    const auto metadata = builder.CreateString(offset.metadata);
    list.push_back(fbs::CreateCommittedOffset(builder, stream.topic.value, stream.partition.value,
                                              offset.offset.value, offset.leader_epoch, metadata,
                                              offset.expires_at_ms));
  }
  const auto vector = builder.CreateVector(list);
  return finish(builder, time, fbs::CreateOffsetsCommitted(builder, group_of(builder, group), vector));
}

storage::LogEntry offsets_removed(WallTime time, const GroupKey& group, std::span<const StreamId> streams) {
  Builder builder;
  std::vector<Offset<fbs::Stream>> list;
  for (const StreamId& stream : streams) list.push_back(stream_of(builder, stream));
  const auto vector = builder.CreateVector(list);
  return finish(builder, time, fbs::CreateOffsetsRemoved(builder, group_of(builder, group), vector));
}

storage::LogEntry offsets_of_topic_removed(WallTime time, TopicId topic) {
  Builder builder;
  return finish(builder, time, fbs::CreateOffsetsOfTopicRemoved(builder, topic.value));
}

storage::LogEntry forwarded_up_to(WallTime time, ShardId target, Lsn end) {
  Builder builder;
  return finish(builder, time, fbs::CreateForwardedUpTo(builder, target.value, end.value));
}

}  // namespace stele::broker::control
