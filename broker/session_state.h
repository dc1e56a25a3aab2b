// A persistent session as its shard's state machine knows it: subscriptions, and a queue of what is to be
// delivered. The messages themselves are in the shard's log. Pure.
//
// The queue is ordered by (LSN, index of the record). Messages are settled in any order: one in the middle is
// marked, and leaves when all before it are settled too.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/wire.h"
#include "broker/fifo.h"
#include "broker/subscription.h"
#include "model/ids.h"

namespace stele::broker {

// A place in a session's queue, counted from when the session was loaded: for the owner's own use, not part
// of the state.
using QueuePosition = std::uint64_t;

struct QueueItem {
  Lsn lsn;
  std::uint32_t index = 0;  // of the record in its entry
  std::uint32_t bytes = 0;
  std::uint8_t qos = 1;
  bool retain = false;
  bool settled = false;
  friend auto operator<=>(const QueueItem& a, const QueueItem& b) {
    return a.lsn != b.lsn ? a.lsn <=> b.lsn : a.index <=> b.index;
  }
  friend bool operator==(const QueueItem& a, const QueueItem& b) {
    return a.lsn == b.lsn && a.index == b.index;
  }
};

// A client id as publishers and no-local subscriptions compare it; never 0.
std::uint64_t client_hash(std::string_view client_id);

struct QueueLimits {
  std::uint64_t messages = UINT64_MAX;
  std::uint64_t bytes = UINT64_MAX;
  friend bool operator==(const QueueLimits&, const QueueLimits&) = default;
};

class SessionState {
 public:
  TenantId tenant;
  std::string client_id;
  std::uint32_t number = 0;    // within the shard; never used twice
  std::uint64_t hash = 0;      // of the client id, for no-local
  std::uint64_t epoch = 0;     // the LSN of its latest SessionOpened
  std::uint32_t expiry_s = 0;  // after the connection's end; UINT32_MAX: never
  bool connected = false;
  std::int64_t closed_at_ms = 0;
  Lsn sent_below;  // queued entries below it may have been sent to the client before
  std::map<std::string, SubscribeRequest, std::less<>> subscriptions;
  std::uint64_t dropped = 0;  // messages that the limits cost

  // When it is to be removed; INT64_MAX: not as things are.
  std::int64_t expires_at_ms() const {
    return connected || expiry_s == UINT32_MAX ? INT64_MAX : closed_at_ms + std::int64_t{expiry_s} * 1000;
  }
  bool expired(WallTime now) const { return now.ms >= expires_at_ms(); }

  // At the end; `item` is above all others. The oldest go when it does not fit; false if it can never fit.
  bool push(const QueueItem& item, std::span<const std::uint32_t> subscription_ids,
            const QueueLimits& limits);
  // Drops the oldest, at most `count`.
  void drop(std::size_t count);
  // False if it is not there (any more).
  bool settle(Lsn lsn, std::uint32_t index);

  QueuePosition first() const { return first_; }
  QueuePosition end() const { return first_ + queue_.size(); }
  const QueueItem& at(QueuePosition position) const { return queue_[position - first_]; }
  QueuePosition position_of(Lsn lsn) const;  // of the first item at or above it
  std::size_t queued() const { return queue_.size(); }
  std::uint64_t queued_bytes() const { return bytes_; }
  std::vector<std::uint32_t> subscription_ids(const QueueItem& item) const;
  std::optional<Lsn> lsn_needed() const;

  void encode(Writer& writer) const;
  // The reader has failed if it is none, or if it is not of a log that ends at `end`.
  static SessionState decode(Reader& reader, Lsn end);

  // The latest entry that put something in: spares the shard telling it twice. Derived, not state.
  Lsn told{UINT64_MAX};

 private:
  struct ItemId {  // a subscription id of an item; in the queue's order
    Lsn lsn;
    std::uint32_t index;
    std::uint32_t id;
  };
  void pop();
  void decode_queue(Reader& reader, Lsn end);

  Fifo<QueueItem> queue_;
  Fifo<ItemId> ids_;         // of the few items that have some
  std::uint64_t bytes_ = 0;  // of what is not settled
  QueuePosition first_ = 0;
};

}  // namespace stele::broker
