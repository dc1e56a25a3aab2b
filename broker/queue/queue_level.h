// The messages of one level of a queue: those that were never returned stand in the order of arrival, those
// that were in the order of return. Part of the state. Pure.
//
// Of a message that was returned there is a mark: how often its delivery failed, and its turn among the
// returned. Few have one; one costs some 60 bytes.
#pragma once

#include <absl/container/btree_map.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/wire.h"
#include "broker/queue/packed_messages.h"
#include "broker/queue/queue_values.h"

namespace stele::broker::queue {

class QueueLevel {
 public:
  struct Mark {
    std::uint32_t deliveries = 0;  // that failed
    std::uint64_t turn = 0;        // 0: never returned
    friend bool operator==(const Mark&, const Mark&) = default;
  };

  std::uint64_t size() const { return messages_.size(); }
  std::uint64_t bytes() const { return messages_.bytes(); }
  std::uint64_t next() const { return next_; }  // the number of the next one to arrive
  std::size_t marks() const { return marks_.size(); }
  std::size_t memory_bytes() const;
  std::optional<Lsn> lsn_needed() const;

  std::optional<MessageInfo> find(std::uint8_t level, std::uint64_t number) const;
  bool has(std::uint64_t number) const { return messages_.find(number).has_value(); }
  Mark mark(std::uint64_t number) const;
  // The first at or above `number` that was never returned.
  std::optional<MessageInfo> fresh_from(std::uint8_t level, std::uint64_t number) const;
  struct Turn {
    std::uint64_t turn;
    std::uint64_t number;
  };
  // The first of the returned whose turn is at or above `turn`.
  std::optional<Turn> returned_from(std::uint64_t turn) const;

  std::uint64_t push(Place place, std::uint32_t bytes, std::int64_t expires_at_ms);
  void return_to(std::uint64_t number, Mark mark);
  std::optional<StoredMessage> remove(std::uint64_t number);
  // Gives how many there were.
  std::uint64_t remove_range(std::uint64_t first, std::uint64_t end);
  std::optional<std::uint64_t> at_or_above(std::uint64_t number) const;
  // All that are here may have been delivered.
  void all_redelivered() { redelivered_below_ = next_; }

  // ---- records of a snapshot (docs/formats is the shard's; see queue_snapshot.cc)
  using Sink = std::function<void(std::string_view record)>;
  static constexpr std::uint64_t kPerRecord = 1024;
  void encode(std::uint8_t level, const Sink& sink) const;
  void decode_head(Reader& reader);
  void decode_messages(Reader& reader, Lsn end);
  void decode_marks(Reader& reader, std::uint64_t turns_end);

 private:
  MessageInfo info(std::uint8_t level, const StoredMessage& message, Mark mark) const;

  PackedMessages messages_;
  std::uint64_t next_ = 0;
  std::uint64_t redelivered_below_ = 0;
  absl::btree_map<std::uint64_t, Mark> marks_;              // by number
  absl::btree_map<std::uint64_t, std::uint64_t> returned_;  // number by turn; derived
};

// Messages as records have them; `before` goes along.
void encode_message(Writer& writer, const StoredMessage& message, StoredMessage& before);
// False if it makes no sense.
bool decode_message(Reader& reader, StoredMessage& before, StoredMessage& message);

}  // namespace stele::broker::queue
