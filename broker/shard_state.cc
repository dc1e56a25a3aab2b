// The data entries of the shard's state machine, and what can be asked of the state.
#include "broker/shard_state.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/message_batch.h"
#include "model/record_batch.h"

namespace stele::broker {
namespace {

// What a retained message takes besides its address and its batch, about.
constexpr std::uint64_t kRetainedOverhead = 128;

Bytes whole_batch(const DataEntry& entry) {
  Buffer whole(entry.batch_size());
  std::memcpy(whole.data(), entry.batch.data(), entry.batch.size());
  if (!entry.batch_rest.empty()) {
    std::memcpy(whole.data() + entry.batch.size(), entry.batch_rest.data(), entry.batch_rest.size());
  }
  return std::move(whole).freeze(entry.batch_size());
}

std::uint32_t clipped(std::size_t bytes) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX));
}

std::unexpected<Error> impossible(const char* what) {
  return error(ErrorCode::kCorrupt, std::string("shard log: ") + what);
}

}  // namespace

ShardState::ShardState() = default;
ShardState::ShardState(ShardState&&) noexcept = default;
ShardState& ShardState::operator=(ShardState&&) noexcept = default;
ShardState::~ShardState() = default;

Result<void> ShardState::apply(Lsn lsn, const EntryView& entry, ApplyResult& result) {
  STELE_ASSERT(lsn == next_);
  result.clear();
  time_ = std::max(time_, entry.time);
  STELE_CHECK(entry.kind == EntryKind::kData ? apply_data(lsn, entry.data, result)
                                             : apply_control(lsn, entry.control, result));
  ++next_;
  return {};
}

// ---- data -----------------------------------------------------------------------------------------------

Result<void> ShardState::apply_data(Lsn lsn, const DataEntry& entry, ApplyResult& result) {
  if (entry.source && !take_forwarded(entry)) {
    STELE_MARK("shard: forwarded entry was here before");
    result.duplicate = true;
    return {};
  }
  if (entry.forward_count > 0) {
    for_each_forward(entry, [&](ShardId target) {
      Fifo<Lsn>& pending = pending_forwards_[target];
      if (pending.empty() || pending.back() < lsn) pending.push_back(lsn);
    });
  }
  if (entry.directed) {
    queue_directed(lsn, entry, result);
    return {};
  }
  if (entry.stream) {
    auto found = streams_.find(*entry.stream);
    if (found == streams_.end()) return impossible("an entry for a stream that is not here");
    StreamState& stream = found->second;
    if (entry.facts.base_offset != stream.next())
      return impossible("a batch with another offset than its own");
    result.matched = true;
    result.appended = {*entry.stream, stream.next(), entry.facts.count};
    // A batch without timestamps is as old as its arrival: retention must not take it at once.
    const std::int64_t timestamp_ms =
        entry.facts.max_timestamp_ms < 0 ? time_.ms : entry.facts.max_timestamp_ms;
    stream.append(lsn, entry.facts, entry.batch_size(), timestamp_ms);
    if (entry.kafka_batch && entry.facts.producer.idempotent()) {
      producers_.wrote(*entry.stream, entry.facts.producer, entry.facts.base_offset, lsn, time_,
                       limits_.producers);
    }
  }
  if (entry.received) note_received(lsn, entry);
  if (entry.will) [[unlikely]]
    STELE_CHECK(note_will(entry));
  if (entry.stream_only) return {};
  if (entry.retain_here) keep_retained(lsn, entry, result);
  if (!tenants_.empty()) queue_for_sessions(lsn, entry, result);
  return {};
}

