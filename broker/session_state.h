// A persistent session as its shard's state machine knows it: subscriptions, a queue of what is to be
// delivered, and the packet identifiers of QoS 2 both ways. The messages themselves are in the shard's log.
// Pure.
//
// The queue is ordered by (LSN, index of the record). Messages are settled in any order: one in the middle is
// marked, and leaves when all before it are settled too.
//
// QoS 2 (section 4.3.3 of MQTT 5.0). From the client: an identifier is *unreleased* from its message's entry
// until PUBREL. To the client: a queued message is *numbered* before it is sent; at PUBREC it leaves the
// queue, and its identifier is *releasing* until PUBCOMP.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fifo.h"
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
  std::uint16_t packet_id = 0;  // with QoS 2, once it is numbered
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
  // Drops the oldest, at most `count`. The identifier of one that is numbered is releasing from then on: the
  // client may have the message.
  void drop(std::size_t count);
  // False if it is not there (any more).
  bool settle(Lsn lsn, std::uint32_t index);

  // ---- QoS 2 from the client
  struct Unreleased {
    std::uint16_t id = 0;
    Lsn lsn;  // of the message's entry
  };
  const Unreleased* unreleased(std::uint16_t id) const;
  const std::vector<Unreleased>& all_unreleased() const { return unreleased_; }  // by identifier
  void receive(std::uint16_t id, Lsn lsn);
  // False if it is not there.
  bool release(std::uint16_t id);
  // The copy of a message for a further stream is in the log, and the message's entry is still to come.
  void note_copied(std::uint16_t id, StreamId stream);
  bool copied(std::uint16_t id, StreamId stream) const;

  // ---- QoS 2 to the client
  // Identifiers that the log gives; what an owner gives by itself (QoS 1) is below.
  static constexpr std::uint16_t kFirstNumber = 0x8000;
  // The one to give after `last`; what is given and not numbered yet must be passed on as `last`. There is
  // always one free, for less than kFirstNumber are in use.
  std::uint16_t free_id_after(std::uint16_t last) const;
  std::uint16_t last_number() const { return last_number_; }
  std::size_t numbers_in_use() const { return numbers_.size(); }
  // False if the identifier is in use. A message that is not there is left alone.
  bool give_number(Lsn lsn, std::uint32_t index, std::uint16_t id);
  // PUBREC: true if it was there and numbered.
  bool accept(Lsn lsn, std::uint32_t index);
  // In the order in which the client is to be told.
  const std::vector<std::uint16_t>& releasing() const { return releasing_; }
  void complete(std::uint16_t id);  // PUBCOMP

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
  static SessionState decode(Reader& reader, std::uint32_t version, Lsn end);

  // The latest entry that put something in: spares the shard telling it twice. Derived, not state.
  Lsn told{UINT64_MAX};

 private:
  struct ItemId {  // a subscription id of an item; in the queue's order
    Lsn lsn;
    std::uint32_t index;
    std::uint32_t id;
  };
  void pop();
  QueueItem* find(Lsn lsn, std::uint32_t index);  // what is not settled
  void mark_settled(QueueItem& item);
  void free_number(std::uint16_t id);
  bool take_number(std::uint16_t id);
  void encode_qos2(Writer& writer) const;
  void decode_queue(Reader& reader, std::uint32_t version, Lsn end);
  void decode_qos2(Reader& reader, Lsn end);

  Fifo<QueueItem> queue_;
  Fifo<ItemId> ids_;         // of the few items that have some
  std::uint64_t bytes_ = 0;  // of what is not settled
  QueuePosition first_ = 0;

  std::vector<Unreleased> unreleased_;  // by identifier
  std::uint16_t copying_ = 0;           // 0: none
  std::vector<StreamId> copied_;        // of that message
  std::vector<std::uint16_t> releasing_;
  std::uint16_t last_number_ = 0;
  std::vector<std::uint16_t> numbers_;  // of the queue and of releasing_, ordered; derived
};

}  // namespace stele::broker
