#include "fuzz/shard_samples.h"

#include <utility>

#include "broker/control.h"
#include "broker/entry.h"
#include "broker/message_batch.h"
#include "model/record_batch_builder.h"

namespace stele::broker {
namespace {

const StreamId kStream{TopicId(1), PartitionId(0)};

Data message(std::string_view address, bool retain, std::uint8_t qos = 1) {
  MessageView view;
  view.address = address;
  view.payload = "payload";
  view.timestamp_ms = 900;
  view.retain = retain;
  view.qos = qos;
  if (retain) view.expires_at_ms = 5000;
  MessageBatch made = batch_of(view, {});
  Data data;
  data.retain = retain;
  data.qos = qos;
  data.address = std::move(made.address);
  data.batch = std::move(made.batch);
  return data;
}

Data kafka_batch(std::int64_t producer = kNoProducerId, std::int32_t sequence = kNoSequence) {
  std::string batch;
  RecordBatchOptions options;
  options.producer_id = producer;
  options.producer_epoch = producer == kNoProducerId ? kNoProducerEpoch : 0;
  options.base_sequence = sequence;
  RecordBatchBuilder builder(batch, options);
  const RecordHeader headers[] = {{"mqtt.topic", "a/b"}};
  builder.append(900, "key", "value", headers);
  builder.append(901, std::nullopt, "value");
  (void)builder.finish();
  Data data;
  data.kafka_batch = true;
  data.address_headers_allowed = true;
  data.address = Bytes::copy("t");
  data.batch = Bytes::copy(batch);
  return data;
}

WillContent will(std::uint32_t delay_s) {
  Data data = message("a/w", true);
  return {.delay_s = delay_s,
          .qos = 1,
          .retain = true,
          .address = std::move(data.address),
          .batch = std::move(data.batch)};
}

std::vector<storage::LogEntry> entries() {
  const WallTime time{1000};
  const TenantId tenant;
  std::vector<storage::LogEntry> log;
  ShardLimits limits;
  limits.session_queue = {3, 10000};
  limits.queued_messages = 5;
  limits.producers = 2;
  log.push_back(control::owner_started(time, Epoch(3), NodeId(1), limits));
  StreamConfig config;
  config.name = "t";
  config.captures = {"a/#", "+/b"};
  log.push_back(control::stream_set(time, kStream, config));
  log.push_back(control::session_opened(time, tenant, "client", true, 60));
  SubscribeRequest request;
  request.filter = "a/+";
  request.qos = 2;
  request.retain_as_published = true;
  request.subscription_id = 7;
  log.push_back(control::subscribed(time, tenant, "client", std::span(&request, 1)));
  const ShardId targets[] = {ShardId(4), ShardId(9)};
  DataEntryParts parts;
  parts.time = time;
  parts.stream = kStream;
  parts.forwards = targets;
  log.push_back(encode_data(message("a/b", false), parts));
  parts.base_offset = Offset(1);
  parts.forwards = {};
  log.push_back(encode_data(kafka_batch(), parts));
  parts.base_offset = Offset(3);
  log.push_back(encode_data(kafka_batch(17, 0), parts));
  parts.base_offset = Offset(5);
  log.push_back(encode_data(kafka_batch(17, 2), parts));
  parts.base_offset = Offset(7);
  log.push_back(encode_data(kafka_batch(18, INT32_MAX), parts));
  DataEntryParts plain;
  plain.time = time;
  plain.retain_here = true;
  plain.source = ForwardSource{ShardId(2), Epoch(1), Lsn(5)};
  log.push_back(encode_data(message("a/c", true), plain));
  DataEntryParts copy;
  copy.time = time;
  copy.stream = kStream;
  copy.base_offset = Offset(9);
  copy.stream_only = true;
  copy.source = ForwardSource{ShardId(2), Epoch(1), Lsn(8)};
  log.push_back(encode_data(message("a/c", false), copy));
  DataEntryParts directed;
  directed.time = time;
  directed.directed = DirectedTo{"client", 1, 7};
  log.push_back(encode_data(message("a/d", false), directed));
  DataEntryParts received;
  received.time = time;
  received.received = ReceivedAs{1, 7};
  log.push_back(encode_data(message("a/e", false, 2), received));
  received.received = ReceivedAs{1, 8};
  log.push_back(encode_data(message("a/f", false, 2), received));
  DataEntryParts received_copy = received;
  received_copy.stream = kStream;
  received_copy.base_offset = Offset(10);
  received_copy.stream_only = true;
  received_copy.received = ReceivedAs{1, 9};
  log.push_back(encode_data(message("a/g", false, 2), received_copy));
  const control::Numbered numbered[] = {{Lsn(12), 1, 0, 0x8000}, {Lsn(13), 1, 0, 0x8001}};
  log.push_back(control::numbered(time, numbered));
  const control::Settled accepted[] = {{Lsn(12), 1, 0}};
  log.push_back(control::accepted(time, accepted));
  const control::PacketId released[] = {{1, 7}}, completed[] = {{1, 0x8000}};
  log.push_back(control::released(time, released));
  log.push_back(control::completed(time, completed));
  const control::Settled settled[] = {{Lsn(5), 1, 0}, {Lsn(11), 1, 0}};
  log.push_back(control::settled(time, settled));
  log.push_back(control::forwarded_up_to(time, ShardId(9), Lsn(5)));
  log.push_back(control::stream_trimmed(time, kStream, Offset(1)));
  log.push_back(control::session_closed(time, tenant, "client", 2, 30, Lsn(12)));
  const control::ExpiredRetained expired[] = {{tenant, "x", Lsn(2)}};
  log.push_back(control::retained_expired(time, expired));
  log.push_back(control::producers_expired(time, WallTime{999}));
  const std::vector<std::string> filters{"b"};
  log.push_back(control::unsubscribed(time, tenant, "client", filters));
  log.push_back(control::session_removed(time, tenant, "other"));
  const GroupKey group(tenant, "g");
  GroupMember member;
  member.id = "m-1";
  member.instance_id = "m";
  member.client_id = "c";
  member.client_host = "/127.0.0.1";
  member.session_timeout_ms = 10000;
  member.rebalance_timeout_ms = 60000;
  member.protocols = {{"range", "metadata"}, {"sticky", ""}};
  const GroupGeneration generation{1, "consumer", "range", "m-1", {member}};
  log.push_back(control::group_generation(time, group, generation));
  const std::pair<std::string, std::string> assignments[] = {{"m-1", "assignment"}};
  log.push_back(control::group_assigned(time, group, 1, assignments));
  member.id = "m-2";
  log.push_back(control::group_member_replaced(time, group, "m-1", member, true));
  CommittedOffset committed;
  committed.offset = Offset(5);
  committed.metadata = "note";
  const std::pair<StreamId, CommittedOffset> offsets[] = {{kStream, committed}};
  log.push_back(control::offsets_committed(time, group, offsets));
  const std::string left[] = {"m-2"};
  log.push_back(control::group_members_removed(time, {tenant, "h"}, left));
  log.push_back(control::offsets_removed(time, {tenant, "h"}, std::span(&kStream, 1)));
  log.push_back(control::offsets_of_topic_removed(time, TopicId(2)));
  log.push_back(control::group_removed(time, {tenant, "h"}));
  log.push_back(control::stream_deleted(time, {TopicId(2), PartitionId(0)}));
  // Wills: one that is published, one that goes, one that is delayed, and one whose connection is there.
  const auto lsn = [&log] { return Lsn(log.size()); };
  const Lsn published = lsn();
  log.push_back(control::will_set(time, tenant, "w-1", will(0)));
  log.push_back(control::will_ended(time, published, false));
  DataEntryParts gone = plain;
  gone.source.reset();
  gone.will = published;
  gone.stream = kStream;
  gone.base_offset = Offset(11);
  gone.stream_only = true;
  gone.retain_here = false;
  log.push_back(encode_data(message("a/w", true), gone));
  gone.stream.reset();
  gone.stream_only = false;
  gone.retain_here = true;
  gone.forwards = targets;
  log.push_back(encode_data(message("a/w", true), gone));
  const Lsn dropped = lsn();
  log.push_back(control::will_set(time, tenant, "w-2", will(0)));
  log.push_back(control::will_ended(time, dropped, true));
  const WillContent delayed = will(30);
  const Lsn opened = lsn();
  log.push_back(control::session_opened(time, tenant, "w-3", true, 60, &delayed));
  log.push_back(control::session_closed(time, tenant, "w-3", opened.value, 60, Lsn(12), false));
  log.push_back(control::session_opened(time, tenant, "w-4", true, 60, &delayed));
  log.push_back(control::session_removed(time, tenant, "w-4", true));
  log.push_back(control::session_opened(time, tenant, "w-5", true, 60, &delayed));
  return log;
}

}  // namespace

const std::vector<std::string>& shard_samples() {
  static const std::vector<std::string> samples = [] {
    std::vector<std::string> all;
    for (const storage::LogEntry& entry : entries()) {
      all.push_back(std::string(entry.head.view()) + std::string(entry.body.view()));
    }
    return all;
  }();
  return samples;
}

}  // namespace stele::broker
