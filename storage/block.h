// What a log file is made of, as bytes (docs/formats/wal.md): a file header, then blocks. Pure.
//
// A block proves by itself where it belongs: it names its file's sequence number and its own position, and
// both its header and its payload have a checksum. So a torn write (a bad checksum), a lost one (old bytes),
// a misdirected one (another position) and a stale one (another sequence: files are used again) are told
// apart from what was written here last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace stele::storage {

using FileSequence = StrongIndex<struct FileSequenceTag>;  // of a log file, from 1, never used twice

constexpr std::uint32_t kWalVersion = 1;
constexpr std::size_t kFileHeaderBytes = 512;
constexpr std::size_t kBlockHeaderBytes = 80;
// Each write begins at a multiple of this, so that it never rewrites a sector of what is already synced.
constexpr std::uint64_t kWriteAlignment = 512;
// Blocks of one write follow each other at multiples of this.
constexpr std::uint64_t kBlockAlignment = 8;

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

struct FileHeader {
  FileSequence sequence{};
  std::uint64_t incarnation = 0;  // of the store
  FileSequence predecessor{};     // 0: none
  Position predecessor_end{};     // nothing of the predecessor is valid from here on
  Position prologue_end{};        // the blocks before it were synced before the file was used
  std::uint8_t durability = 0;    // as the file was written
};
std::string encode_file_header(const FileHeader& header);
// kUnsupported: a newer version. kCorrupt: anything else that is not a header.
Result<FileHeader> decode_file_header(std::string_view bytes);

enum class BlockKind : std::uint8_t {
  kEntries = 1,  // consecutive entries of one segment, at its end
  kMoved = 2,    // entries copied from an older file, which is to be freed
  kControl = 3,  // fences, trims, removals, …
  kFiles = 4,    // prologue: the older files that are still needed
  kStates = 5,   // prologue: all segments
};

struct BlockHeader {
  BlockKind kind = BlockKind::kEntries;
  std::uint32_t payload_bytes = 0;
  std::uint32_t payload_crc = 0;
  std::uint32_t stored_bytes = 0;  // header, payload and padding: the next block follows
  std::uint32_t count = 0;         // of entries or records
  FileSequence file{};
  Position position{};
  Position synced{};  // everything before it in the file was synced when this block was written
  SegmentId segment{};
  Epoch epoch{};
  std::uint64_t first = 0;  // index of the first entry
};
void encode_block_header(const BlockHeader& header, char* to);  // kBlockHeaderBytes

struct BlockCheck {
  bool crc = true;  // false only for a planted bug
};
// Nothing unless `bytes` begins with the header of a block of this file at this position.
std::optional<BlockHeader> decode_block_header(std::string_view bytes, FileSequence file, Position position,
                                               BlockCheck check = {});
// Whether the bytes look like such a header that was damaged, rather than like anything else.
bool resembles_block_header(std::string_view bytes, FileSequence file, Position position);
bool payload_matches(const BlockHeader& header, std::string_view payload);

// The entries of a block's payload, as views of it. False: they don't make up the payload.
bool split_entries(std::string_view payload, std::uint32_t count, std::vector<std::string_view>& out);

struct ControlRecord {
  enum class Type : std::uint8_t { kFence = 1, kTrim = 2, kRemove = 3, kFree = 4, kClean = 5 };
  Type type = Type::kClean;
  SegmentId segment{};      // kFence, kTrim, kRemove
  std::uint64_t value = 0;  // kFence: epoch; kTrim: below; kFree: file sequence
  bool certain = true;      // kFence: false if the segment was unknown before it
  friend bool operator==(const ControlRecord&, const ControlRecord&) = default;
};
std::string encode_controls(const std::vector<ControlRecord>& records);
std::optional<std::vector<ControlRecord>> decode_controls(std::string_view payload, std::uint32_t count);

struct SegmentRecord {
  SegmentId segment{};
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  Epoch fence{};
  bool certain = true;
  friend bool operator==(const SegmentRecord&, const SegmentRecord&) = default;
};
std::string encode_states(const std::vector<SegmentRecord>& records);
std::optional<std::vector<SegmentRecord>> decode_states(std::string_view payload, std::uint32_t count);

struct FileRecord {
  FileSequence sequence{};
  Position end{};  // valid up to here
  friend bool operator==(const FileRecord&, const FileRecord&) = default;
};
// In ascending order.
std::string encode_files(const std::vector<FileRecord>& records);
std::optional<std::vector<FileRecord>> decode_files(std::string_view payload, std::uint32_t count);

// Names in the directory: "wal-0000000000000007".
std::string wal_name(FileSequence sequence);
std::string numbered_name(std::string_view prefix, std::uint64_t number);
std::optional<std::uint64_t> parse_numbered_name(std::string_view prefix, std::string_view name);

}  // namespace stele::storage