// Exactly once: false for an entry that is at or below its source's cursor.
bool ShardState::take_forwarded(const DataEntry& entry) {
  const ForwardSource& source = *entry.source;
  if (source.lsn < forward_cursor(source.shard)) return false;
  if (entry.stream_only) {
    if (copied(source, *entry.stream)) return false;
    Cursor& cursor = cursors_[source.shard];
    if (cursor.copying != source.lsn) cursor.copied.clear();
    cursor.copying = source.lsn;
    cursor.copied.push_back(*entry.stream);
    return true;
  }
  if (mutant(Mutant::kForwardCursorNotStored)) return true;
  Cursor& cursor = cursors_[source.shard];
  cursor.epoch = source.epoch;
  cursor.next = source.lsn + 1;
  cursor.copying = Lsn();
  cursor.copied.clear();
  return true;
}

// Published once: with the entry it is gone.
Result<void> ShardState::note_will(const DataEntry& entry) {
  const bool there =
      entry.stream_only ? wills_.note_copied(*entry.will, *entry.stream) : wills_.published(*entry.will);
  return there ? Result<void>() : impossible("the publication of a will that is not there");
}

void ShardState::note_received(Lsn lsn, const DataEntry& entry) {
  const auto found = by_number_.find(entry.received->session);
  if (found == by_number_.end()) return;
  if (entry.stream_only) {
    found->second->note_copied(entry.received->packet_id, *entry.stream);
  } else {
    found->second->receive(entry.received->packet_id, lsn);
  }
}

void ShardState::queue_for_sessions(Lsn lsn, const DataEntry& entry, ApplyResult& result) {
  auto tenant = mutant(Mutant::kTenantForgotten) ? tenants_.begin() : tenants_.find(entry.tenant);
  if (tenant == tenants_.end() || tenant->second.trie.empty()) return;
  const FilterTrie& trie = tenant->second.trie;
  QueueItem item{.lsn = lsn, .bytes = clipped(entry.batch_size()), .qos = entry.qos, .retain = entry.retain};
  if (!entry.kafka_batch) return queue_message(item, trie, entry.address, entry.publisher_hash, result);
  // Each record is a message. If all have one address, most batches are for nobody and stay unopened.
  if (!entry.address_headers_allowed && !trie.matches(entry.address)) return;
  for_each_message(whole_batch(entry), entry.address, entry.address_headers_allowed,
                   [&](const MessageView& message, const Bytes&, std::uint32_t index) {
                     item.index = index;
                     item.bytes = clipped(message.payload.size() + 64);
                     item.qos = message.qos;
                     item.retain = message.retain;
                     queue_message(item, trie, message.address, 0, result);
                   });
}

// `item` has the QoS and retain flag that the message was published with.
void ShardState::queue_message(QueueItem item, const FilterTrie& trie, std::string_view address,
                               std::uint64_t publisher_hash, ApplyResult& result) {
  const std::uint8_t qos = item.qos;
  const bool retain = item.retain;
  if (qos == 0) return;
  matches_.clear();
  trie.match(address, matches_);
  if (matches_.size() > 1) {
    std::sort(matches_.begin(), matches_.end(), [](const auto& a, const auto& b) {
      return a.target != b.target ? a.target < b.target : a.data < b.data;
    });
  }
  for (std::size_t i = 0; i < matches_.size();) {
    const auto number = static_cast<std::uint32_t>(matches_[i].target);
    const auto found = by_number_.find(number);
    STELE_ASSERT(found != by_number_.end());
    SessionState& session = *found->second;
    item.qos = 0;
    item.retain = false;
    ids_.clear();
    for (; i < matches_.size() && matches_[i].target == number; ++i) {
      const std::uint64_t options = matches_[i].data;
      if ((options & packed::kNoLocal) && publisher_hash != 0 && publisher_hash == session.hash) continue;
      item.qos = std::max(item.qos, std::min(qos, static_cast<std::uint8_t>(options & packed::kQosMask)));
      item.retain |= retain && (options & packed::kRetainAsPublished);
      // All of them go into the one copy [MQTT-3.3.4-3].
      if (options >> packed::kIdShift)
        ids_.push_back(static_cast<std::uint32_t>(options >> packed::kIdShift));
    }
    if (item.qos > 0) push(session, item, result);
  }
}

