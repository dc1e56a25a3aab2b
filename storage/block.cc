#include "storage/block.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/wire.h"

namespace stele::storage {

namespace {

constexpr std::string_view kFileMagic = "STELEWAL";
constexpr std::uint32_t kBlockMagic = 0x4b4c4253;  // "SBLK"
constexpr std::size_t kNameDigits = 16;

constexpr std::size_t kFileAt = 32;
constexpr std::size_t kPositionAt = 40;

}  // namespace

std::string encode_file_header(const FileHeader& header) {
  std::string out;
  Writer w(out);
  w.bytes(kFileMagic).le(std::uint32_t{0}).le(kWalVersion);
  w.le(header.sequence.value).le(header.incarnation).le(header.predecessor.value);
  w.le(header.predecessor_end.value).le(header.prologue_end.value).u8(header.durability);
  out.resize(kFileHeaderBytes, '\0');
  w.patch_le(8, crc32c(std::string_view(out).substr(12)));
  return out;
}

Result<FileHeader> decode_file_header(std::string_view bytes) {
  if (bytes.size() < kFileHeaderBytes) return error(ErrorCode::kCorrupt, "the file header is cut off");
  bytes = bytes.substr(0, kFileHeaderBytes);
  Reader r(bytes);
  if (r.bytes(kFileMagic.size()) != kFileMagic) return error(ErrorCode::kCorrupt, "not a log file");
  if (r.le<std::uint32_t>() != crc32c(bytes.substr(12))) {
    return error(ErrorCode::kCorrupt, "the file header's checksum is wrong");
  }
  if (const auto version = r.le<std::uint32_t>(); version != kWalVersion) {
    return error(ErrorCode::kUnsupported, "the log has format version " + std::to_string(version) +
                                              "; this program reads version " + std::to_string(kWalVersion) +
                                              ", use the one that wrote it");
  }
  FileHeader header;
  header.sequence = FileSequence(r.le<std::uint64_t>());
  header.incarnation = r.le<std::uint64_t>();
  header.predecessor = FileSequence(r.le<std::uint64_t>());
  header.predecessor_end = Position(r.le<std::uint64_t>());
  header.prologue_end = Position(r.le<std::uint64_t>());
  header.durability = r.u8();
  STELE_ASSERT(r.ok());
  return header;
}

void encode_block_header(const BlockHeader& header, char* to) {
  std::string out;
  Writer w(out);
  w.le(kBlockMagic).le(std::uint32_t{0}).le(header.payload_crc).le(header.payload_bytes);
  w.le(header.stored_bytes).le(header.count).u8(static_cast<std::uint8_t>(header.kind));
  out.resize(kFileAt, '\0');
  w.le(header.file.value).le(header.position.value).le(header.synced.value);
  w.le(header.segment.value).le(header.epoch.value).le(header.first);
  STELE_ASSERT(out.size() == kBlockHeaderBytes);
  w.patch_le(4, crc32c(std::string_view(out).substr(8)));
  std::memcpy(to, out.data(), kBlockHeaderBytes);
}

std::optional<BlockHeader> decode_block_header(std::string_view bytes, FileSequence file, Position position,
                                               BlockCheck check) {
  if (bytes.size() < kBlockHeaderBytes) return std::nullopt;
  bytes = bytes.substr(0, kBlockHeaderBytes);
  Reader r(bytes);
  if (r.le<std::uint32_t>() != kBlockMagic) return std::nullopt;
  const auto crc = r.le<std::uint32_t>();
  BlockHeader header;
  header.payload_crc = r.le<std::uint32_t>();
  header.payload_bytes = r.le<std::uint32_t>();
  header.stored_bytes = r.le<std::uint32_t>();
  header.count = r.le<std::uint32_t>();
  const std::uint8_t kind = r.u8();
  r.bytes(kFileAt - 25);
  header.file = FileSequence(r.le<std::uint64_t>());
  header.position = Position(r.le<std::uint64_t>());
  header.synced = Position(r.le<std::uint64_t>());
  header.segment = SegmentId(r.le<std::uint64_t>());
  header.epoch = Epoch(r.le<std::uint64_t>());
  header.first = r.le<std::uint64_t>();
  STELE_ASSERT(r.ok() && r.at_end());
  if (header.file != file || header.position != position) return std::nullopt;
  if (check.crc && crc != crc32c(bytes.substr(8))) return std::nullopt;
  if (kind < std::uint8_t(BlockKind::kEntries) || kind > std::uint8_t(BlockKind::kStates))
    return std::nullopt;
  header.kind = static_cast<BlockKind>(kind);
  // What a right checksum can't excuse, and a planted bug that ignores it must survive.
  if (header.stored_bytes < kBlockHeaderBytes || header.stored_bytes % kBlockAlignment != 0 ||
      header.payload_bytes > header.stored_bytes - kBlockHeaderBytes || header.synced > position ||
      header.first + header.count < header.first) {
    return std::nullopt;
  }
  return header;
}

bool resembles_block_header(std::string_view bytes, FileSequence file, Position position) {
  if (bytes.size() < kBlockHeaderBytes) return false;
  bytes = bytes.substr(0, kBlockHeaderBytes);
  const bool magic = load_le<std::uint32_t>(bytes.data()) == kBlockMagic;
  const bool here = load_le<std::uint64_t>(bytes.data() + kPositionAt) == position.value;
  if (load_le<std::uint64_t>(bytes.data() + kFileAt) == file.value) return magic || here;
  // A stale block of the file's life before is whole; this one would be ours with a damaged sequence number.
  return magic && here && load_le<std::uint32_t>(bytes.data() + 4) != crc32c(bytes.substr(8));
}

bool payload_matches(const BlockHeader& header, std::string_view payload) {
  return payload.size() == header.payload_bytes && crc32c(payload) == header.payload_crc;
}

bool split_entries(std::string_view payload, std::uint32_t count, std::vector<std::string_view>& out) {
  if (count > payload.size()) return false;  // an entry takes a byte at least
  Reader r(payload);
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) out.push_back(r.sized());
  return r.ok() && r.at_end();
}

