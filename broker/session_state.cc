#include "broker/session_state.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"

namespace stele::broker {

std::uint64_t client_hash(std::string_view client_id) {
  return hash64(client_id) | 1;
}

void SessionState::pop() {
  const QueueItem& item = queue_.front();
  if (!item.settled) bytes_ -= item.bytes;
  while (!ids_.empty() && ids_.front().lsn == item.lsn && ids_.front().index == item.index) ids_.pop_front();
  queue_.pop_front();
  ++first_;
}

void SessionState::drop(std::size_t count) {
  for (; count > 0 && !queue_.empty(); --count) {
    STELE_MARK("session: oldest message dropped at the limit");
    STELE_ASSERT(!queue_.front().settled);
    ++dropped;
    pop();
    while (!queue_.empty() && queue_.front().settled) pop();
  }
}

bool SessionState::push(const QueueItem& item, std::span<const std::uint32_t> subscription_ids,
                        const QueueLimits& limits) {
  STELE_ASSERT(queue_.empty() || queue_.back() < item);
  if (limits.messages == 0 || item.bytes > limits.bytes) {
    STELE_MARK("session: message larger than its limit");
    ++dropped;
    return false;
  }
  while (queue_.size() >= limits.messages || bytes_ > limits.bytes - item.bytes) drop(1);
  queue_.push_back(item);
  bytes_ += item.bytes;
  for (std::uint32_t id : subscription_ids) ids_.push_back({item.lsn, item.index, id});
  return true;
}

bool SessionState::settle(Lsn lsn, std::uint32_t index) {
  QueueItem wanted;
  wanted.lsn = lsn;
  wanted.index = index;
  auto found = std::lower_bound(queue_.begin(), queue_.end(), wanted);
  if (found == queue_.end() || !(*found == wanted) || found->settled) return false;
  found->settled = true;
  bytes_ -= found->bytes;
  while (!queue_.empty() && queue_.front().settled) pop();
  return true;
}

QueuePosition SessionState::position_of(Lsn lsn) const {
  QueueItem wanted;
  wanted.lsn = lsn;
  return first_ +
         static_cast<QueuePosition>(std::lower_bound(queue_.begin(), queue_.end(), wanted) - queue_.begin());
}

std::vector<std::uint32_t> SessionState::subscription_ids(const QueueItem& item) const {
  std::vector<std::uint32_t> found;
  auto at = std::lower_bound(ids_.begin(), ids_.end(), item, [](const ItemId& a, const QueueItem& b) {
    return a.lsn != b.lsn ? a.lsn < b.lsn : a.index < b.index;
  });
  for (; at != ids_.end() && at->lsn == item.lsn && at->index == item.index; ++at) found.push_back(at->id);
  return found;
}

std::optional<Lsn> SessionState::lsn_needed() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.front().lsn;
}

void SessionState::encode(Writer& writer) const {
  writer.uvarint(tenant.value).sized(client_id).uvarint(number).uvarint(epoch).uvarint(expiry_s);
  writer.u8(connected ? 1 : 0).varint(closed_at_ms).uvarint(sent_below.value).uvarint(dropped);
  writer.uvarint(subscriptions.size());
  for (const auto& [filter, request] : subscriptions) {
    writer.sized(filter)
        .u8(request.qos)
        .u8((request.no_local ? 1 : 0) | (request.retain_as_published ? 2 : 0));
    writer.u8(request.retain_handling).uvarint(request.subscription_id);
  }
  writer.uvarint(queue_.size());
  std::uint64_t before = 0;
  for (const QueueItem& item : queue_) {
    writer.uvarint(item.lsn.value - before).uvarint(item.index).uvarint(item.bytes);
    writer.u8(static_cast<std::uint8_t>(item.qos | (item.retain ? 4 : 0) | (item.settled ? 8 : 0)));
    before = item.lsn.value;
  }
  writer.uvarint(ids_.size());
  for (const ItemId& one : ids_) writer.uvarint(one.lsn.value).uvarint(one.index).uvarint(one.id);
}

namespace {

std::uint32_t small(Reader& reader) {
  const std::uint64_t value = reader.uvarint();
  if (value > UINT32_MAX) reader.fail();
  return static_cast<std::uint32_t>(value);
}

SubscribeRequest decode_subscription(Reader& reader) {
  SubscribeRequest request;
  request.filter = reader.sized();
  request.qos = reader.u8();
  const std::uint8_t flags = reader.u8();
  request.no_local = flags & 1;
  request.retain_as_published = flags & 2;
  request.retain_handling = reader.u8();
  request.subscription_id = small(reader);
  if (request.qos > 2 || flags > 3 || request.retain_handling > 2) reader.fail();
  return request;
}

}  // namespace

void SessionState::decode_queue(Reader& reader, Lsn end) {
  const std::uint64_t items = reader.uvarint();
  std::uint64_t lsn = 0;
  for (std::uint64_t i = 0; i < items && reader.ok(); ++i) {
    QueueItem item;
    const std::uint64_t step = reader.uvarint();
    if (step >= end.value - lsn) reader.fail();
    lsn += step;
    item.lsn = Lsn(lsn);
    item.index = small(reader);
    item.bytes = small(reader);
    const std::uint8_t flags = reader.u8();
    item.qos = flags & 3;
    item.retain = flags & 4;
    item.settled = flags & 8;
    if (flags > 15 || item.qos > 2 || (item.settled && queue_.empty())) reader.fail();
    if (!queue_.empty() && !(queue_.back() < item)) reader.fail();
    if (reader.failed()) return;
    queue_.push_back(item);
    if (!item.settled) bytes_ += item.bytes;
  }
  const std::uint64_t ids = reader.uvarint();
  auto of = std::as_const(queue_).begin();
  for (std::uint64_t i = 0; i < ids && reader.ok(); ++i) {
    ItemId one;
    one.lsn = Lsn(reader.uvarint());
    one.index = small(reader);
    one.id = small(reader);
    // They stand in the order of the items they belong to.
    while (of != std::as_const(queue_).end() && (of->lsn != one.lsn || of->index != one.index)) ++of;
    if (of == std::as_const(queue_).end()) return reader.fail();
    ids_.push_back(one);
  }
}

SessionState SessionState::decode(Reader& reader, Lsn end) {
  SessionState session;
  session.tenant = TenantId(small(reader));
  session.client_id = reader.sized();
  session.hash = client_hash(session.client_id);
  session.number = small(reader);
  session.epoch = reader.uvarint();
  session.expiry_s = small(reader);
  session.connected = reader.u8() != 0;
  session.closed_at_ms = reader.varint();
  session.sent_below = Lsn(reader.uvarint());
  session.dropped = reader.uvarint();
  constexpr std::int64_t kTimeLimit = std::int64_t{1} << 60;
  if (session.closed_at_ms < -kTimeLimit || session.closed_at_ms > kTimeLimit) reader.fail();
  const std::uint64_t subscriptions = reader.uvarint();
  for (std::uint64_t i = 0; i < subscriptions && reader.ok(); ++i) {
    SubscribeRequest request = decode_subscription(reader);
    std::string filter = request.filter;
    session.subscriptions.emplace(std::move(filter), std::move(request));
  }
  if (reader.ok()) session.decode_queue(reader, end);
  return session;
}

}  // namespace stele::broker
