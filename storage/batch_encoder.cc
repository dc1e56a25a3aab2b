#include "storage/batch_encoder.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/assert.h"
#include "base/crc32c.h"

namespace stele::storage {

namespace {
constexpr std::size_t kChunkBytes = 32 << 10;
// A slice costs an iovec and a reference; below this a copy is cheaper.
constexpr std::size_t kCopyBelow = 1024;
}  // namespace

BatchEncoder::BatchEncoder(FileSequence file, Position start, Position synced)
    : file_(file), synced_(synced), position_(start) {
  STELE_ASSERT(start.value % kWriteAlignment == 0 && synced <= start);
}

void BatchEncoder::begin(BlockKind kind, SegmentId segment, Epoch epoch, std::uint64_t first) {
  end_block(kBlockAlignment);
  block_ = BlockHeader{.kind = kind, .file = file_, .position = position_, .synced = synced_};
  block_.segment = segment;
  block_.epoch = epoch;
  block_.first = first;
  reserve(kBlockHeaderBytes);
  header_ = chunk_.data() + used_;
  used_ += kBlockHeaderBytes;
  folded_ = used_;
  payload_ = 0;
  crc_ = 0;
}

void BatchEncoder::add(const LogEntry& entry) {
  STELE_ASSERT(header_);
  char prefix[10];
  std::size_t length = 0;
  std::uint64_t rest = entry.size();
  for (; rest >= 0x80; rest >>= 7) prefix[length++] = static_cast<char>(rest | 0x80);
  prefix[length++] = static_cast<char>(rest);
  append_small({prefix, length});
  append_piece(entry.head);
  append_piece(entry.body);
  ++block_.count;
}

void BatchEncoder::add_payload(Bytes payload, std::uint32_t count) {
  STELE_ASSERT(header_);
  append_piece(payload);
  block_.count += count;
}

Position BatchEncoder::finish() {
  end_block(kWriteAlignment);
  emit();
  return position_;
}

void BatchEncoder::reserve(std::size_t bytes) {
  if (chunk_.capacity() - used_ >= bytes) return;
  if (header_) fold_crc();
  emit();
  chunk_ = Buffer(std::max(bytes, kChunkBytes));
  used_ = emitted_ = folded_ = 0;
}

void BatchEncoder::emit() {
  if (used_ == emitted_) return;
  slices_.push_back(chunk_.slice(emitted_, used_ - emitted_));
  emitted_ = used_;
}

void BatchEncoder::fold_crc() {
  if (used_ > folded_) crc_ = crc32c({chunk_.data() + folded_, used_ - folded_}, crc_);
  folded_ = used_;
}

void BatchEncoder::append_small(std::string_view bytes) {
  if (bytes.empty()) return;
  reserve(bytes.size());
  std::memcpy(chunk_.data() + used_, bytes.data(), bytes.size());
  used_ += bytes.size();
  payload_ += bytes.size();
}

void BatchEncoder::append_piece(const Bytes& piece) {
  if (piece.size() < kCopyBelow) return append_small(piece.view());
  fold_crc();
  emit();
  crc_ = crc32c(piece.view(), crc_);
  slices_.push_back(piece);
  payload_ += piece.size();
}

// The header is patched last, in the buffer that slices_ already shares.
void BatchEncoder::end_block(std::uint64_t alignment) {
  if (!header_) return;
  fold_crc();
  STELE_ASSERT(payload_ <= std::numeric_limits<std::uint32_t>::max() - kBlockHeaderBytes - kWriteAlignment);
  const std::uint64_t end = align_up(position_.value + kBlockHeaderBytes + payload_, alignment);
  const std::uint64_t padding = end - position_.value - kBlockHeaderBytes - payload_;
  block_.payload_bytes = static_cast<std::uint32_t>(payload_);
  block_.payload_crc = crc_;
  block_.stored_bytes = static_cast<std::uint32_t>(end - position_.value);
  encode_block_header(block_, header_);
  header_ = nullptr;
  if (padding > 0) {
    reserve(padding);
    std::memset(chunk_.data() + used_, 0, padding);
    used_ += padding;
  }
  if (block_.kind == BlockKind::kEntries || block_.kind == BlockKind::kMoved) {
    blocks_.push_back({.kind = block_.kind,
                       .segment = block_.segment,
                       .epoch = block_.epoch,
                       .first = block_.first,
                       .count = block_.count,
                       .position = position_,
                       .bytes = block_.stored_bytes});
  }
  position_ = Position(end);
}

}  // namespace stele::storage
