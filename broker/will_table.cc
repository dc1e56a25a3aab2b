#include "broker/will_table.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::broker {
namespace {

// What a will takes besides its client's id, its address and its batch, about.
constexpr std::uint64_t kOverhead = 256;
constexpr std::int64_t kTimeLimit = std::int64_t{1} << 60;

}  // namespace

// ---- look-ups -------------------------------------------------------------------------------------------

const std::pair<const WillTable::Id, Will>* WillTable::find(Lsn lsn) const {
  const auto found = by_lsn_.find(lsn.value);
  return found == by_lsn_.end() ? nullptr : &*found->second;
}

bool WillTable::any_of(const ClientKey& client) const {
  const auto at = wills_.lower_bound(Id(client, Lsn()));
  return at != wills_.end() && at->first.first == client;
}

std::vector<Lsn> WillTable::due(WallTime now, std::size_t max) const {
  std::vector<Lsn> found;
  for (const auto& [when, lsn] : due_) {
    if (when > now.ms || found.size() == max) break;
    found.push_back(lsn);
  }
  return found;
}

std::vector<Lsn> WillTable::due_of(const ClientKey& client, WallTime now) const {
  std::vector<Lsn> found;
  for (auto at = wills_.lower_bound(Id(client, Lsn())); at != wills_.end() && at->first.first == client;
       ++at) {
    if (at->second.due_at_ms <= now.ms) found.push_back(at->first.second);
  }
  return found;
}

bool WillTable::copied(Lsn lsn, StreamId stream) const {
  const auto* will = find(lsn);
  return will && std::ranges::find(will->second.copied, stream) != will->second.copied.end();
}

std::uint64_t WillTable::bytes_of(const ClientKey& client, const WillContent& content) {
  return client.second.size() + content.address.size() + content.batch.size() + kOverhead;
}

// The one that is not due at `time`.
WillTable::Map::iterator WillTable::find_open(const ClientKey& client, WallTime time) {
  // The latest: those before it are due.
  auto at = wills_.upper_bound(Id(client, Lsn(std::numeric_limits<std::uint64_t>::max())));
  if (at == wills_.begin()) return wills_.end();
  --at;
  return at->first.first == client && at->second.due_at_ms > time.ms ? at : wills_.end();
}

// ---- changes --------------------------------------------------------------------------------------------

void WillTable::add(Id id, Will will) {
  bytes_ += bytes_of(id.first, will.content);
  if (!will.armed()) due_.emplace(will.due_at_ms, id.second);
  const auto [at, added] = wills_.emplace(std::move(id), std::move(will));
  STELE_ASSERT(added);
  by_lsn_.emplace(at->first.second.value, at);
}

void WillTable::remove(Map::iterator at) {
  const Lsn lsn = at->first.second;
  bytes_ -= bytes_of(at->first.first, at->second.content);
  due_.erase({at->second.due_at_ms, lsn});
  by_lsn_.erase(lsn.value);
  wills_.erase(at);
}

void WillTable::make_due(Map::iterator at, std::int64_t when_ms) {
  due_.erase({at->second.due_at_ms, at->first.second});
  at->second.due_at_ms = when_ms;
  due_.emplace(when_ms, at->first.second);
}

void WillTable::delay(Map::iterator at, WallTime time, std::uint32_t expiry_s) {
  const std::int64_t delay_s = std::min(at->second.content.delay_s, expiry_s);
  make_due(at, time.ms + delay_s * 1000);
}

void WillTable::set(const ClientKey& client, Lsn lsn, WillContent content, WallTime time) {
  STELE_ASSERT(find_open(client, time) == wills_.end());
  add(Id(client, lsn), Will{.content = std::move(content), .copied = {}});
}

void WillTable::lost(const ClientKey& client, WallTime time, std::uint32_t expiry_s) {
  const auto at = find_open(client, time);
  if (at != wills_.end() && at->second.armed()) delay(at, time, expiry_s);
}

void WillTable::goodbye(const ClientKey& client) {
  const auto at = find_open(client, WallTime{Will::kArmed - 1});
  if (at != wills_.end()) remove(at);
}

