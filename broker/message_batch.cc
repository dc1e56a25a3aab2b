#include "broker/message_batch.h"

#include <cstring>

#include "base/assert.h"
#include "model/record_batch_builder.h"

namespace stele::broker {

namespace {
// What an entry's head takes besides the address, unless it is forwarded to very many shards.
constexpr std::size_t kHeadBytes = 56;

char* put(char* to, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

// The address, `room` bytes, the batch; in what `take` gives for a size.
template <class Take>
MessageBatch make(const MessageView& message, const KeyRule& rule, std::size_t room, Take&& take) {
  // One per thread and not per call: its memory is kept.
  thread_local std::string scratch;
  scratch.clear();
  RecordBatchOptions options;
  options.value_outside = true;
  RecordBatchBuilder builder(scratch, options);
  append_message(builder, message, rule);
  const auto header = builder.finish();
  STELE_ASSERT(header.has_value());  // uncompressed: nothing can fail
  const std::string_view around = scratch;
  const std::size_t gap = builder.value_gap();
  const std::size_t at = message.address.size() + room;
  BlockArena::Piece piece = take(at + around.size() + message.payload.size());
  put(piece.data, message.address);
  char* const batch = piece.data + at;
  put(put(put(batch, around.substr(0, gap)), message.payload), around.substr(gap));
  if (scratch.capacity() > (1 << 20)) scratch = std::string();
  MessageBatch made{piece.bytes.slice(0, message.address.size()), piece.bytes.slice(at)};
  if (room > 0) made.room = EntryRoom(std::move(piece.bytes), batch, room);
  return made;
}
}  // namespace

MessageBatch batch_of(const MessageView& message, const KeyRule& rule) {
  return make(message, rule, 0, [](std::size_t size) {
    Buffer own(size);
    char* const data = own.data();
    return BlockArena::Piece{std::move(own).freeze(size), data};
  });
}

MessageBatch batch_for_entry(const MessageView& message, const KeyRule& rule, BlockArena& memory) {
  return make(message, rule, kHeadBytes + message.address.size(),
              [&memory](std::size_t size) { return memory.take(size); });
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
