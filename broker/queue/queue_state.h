// What a shard knows of an AMQP queue for good: which messages are in it, in which order, how often each has
// failed, and which dead letters are not forwarded yet. It is a fold over what the shard logs: the same facts
// give the same state, and one hash. The messages themselves are in the shard's log. Pure.
//
// Who consumes, and what has been given to whom and is not settled, is not here but in the owner's dispatch
// (queue_dispatch.h), and ends with the owner. So a message that is out with a consumer is, here, one of the
// queue; and whatever depends on who has what (which messages are ready and so may expire, overflow or be
// purged) is decided by the dispatch and logged as a fact that names messages.
//
// Facts that name messages which are not there (any more) do nothing: nobody settles a message twice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/wire.h"
#include "broker/queue/packed_messages.h"
#include "broker/queue/queue_level.h"
#include "broker/queue/queue_options.h"
#include "broker/queue/queue_values.h"

namespace stele::broker::queue {

// A message as its entry brings it.
struct Arrival {
  Place place;
  std::uint32_t bytes = 0;  // of its body
  std::uint8_t priority = 0;
  std::optional<std::int64_t> ttl_ms;  // its own
};

// Over the queue's life. None of them goes back.
struct QueueCounts {
  std::uint64_t arrived = 0;
  std::uint64_t refused = 0;                // by x-overflow
  std::array<std::uint64_t, kWhys> left{};  // by Why
  std::uint64_t forwarded = 0;              // dead letters
  std::uint64_t lost = 0;                   // likewise: their exchange was taken away, or there were too many
  friend bool operator==(const QueueCounts&, const QueueCounts&) = default;
};

class QueueState {
 public:
  using Levels = std::map<std::uint8_t, QueueLevel, std::greater<>>;

  QueueState() = default;
  explicit QueueState(QueueOptions options) : options_(std::move(options)) {}

  const QueueOptions& options() const { return options_; }
  const QueueCounts& counts() const { return counts_; }
  Epoch epoch() const { return epoch_; }
  // What is in the queue, settled or not given yet; without dead letters.
  std::uint64_t size() const { return size_; }
  std::uint64_t bytes() const { return bytes_; }
  std::optional<MessageInfo> find(MessageKey key) const;
  bool has(MessageKey key) const;
  // The highest first; they stay when they are empty.
  const Levels& levels() const { return levels_; }
  std::uint64_t next_turn() const { return next_turn_; }

  // ---- facts, in the log's order; `now` is the time of the entry

  // A message arrived: where its entry is applied. Places ascend.
  MessageKey enqueue(const Arrival& arrival, WallTime now);
  // It would have, but the owner found no room (QueueDispatch::refuses): with reject-publish-dlx it is a dead
  // letter.
  void refuse(const Arrival& arrival, WallTime now);
  void apply(const QueueFact& fact, WallTime now);
  // Dead letters [first, first + count) are where they belong, or have no place to go and need none.
  void forwarded(std::uint64_t first, std::uint64_t count);
  // Policies have changed. What makes the queue another one, its type, its levels and the single active
  // consumer, stays.
  void set_options(QueueOptions options);
  // Another owner: whatever is here may have been delivered.
  void take_over(Epoch epoch);

  // ---- dead letters: those to be forwarded, in the order of dying

  std::uint64_t dead_letters() const { return dead_.size(); }
  std::uint64_t dead_letter_bytes() const { return dead_.bytes(); }
  // The first at or above that number.
  std::optional<DeadLetter> dead_letter_from(std::uint64_t number) const;
  // With at-least-once, dead letters count towards the queue's length.
  std::uint64_t counted_dead() const { return options_.at_least_once() ? dead_.size() : 0; }
  std::uint64_t counted_dead_bytes() const { return options_.at_least_once() ? dead_.bytes() : 0; }

  // The lowest LSN that holds a message which is still needed; none: none does.
  std::optional<Lsn> lsn_needed() const;
  // About what all this takes. The shard bounds the sum over its queues (docs/queues.md).
  std::size_t memory_bytes() const;
  std::uint64_t hash() const;

  // ---- snapshots: records, each whole in itself, in this order
  using Sink = QueueLevel::Sink;
  void encode(const Sink& sink) const;

  // How many facts were applied here since it was loaded: not state. Lets a dispatch notice that one of its
  // facts was not.
  std::uint64_t facts() const { return facts_; }

 private:
  friend class QueueStateDecoder;
  std::int64_t expiry(const Arrival& arrival, WallTime now) const;
  void remove(const Removed& removed, WallTime now);
  void give_back(const Returned& returned, WallTime now);
  void bury(const StoredMessage& message, std::uint32_t deliveries, Why why, WallTime now);
  void gone(const StoredMessage& message, std::uint32_t deliveries, Why why, WallTime now);
  void encode_head(const Sink& sink) const;
  void encode_dead(const Sink& sink) const;
  void decode_head(Reader& reader);
  void decode_dead(Reader& reader, Lsn end);

  QueueOptions options_;
  Epoch epoch_;
  Levels levels_;
  std::uint64_t size_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_turn_ = 1;  // of returned messages, over all levels
  PackedMessages dead_;          // the tag has Why and deliveries
  std::uint64_t next_dead_ = 0;
  QueueCounts counts_;
  std::uint64_t facts_ = 0;
};

// Takes the records that a state was encoded in.
class QueueStateDecoder {
 public:
  // The snapshot is of a log that ends at `end`.
  explicit QueueStateDecoder(Lsn end) : end_(end) {}
  // One record. The reader has failed if it is none, or none that fits here.
  void add(Reader& reader);
  // All of them were here.
  bool done() const { return done_; }
  // Of what is done().
  QueueState take();

 private:
  Lsn end_;
  QueueState state_;
  std::optional<std::uint8_t> level_;
  std::uint8_t before_ = 0;
  bool done_ = false;
};

}  // namespace stele::broker::queue
