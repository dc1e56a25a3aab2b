#include "storage/index_checkpoint.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/wire.h"

namespace stele::storage {

namespace {
constexpr std::string_view kMagic = "STELEIDX";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kCrcAt = 8;
constexpr std::size_t kCheckedFrom = 12;
}  // namespace

std::string encode_checkpoint(const LogIndex& index, std::uint64_t incarnation, FileSequence current) {
  std::string out;
  Writer w(out);
  w.bytes(kMagic).le(std::uint32_t{0}).le(kVersion).le(incarnation);
  std::vector<FileRecord> files = index.file_records();
  std::erase_if(files, [&](const FileRecord& file) { return file.sequence == current; });
  w.uvarint(files.size()).sized(encode_files(files));
  w.uvarint(index.segments().size());
  for (const auto& [id, segment] : index.segments()) {
    w.uvarint(id.value);
    w.uvarint(std::uint64_t(std::count_if(segment.places.begin(), segment.places.end(),
                                          [&](const Place& place) { return place.file != current; })));
    for (const Place& place : segment.places) {
      if (place.file == current) continue;
      w.uvarint(place.from).uvarint(place.to - place.from).uvarint(place.file.value);
      w.uvarint(place.position.value).uvarint(place.end - place.position).uvarint(place.bytes);
    }
  }
  w.patch_le(kCrcAt, crc32c(std::string_view(out).substr(kCheckedFrom)));
  return out;
}

Result<IndexCheckpoint> decode_checkpoint(std::string_view bytes) {
  const auto corrupt = [](const char* what) { return error(ErrorCode::kCorrupt, what); };
  Reader r(bytes);
  if (r.bytes(kMagic.size()) != kMagic) return corrupt("not an index checkpoint");
  const auto crc = r.le<std::uint32_t>();
  if (r.failed() || crc != crc32c(bytes.substr(kCheckedFrom))) return corrupt("the checksum is wrong");
  if (const auto version = r.le<std::uint32_t>(); version != kVersion) {
    return error(ErrorCode::kUnsupported, "format version " + std::to_string(version));
  }
  IndexCheckpoint checkpoint;
  checkpoint.incarnation = r.le<std::uint64_t>();
  const std::uint64_t files = r.uvarint();
  const std::string_view file_bytes = r.sized();
  auto records =
      decode_files(file_bytes, static_cast<std::uint32_t>(std::min<std::uint64_t>(files, UINT32_MAX)));
  if (r.failed() || !records) return corrupt("the list of files does not follow its format");
  checkpoint.files = *std::move(records);

  const std::uint64_t segments = r.uvarint();
  for (std::uint64_t s = 0; s < segments && r.ok(); ++s) {
    const SegmentId id(r.uvarint());
    std::vector<Place> places;
    const std::uint64_t count = r.uvarint();
    for (std::uint64_t i = 0; i < count && r.ok(); ++i) {
      Place place;
      place.from = r.uvarint();
      place.to = place.from + r.uvarint();
      place.file = FileSequence(r.uvarint());
      place.position = Position(r.uvarint());
      place.end = place.position + r.uvarint();
      place.bytes = r.uvarint();
      if (place.to <= place.from || place.end <= place.position) r.fail();
      places.push_back(place);
    }
    checkpoint.segments.emplace_back(id, std::move(places));
  }
  if (!r.ok() || !r.at_end()) return corrupt("the places do not follow their format");
  return checkpoint;
}

}  // namespace stele::storage
