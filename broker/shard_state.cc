#include "broker/shard_state.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "broker/message_batch.h"
#include "model/record_batch.h"
#include "model/topic_name.h"

namespace stele::broker {
namespace {

// What a stream needs of a batch's header, which may lie in two places.
struct BatchFacts {
  std::int32_t count;
  std::int64_t max_timestamp_ms;
};
BatchFacts facts_of(const DataEntry& entry) {
  char header[kRecordBatchHeaderSize];
  const std::size_t first = std::min(entry.batch.size(), sizeof header);
  std::memcpy(header, entry.batch.data(), first);
  std::memcpy(header + first, entry.batch_rest.data(), sizeof header - first);
  return {load_be<std::int32_t>(header + 23) + 1, load_be<std::int64_t>(header + 35)};
}

Bytes whole_batch(const DataEntry& entry) {
  Buffer whole(entry.batch_size());
  std::memcpy(whole.data(), entry.batch.data(), entry.batch.size());
  if (!entry.batch_rest.empty()) {
    std::memcpy(whole.data() + entry.batch.size(), entry.batch_rest.data(), entry.batch_rest.size());
  }
  return std::move(whole).freeze(entry.batch_size());
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
  if (entry.source) {
    Cursor& cursor = cursors_[entry.source->shard];
    if (entry.source->lsn < cursor.next) {
      STELE_MARK("shard: forwarded entry was here before");
      result.duplicate = true;
      return {};
    }
    if (!mutant(Mutant::kForwardCursorNotStored) && !entry.stream_only) {
      cursor = {entry.source->epoch, entry.source->lsn + 1};
    }
  }
  for_each_forward(entry, [&](ShardId target) { pending_forwards_[target].push_back(lsn); });
  if (entry.directed) {
    queue_directed(lsn, entry, result);
    return {};
  }
  if (entry.stream) {
    auto found = streams_.find(*entry.stream);
    if (found == streams_.end())
      return error(ErrorCode::kCorrupt, "shard log: an entry for a stream that is not here");
    append_to_stream(lsn, entry, found->second, result);
  }
  if (entry.stream_only) return {};
  if (entry.retain_here) keep_retained(lsn, entry, result);
  queue_for_sessions(lsn, entry, result);
  return {};
}

void ShardState::append_to_stream(Lsn lsn, const DataEntry& entry, StreamState& stream, ApplyResult& result) {
  const BatchFacts facts = facts_of(entry);
  result.matched = true;
  result.appended = {*entry.stream, stream.next(), facts.count};
  stream.append(lsn, facts.count, entry.batch_size(), facts.max_timestamp_ms);
}

void ShardState::queue_for_sessions(Lsn lsn, const DataEntry& entry, ApplyResult& result) {
  auto tenant = tenants_.find(entry.tenant);
  if (tenant == tenants_.end() || tenant->second.trie.empty()) return;
  if (!entry.kafka_batch) {
    queue_message(lsn, 0, entry.tenant, entry.address, entry.qos, entry.retain, entry.publisher_hash,
                  static_cast<std::uint32_t>(entry.batch_size()), result);
    return;
  }
  for_each_message(whole_batch(entry), entry.address, entry.address_headers_allowed,
                   [&](const MessageView& message, const Bytes&, std::uint32_t index) {
                     queue_message(lsn, index, entry.tenant, message.address, message.qos, message.retain, 0,
                                   static_cast<std::uint32_t>(message.payload.size() + 64), result);
                   });
}

void ShardState::queue_message(Lsn lsn, std::uint32_t index, TenantId tenant, std::string_view address,
                               std::uint8_t qos, bool retain, std::uint64_t publisher_hash,
                               std::uint32_t bytes, ApplyResult& result) {
  if (qos == 0) return;
  matches_.clear();
  tenants_[tenant].trie.match(address, matches_);
  if (matches_.size() > 1) {
    std::sort(matches_.begin(), matches_.end(), [](const auto& a, const auto& b) {
      return a.target != b.target ? a.target < b.target : a.data < b.data;
    });
  }
  for (std::size_t i = 0; i < matches_.size();) {
    const std::uint64_t number = matches_[i].target;
    SessionState& session = *by_number_.at(static_cast<std::uint32_t>(number));
    QueueItem item{.lsn = lsn, .index = index, .bytes = bytes, .qos = 0};
    std::vector<std::uint32_t> ids;
    bool wanted = false;
    for (; i < matches_.size() && matches_[i].target == number; ++i) {
      const std::uint64_t options = matches_[i].data;
      if ((options & packed::kNoLocal) && publisher_hash != 0 && publisher_hash == session.hash) continue;
      wanted = true;
      item.qos = std::max(item.qos, std::min(qos, static_cast<std::uint8_t>(options & packed::kQosMask)));
      item.retain |= retain && (options & packed::kRetainAsPublished);
      if (options >> packed::kIdShift) ids.push_back(static_cast<std::uint32_t>(options >> packed::kIdShift));
    }
    if (!wanted) continue;
    session.push(item, std::move(ids), limits_.session_queue);
    result.sessions.push_back(session.number);
    result.matched = true;
  }
}

void ShardState::queue_directed(Lsn lsn, const DataEntry& entry, ApplyResult& result) {
  auto found = sessions_.find(SessionKey(entry.tenant, entry.directed->client_id));
  if (found == sessions_.end()) return;
  QueueItem item{.lsn = lsn,
                 .index = 0,
                 .bytes = static_cast<std::uint32_t>(entry.batch_size()),
                 .qos = entry.directed->qos,
                 .retain = true};
  std::vector<std::uint32_t> ids;
  if (entry.directed->subscription_id != 0) ids.push_back(entry.directed->subscription_id);
  found->second.push(item, std::move(ids), limits_.session_queue);
  result.sessions.push_back(found->second.number);
  result.matched = true;
}

bool ShardState::can_retain(TenantId tenant, std::string_view address, std::size_t bytes) const {
  auto there = retained_.find(RetainedKey(tenant, address));
  const std::uint64_t replaced = there == retained_.end() ? 0 : there->second.batch.size();
  return (there != retained_.end() || retained_.size() < limits_.retained_messages) &&
         retained_bytes_ - replaced + bytes <= limits_.retained_bytes;
}

void ShardState::keep_retained(Lsn lsn, const DataEntry& entry, ApplyResult& result) {
  Bytes batch = whole_batch(entry);
  bool empty = false;
  for_each_message(batch, entry.address, false, [&](const MessageView& message, const Bytes&, std::uint32_t) {
    empty = message.payload.empty();
  });
  const RetainedKey key(entry.tenant, entry.address);
  result.matched = true;
  if (auto there = retained_.find(key); there != retained_.end()) {
    retained_bytes_ -= there->second.batch.size();
    retained_.erase(there);
  }
  if (empty) return;  // [MQTT-3.3.1-6]
  retained_bytes_ += batch.size();
  retained_.emplace(key, Retained{lsn, std::move(batch)});
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

Lsn ShardState::forward_cursor(ShardId source) const {
  auto found = cursors_.find(source);
  return found == cursors_.end() ? Lsn() : found->second.next;
}

std::vector<std::pair<TenantId, std::string>> ShardState::interests() const {
  std::vector<std::pair<TenantId, std::string>> all;
  for (const auto& [id, tenant] : tenants_) {
    for (const auto& [filter, uses] : tenant.uses) all.emplace_back(id, filter);
  }
  return all;
}

bool ShardState::any_session_interest(TenantId tenant) const {
  auto found = tenants_.find(tenant);
  return found != tenants_.end() && !found->second.trie.empty();
}

bool ShardState::interested(TenantId tenant, std::string_view address) const {
  auto found = tenants_.find(tenant);
  return found != tenants_.end() && found->second.trie.matches(address);
}

std::vector<StreamId> ShardState::capturing(TenantId tenant, const MessageView& message) const {
  std::vector<StreamId> all;
  auto found = captures_.find(tenant);
  if (found == captures_.end()) return all;
  std::vector<FilterTrie::Match> matches;
  found->second.match(message.address, matches);
  for (const FilterTrie::Match& match : matches) {
    const StreamId id = capture_streams_[match.target];
    if (streams_.at(id).owns(id.partition.value, message)) all.push_back(id);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void ShardState::index_captures() {
  captures_.clear();
  capture_streams_.clear();
  for (const auto& [id, stream] : streams_) {
    const std::uint64_t number = capture_streams_.size();
    capture_streams_.push_back(id);
    FilterTrie& trie = captures_[stream.config().tenant];
    for (const std::string& filter : stream.config().captures) trie.insert(filter, number, 0);
    if (stream.config().captures.empty() && !stream.address().empty())
      trie.insert(stream.address(), number, 0);
  }
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
