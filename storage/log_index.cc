#include "storage/log_index.h"

#include <algorithm>

#include "base/assert.h"

namespace stele::storage {

Place place_of(FileSequence file, const PlacedBlock& block) {
  return {.from = block.first,
          .to = block.first + block.count,
          .file = file,
          .position = block.position,
          .end = block.position + block.bytes,
          .bytes = block.bytes};
}

bool extend(Place& place, FileSequence file, const PlacedBlock& block, const IndexGrain& grain) {
  STELE_ASSERT(block.kind == BlockKind::kEntries || block.kind == BlockKind::kMoved);
  if (place.file != file || place.to != block.first || block.position < place.end ||
      place.bytes + block.bytes > grain.own_bytes ||
      block.position + block.bytes - place.position > grain.span_bytes) {
    return false;
  }
  place.to += block.count;
  place.end = block.position + block.bytes;
  place.bytes += block.bytes;
  return true;
}

const LogIndex::Segment* LogIndex::find(SegmentId segment) const {
  const auto it = segments_.find(segment);
  return it == segments_.end() ? nullptr : &it->second;
}

const Place* LogIndex::find_place(const Segment& segment, std::uint64_t index) const {
  if (index < segment.begin || index >= segment.end) return nullptr;
  auto after = std::upper_bound(segment.places.begin(), segment.places.end(), index,
                                [](std::uint64_t i, const Place& place) { return i < place.from; });
  STELE_ASSERT(after != segment.places.begin());
  const Place& place = *std::prev(after);
  STELE_ASSERT(index < place.to);
  return &place;
}

void LogIndex::add_file(FileSequence file, Position end) {
  const bool added = files_.emplace(file, File{.end = end}).second;
  STELE_ASSERT(added);
  ++changes_of_files_;
}

void LogIndex::set_file_end(FileSequence file, Position end) {
  files_.at(file).end = end;
}

void LogIndex::drop_file(FileSequence file) {
  const auto it = files_.find(file);
  STELE_ASSERT(it != files_.end() && it->second.live_bytes == 0);
  files_.erase(it);
  ++changes_of_files_;
}

void LogIndex::take(Segment& segment, const Place& place) {
  files_.at(place.file).live_bytes += place.bytes;
  segment.bytes += place.bytes;
  ++places_;
}

void LogIndex::release(Segment& segment, const Place& place) {
  File& file = files_.at(place.file);
  STELE_ASSERT(file.live_bytes >= place.bytes && segment.bytes >= place.bytes && places_ > 0);
  file.live_bytes -= place.bytes;
  ++changes_of_files_;
  segment.bytes -= place.bytes;
  --places_;
}

void LogIndex::append(FileSequence file, const PlacedBlock& block) {
  Segment& segment = segments_[block.segment];
  STELE_ASSERT(block.first == segment.end && block.count > 0);
  segment.end += block.count;
  segment.fence = std::max(segment.fence, block.epoch);
  if (!segment.places.empty() && extend(segment.places.back(), file, block, grain_)) {
    files_.at(file).live_bytes += block.bytes;
    segment.bytes += block.bytes;
    return;
  }
  segment.places.push_back(place_of(file, block));
  take(segment, segment.places.back());
}

bool LogIndex::move(SegmentId id, const Place& old, FileSequence file,
                    const std::vector<PlacedBlock>& blocks) {
  STELE_ASSERT(!blocks.empty());
  const auto it = segments_.find(id);
  if (it == segments_.end()) return false;
  Segment& segment = it->second;
  auto at = std::lower_bound(segment.places.begin(), segment.places.end(), old.from,
                             [](const Place& place, std::uint64_t from) { return place.from < from; });
  if (at == segment.places.end() || at->from != old.from || at->file != old.file ||
      at->position != old.position) {
    return false;
  }
  Place moved{.from = at->from, .to = at->to, .file = file, .position = blocks.front().position};
  moved.end = blocks.back().position + blocks.back().bytes;
  for (const PlacedBlock& block : blocks) moved.bytes += block.bytes;
  STELE_ASSERT(blocks.front().first <= moved.from && blocks.back().first + blocks.back().count >= moved.to);
  release(segment, *at);
  *at = moved;
  take(segment, moved);
  return true;
}

void LogIndex::apply(const ControlRecord& record) {
  if (record.type == ControlRecord::Type::kFence) {
    Segment& segment = segments_[record.segment];
    segment.fence = std::max(segment.fence, Epoch(record.value));
    segment.certain = segment.certain && record.certain;
    return;
  }
  const auto it = segments_.find(record.segment);
  if (it == segments_.end()) return;
  Segment& segment = it->second;
  if (record.type == ControlRecord::Type::kTrim) {
    segment.begin = std::max(segment.begin, std::min(record.value, segment.end));
    while (!segment.places.empty() && segment.places.front().to <= segment.begin) {
      release(segment, segment.places.front());
      segment.places.pop_front();
    }
  } else if (record.type == ControlRecord::Type::kRemove) {
    for (const Place& place : segment.places) release(segment, place);
    segments_.erase(it);
  }
}

Result<void> LogIndex::restore(const SegmentRecord& state, const std::vector<Place>& places) {
  const auto [it, added] = segments_.try_emplace(state.segment);
  STELE_ASSERT(added && state.begin <= state.end);
  Segment& segment = it->second;
  segment.begin = state.begin;
  segment.end = state.end;
  segment.fence = state.fence;
  segment.certain = state.certain;

  // Newest first; each place fills what newer ones left open.
  std::map<std::uint64_t, Place> cover;  // by from
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    std::uint64_t from = std::max(place->from, state.begin);
    const std::uint64_t to = std::min(place->to, state.end);
    std::uint64_t bytes = place->bytes;
    while (from < to) {
      auto next = cover.upper_bound(from);
      if (next != cover.begin() && std::prev(next)->second.to > from) {
        from = std::prev(next)->second.to;
        continue;
      }
      Place piece = *place;
      piece.from = from;
      piece.to = next == cover.end() ? to : std::min(to, next->first);
      piece.bytes = bytes;
      bytes = 0;
      from = piece.to;
      cover.emplace(piece.from, piece);
    }
  }
  std::uint64_t covered = state.begin;
  for (const auto& [from, place] : cover) {
    if (from != covered) break;
    covered = place.to;
    segment.places.push_back(place);
    take(segment, place);
  }
  if (covered == state.end) return {};
  const auto gap = cover.upper_bound(covered);
  return error(ErrorCode::kCorrupt, "segment " + std::to_string(state.segment.value) + " lacks entries " +
                                        std::to_string(covered) + " to " +
                                        std::to_string(gap == cover.end() ? state.end : gap->first));
}

std::vector<SegmentRecord> LogIndex::states() const {
  std::vector<SegmentRecord> records;
  records.reserve(segments_.size());
  for (const auto& [id, segment] : segments_) {
    records.push_back({.segment = id,
                       .begin = segment.begin,
                       .end = segment.end,
                       .fence = segment.fence,
                       .certain = segment.certain});
  }
  return records;
}

std::vector<FileRecord> LogIndex::file_records() const {
  std::vector<FileRecord> records;
  records.reserve(files_.size());
  for (const auto& [sequence, file] : files_) records.push_back({.sequence = sequence, .end = file.end});
  return records;
}

}  // namespace stele::storage
