// Content on its way into a shard.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/hash.h"
#include "model/ids.h"

namespace stele::broker {

// What a publisher is known by for no-local; never 0.
inline std::uint64_t publisher_hash_of(std::string_view client_id) {
  return hash64(client_id) | 1;
}

// What tells a QoS 2 message from one that was sent before, for a client whose session outlives its
// connection: the session by its number in its shard, its epoch, and the packet identifier.
struct OnceId {
  std::uint32_t session = 0;
  std::uint64_t epoch = 0;
  std::uint16_t packet_id = 0;
};

// The memory that a batch lies in, for the one entry that is made around it: the entry's head is written in
// front of the batch, and what the partition's owner decides into its first bytes. Whoever filled the memory
// hands this on together with the batch; a copy of it is empty, for only one may write.
class EntryRoom {
 public:
  EntryRoom() = default;
  // `whole` ends with the batch, which begins at `batch`; `free` bytes before that are nobody's.
  EntryRoom(Bytes whole, char* batch, std::size_t free)
      : whole_(std::move(whole)), batch_(batch), free_(free) {}
  EntryRoom(const EntryRoom&) noexcept {}
  EntryRoom(EntryRoom&& other) noexcept
      : whole_(std::move(other.whole_)), batch_(other.batch_), free_(other.free_) {}
  EntryRoom& operator=(EntryRoom other) noexcept {
    whole_ = std::move(other.whole_);
    batch_ = other.batch_;
    free_ = other.free_;
    return *this;
  }
  ~EntryRoom() = default;

  bool fits(std::size_t head) const { return !whole_.empty() && head <= free_; }
  char* batch() { return batch_; }
  // The batch with that much before it.
  Bytes entry(std::size_t head) && {
    const Bytes whole = std::exchange(whole_, {});
    return whole.slice(static_cast<std::size_t>(batch_ - head - whole.data()));
  }

 private:
  Bytes whole_;
  char* batch_ = nullptr;
  std::size_t free_ = 0;
};

// What is committed in a home shard: one message as a batch of one record, or a Kafka producer's batch.
struct Data {
  TenantId tenant;
  bool kafka_batch = false;
  bool retain = false;
  bool address_headers_allowed =
      false;                     // header mqtt.topic of its records counts (the producer may publish there)
  bool keyed_by_address = true;  // the record's key is the address
  std::uint8_t qos = 1;
  std::uint64_t publisher_hash = 0;  // hash of the publisher's client id, for no-local; 0: none
  std::optional<StreamId> stream;    // which must be one of the shard it is sent to
  Bytes address;                     // in MQTT form; of a Kafka batch its topic's
  Bytes batch;
  EntryRoom room{};  // where the batch lies, if it may still be changed
};

}  // namespace stele::broker
