// The newest entries of the logs of one core, in memory: the same buffers that were written, so that readers
// of the tail neither cross cores nor touch the disk. Pure.
//
// Entries that are not committed are always here (they may have to be sent again, to the next segment);
// committed ones stay until the budget of the core is used up, and then the oldest go, whichever log they
// belong to. Memory of uncommitted entries is bounded by the owners, who stop while a log is congested.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "base/intrusive_list.h"
#include "model/ids.h"
#include "storage/log_entry.h"

namespace stele::journal {

class TailCache;

// Hears that the core is no longer congested.
class ReliefListener : public ListNode<struct ReliefListenerTag> {
 public:
  virtual void on_relief() = 0;

 protected:
  ~ReliefListener() = default;
};

// Shared by the tails of a core; outlives them.
class TailBudget {
 public:
  // Room for committed entries; from how many uncommitted bytes on the core is congested, until half of it is
  // left; what to do when that is so: have tell_relief() called soon.
  TailBudget(std::size_t limit, std::size_t max_pending, std::move_only_function<void()> when_relieved)
      : limit_(limit), max_pending_(max_pending), when_relieved_(std::move(when_relieved)) {}
  TailBudget(const TailBudget&) = delete;
  TailBudget& operator=(const TailBudget&) = delete;

  std::size_t committed_bytes() const { return committed_bytes_; }
  std::size_t pending_bytes() const { return pending_bytes_; }
  bool congested() const { return congested_; }
  void watch(ReliefListener& listener) { watchers_.push_back(listener); }
  // Tells the watchers, unless the core is congested again.
  void tell_relief();

 private:
  friend class TailCache;
  // Entries of `cache` below `end` that were committed together, and so leave together.
  struct Run {
    TailCache* cache;
    Lsn end;
    std::size_t bytes;
  };
  void add(Run run);
  void forget(const TailCache& cache);
  void add_pending(std::size_t bytes);
  void subtract_pending(std::size_t bytes);

  const std::size_t limit_;
  const std::size_t max_pending_;
  std::move_only_function<void()> when_relieved_;
  bool congested_ = false;
  IntrusiveList<ReliefListener, ReliefListenerTag> watchers_;
  std::size_t committed_bytes_ = 0;
  std::size_t pending_bytes_ = 0;
  std::deque<Run> runs_;  // oldest first
};

class TailCache {
 public:
  // Empty; the first entry will be `next`.
  TailCache(TailBudget& budget, Lsn next) : budget_(budget), begin_(next), committed_(next), end_(next) {}
  TailCache(const TailCache&) = delete;
  TailCache& operator=(const TailCache&) = delete;
  ~TailCache();

  Lsn begin() const { return begin_; }
  Lsn committed() const { return committed_; }
  Lsn end() const { return end_; }
  std::size_t pending_bytes() const { return pending_bytes_; }

  // Entry end(), uncommitted.
  void push(storage::LogEntry entry);
  // Entries below `end` are committed; gives their bytes. May make any log's oldest entries leave.
  std::size_t commit(Lsn end);
  const storage::LogEntry& at(Lsn lsn) const;
  // Appends entries from `from` on: at least one if there is any, no more than fit `max_bytes` after the
  // first. False if `from` is not here any more.
  bool read(Lsn from, std::size_t max_bytes, std::vector<storage::LogEntry>& out) const;

 private:
  friend class TailBudget;
  void evict_below(Lsn end);
  void resize_ring(std::size_t capacity);
  std::size_t slot(Lsn lsn) const { return lsn.value & (ring_.size() - 1); }

  TailBudget& budget_;
  Lsn begin_;
  Lsn committed_;
  Lsn end_;
  std::size_t pending_bytes_ = 0;
  std::vector<storage::LogEntry> ring_;  // a power of two of slots, entry n in slot n modulo their number
};

}  // namespace stele::journal
