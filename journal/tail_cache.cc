#include "journal/tail_cache.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace stele::journal {
namespace {

constexpr std::size_t kSmallestRing = 16;

// What an entry costs in memory, roughly: small ones weigh more than their bytes.
std::size_t cost(const storage::LogEntry& entry) {
  return entry.size() + sizeof(storage::LogEntry);
}

}  // namespace

void TailBudget::add(Run run) {
  committed_bytes_ += run.bytes;
  runs_.push_back(run);
  while (committed_bytes_ > limit_) {
    STELE_ASSERT(!runs_.empty());
    const Run oldest = runs_.front();
    runs_.pop_front();
    committed_bytes_ -= oldest.bytes;
    oldest.cache->evict_below(oldest.end);
  }
}

void TailBudget::forget(const TailCache& cache) {
  std::erase_if(runs_, [&](const Run& run) {
    if (run.cache == &cache) committed_bytes_ -= run.bytes;
    return run.cache == &cache;
  });
  subtract_pending(cache.pending_bytes_);
}

void TailBudget::add_pending(std::size_t bytes) {
  pending_bytes_ += bytes;
  if (pending_bytes_ >= max_pending_) congested_ = true;
}

void TailBudget::subtract_pending(std::size_t bytes) {
  STELE_ASSERT(bytes <= pending_bytes_);
  pending_bytes_ -= bytes;
  if (congested_ && pending_bytes_ <= max_pending_ / 2) {
    congested_ = false;
    when_relieved_();
  }
}

void TailBudget::tell_relief() {
  if (congested_) return;
  IntrusiveList<ReliefListener, ReliefListenerTag> now;
  while (!watchers_.empty()) now.push_back(watchers_.pop_front());
  while (!now.empty()) {
    ReliefListener& watcher = now.pop_front();
    watchers_.push_back(watcher);
    watcher.on_relief();
  }
}

TailCache::~TailCache() {
  budget_.forget(*this);
}

void TailCache::push(storage::LogEntry entry) {
  if (end_ - begin_ == ring_.size()) resize_ring(std::max(kSmallestRing, ring_.size() * 2));
  pending_bytes_ += cost(entry);
  budget_.add_pending(cost(entry));
  ring_[slot(end_)] = std::move(entry);
  ++end_;
}

std::size_t TailCache::commit(Lsn end) {
  STELE_ASSERT(end >= committed_ && end <= end_);
  std::size_t bytes = 0, costs = 0;
  for (Lsn lsn = committed_; lsn < end; ++lsn) {
    bytes += at(lsn).size();
    costs += cost(at(lsn));
  }
  STELE_ASSERT(costs <= pending_bytes_);
  pending_bytes_ -= costs;
  budget_.subtract_pending(costs);
  if (end == committed_) return 0;
  committed_ = end;
  budget_.add({this, end, costs});
  return bytes;
}

const storage::LogEntry& TailCache::at(Lsn lsn) const {
  STELE_ASSERT(lsn >= begin_ && lsn < end_);
  return ring_[slot(lsn)];
}

bool TailCache::read(Lsn from, std::size_t max_bytes, std::vector<storage::LogEntry>& out) const {
  if (from < begin_ || from > end_) return false;
  std::size_t bytes = 0;
  for (Lsn lsn = from; lsn < end_; ++lsn) {
    const storage::LogEntry& entry = ring_[slot(lsn)];
    bytes += entry.size();
    if (lsn != from && bytes > max_bytes) break;
    out.push_back(entry);
  }
  return true;
}

void TailCache::evict_below(Lsn end) {
  STELE_ASSERT(end <= committed_);
  for (; begin_ < end; ++begin_) ring_[slot(begin_)] = {};
  if (ring_.size() > kSmallestRing && (end_ - begin_) * 8 < ring_.size()) resize_ring(ring_.size() / 2);
}

void TailCache::resize_ring(std::size_t capacity) {
  STELE_ASSERT(capacity >= end_ - begin_);
  std::vector<storage::LogEntry> before = std::exchange(ring_, std::vector<storage::LogEntry>(capacity));
  for (Lsn lsn = begin_; lsn < end_; ++lsn)
    ring_[slot(lsn)] = std::move(before[lsn.value & (before.size() - 1)]);
}

}  // namespace stele::journal
