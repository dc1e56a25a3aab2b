#include "model/record_batch.h"

#include <climits>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/wire.h"

namespace stele {
namespace {

constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kLeaderEpochAt = 12;
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kAttributesAt = 21;
constexpr std::size_t kMaxTimestampAt = 35;
constexpr std::int16_t kLogAppendTimeBit = 0x08;

// Kafka's VARINT is 32 bits in at most 5 bytes; a longer form is refused by its Java client, so it must not
// be stored. Reader::varint would take it.
std::int32_t varint32(Reader& reader) {
  std::uint32_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    std::uint8_t byte = reader.u8();
    if (shift == 28 && byte > 0x0f) break;
    value |= std::uint32_t(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return static_cast<std::int32_t>((value >> 1) ^ (~(value & 1) + 1));
  }
  reader.fail();
  return 0;
}

// VARINT length, -1 for null, then the bytes.
std::optional<std::string_view> nullable_bytes(Reader& reader) {
  std::int32_t length = varint32(reader);
  if (length == -1) return std::nullopt;
  if (length < 0) reader.fail();
  return reader.bytes(static_cast<std::size_t>(length));
}

bool skip_headers(Reader& reader, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    if (!nullable_bytes(reader)) reader.fail();  // a header's key is never null
    nullable_bytes(reader);
  }
  return reader.ok();
}

RecordBatchHeader read_header(std::string_view input) {
  Reader reader(input);
  RecordBatchHeader h;
  h.base_offset = Offset(reader.be<std::int64_t>());
  h.length = reader.be<std::int32_t>();
  h.partition_leader_epoch = reader.be<std::int32_t>();
  h.magic = reader.be<std::int8_t>();
  h.crc = reader.u32_be();
  h.attributes = reader.be<std::int16_t>();
  h.last_offset_delta = reader.be<std::int32_t>();
  h.base_timestamp_ms = reader.be<std::int64_t>();
  h.max_timestamp_ms = reader.be<std::int64_t>();
  h.producer_id = reader.be<std::int64_t>();
  h.producer_epoch = reader.be<std::int16_t>();
  h.base_sequence = reader.be<std::int32_t>();
  h.record_count = reader.be<std::int32_t>();
  return h;
}

}  // namespace

std::int32_t RecordBatchHeader::last_sequence() const {
  if (base_sequence == kNoSequence) return kNoSequence;
  std::int64_t last = std::int64_t{base_sequence} + last_offset_delta;
  return static_cast<std::int32_t>(last <= INT_MAX ? last : last - INT_MAX - 1);
}

Result<RecordBatchView> parse_record_batch(std::string_view input) {
  if (input.size() <= kMagicAt) return error(ErrorCode::kMalformed, "a record batch that is cut short");
  // The magic byte has the same place in all formats; only then are the other fields known to be where we
  // look.
  int magic = static_cast<std::int8_t>(input[kMagicAt]);
  if (magic == 0 || magic == 1) {
    return error(ErrorCode::kUnsupported,
                 "message format " + std::to_string(magic) +
                     " is not supported: use a client of Kafka 0.11 or later (format 2)");
  }
  if (magic != kRecordBatchMagic) {
    return error(ErrorCode::kCorrupt, "a record batch with magic " + std::to_string(magic));
  }
  auto length = load_be<std::int32_t>(input.data() + kLengthAt);
  if (length < 0 || std::size_t(length) < kRecordBatchHeaderSize - kRecordBatchOverhead) {
    return error(ErrorCode::kCorrupt, "a record batch of length " + std::to_string(length));
  }
  if (std::size_t(length) > input.size() - kRecordBatchOverhead) {
    return error(ErrorCode::kMalformed,
                 "a record batch that is cut short: " + std::to_string(input.size() - kRecordBatchOverhead) +
                     " of " + std::to_string(length) + " bytes");
  }
  RecordBatchView batch{read_header(input), input.substr(0, kRecordBatchOverhead + std::size_t(length))};
  const RecordBatchHeader& h = batch.header;
  if (!compression_from(h.attributes & 0x07)) {
    return error(ErrorCode::kUnsupported,
                 "a record batch with compression codec " + std::to_string(h.attributes & 0x07));
  }
  if (h.record_count < 0 || h.last_offset_delta < 0) {
    return error(ErrorCode::kCorrupt, "a record batch of " + std::to_string(h.record_count) +
                                          " records and last offset delta " +
                                          std::to_string(h.last_offset_delta));
  }
  if (h.base_offset.value < 0 || h.base_offset.value > INT64_MAX - h.last_offset_delta - 1) {
    return error(ErrorCode::kCorrupt,
                 "a record batch with base offset " + std::to_string(h.base_offset.value));
  }
  return batch;
}

