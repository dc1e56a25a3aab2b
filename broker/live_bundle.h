// Messages on their way to the live subscribers of another core, one behind the other in one block, so that
// one costs a copy and no allocation. For the many small and plain ones; others travel as LiveMail. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "base/bytes.h"
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
  std::size_t size() const { return size_; }

  // Calls `use(tenant, publisher_hash, message, owner)` for each message, in order; `owner` holds the
  // payload. The block is given up.
  template <class Use>
  void for_each(Use use) &&;

 private:
  struct Head {
    std::uint64_t publisher_hash;
    std::int64_t timestamp_ms;
    std::int64_t expires_at_ms;  // or kNever
    TenantId tenant;
    std::uint32_t payload_size;
    std::uint16_t address_size;
    std::uint8_t qos;
    bool retain;
    std::uint8_t payload_format;  // or kNone
  };
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  static constexpr std::uint8_t kNone = UINT8_MAX;

  Buffer block_;
  std::size_t size_ = 0;
};

template <class Use>
void LiveBundle::for_each(Use use) && {
  const Bytes all = std::move(block_).freeze(size_);
  for (std::size_t at = 0; at < all.size();) {
    Head head;
    std::memcpy(&head, all.data() + at, sizeof(head));
    const char* address = all.data() + at + sizeof(head);
    MessageView message;
    message.address = {address, head.address_size};
    message.payload = {address + head.address_size, head.payload_size};
    message.timestamp_ms = head.timestamp_ms;
    message.qos = head.qos;
    message.retain = head.retain;
    if (head.payload_format != kNone) message.payload_format = head.payload_format;
    if (head.expires_at_ms != kNever) message.expires_at_ms = head.expires_at_ms;
    use(head.tenant, head.publisher_hash, message, all);
    at += sizeof(head) + head.address_size + head.payload_size;
  }
}

}  // namespace stele::broker
