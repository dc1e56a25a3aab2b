#include "broker/decide.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/control.h"
#include "broker/message_batch.h"
#include "model/address.h"
#include "model/record_batch.h"

namespace stele::broker::decide {
namespace {

// Calls `use` with the one message of a batch that is no Kafka producer's.
template <class Use>
void with_message(const Data& data, Use&& use) {
  for_each_message(data.batch, data.address, false,
                   [&](const MessageView& message, const Bytes&, std::uint32_t) { use(message); });
}

// The message with the key that the stream's topic gives it: mostly it has that already.
Data with_key_of(Data data, const StreamState& stream) {
  const KeyRule& rule = stream.key_rule();
  const bool by_address = rule.kind == KeyRule::Kind::kAddress;
  if (data.kafka_batch || (by_address && data.keyed_by_address)) return data;
  const auto batch = parse_record_batch(data.batch);
  if (!batch || batch->header.compression() != Compression::kNone) return data;
  RecordIterator records(batch->header, batch->records());
  if (!records.next()) return data;
  const MessageView message = message_of(records.record(), data.address).message;
  if (records.record().key != rule.key_of(message)) {
    STELE_MARK("shard: message gets the key of another topic");
    data.batch = batch_of(message, rule).batch;
    data.room = {};
  }
  data.keyed_by_address = by_address;
  return data;
}

Bytes with_append_time(const Bytes& batch, WallTime time) {
  Buffer copy(batch.size());
  std::memcpy(copy.data(), batch.data(), batch.size());
  set_log_append_time({copy.data(), batch.size()}, time.ms);
  return std::move(copy).freeze(batch.size());
}

// Fills in what entering `stream` takes; returns what is to be encoded.
void enter_stream(const StreamState& stream, StreamId id, const Owner& owner, Data& data,
                  DataEntryParts& parts) {
  data = with_key_of(std::move(data), stream);
  data.stream = parts.stream = id;
  parts.base_offset = stream.next();
  parts.leader_epoch = owner.leader_epoch();
  if (!stream.config().log_append_time) return;
  data.batch = with_append_time(data.batch, owner.now);
  data.room = {};
}

// What publish() and forwarded() have in common. `streams`: all that take it, the one of the entry first.
Publish make(const ShardState& state, const Owner& owner, Data data, std::span<const StreamId> streams,
             DataEntryParts parts) {
  Publish made;
  for (std::size_t i = 1; i < streams.size(); ++i) {
    STELE_MARK("shard: message captured by several topics");
    Data copy = data;
    DataEntryParts copied;
    copied.time = owner.now;
    copied.stream_only = true;
    copied.source = parts.source;
    copied.received = parts.received;
    copied.will = parts.will;
    enter_stream(*state.stream(streams[i]), streams[i], owner, copy, copied);
    made.copies.push_back(encode_data_in_place(copy, copied));
  }
  parts.time = owner.now;
  data.stream.reset();
  if (!streams.empty()) {
    const StreamState& stream = *state.stream(streams.front());
    enter_stream(stream, streams.front(), owner, data, parts);
    made.base_offset = stream.next();
    made.log_start = stream.start();
    if (stream.config().log_append_time) made.append_time_ms = owner.now.ms;
  }
  made.entry = encode_data_in_place(data, parts);
  made.data = std::move(data);
  return made;
}

// By the state's own captures: the publisher's view of them may be older.
ShardState::Capturing capturing(const ShardState& state, const Data& data) {
  if (data.kafka_batch || is_mqtt_only(data.address)) return {};
  return state.capturing(data.tenant, data.address, [&data] {
    MessageView whole;  // of the batch's bytes
    with_message(data, [&whole](const MessageView& message) { whole = message; });
    return whole;
  });
}

template <class Drop>
void drop_if(ShardState::Capturing& streams, Drop drop) {
  streams.erase(std::remove_if(streams.begin(), streams.end(), drop), streams.end());
}

// Whether this shard can keep it as the address's retained message; what deletes one always can.
bool can_retain(const ShardState& state, const Data& data) {
  if (state.can_retain(data.tenant, data.address, data.batch.size())) return true;
  bool deletes = false;
  with_message(data, [&](const MessageView& message) { deletes = message.payload.empty(); });
  return deletes;
}

Error refusal(const ProducerTable::Check& check, const BatchProducer& batch) {
  const std::string who = "producer " + std::to_string(batch.id) + ": ";
  if (check.what == ProducerTable::Check::What::kOldEpoch) {
    return {ErrorCode::kFenced, who + "epoch " + std::to_string(batch.epoch) + " is older than " +
                                    std::to_string(check.epoch) + ", which wrote last"};
  }
  return {ErrorCode::kOutOfOrder, who + "sequence number " + std::to_string(batch.first_sequence) +
                                      " of epoch " + std::to_string(batch.epoch) + " does not follow " +
                                      std::to_string(check.last_sequence) + " of epoch " +
                                      std::to_string(check.epoch)};
}

// A Kafka producer's batch for its partition.
Result<Publish> produce(const ShardState& state, const Owner& owner, Data data, DataEntryParts parts) {
  const StreamId id = *data.stream;
  const StreamState* stream = state.stream(id);
  if (!stream) return error(ErrorCode::kNotFound, "there is no such topic and partition");
  const BatchProducer producer = producer_of(data.batch);
  if (producer.idempotent()) {
    const ProducerTable::Check check = state.producers().check(id, producer);
    switch (check.what) {
      case ProducerTable::Check::What::kNext:
        break;
      case ProducerTable::Check::What::kDuplicate: {
        if (mutant(Mutant::kSequenceNotChecked)) break;
        STELE_MARK("shard: produced batch sent again");
        Publish made;
        made.base_offset = check.written.base;
        made.log_start = stream->start();
        if (stream->config().log_append_time) made.append_time_ms = check.written.time.ms;
        made.duplicate_of = check.written.lsn;
        return made;
      }
      case ProducerTable::Check::What::kOutOfOrder:
      case ProducerTable::Check::What::kOldEpoch:
        STELE_MARK("shard: produced batch out of its turn refused");
        return std::unexpected(refusal(check, producer));
    }
  }
  return make(state, owner, std::move(data), std::span(&id, 1), parts);
}

}  // namespace

Result<std::optional<Lsn>> sent_before(const ShardState& state, const OnceId& once) {
  const SessionState* session = state.session(once.session);
  if (!session || session->epoch != once.epoch) {
    STELE_MARK("shard: QoS 2 of an earlier connection refused");
    return error(ErrorCode::kClosed, "the client has connected anew");
  }
  const auto* original = session->unreleased(once.packet_id);
  if (!original) return std::nullopt;
  STELE_MARK("shard: QoS 2 message sent again");
  return original->lsn;
}

Result<Publish> publish(const ShardState& state, Owner owner, Data data, std::span<const ShardId> forwards,
                        bool retained_home, const std::optional<OnceId>& once) {
  DataEntryParts parts;
  const SessionState* session = nullptr;
  if (once) {
    STELE_TRY(const auto original, sent_before(state, *once));
    if (original) {
      Publish made;
      made.duplicate_of = *original;
      return made;
    }
    session = state.session(once->session);
    if (session->all_unreleased().size() >= state.limits().unreleased_per_session) {
      return error(ErrorCode::kNoSpace, "too many QoS 2 messages that the client has not released");
    }
    parts.received = ReceivedAs{once->session, once->packet_id};
  }
  parts.forwards = forwards;
  parts.retain_here = data.retain && !data.kafka_batch && retained_home;
  if (parts.retain_here && !can_retain(state, data)) {
    return error(ErrorCode::kNoSpace, "too many retained messages");
  }
  if (data.kafka_batch) {
    if (!data.stream) return make(state, owner, std::move(data), {}, parts);
    return produce(state, owner, std::move(data), parts);
  }
  ShardState::Capturing streams = capturing(state, data);
  // The one that the publisher meant goes first, if it is still one of them: its key is right already.
  if (data.stream) {
    auto meant = std::find(streams.begin(), streams.end(), *data.stream);
    if (meant != streams.end()) std::rotate(streams.begin(), meant, meant + 1);
  }
  // Copies that an earlier try left behind are not made again.
  if (session) drop_if(streams, [&](StreamId id) { return session->copied(once->packet_id, id); });
  return make(state, owner, std::move(data), streams, parts);
}

Publish publish_will(const ShardState& state, Owner owner, Lsn will, Data data,
                     std::span<const ShardId> forwards, bool retained_home) {
  ShardState::Capturing streams = capturing(state, data);
  // Copies that an earlier try left behind are not made again.
  drop_if(streams, [&](StreamId id) { return state.wills().copied(will, id); });
  DataEntryParts parts;
  parts.will = will;
  parts.forwards = forwards;
  parts.retain_here = data.retain && retained_home && can_retain(state, data);
  return make(state, owner, std::move(data), streams, parts);
}

Forward forwarded(const ShardState& state, Owner owner, const ForwardSource& source, std::optional<Lsn> after,
                  Data data, bool retained_home) {
  if (source.lsn < state.forward_cursor(source.shard)) return {Forward::What::kHere, {}};
  if (after && *after >= state.forward_cursor(source.shard)) return {Forward::What::kGap, {}};
  ShardState::Capturing streams = capturing(state, data);
  // Copies that an earlier try left behind are not made again, whichever stream comes first now.
  drop_if(streams, [&](StreamId id) { return state.copied(source, id); });
  DataEntryParts parts;
  parts.source = source;
  parts.retain_here = data.retain && !data.kafka_batch && retained_home && can_retain(state, data);
  data.keyed_by_address = false;  // perhaps: it was keyed for a stream of the source
  return {Forward::What::kNew, make(state, owner, std::move(data), streams, parts)};
}

// ---- sessions -------------------------------------------------------------------------------------------

Result<OpenSession> open_session(const ShardState& state, WallTime now, TenantId tenant,
                                 std::string_view client_id, bool clean_start, std::uint32_t expiry_s,
                                 const WillContent* will) {
  const SessionState* there = state.session(tenant, client_id);
  OpenSession made;
  made.present = there && !clean_start && !there->expired(now);
  made.durable = expiry_s > 0 || made.present;
  if (will) {
    const std::uint64_t bytes = WillTable::bytes_of({tenant, std::string(client_id)}, *will);
    if (state.wills().bytes() + bytes > state.limits().will_bytes) {
      STELE_MARK("shard: will refused at the limit");
      return error(ErrorCode::kNoSpace, "too much of wills");
    }
  }
  if (!made.durable) {
    if (will) {
      made.entry = control::will_set(now, tenant, client_id, *will);
    } else if (there) {
      made.entry = control::session_removed(now, tenant, client_id);
    }
    return made;
  }
  if (!there && state.sessions().size() >= state.limits().sessions) {
    STELE_MARK("shard: session refused at the limit");
    return error(ErrorCode::kNoSpace, "too many persistent sessions");
  }
  made.entry = control::session_opened(now, tenant, client_id, !made.present, expiry_s, will);
  return made;
}

std::optional<storage::LogEntry> close_session(const ShardState& state, WallTime now, TenantId tenant,
                                               std::string_view client_id, std::uint64_t epoch,
                                               std::optional<std::uint32_t> expiry_s, Lsn sent_below,
                                               bool goodbye) {
  const SessionState* session = state.session(tenant, client_id);
  if (!session || session->epoch != epoch || !session->connected) return std::nullopt;
  const std::uint32_t stays_s = expiry_s.value_or(session->expiry_s);
  if (stays_s == 0) return control::session_removed(now, tenant, client_id, goodbye);
  return control::session_closed(now, tenant, client_id, epoch, stays_s, sent_below, goodbye);
}

QueuePosition number(const SessionState& session, QueuePosition from, QueuePosition horizon, std::size_t max,
                     std::vector<control::Numbered>& items) {
  std::size_t in_use = session.numbers_in_use();
  std::uint16_t last = session.last_number();
  QueuePosition at = std::max(from, session.first());
  for (; at < std::min(horizon, session.end()); ++at) {
    const QueueItem& item = session.at(at);
    if (item.settled || item.qos != 2 || item.packet_id != 0) continue;
    if (in_use >= max) break;
    ++in_use;
    last = session.free_id_after(last);
    items.push_back({item.lsn, session.number, item.index, last});
  }
  return at;
}

Result<storage::LogEntry> subscribe(const ShardState& state, WallTime now, TenantId tenant,
                                    std::string_view client_id, std::span<const SubscribeRequest> requests) {
  const SessionState* session = state.session(tenant, client_id);
  if (!session) return error(ErrorCode::kNotFound, "there is no such session");
  std::set<std::string_view> added;
  for (const SubscribeRequest& request : requests) {
    if (!session->subscriptions.contains(request.filter)) added.insert(request.filter);
  }
  if (session->subscriptions.size() + added.size() > state.limits().subscriptions_per_session) {
    STELE_MARK("shard: subscription refused at the limit");
    return error(
        ErrorCode::kNoSpace,
        "a session may have " + std::to_string(state.limits().subscriptions_per_session) + " subscriptions");
  }
  return control::subscribed(now, tenant, client_id, requests);
}

}  // namespace stele::broker::decide