Result<> check_crc(const RecordBatchView& batch) {
  std::uint32_t computed = crc32c(batch.bytes.substr(kAttributesAt));
  if (computed == batch.header.crc) return {};
  return error(ErrorCode::kCorrupt, "a record batch with CRC " + std::to_string(batch.header.crc) +
                                        " whose bytes have " + std::to_string(computed));
}

void set_base_offset(char* batch, Offset base_offset) {
  store_be(batch, base_offset.value);
}
void set_partition_leader_epoch(char* batch, std::int32_t epoch) {
  store_be(batch + kLeaderEpochAt, epoch);
}

void set_log_append_time(std::span<char> batch, std::int64_t now_ms) {
  STELE_ASSERT(batch.size() >= kRecordBatchHeaderSize);
  auto attributes = load_be<std::int16_t>(batch.data() + kAttributesAt);
  store_be(batch.data() + kAttributesAt, static_cast<std::int16_t>(attributes | kLogAppendTimeBit));
  store_be(batch.data() + kMaxTimestampAt, now_ms);
  store_be(batch.data() + kCrcAt, crc32c(std::string_view(batch.data(), batch.size()).substr(kAttributesAt)));
}

std::optional<RecordHeader> RecordHeaders::Cursor::next() {
  if (left_ == 0) return std::nullopt;
  --left_;
  Reader reader(rest_);
  RecordHeader header;
  header.key = nullable_bytes(reader).value_or(std::string_view());
  header.value = nullable_bytes(reader);
  STELE_ASSERT(reader.ok());  // RecordIterator has read them
  rest_ = reader.rest();
  return header;
}

std::optional<RecordHeader> RecordHeaders::last(std::string_view key) const {
  std::optional<RecordHeader> found;
  Cursor cursor(*this);
  while (auto header = cursor.next()) {
    if (header->key == key) found = header;
  }
  return found;
}

bool RecordIterator::fail(const char* what) {
  failure_ = what;
  rest_ = {};
  return false;
}

bool RecordIterator::next() {
  if (failure_ || done_ == header_.record_count) return false;
  Reader reader(rest_);
  std::int32_t length = varint32(reader);
  if (reader.failed() || length < 0) return fail("a record's length");
  std::string_view bytes = reader.bytes(static_cast<std::size_t>(length));
  if (reader.failed()) return fail("a record that reaches beyond its batch");
  if (!read_record(bytes)) return false;
  rest_ = reader.rest();
  ++done_;
  return true;
}

bool RecordIterator::read_record(std::string_view bytes) {
  Reader reader(bytes);
  reader.u8();  // attributes: none are defined
  std::int64_t timestamp_delta = reader.varint();
  offset_delta_ = varint32(reader);
  record_.key = nullable_bytes(reader);
  record_.value = nullable_bytes(reader);
  std::int32_t headers = varint32(reader);
  if (reader.failed()) return fail("a record's fields");
  if (headers < 0) return fail("a record's header count");
  std::string_view header_bytes = reader.rest();
  if (!skip_headers(reader, static_cast<std::uint32_t>(headers))) return fail("a record's headers");
  if (!reader.at_end()) return fail("bytes after a record's headers");
  if (offset_delta_ < 0 || offset_delta_ > header_.last_offset_delta) return fail("a record's offset delta");
  record_.headers = RecordHeaders(header_bytes, static_cast<std::uint32_t>(headers));
  record_.offset = header_.base_offset + offset_delta_;
  // Unsigned: a hostile delta may overflow, and that is a strange timestamp and not our problem.
  record_.timestamp_ms =
      header_.log_append_time()
          ? header_.max_timestamp_ms
          : static_cast<std::int64_t>(static_cast<std::uint64_t>(header_.base_timestamp_ms) +
                                      static_cast<std::uint64_t>(timestamp_delta));
  return true;
}

