#include "raft/core/progress.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/mutants.h"

namespace stele::raft {

void Window::add(LogIndex last, std::size_t bytes) {
  STELE_ASSERT(!full());
  STELE_ASSERT(sent_.empty() || sent_.back().last < last);
  sent_.push_back({last, bytes});
  bytes_ += bytes;
}

void Window::free_to(LogIndex stored) {
  while (!sent_.empty() && sent_.front().last <= stored) free_oldest();
}

void Window::free_oldest() {
  if (sent_.empty()) return;
  STELE_ASSERT(bytes_ >= sent_.front().bytes);
  bytes_ -= sent_.front().bytes;
  sent_.pop_front();
}

void Window::clear() {
  sent_.clear();
  bytes_ = 0;
}

bool Progress::paused() const {
  switch (state_) {
    case ProgressState::kProbe:
      return probe_sent_;
    case ProgressState::kReplicate:
      return window_.full();
    case ProgressState::kSnapshot:
      return true;
  }
  return true;
}

void Progress::sent(LogIndex last, std::size_t bytes) {
  STELE_ASSERT(!paused() && last >= next_);
  if (state_ == ProgressState::kProbe) {
    probe_sent_ = true;
  } else {
    next_ = last + 1;
    window_.add(last, bytes);
  }
  check();
}

void Progress::sent_probe() {
  if (state_ == ProgressState::kProbe) probe_sent_ = true;
}

bool Progress::stored(LogIndex index) {
  window_.free_to(index);
  const bool news = index > match_;
  if (news) {
    match_ = index;
    next_ = std::max(next_, match_ + 1);
    nudge = false;
  }
  if (state_ == ProgressState::kProbe && index + 1 >= next_) {
    state_ = ProgressState::kReplicate;
    next_ = match_ + 1;
    probe_sent_ = false;
  } else if (state_ == ProgressState::kProbe && news) {
    probe_sent_ = false;
  } else if (state_ == ProgressState::kSnapshot && match_ >= pending_snapshot_) {
    become_probe(match_ + 1);
  }
  check();
  return news;
}

bool Progress::rejected(LogIndex rejected, LogIndex hint) {
  if (planted(Mutant::kMatchFromStaleReject)) {
    match_ = std::max(match_, hint);
    next_ = std::max(next_, match_ + 1);
  }
  if (state_ == ProgressState::kSnapshot) return false;
  if (state_ == ProgressState::kReplicate) {
    // What was sent after the rejected one is on its way in vain. An answer from before `match` says nothing.
    if (rejected <= match_) return false;
    STELE_MARK("raft: an append did not fit a follower in replication");
    become_probe(match_ + 1);
    return true;
  }
  if (rejected + 1 != next_) return false;
  become_probe(std::max(std::min(rejected, hint + 1), match_ + 1));
  return true;
}

void Progress::heard() {
  active = true;
  probe_sent_ = false;
  if (state_ == ProgressState::kReplicate && window_.full()) window_.free_oldest();
  nudge = state_ == ProgressState::kReplicate && match_ + 1 < next_;
}

void Progress::uncertain(LogIndex hint) {
  if (state_ == ProgressState::kSnapshot) return;
  if (hint < match_) STELE_MARK("raft: a follower lost what it had acknowledged");
  match_ = std::min(match_, hint);
  become_probe(match_ + 1);
  probe_sent_ = true;
}

void Progress::start_snapshot(LogIndex index) {
  become_probe(match_ + 1);
  state_ = ProgressState::kSnapshot;
  pending_snapshot_ = index;
}

void Progress::snapshot_ended(bool delivered) {
  if (state_ != ProgressState::kSnapshot) return;
  become_probe(delivered ? std::max(match_, pending_snapshot_) + 1 : match_ + 1);
  probe_sent_ = true;  // until a heartbeat is answered: no storm of snapshots to one that cannot take them
}

void Progress::stored_here(LogIndex index) {
  match_ = std::max(match_, index);
  next_ = match_ + 1;
}

void Progress::become_probe(LogIndex next) {
  state_ = ProgressState::kProbe;
  next_ = next;
  pending_snapshot_ = LogIndex(0);
  probe_sent_ = false;
  nudge = false;
  window_.clear();
  check();
}

void Progress::check() const {
  STELE_ASSERT(match_ < next_);
}

}  // namespace stele::raft
