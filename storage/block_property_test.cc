// The log's bytes: what is encoded comes back, and whatever is bent is refused or still means the same.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/batch_encoder.h"
#include "storage/block.h"
#include "storage/index_checkpoint.h"
#include "storage/log_index.h"

namespace stele::storage {
namespace {

using Control = ControlRecord;

std::uint64_t any_number() {
  return *rc::gen::arbitrary<std::uint64_t>();
}
// As large as the log's own numbers may become, and leaves room to add.
std::uint64_t below(std::uint64_t limit) {
  return *rc::gen::inRange<std::uint64_t>(0, limit);
}
std::string any_text(int most) {
  const auto length = *rc::gen::inRange(0, most + 1);
  return *rc::gen::container<std::string>(static_cast<std::size_t>(length), rc::gen::arbitrary<char>());
}
// One bit of `bytes` is flipped.
std::string bent(std::string bytes) {
  const std::size_t at = *rc::gen::inRange<std::size_t>(0, bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << *rc::gen::inRange(0, 8)));
  return bytes;
}

// ---- headers --------------------------------------------------------------------------------------------

FileHeader any_file_header() {
  return {.sequence = FileSequence(any_number()),
          .incarnation = any_number(),
          .predecessor = FileSequence(any_number()),
          .predecessor_end = Position(any_number()),
          .prologue_end = Position(any_number()),
          .durability = *rc::gen::arbitrary<std::uint8_t>()};
}

RC_GTEST_PROP(FileHeaders, ComeBackAndAreRefusedWhenBent, ()) {
  const FileHeader header = any_file_header();
  const std::string bytes = encode_file_header(header);
  RC_ASSERT(bytes.size() == kFileHeaderBytes);
  const auto again = decode_file_header(bytes);
  RC_ASSERT(again.has_value());
  RC_ASSERT(encode_file_header(*again) == bytes);
  RC_ASSERT(again->sequence == header.sequence && again->prologue_end == header.prologue_end);
  RC_ASSERT(!decode_file_header(bent(bytes)).has_value());
  RC_ASSERT(!decode_file_header(std::string_view(bytes).substr(0, below(kFileHeaderBytes))).has_value());
}

BlockHeader any_block_header() {
  BlockHeader header;
  header.kind = static_cast<BlockKind>(*rc::gen::inRange(1, 6));
  header.stored_bytes = static_cast<std::uint32_t>(align_up(kBlockHeaderBytes + below(1 << 20), 8));
  header.payload_bytes = static_cast<std::uint32_t>(below(header.stored_bytes - kBlockHeaderBytes + 1));
  header.payload_crc = *rc::gen::arbitrary<std::uint32_t>();
  header.count = *rc::gen::arbitrary<std::uint32_t>();
  header.file = FileSequence(any_number());
  header.position = Position(any_number());
  header.synced = Position(header.position.value == 0 ? 0 : below(header.position.value));
  header.segment = SegmentId(any_number());
  header.epoch = Epoch(any_number());
  header.first = any_number() >> 1;
  return header;
}

RC_GTEST_PROP(BlockHeaders, ComeBackInTheirPlaceOnly, ()) {
  const BlockHeader header = any_block_header();
  std::string bytes(kBlockHeaderBytes, '\0');
  encode_block_header(header, bytes.data());
  const auto again = decode_block_header(bytes, header.file, header.position);
  RC_ASSERT(again.has_value());
  std::string same(kBlockHeaderBytes, '\0');
  encode_block_header(*again, same.data());
  RC_ASSERT(same == bytes);
  RC_ASSERT(resembles_block_header(bytes, header.file, header.position));

  RC_ASSERT(!decode_block_header(bytes, FileSequence(header.file.value ^ 1), header.position));
  RC_ASSERT(!decode_block_header(bytes, header.file, Position(header.position.value ^ 8)));
  RC_ASSERT(!decode_block_header(std::string_view(bytes).substr(1), header.file, header.position));
  const std::string damaged = bent(bytes);
  RC_ASSERT(!decode_block_header(damaged, header.file, header.position));
  // One bit is not enough to make it look like nothing.
  RC_ASSERT(resembles_block_header(damaged, header.file, header.position));
}

// ---- payloads -------------------------------------------------------------------------------------------

Control any_control() {
  Control record;
  record.type = static_cast<Control::Type>(*rc::gen::inRange(1, 6));
  if (record.type <= Control::Type::kRemove) record.segment = SegmentId(any_number());
  if (record.type != Control::Type::kRemove && record.type != Control::Type::kClean)
    record.value = any_number();
  if (record.type == Control::Type::kFence) record.certain = *rc::gen::arbitrary<bool>();
  return record;
}

SegmentRecord any_segment() {
  const std::uint64_t begin = any_number() >> 1;
  return {.segment = SegmentId(any_number()),
          .begin = begin,
          .end = begin + (any_number() >> 1),
          .fence = Epoch(any_number()),
          .certain = *rc::gen::arbitrary<bool>()};
}

std::vector<FileRecord> any_files() {
  std::map<FileSequence, Position> files;
  for (std::uint64_t i = below(8); i > 0; --i) files[FileSequence(1 + below(1000))] = Position(any_number());
  std::vector<FileRecord> records;
  for (const auto& [sequence, end] : files) records.push_back({.sequence = sequence, .end = end});
  return records;
}

template <class Record, class Encode, class Decode>
void check_list(const std::vector<Record>& records, Encode encode, Decode decode) {
  const std::string bytes = encode(records);
  const auto count = static_cast<std::uint32_t>(records.size());
  const auto again = decode(bytes, count);
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again == records);
  // The count is part of it, and so is the end.
  RC_ASSERT(!decode(bytes, count + 1).has_value());
  RC_ASSERT(!decode(bytes + "\5", count).has_value());
  if (!records.empty()) {
    RC_ASSERT(!decode(bytes, count - 1).has_value());
    RC_ASSERT(!decode(std::string_view(bytes).substr(0, below(bytes.size())), count).has_value());
  }
}