// With the subscription ids in ids_.
void ShardState::push(SessionState& session, const QueueItem& item, ApplyResult& result) {
  result.matched = true;
  if (queued_messages_ >= limits_.queued_messages) shorten_longest_queue();
  const std::uint64_t dropped = session.dropped;
  const std::size_t queued = session.queued();
  const bool fits = session.push(item, ids_, limits_.session_queue);
  dropped_messages_ += session.dropped - dropped;
  queued_messages_ = queued_messages_ - queued + session.queued();
  if (!fits || session.told == item.lsn) return;
  session.told = item.lsn;
  result.sessions.push_back(session.number);
}

// Takes an eighth of it, so that the search is rare.
void ShardState::shorten_longest_queue() {
  STELE_MARK("shard: queues of all sessions at their limit");
  SessionState* longest = nullptr;
  for (auto& [key, session] : sessions_) {
    if (!longest || session.queued() > longest->queued()) longest = &session;
  }
  if (!longest || longest->queued() == 0) return;
  const std::uint64_t dropped = longest->dropped;
  const std::size_t queued = longest->queued();
  longest->drop(std::max<std::size_t>(queued / 8, 1));
  dropped_messages_ += longest->dropped - dropped;
  queued_messages_ = queued_messages_ - queued + longest->queued();
}

void ShardState::queue_directed(Lsn lsn, const DataEntry& entry, ApplyResult& result) {
  auto found = sessions_.find(SessionKey(entry.tenant, entry.directed->client_id));
  if (found == sessions_.end() || entry.directed->qos == 0) return;
  ids_.clear();
  if (entry.directed->subscription_id != 0) ids_.push_back(entry.directed->subscription_id);
  const QueueItem item{
      .lsn = lsn, .bytes = clipped(entry.batch_size()), .qos = entry.directed->qos, .retain = true};
  push(found->second, item, result);
}

// ---- retained messages ----------------------------------------------------------------------------------

bool ShardState::can_retain(TenantId tenant, std::string_view address, std::size_t bytes) const {
  auto there = retained_.find(RetainedKey(tenant, address));
  const std::uint64_t replaced =
      there == retained_.end() ? 0 : there->second.batch.size() + address.size() + kRetainedOverhead;
  return (there != retained_.end() || retained_.size() < limits_.retained_messages) &&
         retained_bytes_ - replaced + bytes + address.size() + kRetainedOverhead <= limits_.retained_bytes;
}

void ShardState::put_retained(RetainedKey key, Retained message) {
  retained_bytes_ += message.batch.size() + key.second.size() + kRetainedOverhead;
  if (message.expires_at_ms != INT64_MAX) retained_expiring_.emplace(message.expires_at_ms, key);
  retained_.emplace(std::move(key), std::move(message));
}

bool ShardState::remove_retained(const RetainedKey& key) {
  auto there = retained_.find(key);
  if (there == retained_.end()) return false;
  retained_bytes_ -= there->second.batch.size() + key.second.size() + kRetainedOverhead;
  retained_expiring_.erase({there->second.expires_at_ms, key});
  retained_.erase(there);
  return true;
}

void ShardState::keep_retained(Lsn lsn, const DataEntry& entry, ApplyResult& result) {
  Retained message{lsn, whole_batch(entry)};
  bool empty = false;
  for_each_message(message.batch, entry.address, false,
                   [&](const MessageView& view, const Bytes&, std::uint32_t) {
                     empty = view.payload.empty();
                     if (view.expires_at_ms) message.expires_at_ms = *view.expires_at_ms;
                   });
  RetainedKey key(entry.tenant, entry.address);
  result.matched = result.retained = true;
  remove_retained(key);
  if (!empty) put_retained(std::move(key), std::move(message));  // else it deletes [MQTT-3.3.1-6]
}

