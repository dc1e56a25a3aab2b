// A queue's options in a snapshot: flags for what is there, then what is.
#include "broker/queue/queue_options.h"

namespace stele::broker::queue {

namespace {

enum OptionFlag : std::uint16_t {
  kHasTtl = 1,
  kHasExpires = 2,
  kHasLength = 4,
  kHasBytes = 8,
  kHasDeliveries = 16,
  kHasTimeout = 32,
  kHasExchange = 64,
  kHasKey = 128,
  kHasPriority = 256,
  kSingleActive = 512,
  kAllFlags = 1023,
};

std::uint32_t small(Reader& reader) {
  const std::uint64_t value = reader.uvarint();
  if (value > UINT32_MAX) reader.fail();
  return static_cast<std::uint32_t>(value);
}

std::int64_t time(Reader& reader) {
  const std::int64_t ms = reader.varint();
  if (ms < 0 || ms > std::int64_t{1} << 60) reader.fail();
  return ms;
}

}  // namespace

void encode_options(Writer& writer, const QueueOptions& options) {
  const auto flags = static_cast<std::uint16_t>(
      (options.message_ttl_ms ? kHasTtl : 0) | (options.expires_ms ? kHasExpires : 0) |
      (options.max_length ? kHasLength : 0) | (options.max_length_bytes ? kHasBytes : 0) |
      (options.delivery_limit ? kHasDeliveries : 0) | (options.consumer_timeout_ms ? kHasTimeout : 0) |
      (options.dead_letter_exchange ? kHasExchange : 0) | (options.dead_letter_key ? kHasKey : 0) |
      (options.max_priority ? kHasPriority : 0) | (options.single_active_consumer ? kSingleActive : 0));
  writer.le(flags);
  if (options.message_ttl_ms) writer.varint(*options.message_ttl_ms);
  if (options.expires_ms) writer.varint(*options.expires_ms);
  if (options.max_length) writer.uvarint(*options.max_length);
  if (options.max_length_bytes) writer.uvarint(*options.max_length_bytes);
  if (options.delivery_limit) writer.uvarint(*options.delivery_limit);
  if (options.consumer_timeout_ms) writer.varint(*options.consumer_timeout_ms);
  if (options.dead_letter_exchange) writer.sized(*options.dead_letter_exchange);
  if (options.dead_letter_key) writer.sized(*options.dead_letter_key);
  if (options.max_priority) writer.u8(*options.max_priority);
  writer.u8(static_cast<std::uint8_t>(options.overflow));
  writer.u8(static_cast<std::uint8_t>(options.dead_letter_strategy));
  writer.u8(static_cast<std::uint8_t>(options.type)).uvarint(options.dead_letters_max);
}

QueueOptions decode_options(Reader& reader) {
  QueueOptions options;
  const auto flags = reader.le<std::uint16_t>();
  if (flags & ~kAllFlags) reader.fail();
  if (flags & kHasTtl) options.message_ttl_ms = time(reader);
  if (flags & kHasExpires) options.expires_ms = time(reader);
  if (flags & kHasLength) options.max_length = reader.uvarint();
  if (flags & kHasBytes) options.max_length_bytes = reader.uvarint();
  if (flags & kHasDeliveries) options.delivery_limit = small(reader);
  if (flags & kHasTimeout) options.consumer_timeout_ms = time(reader);
  if (flags & kHasExchange) options.dead_letter_exchange = reader.sized();
  if (flags & kHasKey) options.dead_letter_key = reader.sized();
  if (flags & kHasPriority) options.max_priority = reader.u8();
  options.single_active_consumer = flags & kSingleActive;
  const std::uint8_t overflow = reader.u8();
  const std::uint8_t strategy = reader.u8();
  const std::uint8_t type = reader.u8();
  if (overflow > 2 || strategy > 1 || type > 2) reader.fail();
  options.overflow = static_cast<Overflow>(overflow);
  options.dead_letter_strategy = static_cast<DeadLetterStrategy>(strategy);
  options.type = static_cast<QueueType>(type);
  options.dead_letters_max = reader.uvarint();
  return options;
}

}  // namespace stele::broker::queue
