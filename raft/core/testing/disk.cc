#include "raft/core/testing/disk.h"

#include <algorithm>

#include "base/assert.h"

namespace stele::raft {

LogIndex DiskImage::last() const {
  LogIndex last = start.index;
  if (!entries.empty()) last = std::max(last, entries.rbegin()->first);
  if (!lost.empty()) last = std::max(last, *lost.rbegin());
  return last;
}

void DiskImage::write(const Store& store, std::size_t parts) {
  const auto next = [&] { return parts != 0 && parts-- != 0; };
  if (store.hard_state && !next()) return;
  if (store.hard_state) hard = *store.hard_state;
  if (store.snapshot && !next()) return;
  if (store.snapshot) {
    snapshot = store.snapshot;
    start = *store.snapshot;
    entries.clear();
    lost.clear();
  }
  for (const Entry& entry : store.repaired) {
    if (!next()) return;
    entries[entry.index] = entry;
    lost.erase(entry.index);
  }
  if (store.truncate_from) {
    if (!next()) return;
    entries.erase(entries.lower_bound(*store.truncate_from), entries.end());
    lost.erase(lost.lower_bound(*store.truncate_from), lost.end());
  }
  for (const Entry& entry : store.entries) {
    if (!next()) return;
    STELE_ASSERT(entry.index == last() + 1);
    entries[entry.index] = entry;
  }
}

void DiskImage::cut(const SnapshotInfo& new_start) {
  start = new_start;
  entries.erase(entries.begin(), entries.upper_bound(start.index));
  lost.erase(lost.begin(), lost.upper_bound(start.index));
}

std::vector<Entry> DiskImage::read(SlotRange slots, std::size_t bytes_max) const {
  std::vector<Entry> found;
  std::size_t bytes = 0;
  for (auto at = entries.find(slots.first); at != entries.end() && at->first <= slots.last; ++at) {
    bytes += at->second.size();
    if (!found.empty() && (bytes > bytes_max || at->first != found.back().index + 1)) break;
    found.push_back(at->second);
  }
  return found;
}

bool DiskImage::holds(LogPoint point) const {
  if (point.index <= start.index) return true;
  const auto at = entries.find(point.index);
  return at != entries.end() && at->second.term == point.term;
}

const Membership& DiskImage::membership() const {
  for (auto at = entries.rbegin(); at != entries.rend(); ++at) {
    if (at->second.membership) return *at->second.membership;
  }
  return start.membership;
}

Restored DiskImage::restore(LogIndex applied) const {
  Restored restored;
  restored.hard_state = hard;
  restored.snapshot = snapshot;
  restored.applied = std::max(applied, snapshot ? snapshot->index : start.index);
  restored.commit = restored.applied;
  LogOutline& log = restored.log;
  if (snapshot && snapshot->index > last()) {
    // The log was behind when the snapshot became durable: it begins after it.
    log.start = {snapshot->term, snapshot->index};
    log.last = snapshot->index;
    log.base = snapshot->membership;
    return restored;
  }
  log.start = {start.term, start.index};
  log.base = start.membership;
  log.last = last();
  for (const auto& [index, entry] : entries) {
    if (log.terms.empty() || log.terms.back().term != entry.term) log.terms.push_back({index, entry.term});
    if (entry.membership) log.memberships.push_back({index, *entry.membership});
  }
  for (const LogIndex index : lost) {
    if (!log.damaged.empty() && log.damaged.back().last + 1 == index) {
      log.damaged.back().last = index;
    } else {
      log.damaged.push_back({index, index});
    }
  }
  return restored;
}

}  // namespace stele::raft
