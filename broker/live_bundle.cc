#include "broker/live_bundle.h"

#include "base/assert.h"

namespace stele::broker {

bool LiveBundle::takes(const MessageView& message) {
  return message.user_properties.surely_none() && !message.content_type && !message.reply_to &&
         !message.correlation_id && sizeof(Head) + message.address.size() + message.payload.size() <= kSmall;
}

bool LiveBundle::append(TenantId tenant, std::uint64_t publisher_hash, const MessageView& message) {
  STELE_ASSERT(takes(message) && message.timestamp_ms != kNoTimestamp);
  if (sizeof(Head) + message.address.size() + message.payload.size() > block_.capacity() - size_)
    return false;
  const Head head{.publisher_hash = publisher_hash,
                  .timestamp_ms = message.timestamp_ms,
                  .expires_at_ms = message.expires_at_ms.value_or(kNever),
                  .tenant = tenant,
                  .payload_size = static_cast<std::uint32_t>(message.payload.size()),
                  .address_size = static_cast<std::uint16_t>(message.address.size()),
                  .qos = message.qos,
                  .retain = message.retain,
                  .payload_format = message.payload_format.value_or(kNone)};
  char* to = block_.data() + size_;
  std::memcpy(to, &head, sizeof(head));
  to += sizeof(head);
  std::memcpy(to, message.address.data(), message.address.size());
  to += message.address.size();
  if (!message.payload.empty()) std::memcpy(to, message.payload.data(), message.payload.size());
  size_ += sizeof(head) + message.address.size() + message.payload.size();
  return true;
}

}  // namespace stele::broker
