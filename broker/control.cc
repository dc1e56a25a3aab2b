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

}  // namespace

storage::LogEntry owner_started(WallTime time, Epoch epoch, NodeId node, const ShardLimits& limits) {
  Builder builder;
  return finish(
      builder, time,
      fbs::CreateOwnerStarted(builder, epoch.value, node.value, limits.session_queue.messages,
                              limits.session_queue.bytes, limits.retained_messages, limits.retained_bytes,
                              limits.queued_messages, limits.sessions, limits.subscriptions_per_session,
                              limits.producers, limits.unreleased_per_session));
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
                                 std::uint32_t expiry_s) {
  Builder builder;
  return finish(builder, time,
                fbs::CreateSessionOpened(builder, session_of(builder, tenant, client_id), clean, expiry_s));
}

storage::LogEntry session_closed(WallTime time, TenantId tenant, std::string_view client_id,
                                 std::uint64_t epoch, std::uint32_t expiry_s, Lsn sent_below) {
  Builder builder;
  return finish(builder, time,
                fbs::CreateSessionClosed(builder, session_of(builder, tenant, client_id), epoch, expiry_s,
                                         sent_below.value));
}

storage::LogEntry session_removed(WallTime time, TenantId tenant, std::string_view client_id) {
  Builder builder;
  return finish(builder, time, fbs::CreateSessionRemoved(builder, session_of(builder, tenant, client_id)));
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

storage::LogEntry forwarded_up_to(WallTime time, ShardId target, Lsn end) {
  Builder builder;
  return finish(builder, time, fbs::CreateForwardedUpTo(builder, target.value, end.value));
}

}  // namespace stele::broker::control
