// The chain of a shard's segments, as arithmetic. Pure.
//
// A shard's log is cut into segments: segment k holds entries [base, end), and the next one's base is its
// end. Only the last is open. An entry's place is (segment, index), index = LSN − base. The meta service
// keeps the chain and changes it by compare-and-swap; this is the owner's copy, changed the same way after
// each swap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "base/result.h"
#include "meta/types.h"
#include "model/ids.h"

namespace stele::journal {

class Chain {
 public:
  Chain() = default;
  // kCorrupt when it is not a chain: a gap or an overlap, an open segment that is not the last, epochs that
  // go back, an id twice.
  static Result<Chain> from(std::vector<meta::Segment> segments);

  bool empty() const { return segments_.empty(); }
  const std::vector<meta::Segment>& segments() const { return segments_; }
  const meta::Segment& last() const;
  bool open() const { return !empty() && !last().end; }
  // Base of the first segment; 0 for an empty chain.
  Lsn begin() const { return empty() ? Lsn(0) : segments_.front().base; }
  // Where the sealed part ends: base of the open segment, if there is one.
  Lsn sealed_end() const;

  // The segment that `lsn` belongs to; the open one has no end here. Null: trimmed, or beyond a sealed end.
  const meta::Segment* locate(Lsn lsn) const;

  // Null: it has none of that id.
  const meta::Segment* find(SegmentId id) const;
  // A sealed segment lies there from now on. Nothing if the chain does not have it any more.
  void place(SegmentId id, std::vector<meta::Replica> replicas);

  // Seals the open segment at `end` and appends `next`, which begins there. A last segment that would end
  // empty leaves the chain instead; its id is returned.
  std::optional<SegmentId> seal_and_open(Lsn end, meta::Segment next);

  // Drops the sealed segments that end at or below `below` from the front; gives their ids.
  std::vector<SegmentId> trim(Lsn below);

 private:
  explicit Chain(std::vector<meta::Segment> segments) : segments_(std::move(segments)) {}
  std::vector<meta::Segment> segments_;
};

// Place of an entry inside its segment.
inline std::uint64_t index_in(const meta::Segment& segment, Lsn lsn) {
  STELE_ASSERT(lsn >= segment.base);
  return lsn - segment.base;
}

}  // namespace stele::journal