std::string encode_controls(const std::vector<ControlRecord>& records) {
  std::string out;
  Writer w(out);
  for (const ControlRecord& record : records) {
    w.u8(static_cast<std::uint8_t>(record.type));
    switch (record.type) {
      case ControlRecord::Type::kFence:
        w.uvarint(record.segment.value).uvarint(record.value).u8(record.certain ? 1 : 0);
        break;
      case ControlRecord::Type::kTrim:
        w.uvarint(record.segment.value).uvarint(record.value);
        break;
      case ControlRecord::Type::kRemove:
        w.uvarint(record.segment.value);
        break;
      case ControlRecord::Type::kFree:
        w.uvarint(record.value);
        break;
      case ControlRecord::Type::kClean:
        break;
    }
  }
  return out;
}

std::optional<std::vector<ControlRecord>> decode_controls(std::string_view payload, std::uint32_t count) {
  std::vector<ControlRecord> records;
  Reader r(payload);
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    ControlRecord record;
    record.type = static_cast<ControlRecord::Type>(r.u8());
    switch (record.type) {
      case ControlRecord::Type::kFence:
        record.segment = SegmentId(r.uvarint());
        record.value = r.uvarint();
        record.certain = r.u8() != 0;
        break;
      case ControlRecord::Type::kTrim:
        record.segment = SegmentId(r.uvarint());
        record.value = r.uvarint();
        break;
      case ControlRecord::Type::kRemove:
        record.segment = SegmentId(r.uvarint());
        break;
      case ControlRecord::Type::kFree:
        record.value = r.uvarint();
        break;
      case ControlRecord::Type::kClean:
        break;
      default:
        r.fail();
    }
    records.push_back(record);
  }
  if (!r.ok() || !r.at_end()) return std::nullopt;
  return records;
}

std::string encode_states(const std::vector<SegmentRecord>& records) {
  std::string out;
  Writer w(out);
  for (const SegmentRecord& record : records) {
    w.uvarint(record.segment.value).uvarint(record.begin).uvarint(record.end - record.begin);
    w.uvarint(record.fence.value).u8(record.certain ? 1 : 0);
  }
  return out;
}

std::optional<std::vector<SegmentRecord>> decode_states(std::string_view payload, std::uint32_t count) {
  std::vector<SegmentRecord> records;
  Reader r(payload);
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    SegmentRecord record;
    record.segment = SegmentId(r.uvarint());
    record.begin = r.uvarint();
    record.end = record.begin + r.uvarint();
    record.fence = Epoch(r.uvarint());
    record.certain = r.u8() != 0;
    if (record.end < record.begin) r.fail();
    records.push_back(record);
  }
  if (!r.ok() || !r.at_end()) return std::nullopt;
  return records;
}

std::string encode_files(const std::vector<FileRecord>& records) {
  std::string out;
  Writer w(out);
  FileSequence before;
  for (const FileRecord& record : records) {
    STELE_ASSERT(record.sequence > before);
    w.uvarint(record.sequence - before).uvarint(record.end.value);
    before = record.sequence;
  }
  return out;
}

std::optional<std::vector<FileRecord>> decode_files(std::string_view payload, std::uint32_t count) {
  std::vector<FileRecord> records;
  Reader r(payload);
  FileSequence before;
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    FileRecord record;
    record.sequence = before + r.uvarint();
    record.end = Position(r.uvarint());
    if (record.sequence <= before) r.fail();
    before = record.sequence;
    records.push_back(record);
  }
  if (!r.ok() || !r.at_end()) return std::nullopt;
  return records;
}

std::string numbered_name(std::string_view prefix, std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < kNameDigits) digits.insert(0, kNameDigits - digits.size(), '0');
  return std::string(prefix) + "-" + digits;
}

std::string wal_name(FileSequence sequence) {
  return numbered_name("wal", sequence.value);
}

std::optional<std::uint64_t> parse_numbered_name(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  if (name.size() < kNameDigits + 1 || name.size() > kNameDigits + 3 || name.front() != '-')
    return std::nullopt;
  name.remove_prefix(1);
  std::uint64_t number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + std::uint64_t(c - '0');
  }
  return number;
}

}  // namespace stele::storage
