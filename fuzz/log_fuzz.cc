// A log's directory with whatever may be in it: checked offline, opened, read, written to, opened again.
//
// The input is the directory. Byte 0: bit 0 set means that checksums, and what blocks say of their own place,
// are mended first: they keep chance away, and here the content is to be looked at. Then file after file:
// kind (0 log, 1 index checkpoint, 2 spare, 3 leftover), number, length (u16, little-endian), content.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "storage/block.h"
#include "storage/segment_store.h"
#include "storage/testing/memory_disk.h"
#include "storage/verify.h"

namespace stele::storage {
namespace {

using testing::MemoryDisk;
using testing::MemoryRuntime;

const std::string kDirectory = "/log";
constexpr std::uint64_t kFileBytes = 8 << 10;
// A segment that ends so late takes no more entries: its indexes would overflow.
constexpr std::uint64_t kLateEnd = std::uint64_t{1} << 62;

std::uint32_t crc_of(std::string_view bytes, std::size_t from, std::size_t length) {
  return crc32c(bytes.substr(from, length));
}

// docs/formats/wal.md
void mend_log(std::string& file, FileSequence sequence) {
  if (file.size() < kFileHeaderBytes) return;
  store_le(file.data() + 16, sequence.value);
  store_le(file.data() + 8, crc_of(file, 12, kFileHeaderBytes - 12));
  std::size_t at = kFileHeaderBytes;
  while (at + kBlockHeaderBytes <= file.size()) {
    char* const block = file.data() + at;
    if (!std::string_view(block, 4).starts_with("SBLK")) return;
    const auto payload = load_le<std::uint32_t>(block + 12);
    const auto stored = load_le<std::uint32_t>(block + 16);
    store_le(block + 32, sequence.value);
    store_le(block + 40, std::uint64_t{at});
    if (payload <= file.size() - at - kBlockHeaderBytes) {
      store_le(block + 8, crc_of(file, at + kBlockHeaderBytes, payload));
    }
    store_le(block + 4, crc_of(file, at + 8, kBlockHeaderBytes - 8));
    if (stored < kBlockHeaderBytes || stored % kBlockAlignment != 0 || stored > file.size() - at) return;
    at += stored;
  }
}

// docs/formats/index-checkpoint.md
void mend_checkpoint(std::string& file) {
  if (file.size() >= 12) store_le(file.data() + 8, crc_of(file, 12, file.size() - 12));
}

void put_files(MemoryDisk& disk, std::string_view input) {
  Reader reader(input);
  const bool mend = (reader.u8() & 1) != 0;
  while (reader.ok() && !reader.at_end()) {
    const std::uint8_t kind = reader.u8() % 4;
    const std::uint8_t number = reader.u8();
    const std::size_t length = std::min<std::size_t>(reader.le<std::uint16_t>(), reader.remaining());
    std::string content(reader.bytes(length));
    if (!reader.ok()) return;
    if (mend && kind == 0) mend_log(content, FileSequence(number));
    if (mend && kind == 1) mend_checkpoint(content);
    constexpr const char* kPrefixes[] = {"wal", "index", "spare", "index"};
    const std::string name = numbered_name(kPrefixes[kind], number) + (kind == 3 ? ".tmp" : "");
    disk.put(kDirectory + "/" + name, std::move(content));
  }
}

std::unique_ptr<SegmentStore> open_store(MemoryRuntime& runtime) {
  SegmentStoreOptions options;
  options.directory = kDirectory;
  options.file_bytes = kFileBytes;
  options.read_bytes = 1 << 10;
  auto store = runtime.run(SegmentStore::open(runtime, options));
  return store ? *std::move(store) : nullptr;
}

// Every entry can be read, or an error says that it is damaged; a sound log has no such.
void read_all(MemoryRuntime& runtime, SegmentStore& store, bool sound) {
  constexpr std::uint64_t kEnough = 1000;  // of one segment: entries may be empty, and very many
  for (const SegmentInfo& segment : store.segments()) {
    STELE_ASSERT(segment.begin <= segment.stored && segment.stored == segment.end);
    std::uint64_t at = segment.begin;
    while (at < std::min(segment.end, segment.begin + kEnough)) {
      const auto entries = runtime.run(store.read(segment.id, at, 1 << 10));
      STELE_ASSERT(entries || !sound);
      if (!entries) break;
      STELE_ASSERT(!entries->empty());
      at += entries->size();
    }
    STELE_ASSERT(at <= segment.end);
  }
}

struct Wanted {
  SegmentId id;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// What the store holds, after one more entry to each segment that takes it.
std::vector<Wanted> append_to_all(MemoryRuntime& runtime, SegmentStore& store) {
  std::vector<Wanted> wanted;
  for (const SegmentInfo& segment : store.segments()) {
    wanted.push_back({segment.id, segment.begin, segment.end});
    if (segment.end >= kLateEnd) continue;
    std::vector<LogEntry> entries;
    entries.push_back({.head = Bytes::copy("one more"), .body = {}});
    std::optional<Result<void>> done;
    store.append(segment.id, segment.fence, segment.end, std::move(entries),
                 [&](Result<void> result) { done = std::move(result); });
    while (!done) STELE_ASSERT(runtime.turn());
    STELE_ASSERT(done->has_value());
    ++wanted.back().end;
  }
  return wanted;
}

void try_directory(std::string_view input) {
  MemoryDisk disk(1);
  MemoryRuntime runtime(disk, 1);
  put_files(disk, input);
  std::vector<std::string> before, after;
  for (const std::string& name : disk.names()) before.push_back(disk.content(name));
  const auto report = runtime.run(verify(runtime.files(), kDirectory));
  STELE_ASSERT(report.has_value());
  for (const std::string& name : disk.names()) after.push_back(disk.content(name));
  STELE_ASSERT(before == after);

  // A checkpoint that is wrong with a right checksum is believed: no writer makes one.
  const auto names = disk.names();
  const bool checkpoint =
      std::any_of(names.begin(), names.end(), [](const auto& n) { return n.contains("/index-"); });
  auto store = open_store(runtime);
  STELE_ASSERT(store || !report->sound());
  if (!store) return;
  read_all(runtime, *store, report->sound() && !checkpoint);
  const std::vector<Wanted> wanted = append_to_all(runtime, *store);
  const auto closed = runtime.run(store->close());
  STELE_ASSERT(closed.has_value());
  store.reset();

  store = open_store(runtime);
  STELE_ASSERT(store != nullptr);
  STELE_ASSERT(store->segments().size() == wanted.size());
  for (const Wanted& segment : wanted) {
    const auto info = store->info(segment.id);
    STELE_ASSERT(info && info->begin == segment.begin && info->end == segment.end);
  }
  const auto closed_again = runtime.run(store->close());
  STELE_ASSERT(closed_again.has_value());
}

}  // namespace
}  // namespace stele::storage

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  stele::storage::try_directory({reinterpret_cast<const char*>(data), size});
  return 0;
}