bool WillTable::lost(Lsn lsn, WallTime time) {
  const auto found = by_lsn_.find(lsn.value);
  if (found == by_lsn_.end()) return false;
  if (found->second->second.armed()) delay(found->second, time, 0);
  return true;
}

bool WillTable::goodbye(Lsn lsn) {
  const auto found = by_lsn_.find(lsn.value);
  if (found == by_lsn_.end()) return false;
  remove(found->second);
  return true;
}

void WillTable::session_ended(const ClientKey& client, WallTime time) {
  const auto at = find_open(client, time);
  if (at == wills_.end()) return;
  STELE_MARK("will: due because its session ends");
  make_due(at, time.ms);
}

void WillTable::came_back(const ClientKey& client, WallTime time) {
  const auto at = find_open(client, time);
  if (at == wills_.end()) return;
  STELE_MARK("will: taken away by its client's return");
  remove(at);
}

bool WillTable::note_copied(Lsn lsn, StreamId stream) {
  const auto found = by_lsn_.find(lsn.value);
  if (found == by_lsn_.end()) return false;
  std::vector<StreamId>& copies = found->second->second.copied;
  if (std::ranges::find(copies, stream) == copies.end()) copies.push_back(stream);
  return true;
}

bool WillTable::published(Lsn lsn) {
  return goodbye(lsn);
}

// ---- snapshots ------------------------------------------------------------------------------------------

void WillTable::encode(Writer& writer, const Id& id, const Will& will) {
  const auto& [client, lsn] = id;
  const WillContent& content = will.content;
  writer.uvarint(client.first.value).sized(client.second).uvarint(lsn.value);
  writer.u8(static_cast<std::uint8_t>(content.qos | (content.retain ? 4 : 0)));
  writer.uvarint(content.delay_s).varint(will.due_at_ms).sized(content.address).sized(content.batch);
  writer.uvarint(will.copied.size());
  for (StreamId stream : will.copied) {
    writer.uvarint(stream.topic.value).uvarint(static_cast<std::uint32_t>(stream.partition.value));
  }
}

void WillTable::decode(Reader& reader, Lsn end, WallTime time) {
  const auto small = [&reader](std::uint64_t most) {
    const std::uint64_t value = reader.uvarint();
    if (value > most) reader.fail();
    return value;
  };
  Id id;
  id.first.first = TenantId(static_cast<std::uint32_t>(small(UINT32_MAX)));
  id.first.second = reader.sized();
  id.second = Lsn(reader.uvarint());
  Will will;
  const std::uint8_t flags = reader.u8();
  will.content.qos = flags & 3;
  will.content.retain = flags & 4;
  will.content.delay_s = static_cast<std::uint32_t>(small(UINT32_MAX));
  will.due_at_ms = reader.varint();
  will.content.address = Bytes::copy(reader.sized());
  will.content.batch = Bytes::copy(reader.sized());
  const std::uint64_t copies = reader.uvarint();
  for (std::uint64_t i = 0; i < copies && reader.ok(); ++i) {
    StreamId stream;
    stream.topic = TopicId(reader.uvarint());
    stream.partition = PartitionId(static_cast<std::int32_t>(small(INT32_MAX)));
    if (std::ranges::find(will.copied, stream) != will.copied.end()) reader.fail();
    will.copied.push_back(stream);
  }
  if (flags > 6 || will.content.qos > 2 || id.second >= end || by_lsn_.contains(id.second.value))
    reader.fail();
  if (!will.armed() && (will.due_at_ms < -kTimeLimit || will.due_at_ms > kTimeLimit * 2)) reader.fail();
  if (!wills_.empty()) {
    const auto& [before, its] = *wills_.rbegin();
    if (!(before < id)) reader.fail();
    // Only the latest of a client may be waiting.
    if (before.first == id.first && its.due_at_ms > time.ms) reader.fail();
  }
  if (reader.ok()) add(std::move(id), std::move(will));
}

}  // namespace stele::broker
