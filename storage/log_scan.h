// Reading log files from the disk, block by block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/task.h"
#include "storage/block.h"

namespace stele::storage {

// A file seen through one buffer that moves forward. Lives in the frame that uses it.
class FileWindow {
 public:
  // Reads `first` bytes, then twice as many each time until it is `chunk`, or more where more is asked for;
  // nothing from `limit` on.
  FileWindow(runtime::File& file, std::size_t chunk, Position limit, std::size_t first = SIZE_MAX)
      : file_(file), chunk_(chunk), limit_(limit), step_(std::min(first, chunk)) {}
  // Bytes [position, position + length) if they are there already, else nothing. Valid until the next read.
  std::string_view have(Position position, std::size_t length) const {
    if (position < start_ || position.value + length > start_.value + bytes_.size()) return {};
    return bytes_.view().substr(position - start_, length);
  }
  // Bytes [position, position + length), fewer at the limit or at the end of the file.
  runtime::Task<Result<Bytes>> at(Position position, std::size_t length);
  // The same, but as many as are there already, and at least `least`.
  runtime::Task<Result<Bytes>> from(Position position, std::size_t least);

 private:
  runtime::File& file_;
  const std::size_t chunk_;
  const Position limit_;
  std::size_t step_;
  Position start_{};
  Bytes bytes_{};
};

// The next whole header of a block of this file from `from` on, a multiple of kBlockAlignment. Its payload is
// not looked at. `window` outlives the task.
runtime::Task<Result<std::optional<BlockHeader>>> find_block(FileWindow& window, FileSequence sequence,
                                                             Position from);

// What follows the last valid block of the last file.
enum class TailState {
  kClean,    // nothing that was written as part of this file
  kTorn,     // remains of a write that did not complete, or of a block that was damaged later
  kDamaged,  // a block that had been synced is bad
};
struct ScanEnd {
  Position end{};     // after the last valid block
  Position synced{};  // known to be synced by what the blocks say
  TailState tail = TailState::kClean;
};

// Sees each block that is whole. An error ends the scan.
using BlockVisitor = std::function<Result<void>(const BlockHeader&, const Bytes& payload)>;

struct ScanOptions {
  FileSequence file{};
  Position from{};    // of a block
  Position synced{};  // known to have been synced: bad bytes below it are damage
  Position limit{};   // the end of the file, or of its valid part
  BlockCheck check{};
  std::size_t chunk = 1 << 20;
};
// Visits the blocks up to the first that is not valid, then tells what it is. `file` outlives the task. An
// error is the visitor's, or kIo.
runtime::Task<Result<ScanEnd>> scan_blocks(runtime::File& file, ScanOptions options, BlockVisitor visit);

}  // namespace stele::storage
