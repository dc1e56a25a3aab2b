// Writing of record batches. A builder appends one batch to a string it does not own, so that a batch is
// built in the place it is sent or stored from. Used by one core at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/compression.h"
#include "model/ids.h"
#include "model/record_batch.h"

namespace stele {

struct RecordBatchOptions {
  Offset base_offset;
  std::int32_t partition_leader_epoch = -1;
  Compression compression = Compression::kNone;
  bool log_append_time = false;
  bool transactional = false;
  bool control = false;
  std::int64_t producer_id = kNoProducerId;
  std::int16_t producer_epoch = kNoProducerEpoch;
  std::int32_t base_sequence = kNoSequence;
  // For one record with a large value that already lies in a buffer of its own: the value is left out of the
  // batch's bytes, counted in its length and CRC, and belongs at value_gap(). One record, uncompressed.
  bool value_outside = false;
};

// What the headers of one record will take. Counted before they are written, because a record begins with its
// length.
class HeadersSize {
 public:
  void add(std::string_view key, std::optional<std::string_view> value);
  std::uint32_t count() const { return count_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::uint32_t count_ = 0;
  std::size_t bytes_ = 0;
};

class RecordBatchBuilder {
 public:
  // The batch begins at the end of `out`, which nobody else may append to until finish().
  RecordBatchBuilder(std::string& out, const RecordBatchOptions& options);
  RecordBatchBuilder(const RecordBatchBuilder&) = delete;
  RecordBatchBuilder& operator=(const RecordBatchBuilder&) = delete;

  // Adds a record; its offset delta is the number of records before it.
  void append(std::int64_t timestamp_ms, std::optional<std::string_view> key,
              std::optional<std::string_view> value, std::span<const RecordHeader> headers = {});

  // The same in two steps, without the headers being collected anywhere: begin with the size they will have,
  // then add just these.
  void begin_record(std::int64_t timestamp_ms, std::optional<std::string_view> key,
                    std::optional<std::string_view> value, const HeadersSize& headers);
  void add_header(std::string_view key, std::optional<std::string_view> value);

  std::int32_t record_count() const { return record_count_; }
  std::size_t size() const { return out_.size() - start_ + outside_.size(); }  // so far, uncompressed
  // With value_outside: where in the string the value is missing. The batch is what precedes it, the value,
  // and what follows it.
  std::size_t value_gap() const { return gap_; }

  // Compresses and fills the header in. At least one record; the builder is spent after it. A batch that its
  // codec does not make smaller stays uncompressed.
  Result<RecordBatchHeader> finish();

 private:
  std::string& out_;
  const std::size_t start_;
  RecordBatchOptions options_;
  std::int64_t base_timestamp_ms_ = kNoTimestamp;
  std::int64_t max_timestamp_ms_ = kNoTimestamp;
  std::int32_t record_count_ = 0;
  std::uint32_t headers_left_ = 0;
  std::size_t record_end_ = 0;  // where the record being written must end
  std::string_view outside_;    // the value that was left out
  std::size_t gap_ = 0;
  bool finished_ = false;
};

// The one record of a control batch that ends a transaction (KIP-98, section 5.2).
enum class EndTransaction : std::int16_t { kAbort = 0, kCommit = 1 };
void append_end_transaction(RecordBatchBuilder& builder, std::int64_t timestamp_ms, EndTransaction how,
                            std::int32_t coordinator_epoch);
// What kind of marker a control batch's first record is; none for kinds that are not known.
std::optional<EndTransaction> read_end_transaction(const RecordView& record);

}  // namespace stele
