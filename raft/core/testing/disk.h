// A node's log, hard state and snapshot as a driver would keep them, in memory, for tests. Writes are applied
// in the order of Store; a crash may leave the first part of one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "raft/core/effects.h"

namespace stele::raft {

struct DiskImage {
  HardState hard;
  SnapshotInfo start;  // the entry before the first, and who took part there
  std::map<LogIndex, Entry> entries;
  std::set<LogIndex> lost;  // slots that were written and cannot be read
  std::optional<SnapshotInfo> snapshot;

  LogIndex last() const;
  // The first `parts` parts of a Store: hard state, snapshot, and each entry count one.
  void write(const Store& store, std::size_t parts = SIZE_MAX);
  void cut(const SnapshotInfo& start);
  // Readable entries from `first` on, up to the first that is not.
  std::vector<Entry> read(SlotRange slots, std::size_t bytes_max) const;
  bool holds(LogPoint point) const;
  const Membership& membership() const;
  Restored restore(LogIndex applied) const;
};

}  // namespace stele::raft
