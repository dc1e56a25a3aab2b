#include "storage/entry_cache.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::storage {

void EntryCache::push(std::shared_ptr<EntryChunk> chunk) {
  auto& chunks = segments_[chunk->segment];
  STELE_ASSERT(chunks.empty() || chunks.back()->end() == chunk->first);
  bytes_ += chunk->cost();
  order_.push_back(chunk);
  chunks.push_back(std::move(chunk));
  evict();
}

void EntryCache::drop_front(std::deque<std::shared_ptr<EntryChunk>>& chunks) {
  EntryChunk& chunk = *chunks.front();
  STELE_ASSERT(!chunk.dropped && bytes_ >= chunk.cost());
  chunk.dropped = true;
  bytes_ -= chunk.cost();
  chunks.pop_front();
}

void EntryCache::evict() {
  while (!order_.empty() && (order_.front()->dropped || (bytes_ > budget_ && order_.front()->written))) {
    if (!order_.front()->dropped) {
      const auto it = segments_.find(order_.front()->segment);
      STELE_ASSERT(it != segments_.end() && it->second.front() == order_.front());
      drop_front(it->second);
      if (it->second.empty()) segments_.erase(it);
    }
    order_.pop_front();
  }
}

void EntryCache::trim(SegmentId segment, std::uint64_t below) {
  const auto it = segments_.find(segment);
  if (it == segments_.end()) return;
  while (!it->second.empty() && it->second.front()->end() <= below) drop_front(it->second);
  if (it->second.empty()) segments_.erase(it);
  evict();
}

void EntryCache::remove(SegmentId segment) {
  trim(segment, UINT64_MAX);
}

bool EntryCache::read(SegmentId segment, std::uint64_t index, std::uint64_t end, std::size_t max_bytes,
                      std::vector<LogEntry>& out) const {
  const auto it = segments_.find(segment);
  if (it == segments_.end()) return false;
  const auto& chunks = it->second;
  auto chunk = std::upper_bound(chunks.begin(), chunks.end(), index,
                                [](std::uint64_t i, const auto& c) { return i < c->end(); });
  if (chunk == chunks.end() || index < (*chunk)->first || index >= end) return false;
  std::size_t taken = 0;
  for (bool any = false; chunk != chunks.end(); ++chunk) {
    for (; index < std::min((*chunk)->end(), end); ++index) {
      const LogEntry& entry = (*chunk)->entries[index - (*chunk)->first];
      if (any && taken + entry.size() > max_bytes) return true;
      taken += entry.size();
      out.push_back(entry);
      any = true;
    }
  }
  return true;
}

}  // namespace stele::storage
