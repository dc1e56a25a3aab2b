// What a shard remembers of the idempotent producers (KIP-98) that wrote to its streams, so that a batch that
// is sent again is not stored again, and one that came out of turn is refused. Pure; part of the shard's
// state.
//
// The idea is Kafka's: of each producer and stream the last five batches are remembered, because a client has
// at most five requests in flight. A batch with the sequence numbers of one of them is that batch, sent
// again. Any other must go on exactly where the last one ended. A producer that is not known may begin
// anywhere (KIP-360): it was known once, perhaps, and has been forgotten.
//
// Producers are in the order of their last batch. At the limit the one that has been silent longest is
// forgotten for the next; who was silent for too long is forgotten by an entry of the log. Both depend on
// nothing but entries.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/wire.h"
#include "broker/entry.h"
#include "model/ids.h"

namespace stele::broker {

class ProducerTable {
 public:
  static constexpr std::size_t kWindow = 5;

  struct Written {  // a batch that is stored
    Offset base;
    Lsn lsn;
    WallTime time;  // of the shard
    std::int32_t last_sequence = 0;
    std::int32_t count = 0;
    friend bool operator==(const Written&, const Written&) = default;
  };

  struct Check {
    enum class What : std::uint8_t {
      kNext,
      kDuplicate,   // stored already, as `written`
      kOutOfOrder,  // neither what comes next nor one of the last ones
      kOldEpoch,
    };
    What what = What::kNext;
    Written written;
    std::int16_t epoch = -1;          // that the producer is known with; -1: it is not known
    std::int32_t last_sequence = -1;  // of that epoch
  };
  // One look-up.
  Check check(StreamId stream, const BatchProducer& batch) const;

  // The batch was stored. Any is taken: what must not be stored is found by check() before it is an entry.
  // `limit`: of all that are remembered.
  void wrote(StreamId stream, const BatchProducer& batch, Offset base, Lsn lsn, WallTime time,
             std::uint64_t limit);

  // Forgets the longest silent ones until so many are left.
  void shrink(std::uint64_t limit);
  // Forgets who has written nothing after that.
  void expire(WallTime silent_since);
  void forget_stream(StreamId stream);

  std::size_t size() const { return places_.size(); }
  // When the one that has been silent longest last wrote; none if there is none.
  std::optional<WallTime> oldest() const;
  std::uint64_t evicted() const { return evicted_; }  // ever, at the limit

  // In the order in which they last wrote. `each(encode)`: encode writes one producer.
  template <class Each>
  void encode(Each&& each) const {
    for (std::uint32_t at = first_; at != kNone; at = slots_[at].next) {
      each([this, at](Writer& writer) { encode_slot(writer, slots_[at]); });
    }
  }
  // One producer, the next in order. The reader has failed if it is none, or if it cannot be of a state at
  // (`end`, `time`). Answers its stream, and the offset behind its last batch.
  std::pair<StreamId, Offset> decode(Reader& reader, Lsn end, WallTime time);
  void set_evicted(std::uint64_t evicted) { evicted_ = evicted; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  using Key = std::pair<StreamId, std::int64_t>;
  struct Slot {
    Key key;
    std::uint32_t before = kNone, next = kNone;  // by their last batch
    std::int16_t epoch = 0;
    std::uint8_t count = 0;
    std::array<Written, kWindow> window;  // the oldest first
    const Written& last() const { return window[count - 1]; }
    void push(const Written& batch);
  };

  Slot& add(const Key& key);
  void remove(std::uint32_t at);
  void link_last(std::uint32_t at);
  void unlink(std::uint32_t at);
  static void encode_slot(Writer& writer, const Slot& slot);

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  absl::flat_hash_map<Key, std::uint32_t> places_;  // look-ups only
  std::uint32_t first_ = kNone, last_ = kNone;
  std::uint64_t evicted_ = 0;
};

}  // namespace stele::broker
