// Where in the records of a LogStore each slot of the log lies. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "raft/core/types.h"

namespace stele::raft {

class LogPlaces {
 public:
  // A stretch of slots that lie one behind the other.
  struct Run {
    LogIndex first;
    std::uint64_t count = 0;
    std::uint64_t at = 0;  // the record of the first
  };
  // One slot: its record, and for how many slots from there on the next record is the next slot.
  struct Place {
    std::uint64_t at = 0;
    std::uint64_t count = 1;
  };

  // The log is empty and begins with `next`.
  void reset(LogIndex next);
  LogIndex first() const { return runs_.empty() ? next_ : runs_.front().first; }
  LogIndex next() const { return next_; }

  // The next slot.
  void append(std::uint64_t at);
  // A slot that is there lies elsewhere now.
  void repair(LogIndex slot, std::uint64_t at);
  // Nothing from there on; a place behind the end is ignored.
  void truncate(LogIndex from);
  // Nothing below; if that is behind the end, the log is empty and begins there.
  void cut(LogIndex below);

  // Nothing for a slot that is not there.
  std::optional<Place> find(LogIndex slot) const;
  // The first record that is needed; nothing for an empty log.
  std::optional<std::uint64_t> oldest() const;

 private:
  std::vector<Run> runs_;  // ascending, without gaps
  std::map<LogIndex, std::uint64_t> repaired_;
  LogIndex next_{1};
};

}  // namespace stele::raft
