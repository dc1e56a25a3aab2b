// Encodes one write of the log: blocks one after the other, from a position on. Pure.
//
// Large pieces go into the write as the slices they are; small ones and the headers share buffers. The
// checksum runs over the pieces where they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "model/ids.h"
#include "storage/block.h"
#include "storage/log_entry.h"

namespace stele::storage {

// Where a block of entries came to lie.
struct PlacedBlock {
  BlockKind kind = BlockKind::kEntries;
  SegmentId segment{};
  Epoch epoch{};
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  Position position{};
  std::uint64_t bytes = 0;  // stored
};

class BatchEncoder {
 public:
  // A write to `file` from `start` on, a multiple of kWriteAlignment.
  BatchEncoder(FileSequence file, Position start, Position synced);

  // Begins a block; the one before ends.
  void begin(BlockKind kind, SegmentId segment, Epoch epoch, std::uint64_t first);
  void add(const LogEntry& entry);
  // A payload that is encoded already.
  void add_payload(Bytes payload, std::uint32_t count);
  std::uint64_t block_bytes() const { return payload_; }  // of the payload so far
  bool empty() const { return !header_ && blocks_.empty(); }

  // Ends the last block and pads to kWriteAlignment. Where the next write begins.
  Position finish();
  std::vector<Bytes> take_slices() { return std::move(slices_); }
  // Blocks of entries, in the order of writing.
  const std::vector<PlacedBlock>& blocks() const { return blocks_; }

 private:
  void reserve(std::size_t bytes);
  void emit();
  void fold_crc();
  void append_small(std::string_view bytes);
  void append_piece(const Bytes& piece);
  void end_block(std::uint64_t alignment);

  const FileSequence file_;
  const Position synced_;
  Position position_{};  // of the block that is open, or of the next

  std::vector<Bytes> slices_;
  std::vector<PlacedBlock> blocks_;
  Buffer chunk_;
  std::size_t used_ = 0;
  std::size_t emitted_ = 0;  // of chunk_, in slices_
  std::size_t folded_ = 0;   // of chunk_, in crc_

  char* header_ = nullptr;  // of the open block
  BlockHeader block_{};
  std::uint64_t payload_ = 0;
  std::uint32_t crc_ = 0;
};

}  // namespace stele::storage
