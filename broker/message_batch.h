// Messages as the batches that carry them between cores and into the log, and back. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/block_arena.h"
#include "broker/data.h"
#include "model/address.h"
#include "model/message.h"

namespace stele::broker {

// Both are slices of one piece of memory.
struct MessageBatch {
  Bytes address;
  Bytes batch;
  EntryRoom room{};
};

// The message as a batch of one record with the key that `rule` gives it. Its payload is copied once.
MessageBatch batch_of(const MessageView& message, const KeyRule& rule);
// The same for a log entry, with room for its head.
MessageBatch batch_for_entry(const MessageView& message, const KeyRule& rule, BlockArena& memory);

// What is decompressed of one batch at most.
inline constexpr std::size_t kMaxDecompressed = 64 << 20;

// Calls `use(message, owner, index)` for each record of a batch. `owner` holds the payload. The address of a
// message is `address`, unless `address_headers` allows each record to name its own; what begins with $ is
// MQTT's and never comes out of a foreign record's header. False if the batch cannot be read.
template <class Use>
bool for_each_message(const Bytes& batch, std::string_view address, bool address_headers, Use&& use);

namespace internal {
// The records section, decompressed into `scratch` if need be.
Result<Bytes> open_records(const Bytes& batch, RecordBatchView& view);
}  // namespace internal

template <class Use>
bool for_each_message(const Bytes& batch, std::string_view address, bool address_headers, Use&& use) {
  RecordBatchView view;
  auto owner = internal::open_records(batch, view);
  if (!owner) return false;
  const std::string_view section =
      view.header.compression() == Compression::kNone ? view.records() : owner->view();
  RecordIterator records(view.header, section);
  for (std::uint32_t index = 0; records.next(); ++index) {
    RecordMessage found = message_of(records.record(), address);
    if (found.address_from_header && (!address_headers || is_mqtt_only(found.message.address))) {
      found.message.address = address;
    }
    use(found.message, *owner, index);
  }
  return records.status().has_value();
}

}  // namespace stele::broker