std::vector<ShardState::RetainedKey> ShardState::expired_retained(WallTime now, std::size_t max) const {
  std::vector<RetainedKey> expired;
  for (const auto& [when, key] : retained_expiring_) {
    if (when > now.ms || expired.size() == max) break;
    expired.push_back(key);
  }
  return expired;
}

// ---- look-ups -------------------------------------------------------------------------------------------

const StreamState* ShardState::stream(StreamId id) const {
  auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

const SessionState* ShardState::session(TenantId tenant, std::string_view client_id) const {
  auto found = sessions_.find(SessionKey(tenant, client_id));
  return found == sessions_.end() ? nullptr : &found->second;
}

const SessionState* ShardState::session(std::uint32_t number) const {
  auto found = by_number_.find(number);
  return found == by_number_.end() ? nullptr : found->second;
}

std::vector<const SessionState*> ShardState::expired_sessions(WallTime now, std::size_t max) const {
  std::vector<const SessionState*> expired;
  for (const auto& [when, number] : expiring_) {
    if (when > now.ms || expired.size() == max) break;
    expired.push_back(session(number));
  }
  return expired;
}

Lsn ShardState::forward_cursor(ShardId source) const {
  auto found = cursors_.find(source);
  return found == cursors_.end() ? Lsn() : found->second.next;
}

bool ShardState::copied(const ForwardSource& source, StreamId stream) const {
  auto found = cursors_.find(source.shard);
  if (found == cursors_.end()) return false;
  const Cursor& cursor = found->second;
  if (source.lsn < cursor.next) return true;
  return cursor.copying == source.lsn &&
         std::find(cursor.copied.begin(), cursor.copied.end(), stream) != cursor.copied.end();
}

std::vector<std::pair<TenantId, std::string>> ShardState::interests() const {
  std::vector<std::pair<TenantId, std::string>> all;
  for (const auto& [id, tenant] : tenants_) {
    for (const auto& [filter, uses] : tenant.uses) all.emplace_back(id, filter);
  }
  return all;
}

bool ShardState::has_subscription(TenantId tenant, std::string_view filter) const {
  auto found = tenants_.find(tenant);
  return found != tenants_.end() && found->second.uses.contains(filter);
}

bool ShardState::any_session_interest(TenantId tenant) const {
  auto found = tenants_.find(tenant);
  return found != tenants_.end() && !found->second.trie.empty();
}

bool ShardState::interested(TenantId tenant, std::string_view address) const {
  auto found = tenants_.find(tenant);
  return found != tenants_.end() && found->second.trie.matches(address);
}

ShardState::Capturing ShardState::capturing(TenantId tenant, std::string_view address,
                                            absl::FunctionRef<MessageView()> message) const {
  Capturing all;
  auto found = captures_.find(tenant);
  if (found == captures_.end()) return all;
  thread_local std::vector<FilterTrie::Match> matches;  // its memory is kept
  matches.clear();
  found->second.match(address, matches);
  MessageView view;
  view.address = address;
  bool whole = false;
  for (const FilterTrie::Match& match : matches) {
    const auto id = captured_by_.find(match.target);
    STELE_ASSERT(id != captured_by_.end());
    const StreamState& captor = *stream(id->second);
    if (!whole && captor.key_rule().kind == KeyRule::Kind::kProperty) {
      view = message();
      whole = true;
    }
    if (captor.owns(id->second.partition.value, view)) all.push_back(id->second);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Lsn ShardState::lsn_needed() const {
  Lsn lowest = next_;
  for (const auto& [id, stream] : streams_) {
    if (auto needed = stream.lsn_needed()) lowest = std::min(lowest, *needed);
  }
  for (const auto& [key, session] : sessions_) {
    if (auto needed = session.lsn_needed()) lowest = std::min(lowest, *needed);
  }
  for (const auto& [target, lsns] : pending_forwards_) {
    if (!lsns.empty()) lowest = std::min(lowest, lsns.front());
  }
  return lowest;
}

}  // namespace stele::broker
