// The words that a queue's state (queue_state.h), its dispatch (queue_dispatch.h) and its shard have in
// common: messages by name, and the facts about them that a shard logs. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <variant>
#include <vector>

#include "model/ids.h"

namespace stele::broker::queue {

// A message of a queue: its level (its priority, as the queue keeps it), and its number there. Numbers are
// given by the order of arrival, are dense within a level, and are never given twice.
struct MessageKey {
  std::uint8_t level = 0;
  std::uint64_t number = 0;
  friend auto operator<=>(const MessageKey&, const MessageKey&) = default;
};

// The messages from `first` on, as far as they are there: [first, first + count).
struct KeyRange {
  std::uint8_t level = 0;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

// Extends the last range where it can.
inline void add_key(std::vector<KeyRange>& ranges, MessageKey key) {
  if (!ranges.empty() && ranges.back().level == key.level &&
      ranges.back().first + ranges.back().count == key.number) {
    ++ranges.back().count;
  } else {
    ranges.push_back({key.level, key.number, 1});
  }
}

// Where a message is in the shard's log.
struct Place {
  Lsn lsn;
  std::uint32_t index = 0;  // of the record in its entry
  friend auto operator<=>(const Place&, const Place&) = default;
};

inline constexpr std::int64_t kNever = INT64_MAX;

// Why a message left the queue. The last four are deaths, in the words of x-death. Values are in the log and
// in snapshots.
enum class Why : std::uint8_t {
  kSettled = 0,  // acknowledged, or delivered to who does not acknowledge
  kPurged = 1,
  kExpired = 2,
  kRejected = 3,
  kMaxLength = 4,
  kDeliveryLimit = 5,
};
inline constexpr std::size_t kWhys = 6;
constexpr bool is_death(Why why) {
  return why >= Why::kExpired;
}

// ---- facts: what an owner decided, to be logged and then applied ---------------------------------------

// They are gone; with a death and a dead-letter exchange, to there.
struct Removed {
  Why why = Why::kSettled;
  std::vector<KeyRange> messages;
  friend bool operator==(const Removed&, const Removed&) = default;
};

// They come back, to be given again before those that never were, in this order. A delivery that counts and
// is one too many for the queue's delivery limit is the message's death instead.
struct Returned {
  std::vector<MessageKey> messages;
  bool counts = true;  // as a delivery: false for what has never left
  friend bool operator==(const Returned&, const Returned&) = default;
};

using QueueFact = std::variant<Removed, Returned>;
using QueueFacts = std::vector<QueueFact>;

// ---- messages as they are told about --------------------------------------------------------------------

struct MessageInfo {
  MessageKey key;
  Place place;
  std::uint32_t bytes = 0;
  std::int64_t expires_at_ms = kNever;
  std::uint32_t deliveries = 0;  // that failed: x-delivery-count. After a take-over a lower bound
  bool redelivered = false;      // it may have been delivered before

  bool expired(WallTime now) const { return now.ms >= expires_at_ms; }
  friend bool operator==(const MessageInfo&, const MessageInfo&) = default;
};

// A message that died, until it is forwarded to the dead-letter exchange.
struct DeadLetter {
  std::uint64_t number = 0;  // in the order of dying; never given twice
  Place place;
  std::uint32_t bytes = 0;
  Why why = Why::kExpired;
  std::int64_t died_at_ms = 0;
  std::uint32_t deliveries = 0;
  friend bool operator==(const DeadLetter&, const DeadLetter&) = default;
};

}  // namespace stele::broker::queue