RC_GTEST_PROP(Payloads, ControlsComeBack, ()) {
  std::vector<Control> records(below(8));
  std::generate(records.begin(), records.end(), any_control);
  check_list(records, encode_controls, decode_controls);
}
RC_GTEST_PROP(Payloads, StatesComeBack, ()) {
  std::vector<SegmentRecord> records(below(8));
  std::generate(records.begin(), records.end(), any_segment);
  check_list(records, encode_states, decode_states);
}
RC_GTEST_PROP(Payloads, FilesComeBack, ()) {
  check_list(any_files(), encode_files, decode_files);
}
RC_GTEST_PROP(Payloads, AnyBytesAreAnsweredAndNothingIsMadeUp, ()) {
  const std::string bytes = any_text(60);
  const auto count = static_cast<std::uint32_t>(below(20));
  if (const auto records = decode_controls(bytes, count)) RC_ASSERT(records->size() == count);
  if (const auto records = decode_files(bytes, count)) {
    RC_ASSERT(std::is_sorted(records->begin(), records->end(),
                             [](const auto& a, const auto& b) { return a.sequence < b.sequence; }));
  }
  if (const auto records = decode_states(bytes, count)) {
    for (const SegmentRecord& record : *records) RC_ASSERT(record.begin <= record.end);
  }
  std::vector<std::string_view> entries;
  if (split_entries(bytes, count, entries)) RC_ASSERT(entries.size() == count);
}

// ---- a whole write --------------------------------------------------------------------------------------

struct Written {
  std::string bytes;
  std::vector<std::vector<std::string>> blocks;  // their entries
  std::vector<PlacedBlock> placed;
};

Written write_blocks(FileSequence file, Position start) {
  Written written;
  BatchEncoder encoder(file, start, Position(0));
  std::uint64_t first = 0;
  for (std::uint64_t blocks = 1 + below(5); blocks > 0; --blocks) {
    encoder.begin(BlockKind::kEntries, SegmentId(1), Epoch(1), first);
    auto& entries = written.blocks.emplace_back();
    for (std::uint64_t i = 1 + below(5); i > 0; --i) {
      // Some bodies are large enough to become slices of their own.
      std::string head = any_text(40), body = std::string(below(2) * (900 + below(400)), 'b');
      encoder.add({.head = Bytes::copy(head), .body = Bytes::copy(body)});
      entries.push_back(head + body);
    }
    first += entries.size();
  }
  const Position end = encoder.finish();
  for (const Bytes& slice : encoder.take_slices()) written.bytes.append(slice.view());
  RC_ASSERT(end.value % kWriteAlignment == 0 && end - start == written.bytes.size());
  written.placed = encoder.blocks();
  return written;
}

