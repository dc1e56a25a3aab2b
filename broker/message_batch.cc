#include "broker/message_batch.h"

#include "base/assert.h"
#include "model/record_batch_builder.h"

namespace stele::broker {

MessageBatch batch_of(const MessageView& message, const KeyRule& rule) {
  // One per thread and not per call: its memory is kept.
  thread_local std::string scratch;
  scratch.assign(message.address);
  RecordBatchBuilder builder(scratch, {});
  append_message(builder, message, rule);
  const auto header = builder.finish();
  STELE_ASSERT(header.has_value());  // uncompressed: nothing can fail
  const Bytes block = Bytes::copy(scratch);
  if (scratch.capacity() > (1 << 20)) scratch = {};
  return {block.slice(0, message.address.size()), block.slice(message.address.size())};
}

namespace internal {

Result<Bytes> open_records(const Bytes& batch, RecordBatchView& view) {
  STELE_TRY(view, parse_record_batch(batch));
  if (view.header.compression() == Compression::kNone) return batch;
  std::string plain;
  STELE_TRY(const std::string_view section, records_of(view, kMaxDecompressed, plain));
  return Bytes::copy(section);
}

}  // namespace internal
}  // namespace stele::broker
