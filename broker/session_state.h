// A persistent session as its shard's state machine knows it: subscriptions, and a queue of what is to be
// delivered. The messages themselves are in the shard's log. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/wire.h"
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

struct QueueLimits {
  std::uint64_t messages = UINT64_MAX;
  std::uint64_t bytes = UINT64_MAX;
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
  std::map<std::string, SubscribeRequest, std::less<>> subscriptions;
  std::uint64_t dropped = 0;  // messages that the limits cost

  bool expired(WallTime now) const {
    return !connected && expiry_s != UINT32_MAX && now.ms >= closed_at_ms + std::int64_t{expiry_s} * 1000;
  }

  // At the end; `item` is above all others. The oldest go when it does not fit.
  void push(const QueueItem& item, std::vector<std::uint32_t> subscription_ids, const QueueLimits& limits);
  // False if it is not there (any more).
  bool settle(Lsn lsn, std::uint32_t index);

  QueuePosition first() const { return first_; }
  QueuePosition end() const { return first_ + queue_.size(); }
  const QueueItem& at(QueuePosition position) const { return queue_[position - first_]; }
  std::size_t queued() const { return queue_.size(); }
  std::uint64_t queued_bytes() const { return bytes_; }
  std::vector<std::uint32_t> subscription_ids(const QueueItem& item) const;
  std::optional<Lsn> lsn_needed() const;

  void encode(Writer& writer) const;
  static std::optional<SessionState> decode(Reader& reader);

 private:
  void pop();
  std::deque<QueueItem> queue_;
  // Of the few items that have some.
  std::map<std::pair<Lsn, std::uint32_t>, std::vector<std::uint32_t>> ids_;
  std::uint64_t bytes_ = 0;  // of what is not settled
  QueuePosition first_ = 0;
};

}  // namespace stele::broker
