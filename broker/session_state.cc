#include "broker/session_state.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"

namespace stele::broker {

namespace {

// Idle sessions keep no more memory than a few of them need.
template <class T>
void tidy(std::vector<T>& list) {
  constexpr std::size_t kKeep = 8;
  if (list.empty() && list.capacity() > kKeep) list = std::vector<T>();  // `= {}` would keep it
}

}  // namespace

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
    if (queue_.front().packet_id != 0) {
      STELE_MARK("session: numbered message dropped at the limit");
      releasing_.push_back(queue_.front().packet_id);
    }
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

QueueItem* SessionState::find(Lsn lsn, std::uint32_t index) {
  QueueItem wanted;
  wanted.lsn = lsn;
  wanted.index = index;
  auto found = std::lower_bound(queue_.begin(), queue_.end(), wanted);
  if (found == queue_.end() || !(*found == wanted) || found->settled) return nullptr;
  return &*found;
}

void SessionState::mark_settled(QueueItem& item) {
  item.settled = true;
  item.packet_id = 0;
  bytes_ -= item.bytes;
  while (!queue_.empty() && queue_.front().settled) pop();
}

bool SessionState::settle(Lsn lsn, std::uint32_t index) {
  QueueItem* item = find(lsn, index);
  if (!item) return false;
  if (item->packet_id != 0) free_number(item->packet_id);
  mark_settled(*item);
  return true;
}

// ---- QoS 2 from the client ------------------------------------------------------------------------------

const SessionState::Unreleased* SessionState::unreleased(std::uint16_t id) const {
  const auto found = std::ranges::lower_bound(unreleased_, id, {}, &Unreleased::id);
  return found != unreleased_.end() && found->id == id ? &*found : nullptr;
}

void SessionState::receive(std::uint16_t id, Lsn lsn) {
  if (copying_ == id) {
    copying_ = 0;
    copied_ = std::vector<StreamId>();
  }
  const auto at = std::ranges::lower_bound(unreleased_, id, {}, &Unreleased::id);
  if (at != unreleased_.end() && at->id == id) return;
  unreleased_.insert(at, {id, lsn});
}

bool SessionState::release(std::uint16_t id) {
  if (copying_ == id) {
    copying_ = 0;
    copied_ = std::vector<StreamId>();
  }
  const auto found = std::ranges::lower_bound(unreleased_, id, {}, &Unreleased::id);
  if (found == unreleased_.end() || found->id != id) return false;
  unreleased_.erase(found);
  tidy(unreleased_);
  return true;
}

void SessionState::note_copied(std::uint16_t id, StreamId stream) {
  if (copying_ != id) copied_.clear();
  copying_ = id;
  if (!copied(id, stream)) copied_.push_back(stream);
}

bool SessionState::copied(std::uint16_t id, StreamId stream) const {
  return copying_ == id && std::ranges::find(copied_, stream) != copied_.end();
}

// ---- QoS 2 to the client --------------------------------------------------------------------------------

std::uint16_t SessionState::free_id_after(std::uint16_t last) const {
  STELE_ASSERT(numbers_.size() < kFirstNumber);
  std::uint16_t id = last;
  do {
    id = id < kFirstNumber || id == UINT16_MAX ? kFirstNumber : static_cast<std::uint16_t>(id + 1);
  } while (std::ranges::binary_search(numbers_, id));
  return id;
}

bool SessionState::take_number(std::uint16_t id) {
  const auto at = std::ranges::lower_bound(numbers_, id);
  if (id < kFirstNumber || (at != numbers_.end() && *at == id)) return false;
  if (numbers_.size() + 1 >= kFirstNumber) return false;
  numbers_.insert(at, id);
  return true;
}

void SessionState::free_number(std::uint16_t id) {
  const auto at = std::ranges::lower_bound(numbers_, id);
  STELE_ASSERT(at != numbers_.end() && *at == id);
  numbers_.erase(at);
  tidy(numbers_);
}

bool SessionState::give_number(Lsn lsn, std::uint32_t index, std::uint16_t id) {
  QueueItem* item = find(lsn, index);
  if (!item || item->qos != 2 || item->packet_id != 0) return true;
  if (!take_number(id)) return false;
  item->packet_id = last_number_ = id;
  return true;
}

bool SessionState::accept(Lsn lsn, std::uint32_t index) {
  QueueItem* item = find(lsn, index);
  if (!item || item->packet_id == 0) return false;
  releasing_.push_back(item->packet_id);
  mark_settled(*item);
  return true;
}

void SessionState::complete(std::uint16_t id) {
  const auto found = std::ranges::find(releasing_, id);
  if (found == releasing_.end()) return;
  free_number(id);
  releasing_.erase(found);
  tidy(releasing_);
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
    writer.u8(static_cast<std::uint8_t>(item.qos | (item.retain ? 4 : 0) | (item.settled ? 8 : 0) |
                                        (item.packet_id != 0 ? 16 : 0)));
    if (item.packet_id != 0) writer.le(item.packet_id);
    before = item.lsn.value;
  }
  writer.uvarint(ids_.size());
  for (const ItemId& one : ids_) writer.uvarint(one.lsn.value).uvarint(one.index).uvarint(one.id);
  encode_qos2(writer);
}

