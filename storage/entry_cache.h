// Entries kept in memory: the same buffers that were written. Per segment the last ones without a gap; over
// all segments the oldest go first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "model/ids.h"
#include "storage/log_entry.h"

namespace stele::storage {

// The entries of one append.
struct EntryChunk {
  SegmentId segment;
  std::uint64_t first = 0;
  std::vector<LogEntry> entries;
  std::uint64_t bytes = 0;  // of the entries
  bool written = false;     // can be read from the disk, so it may leave the cache
  bool dropped = false;     // left the cache
  std::uint64_t end() const { return first + entries.size(); }
  std::uint64_t cost() const { return bytes + entries.size() * sizeof(LogEntry); }
};

class EntryCache {
 public:
  explicit EntryCache(std::uint64_t budget) : budget_(budget) {}

  // At the end of what the cache has of the segment. Gives up old chunks for it.
  void push(std::shared_ptr<EntryChunk> chunk);
  // What is written may have become too much.
  void evict();
  // Forgets what lies wholly below `below`; or the segment.
  void trim(SegmentId segment, std::uint64_t below);
  void remove(SegmentId segment);

  // Appends entries from `index` on to `out`, below `end`, the first whatever its size. False if `index` is
  // not there.
  bool read(SegmentId segment, std::uint64_t index, std::uint64_t end, std::size_t max_bytes,
            std::vector<LogEntry>& out) const;
  std::uint64_t bytes() const { return bytes_; }

 private:
  void drop_front(std::deque<std::shared_ptr<EntryChunk>>& chunks);

  const std::uint64_t budget_;
  std::uint64_t bytes_ = 0;
  std::map<SegmentId, std::deque<std::shared_ptr<EntryChunk>>> segments_;
  std::deque<std::shared_ptr<EntryChunk>>
      order_;  // of pushing; dropped ones leave when they come to the front
};

}  // namespace stele::storage
