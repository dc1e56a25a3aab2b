// Reading the blocks of one place from its file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/files.h"
#include "runtime/task.h"
#include "storage/block.h"
#include "storage/log_entry.h"
#include "storage/log_index.h"

namespace stele::storage {

struct PlaceQuery {
  SegmentId segment{};
  Place place{};
  std::uint64_t from = 0;  // the first entry that is wanted, of the place
  Position start{};        // a block at or before it
  std::size_t max_bytes = SIZE_MAX;
  std::size_t chunk = 128 << 10;
};

struct ReadBlock {
  BlockHeader header{};
  Bytes payload{};
};
struct ReadBlocks {
  std::vector<ReadBlock> blocks;  // consecutive, the first holds `from`
  Position next{};                // behind the last of them
};
// At least the block that holds `from`, then as many as `max_bytes` of payload allow. kCorrupt: it is not
// there, or damaged.
runtime::Task<Result<ReadBlocks>> read_place(std::shared_ptr<runtime::File> file, PlaceQuery query);

// Entries [from, to) of the blocks, the first whatever its size; `next` is set to the first that was left.
// kCorrupt: a payload does not follow its format.
Result<std::vector<LogEntry>> entries_of(const ReadBlocks& read, std::uint64_t from, std::uint64_t to,
                                         std::size_t max_bytes);

}  // namespace stele::storage
