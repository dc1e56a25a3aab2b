#include "broker/live_bundle.h"

#include <cstring>

#include "base/assert.h"
#include "model/address.h"

namespace stele::broker {

bool LiveBundle::takes(const MessageView& message) {
  return message.user_properties.surely_none() && !message.content_type && !message.reply_to &&
         !message.correlation_id && Head::kSize + message.address.size() + message.payload.size() <= kSmall;
}

bool LiveBundle::append(TenantId tenant, std::uint64_t publisher_hash, const MessageView& message) {
  STELE_ASSERT(takes(message) && message.timestamp_ms != kNoTimestamp);
  const std::size_t size = Head::kSize + message.address.size() + message.payload.size();
  if (size > block_.capacity() - size_) return false;
  const Head head{.size = static_cast<std::uint16_t>(size),
                  .address_size = static_cast<std::uint16_t>(message.address.size()),
                  .payload_size = static_cast<std::uint16_t>(message.payload.size()),
                  .qos = message.qos,
                  .retain = static_cast<std::uint8_t>(message.retain ? 1 : 0),
                  .payload_format = message.payload_format.value_or(kNone),
                  .tenant = tenant,
                  .publisher_hash = publisher_hash,
                  .timestamp_ms = message.timestamp_ms,
                  .expires_at_ms = message.expires_at_ms.value_or(kNever)};
  char* to = block_.data() + size_;
  head.store(to);
  to += Head::kSize;
  if (!message.address.empty()) std::memcpy(to, message.address.data(), message.address.size());
  to += message.address.size();
  if (!message.payload.empty()) std::memcpy(to, message.payload.data(), message.payload.size());
  size_ += size;
  return true;
}

bool LiveBundle::makes_sense(const Head& head, std::string_view address) {
  return head.qos <= 2 && head.retain <= 1 && (head.payload_format <= 1 || head.payload_format == kNone) &&
         head.timestamp_ms != kNoTimestamp && check_address(address, true).has_value();
}

Result<LiveBundle> LiveBundle::from(Bytes block) {
  for (std::string_view rest = block.view(); !rest.empty();) {
    const auto refused = [] { return error(ErrorCode::kMalformed, "a bundle of messages makes no sense"); };
    if (rest.size() < Head::kSize) return refused();
    const Head head = Head::load(rest.data());
    if (head.size < head.needed() || head.size > rest.size()) return refused();
    if (!makes_sense(head, rest.substr(Head::kSize, head.address_size))) return refused();
    rest.remove_prefix(head.size);
  }
  LiveBundle bundle(0);
  bundle.received_ = std::move(block);
  return bundle;
}

}  // namespace stele::broker