Result<> RecordIterator::status() const {
  auto invalid = [&](std::string_view what) {
    return error(ErrorCode::kInvalidArgument, "record " + std::to_string(done_) + " of a batch of " +
                                                  std::to_string(header_.record_count) + ": " +
                                                  std::string(what));
  };
  if (failure_) return invalid(failure_);
  if (done_ == header_.record_count && !rest_.empty())
    return invalid("more bytes than the batch has records");
  return {};
}

Result<std::string_view> records_of(const RecordBatchView& batch, std::size_t limit, std::string& scratch) {
  Compression codec = batch.header.compression();
  if (codec == Compression::kNone) return batch.records();
  scratch.clear();
  STELE_CHECK(decompress(codec, batch.records(), limit, scratch));
  return std::string_view(scratch);
}

namespace {

std::unexpected<Error> invalid(std::string what) {
  return error(ErrorCode::kInvalidArgument, std::move(what));
}

// The checks of Kafka's LogValidator.validateBatch.
Result<> check_produced_header(const RecordBatchHeader& h) {
  if (h.control()) return invalid("clients may not write control batches");
  if (h.record_count == 0) return invalid("a record batch without records");
  if (std::int64_t{h.last_offset_delta} + 1 != h.record_count) {
    return invalid("a record batch of " + std::to_string(h.record_count) +
                   " records whose last offset delta is " + std::to_string(h.last_offset_delta));
  }
  if (h.has_producer_id() && h.producer_id < 0)
    return invalid("producer id " + std::to_string(h.producer_id));
  if (h.has_producer_id() && h.producer_epoch < 0) {
    return invalid("producer epoch " + std::to_string(h.producer_epoch) + " of producer " +
                   std::to_string(h.producer_id));
  }
  if (h.has_producer_id() && h.base_sequence < 0) {
    return invalid("sequence number " + std::to_string(h.base_sequence) + " of producer " +
                   std::to_string(h.producer_id));
  }
  if (h.transactional() && !h.has_producer_id()) return invalid("a transactional batch without producer id");
  return {};
}

}  // namespace

Result<> check_produced_batch(const RecordBatchView& batch, const ProduceCheck& check, std::string& scratch) {
  STELE_CHECK(check_crc(batch));
  STELE_CHECK(check_produced_header(batch.header));
  if (batch.header.compression() != Compression::kNone && !check.look_into_compressed) return {};
  STELE_TRY(std::string_view records, records_of(batch, check.decompressed_limit, scratch));
  RecordIterator it(batch.header, records);
  std::int32_t expected = 0;
  while (it.next()) {
    if (it.offset_delta() != expected) {
      return invalid("record " + std::to_string(expected) + " has offset delta " +
                     std::to_string(it.offset_delta()) + "; they must be dense");
    }
    if (check.keys_required && !it.record().key) {
      return invalid("record " + std::to_string(expected) + " has no key, and its topic is compacted");
    }
    ++expected;
  }
  return it.status();
}

Result<std::optional<RecordBatchView>> RecordBatchSplitter::next() {
  if (rest_.empty()) return std::nullopt;
  STELE_TRY(RecordBatchView batch, parse_record_batch(rest_));
  rest_.remove_prefix(batch.bytes.size());
  return batch;
}

Result<RecordBatchView> single_produced_batch(std::string_view records) {
  if (records.empty()) return invalid("a Produce request without a record batch");
  STELE_TRY(RecordBatchView batch, parse_record_batch(records));
  if (batch.bytes.size() != records.size()) return invalid("more than one record batch for a partition");
  return batch;
}

}  // namespace stele
