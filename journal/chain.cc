#include "journal/chain.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/assert.h"

namespace stele::journal {
namespace {

// What is wrong with them as a chain; empty if nothing.
std::string fault_of(const std::vector<meta::Segment>& segments) {
  std::set<SegmentId> ids;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const meta::Segment& segment = segments[i];
    const std::string name = "segment " + std::to_string(segment.id.value);
    if (!ids.insert(segment.id).second) return name + " is there twice";
    if (!segment.end) {
      if (i + 1 != segments.size()) return name + " is open but not the last";
    } else if (*segment.end < segment.base) {
      return name + " ends before it begins";
    }
    if (i == 0) continue;
    const meta::Segment& before = segments[i - 1];
    if (segment.base != *before.end)
      return name + " begins at " + std::to_string(segment.base.value) + ", the one before ends at " +
             std::to_string(before.end->value);
    if (segment.epoch < before.epoch) return name + " has a lower epoch than the one before";
  }
  return {};
}

}  // namespace

Result<Chain> Chain::from(std::vector<meta::Segment> segments) {
  if (auto fault = fault_of(segments); !fault.empty())
    return error(ErrorCode::kCorrupt, "the chain of segments does not hold: " + fault);
  return Chain(std::move(segments));
}

const meta::Segment& Chain::last() const {
  STELE_ASSERT(!empty());
  return segments_.back();
}

Lsn Chain::sealed_end() const {
  if (empty()) return Lsn(0);
  return last().end ? *last().end : last().base;
}

const meta::Segment* Chain::locate(Lsn lsn) const {
  // The last segment that begins at or below `lsn`: it is past the empty ones that begin there too.
  auto after = std::upper_bound(segments_.begin(), segments_.end(), lsn,
                                [](Lsn at, const meta::Segment& segment) { return at < segment.base; });
  if (after == segments_.begin()) return nullptr;
  const meta::Segment& segment = *std::prev(after);
  return !segment.end || lsn < *segment.end ? &segment : nullptr;
}

const meta::Segment* Chain::find(SegmentId id) const {
  const auto found = std::ranges::find(segments_, id, &meta::Segment::id);
  return found == segments_.end() ? nullptr : &*found;
}

void Chain::place(SegmentId id, std::vector<meta::Replica> replicas) {
  const auto found = std::ranges::find(segments_, id, &meta::Segment::id);
  if (found == segments_.end()) return;
  STELE_ASSERT(found->end && !replicas.empty());
  found->replicas = std::move(replicas);
}

std::optional<SegmentId> Chain::seal_and_open(Lsn end, meta::Segment next) {
  STELE_ASSERT(!next.end);
  std::optional<SegmentId> dropped;
  if (!empty()) {
    STELE_ASSERT(open() && end >= last().base && next.epoch >= last().epoch);
    if (end == last().base) {
      dropped = last().id;
      segments_.pop_back();
    } else {
      segments_.back().end = end;
    }
  }
  STELE_ASSERT(next.base == end);  // invariant 7: contiguous
  segments_.push_back(std::move(next));
  return dropped;
}

std::vector<SegmentId> Chain::trim(Lsn below) {
  std::vector<SegmentId> dropped;
  auto keep = segments_.begin();
  for (; keep != segments_.end() && keep->end && *keep->end <= below; ++keep) dropped.push_back(keep->id);
  segments_.erase(segments_.begin(), keep);
  return dropped;
}

}  // namespace stele::journal
