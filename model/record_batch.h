// Kafka's RecordBatch, format 2 (KIP-98): the unit Stele stores, whoever published.
//
//   base offset 8 | length 4 | partition leader epoch 4 | magic 1 | CRC 4 | attributes 2 | last offset delta
//   4 | base timestamp 8 | max timestamp 8 | producer id 8 | producer epoch 2 | base sequence 4 | record
//   count 4 | records
//
// All big-endian. The CRC-32C runs from the attributes to the end, so base offset and leader epoch are set by
// the partition's owner without touching it. Pure; views point into the caller's bytes. Callable on any core.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/compression.h"
#include "model/ids.h"

namespace stele {

inline constexpr std::size_t kRecordBatchHeaderSize = 61;  // up to the first record
inline constexpr std::size_t kRecordBatchOverhead =
    12;  // base offset and length, which `length` does not count
inline constexpr std::int8_t kRecordBatchMagic = 2;
inline constexpr std::int64_t kNoProducerId = -1;
inline constexpr std::int16_t kNoProducerEpoch = -1;
inline constexpr std::int32_t kNoSequence = -1;
inline constexpr std::int64_t kNoTimestamp = -1;

struct RecordBatchHeader {
  Offset base_offset;
  std::int32_t length = 0;  // bytes after this field
  std::int32_t partition_leader_epoch = -1;
  std::int8_t magic = kRecordBatchMagic;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp_ms = kNoTimestamp;
  std::int64_t max_timestamp_ms = kNoTimestamp;
  std::int64_t producer_id = kNoProducerId;
  std::int16_t producer_epoch = kNoProducerEpoch;
  std::int32_t base_sequence = kNoSequence;
  std::int32_t record_count = 0;

  Compression compression() const {
    return static_cast<Compression>(attributes & 0x07);
  }  // checked when parsed
  bool log_append_time() const { return (attributes & 0x08) != 0; }  // else the producer's time
  bool transactional() const { return (attributes & 0x10) != 0; }
  bool control() const { return (attributes & 0x20) != 0; }
  bool has_delete_horizon() const {
    return (attributes & 0x40) != 0;
  }  // then base timestamp is that (KIP-534)
  bool has_producer_id() const { return producer_id != kNoProducerId; }
  std::size_t size() const { return kRecordBatchOverhead + static_cast<std::size_t>(length); }
  Offset last_offset() const { return base_offset + last_offset_delta; }
  Offset next_offset() const { return last_offset() + 1; }
  std::int32_t last_sequence() const;  // wraps from 2^31-1 to 0, as Kafka's does
};

// A batch and its parsed header. The bytes belong to the caller.
struct RecordBatchView {
  RecordBatchHeader header;
  std::string_view bytes;  // the whole batch

  std::string_view records() const {
    return bytes.substr(kRecordBatchHeaderSize);
  }  // as stored, perhaps compressed
};

// Reads the batch that `input` begins with; more may follow it. Checks what every later reader relies on:
// magic, length, a known codec, a count and an offset range that are not negative. Not the CRC. Errors:
// kUnsupported for magic 0 and 1, kMalformed for input that is cut short, kCorrupt for fields that make no
// sense.
Result<RecordBatchView> parse_record_batch(std::string_view input);

// kCorrupt when the batch's bytes do not fit its CRC.
Result<> check_crc(const RecordBatchView& batch);

// What a partition's owner writes into a batch it stores. Outside the CRC.
void set_base_offset(char* batch, Offset base_offset);
void set_partition_leader_epoch(char* batch, std::int32_t epoch);
// `message.timestamp.type=LogAppendTime`: all records get the owner's time. Inside the CRC, which is computed
// anew.
void set_log_append_time(std::span<char> batch, std::int64_t now_ms);

// A header of a record. A null value and an empty one differ in Kafka.
struct RecordHeader {
  std::string_view key;
  std::optional<std::string_view> value;
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

// The headers of one record, in order, read from its bytes one by one. Only made by RecordIterator, which has
// checked them.
class RecordHeaders {
 public:
  // Goes through them once: `while (auto header = cursor.next())`.
  class Cursor {
   public:
    explicit Cursor(const RecordHeaders& headers) : rest_(headers.bytes_), left_(headers.count_) {}
    std::optional<RecordHeader> next();

   private:
    std::string_view rest_;
    std::uint32_t left_;
  };

  RecordHeaders() = default;
  std::uint32_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  Cursor cursor() const { return Cursor(*this); }
  // The last one of that name, as Kafka's Headers.lastHeader.
  std::optional<RecordHeader> last(std::string_view key) const;

 private:
  friend class RecordIterator;
  RecordHeaders(std::string_view bytes, std::uint32_t count) : bytes_(bytes), count_(count) {}
  std::string_view bytes_;
  std::uint32_t count_ = 0;
};

struct RecordView {
  Offset offset;
  std::int64_t timestamp_ms = kNoTimestamp;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  RecordHeaders headers;
};

// Walks the records of a batch. `records` is the uncompressed section (records_of), the header gives offsets
// and timestamps. Usage:
//
//   RecordIterator it(batch.header, section);
//   while (it.next()) use(it.record());
//   STELE_CHECK(it.status());
//
// Never reads past the section. status() is an error when a record is damaged or their number is not the
// header's.
class RecordIterator {
 public:
  RecordIterator(const RecordBatchHeader& header, std::string_view records)
      : header_(header), rest_(records) {}
  bool next();
  const RecordView& record() const { return record_; }
  std::int32_t offset_delta() const { return offset_delta_; }
  Result<> status() const;

 private:
  bool read_record(std::string_view bytes);
  bool fail(const char* what);
  const RecordBatchHeader header_;
  std::string_view rest_;
  RecordView record_;
  std::int32_t offset_delta_ = 0;
  std::int32_t done_ = 0;
  const char* failure_ = nullptr;
};

// The uncompressed records section: a view of the batch itself, or of `scratch` when it had to be
// decompressed.
Result<std::string_view> records_of(const RecordBatchView& batch, std::size_t limit, std::string& scratch);

// What is checked of a batch that a client produced.
struct ProduceCheck {
  // Also decompress compressed batches and look at their records, as Kafka does. Without it only the records
  // of uncompressed batches are looked at, and a producer can store compressed records its consumers cannot
  // read.
  bool look_into_compressed = true;
  std::size_t decompressed_limit = 64 << 20;
  // Compacted topics: a record without key is refused.
  bool keys_required = false;
};

// Checks one produced batch: CRC (kCorrupt), no control batch, offset deltas dense from 0, count, sequence
// (kInvalidArgument), all records readable. `scratch` is for decompression and may be shared by calls.
Result<> check_produced_batch(const RecordBatchView& batch, const ProduceCheck& check, std::string& scratch);

// Cuts the `records` field of a Produce request into batches. next() is empty at the end; after an error it
// stays there. Does not check the batches further than parse_record_batch.
class RecordBatchSplitter {
 public:
  explicit RecordBatchSplitter(std::string_view records) : rest_(records) {}
  Result<std::optional<RecordBatchView>> next();

 private:
  std::string_view rest_;
};

// The only batch of a Produce request's `records`: since version 3 of the request there must be exactly one.
Result<RecordBatchView> single_produced_batch(std::string_view records);

}  // namespace stele
