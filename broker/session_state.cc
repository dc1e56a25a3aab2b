#include "broker/session_state.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"

namespace stele::broker {

void SessionState::pop() {
  const QueueItem& item = queue_.front();
  if (!item.settled) bytes_ -= item.bytes;
  if (!ids_.empty()) ids_.erase({item.lsn, item.index});
  queue_.pop_front();
  ++first_;
}

void SessionState::push(const QueueItem& item, std::vector<std::uint32_t> subscription_ids,
                        const QueueLimits& limits) {
  STELE_ASSERT(queue_.empty() || queue_.back() < item);
  while (!queue_.empty() && (queue_.size() >= limits.messages || bytes_ + item.bytes > limits.bytes)) {
    STELE_MARK("session: oldest message dropped at the limit");
    if (!queue_.front().settled) ++dropped;
    pop();
  }
  queue_.push_back(item);
  bytes_ += item.bytes;
  if (!subscription_ids.empty()) ids_.emplace(std::pair(item.lsn, item.index), std::move(subscription_ids));
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

std::vector<std::uint32_t> SessionState::subscription_ids(const QueueItem& item) const {
  if (ids_.empty()) return {};
  auto found = ids_.find({item.lsn, item.index});
  return found == ids_.end() ? std::vector<std::uint32_t>() : found->second;
}

std::optional<Lsn> SessionState::lsn_needed() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.front().lsn;
}

void SessionState::encode(Writer& writer) const {
  writer.uvarint(tenant.value).sized(client_id).uvarint(number).uvarint(epoch).uvarint(expiry_s);
  writer.u8(connected ? 1 : 0).varint(closed_at_ms).uvarint(dropped);
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
  for (const auto& [key, ids] : ids_) {
    writer.uvarint(key.first.value).uvarint(key.second).uvarint(ids.size());
    for (std::uint32_t id : ids) writer.uvarint(id);
  }
}

std::optional<SessionState> SessionState::decode(Reader& reader) {
  SessionState session;
  session.tenant = TenantId(static_cast<std::uint32_t>(reader.uvarint()));
  session.client_id = reader.sized();
  session.hash = hash64(session.client_id) | 1;
  session.number = static_cast<std::uint32_t>(reader.uvarint());
  session.epoch = reader.uvarint();
  session.expiry_s = static_cast<std::uint32_t>(reader.uvarint());
  session.connected = reader.u8() != 0;
  session.closed_at_ms = reader.varint();
  session.dropped = reader.uvarint();
  const std::uint64_t subscriptions = reader.uvarint();
  for (std::uint64_t i = 0; i < subscriptions && reader.ok(); ++i) {
    SubscribeRequest request;
    request.filter = reader.sized();
    request.qos = reader.u8();
    const std::uint8_t flags = reader.u8();
    request.no_local = flags & 1;
    request.retain_as_published = flags & 2;
    request.retain_handling = reader.u8();
    request.subscription_id = static_cast<std::uint32_t>(reader.uvarint());
    std::string filter = request.filter;
    session.subscriptions.emplace(std::move(filter), std::move(request));
  }
  const std::uint64_t items = reader.uvarint();
  std::uint64_t lsn = 0;
  for (std::uint64_t i = 0; i < items && reader.ok(); ++i) {
    QueueItem item;
    item.lsn = Lsn(lsn += reader.uvarint());
    item.index = static_cast<std::uint32_t>(reader.uvarint());
    item.bytes = static_cast<std::uint32_t>(reader.uvarint());
    const std::uint8_t flags = reader.u8();
    item.qos = flags & 3;
    item.retain = flags & 4;
    item.settled = flags & 8;
    if (!session.queue_.empty() && !(session.queue_.back() < item)) reader.fail();
    session.queue_.push_back(item);
    if (!item.settled) session.bytes_ += item.bytes;
  }
  const std::uint64_t with_ids = reader.uvarint();
  for (std::uint64_t i = 0; i < with_ids && reader.ok(); ++i) {
    const Lsn at(reader.uvarint());
    const auto index = static_cast<std::uint32_t>(reader.uvarint());
    auto& ids = session.ids_[{at, index}];
    const std::uint64_t count = reader.uvarint();
    for (std::uint64_t k = 0; k < count && reader.ok(); ++k) {
      ids.push_back(static_cast<std::uint32_t>(reader.uvarint()));
    }
  }
  if (reader.failed()) return std::nullopt;
  return session;
}

}  // namespace stele::broker
