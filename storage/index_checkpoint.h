// The index checkpoint: where the entries of full files are, so that a start reads only the tail of the log
// (docs/formats/index-checkpoint.md). A cache: a file that it does not cover is read in full instead. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "storage/block.h"
#include "storage/log_index.h"

namespace stele::storage {

struct IndexCheckpoint {
  std::uint64_t incarnation = 0;
  // Files that are covered up to their end: what is not listed below is no longer needed.
  std::vector<FileRecord> files;
  // Per segment in the order of entries.
  std::vector<std::pair<SegmentId, std::vector<Place>>> segments;
};

// Of all files but the one that is being written to.
std::string encode_checkpoint(const LogIndex& index, std::uint64_t incarnation, FileSequence current);
// kCorrupt, kUnsupported.
Result<IndexCheckpoint> decode_checkpoint(std::string_view bytes);

}  // namespace stele::storage
