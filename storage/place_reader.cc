#include "storage/place_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/marks.h"
#include "storage/log_scan.h"

namespace stele::storage {

using runtime::Task;

namespace {

constexpr std::size_t kLeastRead = 8 << 10;

std::unexpected<Error> corrupt(FileSequence file, Position position, const char* what) {
  STELE_MARK("log read: damaged block");
  return error(ErrorCode::kCorrupt,
               wal_name(file) + " position " + std::to_string(position.value) + ": " + what);
}
}  // namespace

Task<Result<ReadBlocks>> read_place(std::shared_ptr<runtime::File> file, PlaceQuery query) {
  const FileSequence sequence = query.place.file;
  // Who wants one entry is not made to read a chunk for it.
  FileWindow window(*file, query.chunk, query.place.end, std::max(query.max_bytes, kLeastRead));
  ReadBlocks read;
  std::uint64_t wanted = query.from;
  std::size_t bytes = 0;
  Position at = query.start;
  while (at < query.place.end && wanted < query.place.to) {
    std::string_view head = window.have(at, kBlockHeaderBytes);
    if (head.empty()) {
      STELE_CO_TRY(const Bytes bytes_read, co_await window.at(at, kBlockHeaderBytes));
      head = bytes_read;
    }
    const auto header = decode_block_header(head, sequence, at);
    if (!header || header->stored_bytes > query.place.end - at) {
      co_return corrupt(sequence, at, "the block's header is damaged");
    }
    const Position next = at + header->stored_bytes;
    const bool ours = (header->kind == BlockKind::kEntries || header->kind == BlockKind::kMoved) &&
                      header->segment == query.segment && header->first <= wanted &&
                      wanted < header->first + header->count;
    if (ours) {
      if (!read.blocks.empty() && bytes + header->payload_bytes > query.max_bytes) break;
      STELE_CO_TRY(const Bytes block, co_await window.at(at, kBlockHeaderBytes + header->payload_bytes));
      if (block.size() < kBlockHeaderBytes + header->payload_bytes ||
          !payload_matches(*header, block.view().substr(kBlockHeaderBytes))) {
        co_return corrupt(sequence, at, "the block is damaged");
      }
      bytes += header->payload_bytes;
      read.blocks.push_back({.header = *header, .payload = block.slice(kBlockHeaderBytes)});
      wanted = header->first + header->count;
      read.next = next;
    }
    at = next;
  }
  if (read.blocks.empty())
    co_return corrupt(sequence, query.start, "entries are missing that were stored here");
  co_return read;
}

Result<std::vector<LogEntry>> entries_of(const ReadBlocks& read, std::uint64_t from, std::uint64_t to,
                                         std::size_t max_bytes) {
  std::vector<LogEntry> entries;
  std::vector<std::string_view> views;
  std::size_t taken = 0;
  for (const ReadBlock& block : read.blocks) {
    views.clear();
    if (!split_entries(block.payload, block.header.count, views)) {
      return corrupt(block.header.file, block.header.position, "the entries do not follow their format");
    }
    for (std::uint64_t i = 0; i < views.size(); ++i) {
      const std::uint64_t index = block.header.first + i;
      if (index < from || index >= to) continue;
      if (!entries.empty() && taken + views[i].size() > max_bytes) return entries;
      taken += views[i].size();
      entries.push_back({.head = block.payload.slice(views[i]), .body = {}});
    }
  }
  return entries;
}

}  // namespace stele::storage
