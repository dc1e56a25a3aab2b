#include "sim/workloads/garble.h"

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "base/wire.h"
#include "runtime/random.h"
#include "storage/block.h"
#include "storage/index_checkpoint.h"
#include "storage/sqlite_vfs.h"

namespace stele::sim {
namespace {

using runtime::Random;
using storage::BlockHeader;
using storage::BlockKind;
using storage::FileSequence;

// Both kinds of file begin with eight bytes of magic and a checksum of what follows it.
constexpr std::size_t kCrcAt = 8, kVersionAt = 12, kIncarnationAt = 16 + 8, kFilesAt = 24;
constexpr SegmentId kNobodys(std::uint64_t(1) << 40);

struct StoredFile {
  std::string path;
  std::uint64_t number = 0;
  std::string content;
};

std::vector<StoredFile> files_of(const Disk& disk, const std::string& directory, std::string_view prefix) {
  std::vector<StoredFile> files;
  for (const std::string& name : disk.names_in(directory)) {
    const auto number = storage::parse_numbered_name(prefix, name);
    const std::string path = directory + "/" + name;
    if (auto content = number ? disk.content_of(path) : std::nullopt) {
      files.push_back({path, *number, *std::move(content)});
    }
  }
  return files;
}

template <class T>
const T& one_of(const std::vector<T>& all, Random& random) {
  return all[random.below(all.size())];
}

void sign(std::string& content, std::size_t end) {
  store_le(content.data() + kCrcAt, crc32c(std::string_view(content).substr(kVersionAt, end - kVersionAt)));
}

void add_to(std::string& content, std::size_t at, std::uint32_t more) {
  store_le(content.data() + at, load_le<std::uint32_t>(content.data() + at) + more);
}

// What somebody does to the chains of a database: the first is what an earlier version left, the others
// contradict themselves or what the disk holds.
constexpr std::array kTamperings{
    "BEGIN IMMEDIATE; DROP TABLE users; DROP TABLE credentials; DROP TABLE rules; DROP TABLE tokens;"
    "DROP TABLE proposals; ALTER TABLE shards DROP COLUMN assigned;"
    "ALTER TABLE nodes DROP COLUMN roles; ALTER TABLE nodes DROP COLUMN zone;"
    "ALTER TABLE nodes DROP COLUMN disk; ALTER TABLE nodes DROP COLUMN product;"
    "ALTER TABLE nodes DROP COLUMN state; ALTER TABLE nodes DROP COLUMN draining;"
    "ALTER TABLE cluster DROP COLUMN next_user; ALTER TABLE cluster DROP COLUMN next_rule;"
    "ALTER TABLE cluster DROP COLUMN decoy_secret; PRAGMA user_version = 1; COMMIT",
    "UPDATE segments SET \"end\" = base + 1 WHERE \"end\" IS NULL",
    "UPDATE segments SET base = base + 1 WHERE \"end\" IS NULL AND EXISTS(SELECT 1 FROM segments o "
    "WHERE o.shard = segments.shard AND o.\"end\" IS NOT NULL)",
    "UPDATE replicas SET disk = 7",
    "BEGIN IMMEDIATE; UPDATE segments SET \"end\" = \"end\" + 1000000 WHERE \"end\" = (SELECT base FROM "
    "segments o "
    "WHERE o.shard = segments.shard AND o.\"end\" IS NULL);"
    "UPDATE segments SET base = base + 1000000 WHERE \"end\" IS NULL AND EXISTS(SELECT 1 FROM segments o "
    "WHERE o.shard = segments.shard AND o.\"end\" = segments.base + 1000000); COMMIT",
    "UPDATE shards SET snapshot_lsn = snapshot_lsn + 1000000 WHERE snapshot_lsn IS NOT NULL",
};

// ---- log files ------------------------------------------------------------------------------------------

std::vector<BlockHeader> blocks_of(const StoredFile& file) {
  std::vector<BlockHeader> blocks;
  for (Position at(storage::kFileHeaderBytes); at.value < file.content.size();) {
    const std::string_view rest = std::string_view(file.content).substr(at.value);
    const auto header = storage::decode_block_header(rest, FileSequence(file.number), at);
    if (!header || header->stored_bytes > rest.size()) break;
    if (!storage::payload_matches(*header, rest.substr(storage::kBlockHeaderBytes, header->payload_bytes))) {
      break;
    }
    blocks.push_back(*header);
    at += header->stored_bytes;
  }
  return blocks;
}

bool of_entries(const BlockHeader& block) {
  return block.kind == BlockKind::kEntries || block.kind == BlockKind::kMoved;
}

// Of the file's blocks one that `fits`, after `change`.
template <class Fits, class Change>
bool change_block(StoredFile& file, Random& random, Fits fits, Change change) {
  std::vector<BlockHeader> blocks = blocks_of(file);
  std::erase_if(blocks, [&](const BlockHeader& block) { return !fits(block); });
  if (blocks.empty()) return false;
  BlockHeader block = one_of(blocks, random);
  const std::size_t payload = block.position.value + storage::kBlockHeaderBytes;
  change(block, file.content.data() + payload);
  block.payload_crc = crc32c(std::string_view(file.content).substr(payload, block.payload_bytes));
  storage::encode_block_header(block, file.content.data() + block.position.value);
  return true;
}

// No length, number or kind of record ends in so many of these bytes.
void fill_payload(BlockHeader& block, char* payload) {
  std::fill(payload, payload + block.payload_bytes, '\xff');
}

bool garble_log_file(StoredFile& file, bool last, Random& random) {
  const bool whole = file.content.size() >= storage::kFileHeaderBytes;
  switch (random.below(whole ? 10 : 1)) {
    case 0:
      file.content.resize(random.below(std::min(file.content.size() + 1, storage::kFileHeaderBytes)));
      return true;
    case 1:
      add_to(file.content, kVersionAt, 1);
      sign(file.content, storage::kFileHeaderBytes);
      return true;
    case 2:
      add_to(file.content, kIncarnationAt, 2);
      sign(file.content, storage::kFileHeaderBytes);
      return true;
    case 3:
    case 4: {
      const auto kind = static_cast<BlockKind>(3 + random.below(3));  // what is not entries
      return change_block(
          file, random,
          [&](const BlockHeader& block) { return block.kind == kind && block.payload_bytes > 0; },
          fill_payload);
    }
    case 5:
      return change_block(
          file, random,
          [&](const BlockHeader& block) { return of_entries(block) && block.payload_bytes > 0; },
          fill_payload);
    case 6:
      // In the last file a gap is told from the end; in another one it is found when the block is missing.
      return change_block(
          file, random, [&](const BlockHeader& block) { return last && block.kind == BlockKind::kEntries; },
          [](BlockHeader& block, char*) { ++block.first; });
    default:
      return change_block(
          file, random, [&](const BlockHeader& block) { return !last && of_entries(block); },
          [](BlockHeader& block, char*) { block.segment = kNobodys; });
  }
}

// ---- index checkpoints ----------------------------------------------------------------------------------

// The list of files with other ends, and what follows it as it was.
std::optional<std::string> with_other_ends(const std::string& content) {
  auto checkpoint = storage::decode_checkpoint(content);
  if (!checkpoint || checkpoint->files.empty()) return std::nullopt;
  Reader r(std::string_view(content).substr(kFilesAt));
  r.uvarint();
  r.sized();
  for (storage::FileRecord& file : checkpoint->files) file.end += storage::kWriteAlignment;
  std::string out = content.substr(0, kFilesAt);
  Writer w(out);
  w.uvarint(checkpoint->files.size()).sized(storage::encode_files(checkpoint->files));
  out += r.rest();
  return out;
}

bool garble_checkpoint(StoredFile& file, std::uint64_t how) {
  std::string& content = file.content;
  if (content.size() < kFilesAt || !storage::decode_checkpoint(content)) return false;
  switch (how) {
    case 0:
      add_to(content, kVersionAt, 1);
      break;
    case 1:
      content.resize(kFilesAt);
      content += "\x01\x02\xff\xff";
      break;
    case 2:
      content += '\0';
      break;
    default: {
      auto other = with_other_ends(content);
      if (!other) return false;
      content = *std::move(other);
    }
  }
  sign(content, content.size());
  return true;
}

}  // namespace

bool damage_tail(Disk& disk, const std::string& directory, std::uint64_t how) {
  std::vector<StoredFile> logs = files_of(disk, directory, "wal");
  if (logs.empty()) return false;
  StoredFile& last = logs.back();
  const std::vector<BlockHeader> blocks = blocks_of(last);
  std::uint64_t left = 1 + how % 3;
  bool done = false;
  for (auto block = blocks.rbegin(); block != blocks.rend() && left > 0; ++block, --left) {
    // What the file begins with was synced before anything of it was acknowledged.
    if (block->kind != BlockKind::kEntries && block->kind != BlockKind::kControl) break;
    last.content[block->position.value + storage::kBlockHeaderBytes] ^= 1;
    done = block->payload_bytes > 0;
  }
  if (done) disk.put_content(last.path, last.content);
  return done;
}

bool garble_log(Disk& disk, const std::string& directory, std::uint64_t how, bool vanished) {
  Random random(how);
  std::vector<StoredFile> logs = files_of(disk, directory, "wal");
  std::vector<StoredFile> checkpoints;
  if (!vanished) checkpoints = files_of(disk, directory, "index");
  if (!checkpoints.empty() && random.chance(1, 3)) {
    StoredFile& newest = checkpoints.back();
    if (random.chance(1, 5)) {
      disk.drop_directory(directory);
    } else if (!garble_checkpoint(newest, random.below(4))) {
      return false;
    }
    disk.put_content(newest.path, newest.content);
    return true;
  }
  if (logs.empty()) return false;
  const std::size_t chosen = random.chance(1, 2) ? logs.size() - 1 : random.below(logs.size());
  StoredFile& file = logs[chosen];
  if (!garble_log_file(file, chosen + 1 == logs.size(), random)) return false;
  disk.put_content(file.path, file.content);
  // Either the checkpoint knows what is in the file, or it is read.
  if (!checkpoints.empty() && random.chance(1, 2) && garble_checkpoint(checkpoints.back(), 0)) {
    disk.put_content(checkpoints.back().path, checkpoints.back().content);
  }
  return true;
}

bool garble_database(Disk& disk, const std::string& path, std::uint64_t how) {
  constexpr std::size_t kPage = storage::SqliteVfs::kPageSize;
  constexpr std::size_t kChecked = kPage - storage::SqliteVfs::kReservedBytes;
  Random random(how);
  auto content = disk.content_of(path);
  if (!content || content->size() < kPage) return false;
  const std::uint64_t number = random.chance(1, 4) ? 0 : random.below(content->size() / kPage);
  char* const page = content->data() + number * kPage;
  // The database's first bytes, or the kind of a page.
  page[0] = 'x';
  std::array<char, 8> place;
  store_le(place.data(), number * kPage);
  store_le(page + kChecked, crc32c({page, kChecked}, crc32c({place.data(), place.size()})));
  disk.put_content(path, *content);
  return true;
}

std::string chain_tampering(std::uint64_t how) {
  return kTamperings[how % kTamperings.size()];
}

}  // namespace stele::sim
