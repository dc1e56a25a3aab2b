// Messages on their way to the live subscribers of another core, one behind the other in one block, so that
// one costs a copy and no allocation. For the many small and plain ones; others travel as LiveMail. Pure.
//
// The block is the same on the wire (docs/formats/broker-rpc.md): a bundle for another node is sent as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/wire.h"
#include "model/ids.h"
#include "model/message.h"

namespace stele::broker {

class LiveBundle {
 public:
  static constexpr std::size_t kSmall = 4 << 10;
  static constexpr std::size_t kLarge = 64 << 10;

  explicit LiveBundle(std::size_t capacity) : block_(capacity) {}

  // Whether it may travel so: it has no properties but payload format and expiry, and is small enough.
  static bool takes(const MessageView& message);
  // False: no room. `message` is one that it takes, with a timestamp.
  bool append(TenantId tenant, std::uint64_t publisher_hash, const MessageView& message);
  std::size_t size() const { return size_ + received_.size(); }

  // The block as it is now; shares its memory.
  Bytes bytes() const { return size_ > 0 ? block_.slice(0, size_) : received_; }
  // What another node took; a slice of it is kept. kMalformed, unless each message in it is one that might
  // have been appended, from the first byte to the last. No more can be appended.
  static Result<LiveBundle> from(Bytes block);

  // Calls `use(tenant, publisher_hash, message, owner)` for each message, in order; `owner` holds the
  // payload. The block is given up.
  template <class Use>
  void for_each(Use use) &&;

 private:
  // Little-endian. What a later version appends to a message is between the payload and the next message.
  struct Head {
    static constexpr std::size_t kSize = 37;
    std::uint16_t size = 0;  // of the message in the block: from here to the next one
    std::uint16_t address_size = 0;
    std::uint16_t payload_size = 0;
    std::uint8_t qos = 0;
    std::uint8_t retain = 0;
    std::uint8_t payload_format = 0;  // or kNone
    TenantId tenant;
    std::uint64_t publisher_hash = 0;
    std::int64_t timestamp_ms = 0;
    std::int64_t expires_at_ms = 0;  // or kNever

    void store(char* to) const;
    static Head load(const char* from);
    std::size_t needed() const { return kSize + address_size + payload_size; }
  };
  static_assert(kSmall <= std::numeric_limits<std::uint16_t>::max());
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  static constexpr std::uint8_t kNone = UINT8_MAX;

  static bool makes_sense(const Head& head, std::string_view address);

  Buffer block_;
  std::size_t size_ = 0;
  Bytes received_;  // instead of the block
};

inline void LiveBundle::Head::store(char* to) const {
  store_le(to, size);
  store_le(to + 2, address_size);
  store_le(to + 4, payload_size);
  store_le(to + 6, qos);
  store_le(to + 7, retain);
  store_le(to + 8, payload_format);
  store_le(to + 9, tenant.value);
  store_le(to + 13, publisher_hash);
  store_le(to + 21, timestamp_ms);
  store_le(to + 29, expires_at_ms);
}

inline LiveBundle::Head LiveBundle::Head::load(const char* from) {
  return {.size = load_le<std::uint16_t>(from),
          .address_size = load_le<std::uint16_t>(from + 2),
          .payload_size = load_le<std::uint16_t>(from + 4),
          .qos = load_le<std::uint8_t>(from + 6),
          .retain = load_le<std::uint8_t>(from + 7),
          .payload_format = load_le<std::uint8_t>(from + 8),
          .tenant = TenantId(load_le<std::uint32_t>(from + 9)),
          .publisher_hash = load_le<std::uint64_t>(from + 13),
          .timestamp_ms = load_le<std::int64_t>(from + 21),
          .expires_at_ms = load_le<std::int64_t>(from + 29)};
}

template <class Use>
void LiveBundle::for_each(Use use) && {
  const Bytes all = size_ > 0 ? std::move(block_).freeze(size_) : std::move(received_);
  for (std::size_t at = 0; at < all.size();) {
    const Head head = Head::load(all.data() + at);
    const char* address = all.data() + at + Head::kSize;
    MessageView message;
    message.address = {address, head.address_size};
    message.payload = {address + head.address_size, head.payload_size};
    message.timestamp_ms = head.timestamp_ms;
    message.qos = head.qos;
    message.retain = head.retain != 0;
    if (head.payload_format != kNone) message.payload_format = head.payload_format;
    if (head.expires_at_ms != kNever) message.expires_at_ms = head.expires_at_ms;
    use(head.tenant, head.publisher_hash, message, all);
    at += head.size;
  }
}

}  // namespace stele::broker
