// What the core knows of its node's log: the term of every entry from the log's start on, the recent entries
// themselves, who takes part, and which slots are lost. The log is on the disk; this is a view of it, ahead
// of the disk by what was handed out and is not stored yet.
//
// All terms are kept, for eight bytes an entry: then the questions of the protocol (does this entry fit,
// where do two logs part, whose log is longer) never wait for the disk. Bodies are kept for the last
// `cache_bytes`, and as long as they are not stored or not applied; who needs older ones has the driver read
// them.
//
// Lost slots lie between readable ones: a range that nothing readable follows is cut off when the log is
// restored (see damage in core.h). Terms never fall; a lost slot is listed with the term of what lies below
// it, which is a lower bound.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "raft/core/types.h"

namespace stele::raft {

// The first index of a run of entries of one term.
struct TermRun {
  LogIndex first;
  Term term;
};
struct PlacedMembership {
  LogIndex index;
  Membership membership;
};

// A log as it is found at a start.
struct LogOutline {
  LogPoint start;  // the entry before the first: where the snapshot, or the part that was cut off, ends
  LogIndex last;   // the last slot, readable or not
  std::vector<TermRun> terms;                 // of the readable slots, ascending
  Membership base;                            // who takes part as of `start`
  std::vector<PlacedMembership> memberships;  // of the configuration entries, ascending
  std::vector<SlotRange> damaged;             // ascending, apart from each other; above `start`
};

class LogView {
 public:
  // `outline` has no lost slots at its end.
  LogView(const LogOutline& outline, std::size_t cache_bytes);

  LogPoint start() const { return start_; }
  LogIndex first_index() const { return start_.index + 1; }
  LogIndex last_index() const { return start_.index + terms_.size(); }
  LogPoint last() const { return {last_term(), last_index()}; }
  Term last_term() const { return terms_.empty() ? start_.term : terms_.back(); }
  // Nothing for what was cut off, lies above the end, or is lost.
  std::optional<Term> term_at(LogIndex index) const;
  bool has(LogPoint point) const { return term_at(point.index) == point.term; }
  // The highest entry at or below `index` whose term is at most `term`, or the start: where a log that has
  // `term` at `index` may agree with this one.
  LogPoint last_at_most(LogIndex index, Term term) const;

  void append(const Entry& entry);
  // Drops everything from `from` on, memberships too.
  void truncate(LogIndex from);
  // Forgets everything up to `to`, below which nothing is lost. Its memberships become the base.
  void compact(LogIndex to);
  // Everything is replaced by a snapshot.
  void reset(const SnapshotInfo& snapshot);

  // Entries from `first` on, at most `bytes_max` but one at least; none if the first is not in memory.
  std::vector<Entry> cached(LogIndex first, LogIndex last, std::size_t bytes_max) const;
  bool is_cached(LogIndex index) const {
    return !cache_.empty() && index >= cache_.front().index && index <= last_index();
  }
  // Bodies up to `to` may go, as far as the cache is too large.
  void evict(LogIndex to);
  std::size_t cached_bytes() const { return cached_bytes_; }

  const Membership& membership() const { return memberships_.back().membership; }
  LogIndex membership_index() const { return memberships_.back().index; }
  // Whether `node` votes in the latest configuration or in one that is not replaced for sure, as nothing
  // after `commit` is.
  bool votes_since(LogIndex commit, NodeId node) const;
  // Who took part when `index` was the last entry.
  const Membership& membership_at(LogIndex index) const;

  const std::vector<SlotRange>& damaged() const { return damaged_; }
  bool is_damaged(LogIndex index) const;
  // The last slot below which, and with which, nothing is lost.
  LogIndex sound_to() const { return damaged_.empty() ? last_index() : damaged_.front().first - 1; }
  // What is right above the first lost range.
  LogPoint above_damage() const;
  void add_damage(SlotRange slots);
  // The first slots of the first lost range are known again.
  void repair(std::span<const Entry> entries);

 private:
  Term& slot(LogIndex index) { return terms_[index - first_index()]; }
  void drop_oldest_body();
  void check() const;

  LogPoint start_;
  std::deque<Term> terms_;
  std::deque<Entry> cache_;  // ends with the last entry
  std::size_t cached_bytes_ = 0;
  std::size_t cache_bytes_max_;
  std::vector<PlacedMembership> memberships_;  // the base, then those of entries
  std::vector<SlotRange> damaged_;
};

}  // namespace stele::raft
