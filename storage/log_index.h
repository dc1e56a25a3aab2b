// What the log holds, in memory: the state of each segment, where its entries are, and how much of each file
// is still needed. Pure. Changes only by what is stored, so that it is at any time what a recovery would
// find.
//
// The index is sparse. A *place* is a stretch of one file that holds consecutive entries of a segment, among
// blocks of other segments; a reader goes through it block by block.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "storage/batch_encoder.h"
#include "storage/block.h"

namespace stele::storage {

struct Place {
  std::uint64_t from = 0;  // entries [from, to)
  std::uint64_t to = 0;
  FileSequence file{};
  Position position{};      // of the first block
  Position end{};           // of the last one
  std::uint64_t bytes = 0;  // of the blocks, without those of other segments
  friend bool operator==(const Place&, const Place&) = default;
};

struct IndexGrain {
  std::uint64_t own_bytes = 64 << 10;  // a place holds no more than this of its segment, or one block
  std::uint64_t span_bytes = 4 << 20;  // and is no longer than this
};
// Adds the block to the place if it continues it and the grain allows.
bool extend(Place& place, FileSequence file, const PlacedBlock& block, const IndexGrain& grain);
Place place_of(FileSequence file, const PlacedBlock& block);

class LogIndex {
 public:
  struct Segment {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Epoch fence;
    bool certain = true;
    std::deque<Place> places;  // cover [begin, end) without gap or overlap
    std::uint64_t bytes = 0;
  };
  struct File {
    Position end;  // valid up to here
    std::uint64_t live_bytes = 0;
  };

  explicit LogIndex(IndexGrain grain) : grain_(grain) {}

  const std::map<SegmentId, Segment>& segments() const { return segments_; }
  const std::map<FileSequence, File>& files() const { return files_; }
  const Segment* find(SegmentId segment) const;
  const Place* find_place(const Segment& segment, std::uint64_t index) const;
  std::uint64_t places() const { return places_; }
  // Another number whenever a file came or went, or less of one is needed.
  std::uint64_t changes_of_files() const { return changes_of_files_; }

  void add_file(FileSequence file, Position end);
  void set_file_end(FileSequence file, Position end);
  void drop_file(FileSequence file);  // nothing of it is needed

  // A block at the end of its segment, which it may begin.
  void append(FileSequence file, const PlacedBlock& block);
  // `old` was copied to these blocks. False if it is no longer needed (and so is the copy).
  bool move(SegmentId segment, const Place& old, FileSequence file, const std::vector<PlacedBlock>& blocks);
  // kFence, kTrim, kRemove; the other types are of no concern here.
  void apply(const ControlRecord& record);

  // A segment as recovery found it: its state, and its places in the order in which they were written, copies
  // included. The newest copy counts. kCorrupt: they don't cover it.
  Result<void> restore(const SegmentRecord& state, const std::vector<Place>& places);

  std::vector<SegmentRecord> states() const;
  std::vector<FileRecord> file_records() const;

 private:
  void take(Segment& segment, const Place& place);
  void release(Segment& segment, const Place& place);

  const IndexGrain grain_;
  std::map<SegmentId, Segment> segments_;
  std::map<FileSequence, File> files_;
  std::uint64_t places_ = 0;
  std::uint64_t changes_of_files_ = 0;
};

}  // namespace stele::storage
