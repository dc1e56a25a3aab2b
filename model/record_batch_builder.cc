#include "model/record_batch_builder.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/wire.h"

namespace stele {
namespace {

std::size_t uvarint_size(std::uint64_t value) {
  return static_cast<std::size_t>(std::bit_width(value | 1) + 6) / 7;
}
std::size_t varint_size(std::int64_t value) {
  return uvarint_size((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}
std::size_t nullable_size(std::optional<std::string_view> bytes) {
  if (!bytes) return varint_size(-1);
  return varint_size(static_cast<std::int64_t>(bytes->size())) + bytes->size();
}
void write_nullable(Writer& writer, std::optional<std::string_view> bytes) {
  if (!bytes) {
    writer.varint(-1);
  } else {
    writer.varint(static_cast<std::int64_t>(bytes->size())).bytes(*bytes);
  }
}

std::int16_t attributes_of(const RecordBatchOptions& options, Compression codec) {
  int attributes = static_cast<int>(codec);
  if (options.log_append_time) attributes |= 0x08;
  if (options.transactional) attributes |= 0x10;
  if (options.control) attributes |= 0x20;
  return static_cast<std::int16_t>(attributes);
}

// Kafka's differences of timestamps wrap as Java's long does.
std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

}  // namespace

void HeadersSize::add(std::string_view key, std::optional<std::string_view> value) {
  ++count_;
  bytes_ += nullable_size(key) + nullable_size(value);
}

RecordBatchBuilder::RecordBatchBuilder(std::string& out, const RecordBatchOptions& options)
    : out_(out), start_(out.size()), options_(options) {
  out_.append(kRecordBatchHeaderSize, '\0');
  record_end_ = out_.size();
  STELE_ASSERT(!options_.value_outside || options_.compression == Compression::kNone);
}

void RecordBatchBuilder::append(std::int64_t timestamp_ms, std::optional<std::string_view> key,
                                std::optional<std::string_view> value,
                                std::span<const RecordHeader> headers) {
  HeadersSize size;
  for (const RecordHeader& header : headers) size.add(header.key, header.value);
  begin_record(timestamp_ms, key, value, size);
  for (const RecordHeader& header : headers) add_header(header.key, header.value);
}

void RecordBatchBuilder::begin_record(std::int64_t timestamp_ms, std::optional<std::string_view> key,
                                      std::optional<std::string_view> value, const HeadersSize& headers) {
  STELE_ASSERT(!finished_ && headers_left_ == 0 && out_.size() == record_end_);
  STELE_ASSERT(!options_.value_outside || record_count_ == 0);
  if (record_count_ == 0) base_timestamp_ms_ = max_timestamp_ms_ = timestamp_ms;
  max_timestamp_ms_ = std::max(max_timestamp_ms_, timestamp_ms);
  std::int64_t timestamp_delta = difference(timestamp_ms, base_timestamp_ms_);
  std::size_t length = 1 + varint_size(timestamp_delta) + varint_size(record_count_) + nullable_size(key) +
                       nullable_size(value) + varint_size(headers.count()) + headers.bytes();
  record_end_ = out_.size() + varint_size(static_cast<std::int64_t>(length)) + length;
  Writer writer(out_);
  writer.varint(static_cast<std::int64_t>(length)).u8(0).varint(timestamp_delta).varint(record_count_);
  write_nullable(writer, key);
  if (options_.value_outside && value) {
    writer.varint(static_cast<std::int64_t>(value->size()));
    outside_ = *value;
    record_end_ -= outside_.size();
  } else {
    write_nullable(writer, value);
  }
  gap_ = out_.size();
  writer.varint(headers.count());
  ++record_count_;
  headers_left_ = headers.count();
}

void RecordBatchBuilder::add_header(std::string_view key, std::optional<std::string_view> value) {
  STELE_ASSERT(headers_left_ > 0);
  --headers_left_;
  Writer writer(out_);
  write_nullable(writer, key);
  write_nullable(writer, value);
  STELE_ASSERT(headers_left_ > 0 ? out_.size() <= record_end_ : out_.size() == record_end_);
}

Result<RecordBatchHeader> RecordBatchBuilder::finish() {
  STELE_ASSERT(!finished_ && record_count_ > 0 && headers_left_ == 0 && out_.size() == record_end_);
  finished_ = true;
  Compression codec = options_.compression;
  const std::size_t records_at = start_ + kRecordBatchHeaderSize;
  if (codec != Compression::kNone) {
    std::string compressed;
    STELE_CHECK(compress(codec, std::string_view(out_).substr(records_at), compressed));
    if (compressed.size() < out_.size() - records_at) {
      out_.replace(records_at, std::string::npos, compressed);
    } else {
      codec = Compression::kNone;
    }
  }
  RecordBatchHeader h;
  h.base_offset = options_.base_offset;
  h.length = static_cast<std::int32_t>(size() - kRecordBatchOverhead);
  h.partition_leader_epoch = options_.partition_leader_epoch;
  h.attributes = attributes_of(options_, codec);
  h.last_offset_delta = record_count_ - 1;
  h.base_timestamp_ms = base_timestamp_ms_;
  h.max_timestamp_ms = max_timestamp_ms_;
  h.producer_id = options_.producer_id;
  h.producer_epoch = options_.producer_epoch;
  h.base_sequence = options_.base_sequence;
  h.record_count = record_count_;
  char* p = out_.data() + start_;
  store_be(p, h.base_offset.value);
  store_be(p + 8, h.length);
  store_be(p + 12, h.partition_leader_epoch);
  store_be(p + 16, h.magic);
  store_be(p + 21, h.attributes);
  store_be(p + 23, h.last_offset_delta);
  store_be(p + 27, h.base_timestamp_ms);
  store_be(p + 35, h.max_timestamp_ms);
  store_be(p + 43, h.producer_id);
  store_be(p + 51, h.producer_epoch);
  store_be(p + 53, h.base_sequence);
  store_be(p + 57, h.record_count);
  const std::size_t gap = outside_.empty() ? out_.size() : gap_;
  h.crc = crc32c(std::string_view(out_).substr(start_ + 21, gap - start_ - 21));
  h.crc = crc32c(outside_, h.crc);
  h.crc = crc32c(std::string_view(out_).substr(gap), h.crc);
  store_be(p + 17, h.crc);
  return h;
}

void append_end_transaction(RecordBatchBuilder& builder, std::int64_t timestamp_ms, EndTransaction how,
                            std::int32_t coordinator_epoch) {
  char key[4];
  store_be(key, std::int16_t{0});  // version
  store_be(key + 2, static_cast<std::int16_t>(how));
  char value[6];
  store_be(value, std::int16_t{0});
  store_be(value + 2, coordinator_epoch);
  builder.append(timestamp_ms, std::string_view(key, sizeof key), std::string_view(value, sizeof value));
}

std::optional<EndTransaction> read_end_transaction(const RecordView& record) {
  if (!record.key || record.key->size() < 4) return std::nullopt;
  auto type = load_be<std::int16_t>(record.key->data() + 2);
  if (type != 0 && type != 1) return std::nullopt;
  return static_cast<EndTransaction>(type);
}

}  // namespace stele