// How many blocks can be read before the first that is damaged.
std::size_t readable(std::string_view bytes, FileSequence file, Position start, const Written& written) {
  std::size_t blocks = 0;
  std::uint64_t at = 0;
  while (at < bytes.size()) {
    const auto header = decode_block_header(bytes.substr(at), file, start + at);
    if (!header || header->stored_bytes > bytes.size() - at) break;
    const auto payload = bytes.substr(at + kBlockHeaderBytes, header->payload_bytes);
    if (!payload_matches(*header, payload)) break;
    std::vector<std::string_view> entries;
    RC_ASSERT(split_entries(payload, header->count, entries));
    RC_ASSERT(std::equal(entries.begin(), entries.end(), written.blocks[blocks].begin(),
                         written.blocks[blocks].end()));
    RC_ASSERT(written.placed[blocks].position == start + at);
    RC_ASSERT(written.placed[blocks].bytes == header->stored_bytes);
    at += header->stored_bytes;
    ++blocks;
  }
  return blocks;
}

RC_GTEST_PROP(Writes, ABlockIsReadWholeOrNotAtAll, ()) {
  const FileSequence file(1 + below(1000));
  const Position start(below(1000) * kWriteAlignment);
  const Written written = write_blocks(file, start);
  RC_ASSERT(readable(written.bytes, file, start, written) == written.blocks.size());
  // Torn anywhere, or with a bit flipped: the blocks before it are what they were, and nothing else is read
  // as something else. A bit of the padding changes nothing.
  readable(std::string_view(written.bytes).substr(0, below(written.bytes.size())), file, start, written);
  readable(bent(written.bytes), file, start, written);
  // As part of another file, or elsewhere in this one, it is nothing.
  RC_ASSERT(readable(written.bytes, file + 1, start, written) == 0u);
  RC_ASSERT(readable(written.bytes, file, start + kWriteAlignment, written) == 0u);
}

// ---- index and checkpoint -------------------------------------------------------------------------------

// Entries of some segments in some files, as a writer places them; each segment as its list of blocks.
struct Log {
  LogIndex index{IndexGrain{.own_bytes = 600, .span_bytes = 3000}};
  std::map<SegmentId, std::vector<std::pair<FileSequence, PlacedBlock>>> blocks;
  FileSequence last{};
};

void fill(Log& log) {
  std::map<SegmentId, std::uint64_t> ends;
  const std::uint64_t files = 1 + below(4);
  for (std::uint64_t f = 1; f <= files; ++f) {
    log.last = FileSequence(f);
    Position at(kFileHeaderBytes);
    log.index.add_file(log.last, at);
    for (std::uint64_t i = below(12); i > 0; --i) {
      PlacedBlock block{.segment = SegmentId(1 + below(3)), .epoch = Epoch(1), .position = at};
      block.first = ends[block.segment];
      block.count = 1 + below(4);
      block.bytes = align_up(kBlockHeaderBytes + below(400), kBlockAlignment);
      log.index.append(log.last, block);
      log.blocks[block.segment].emplace_back(log.last, block);
      ends[block.segment] += block.count;
      at += block.bytes;
    }
    log.index.set_file_end(log.last, at);
  }
  for (const auto& [segment, end] : ends) {
    if (below(3) > 0) continue;
    log.index.apply({.type = Control::Type::kTrim, .segment = segment, .value = below(end + 1)});
  }
}