void SessionState::encode_qos2(Writer& writer) const {
  writer.uvarint(unreleased_.size());
  for (const Unreleased& one : unreleased_) writer.le(one.id).uvarint(one.lsn.value);
  writer.le(copying_);
  if (copying_ != 0) {
    writer.uvarint(copied_.size());
    for (StreamId id : copied_) {
      writer.uvarint(id.topic.value).uvarint(static_cast<std::uint32_t>(id.partition.value));
    }
  }
  writer.le(last_number_).uvarint(releasing_.size());
  for (std::uint16_t id : releasing_) writer.le(id);
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

void SessionState::decode_queue(Reader& reader, std::uint32_t version, Lsn end) {
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
    if (flags > (version < 3 ? 15 : 31) || item.qos > 2 || (item.settled && queue_.empty())) reader.fail();
    if (flags & 16) {
      item.packet_id = reader.le<std::uint16_t>();
      if (item.qos != 2 || item.settled || !take_number(item.packet_id)) reader.fail();
    }
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

void SessionState::decode_qos2(Reader& reader, Lsn end) {
  const std::uint64_t received = reader.uvarint();
  for (std::uint64_t i = 0; i < received && reader.ok(); ++i) {
    Unreleased one;
    one.id = reader.le<std::uint16_t>();
    one.lsn = Lsn(reader.uvarint());
    const std::uint16_t before = unreleased_.empty() ? 0 : unreleased_.back().id;
    if (one.id <= before || one.lsn >= end) return reader.fail();
    unreleased_.push_back(one);
  }
  copying_ = reader.le<std::uint16_t>();
  const std::uint64_t copies = copying_ != 0 ? reader.uvarint() : 0;
  for (std::uint64_t i = 0; i < copies && reader.ok(); ++i) {
    StreamId id;
    id.topic = TopicId(reader.uvarint());
    id.partition = PartitionId(static_cast<std::int32_t>(small(reader)));
    if (id.partition < PartitionId(0) || copied(copying_, id)) return reader.fail();
    copied_.push_back(id);
  }
  if (copying_ != 0 && copied_.empty()) reader.fail();
  last_number_ = reader.le<std::uint16_t>();
  const std::uint64_t releasing = reader.uvarint();
  for (std::uint64_t i = 0; i < releasing && reader.ok(); ++i) {
    const auto id = reader.le<std::uint16_t>();
    if (!take_number(id)) return reader.fail();
    releasing_.push_back(id);
  }
}

SessionState SessionState::decode(Reader& reader, std::uint32_t version, Lsn end) {
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
  if (reader.ok()) session.decode_queue(reader, version, end);
  if (reader.ok() && version >= 3) session.decode_qos2(reader, end);
  return session;
}

}  // namespace stele::broker