RC_GTEST_PROP(Index, FindsTheBlockOfEachEntry, ()) {
  Log log;
  fill(log);
  std::map<FileSequence, std::uint64_t> live;
  for (const auto& [id, segment] : log.index.segments()) {
    for (const Place& place : segment.places) live[place.file] += place.bytes;
    for (const auto& [file, block] : log.blocks[id]) {
      for (std::uint64_t index = block.first; index < block.first + block.count; ++index) {
        const Place* place = log.index.find_place(segment, index);
        RC_ASSERT((place != nullptr) == (index >= segment.begin));
        if (!place) continue;
        RC_ASSERT(place->file == file && place->from <= index && index < place->to);
        RC_ASSERT(place->position <= block.position && block.position + block.bytes <= place->end);
      }
    }
  }
  for (const auto& [file, state] : log.index.files()) RC_ASSERT(state.live_bytes == live[file]);
}

RC_GTEST_PROP(Index, IsRestoredFromStatesAndPlaces, ()) {
  Log log;
  fill(log);
  LogIndex again(IndexGrain{});
  for (const FileRecord& file : log.index.file_records()) again.add_file(file.sequence, file.end);
  for (const SegmentRecord& state : log.index.states()) {
    const auto& places = log.index.find(state.segment)->places;
    RC_ASSERT(again.restore(state, {places.begin(), places.end()}).has_value());
  }
  RC_ASSERT(again.states() == log.index.states());
  RC_ASSERT(again.file_records() == log.index.file_records());
  for (const auto& [id, segment] : log.index.segments()) RC_ASSERT(again.find(id)->end == segment.end);
}

RC_GTEST_PROP(Index, ALackingPlaceIsAnError, ()) {
  Log log;
  fill(log);
  for (const SegmentRecord& state : log.index.states()) {
    const auto& kept = log.index.find(state.segment)->places;
    if (kept.empty()) continue;
    std::vector<Place> places(kept.begin(), kept.end());
    places.erase(places.begin() + static_cast<std::ptrdiff_t>(below(places.size())));
    LogIndex again(IndexGrain{});
    for (const FileRecord& file : log.index.file_records()) again.add_file(file.sequence, file.end);
    const auto restored = again.restore(state, places);
    RC_ASSERT(!restored && restored.error().code == ErrorCode::kCorrupt);
  }
}

RC_GTEST_PROP(Checkpoint, HoldsAllButTheCurrentFile, ()) {
  Log log;
  fill(log);
  const std::uint64_t incarnation = any_number();
  const std::string bytes = encode_checkpoint(log.index, incarnation, log.last);
  const auto checkpoint = decode_checkpoint(bytes);
  RC_ASSERT(checkpoint.has_value());
  RC_ASSERT(checkpoint->incarnation == incarnation);
  std::vector<FileRecord> files = log.index.file_records();
  std::erase_if(files, [&](const FileRecord& file) { return file.sequence == log.last; });
  RC_ASSERT(checkpoint->files == files);
  RC_ASSERT(checkpoint->segments.size() == log.index.segments().size());
  for (const auto& [id, places] : checkpoint->segments) {
    std::vector<Place> expected;
    for (const Place& place : log.index.find(id)->places) {
      if (place.file != log.last) expected.push_back(place);
    }
    RC_ASSERT(places == expected);
  }
  RC_ASSERT(!decode_checkpoint(bent(bytes)).has_value());
  RC_ASSERT(!decode_checkpoint(std::string_view(bytes).substr(0, below(bytes.size()))).has_value());
  RC_ASSERT(!decode_checkpoint(bytes + any_text(3) + "x").has_value());
}

// ---- names ----------------------------------------------------------------------------------------------

RC_GTEST_PROP(Names, ComeBackInTheOrderOfTheirNumbers, ()) {
  constexpr std::uint64_t kMost = 999'999'999'999'999'999;  // 18 digits
  const std::uint64_t a = below(kMost), b = below(std::uint64_t{10'000'000'000'000'000});
  RC_ASSERT(parse_numbered_name("wal", wal_name(FileSequence(a))) == std::optional(a));
  RC_ASSERT(!parse_numbered_name("spare", wal_name(FileSequence(a))));
  RC_ASSERT(!parse_numbered_name("wal", wal_name(FileSequence(a)) + ".tmp"));
  RC_ASSERT(wal_name(FileSequence(b)).size() == 20u);
}

}  // namespace
}  // namespace stele::storage
