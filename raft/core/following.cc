// What a follower does with what its leader sends.
#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/core.h"
#include "raft/core/mutants.h"

namespace stele::raft {

void Core::hear_leader(NodeId leader) {
  // A second leader in a term would be a broken promise of some voter.
  STELE_ASSERT(role_ != Role::kLeader && (!leader_ || leader_ == leader));
  if (role_ != Role::kFollower || !leader_) become_follower(hard_.term, leader);
  election_elapsed_ = 0;
}

// Committed, and nothing lost below.
LogIndex Core::surely_committed() const {
  return std::min(commit_, log_.sound_to());
}

void Core::on(const PeerMessage& from, const Append& append) {
  hear_leader(from.from);
  if (append.previous.index < surely_committed()) {
    // An old one: the committed part is the leader's anyway.
    send_after_store(from.from, AppendAnswer{AppendResult::kStored, surely_committed(), {}});
    return;
  }
  if (append.previous.index > log_.sound_to() || !log_.has(append.previous)) {
    refuse_append(from.from, append.previous);
    return;
  }
  LogPoint previous = append.previous;
  for (const Entry& entry : append.entries) {
    if (entry.index != previous.index + 1 || entry.term < previous.term || entry.term > hard_.term)
      return;  // no leader's
    previous = {entry.term, entry.index};
  }
  if (!take_entries(append.entries)) {
    refuse_append(from.from, previous);
    return;
  }
  commit_to(std::min(append.commit, previous.index));
  send_after_store(from.from, AppendAnswer{AppendResult::kStored, previous.index, {}});
}

void Core::refuse_append(NodeId leader, LogPoint previous) {
  const LogIndex sound = log_.sound_to();
  // Where something was lost, nothing is denied.
  const bool lost_above = !log_.damaged().empty() && previous.index > sound;
  const bool lost_end =
      in_doubt() && previous.index > log_.last_index() && previous.index <= hard_.doubt.index;
  if (lost_above || lost_end) {
    STELE_MARK("raft: a follower does not know whether it had an entry");
    send_after_store(leader, AppendAnswer{AppendResult::kUncertain, previous.index, {Term(0), sound}});
    return;
  }
  const LogPoint hint = log_.last_at_most(previous.index, previous.term);
  send_after_store(leader, AppendAnswer{AppendResult::kRejected, previous.index, hint});
}

// `entries` follow on what this log has in common with the leader's. False if they end within a lost range.
bool Core::take_entries(std::span<const Entry> entries) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    if (log_.is_damaged(entry.index) && !fill_from(entries.subspan(i))) return false;
    if (log_.has({entry.term, entry.index})) continue;
    if (entry.index <= log_.last_index()) {
      if (planted(Mutant::kConflictNotTruncated)) continue;
      truncate(entry.index);
    }
    log_.append(entry);
  }
  return true;
}

void Core::on(const PeerMessage& from, const Heartbeat& heartbeat) {
  hear_leader(from.from);
  // The leader knows that this log had everything up to its commit index; it may have lost some since.
  commit_to(std::min(heartbeat.commit, log_.sound_to()));
  if (heartbeat.commit > log_.sound_to()) {
    STELE_MARK("raft: a follower tells its leader that it lost entries");
    refuse_append(from.from, {from.term, heartbeat.commit});
  }
  send(from.from, HeartbeatAnswer{heartbeat.read_round});
}

void Core::on(const PeerMessage& from, const InstallSnapshot& message) {
  hear_leader(from.from);
  const SnapshotInfo& snapshot = message.snapshot;
  const bool stale = snapshot.index <= surely_committed() && !planted(Mutant::kSnapshotBelowCommit);
  if (stale) {
    STELE_MARK("raft: a snapshot came that is older than the commit");
  } else if (log_.has({snapshot.term, snapshot.index}) && log_.sound_to() >= snapshot.index) {
    // The log has all of it: nothing to replace, but now it is known to be committed (thesis, section 5.1).
    STELE_MARK("raft: a snapshot tells only of the commit");
    commit_to(snapshot.index);
  } else {
    install(snapshot);
  }
  send_after_store(from.from, AppendAnswer{AppendResult::kStored, surely_committed(), {}});
}

void Core::install(const SnapshotInfo& snapshot) {
  STELE_ASSERT(role_ == Role::kFollower);
  // Behind the snapshot there was more, and a part of it was lost.
  if (!log_.damaged().empty()) hard_.doubt = with_doubt(hard_.doubt, log_.last());
  log_.reset(snapshot);
  commit_ = snapshot.index;
  if (handed_ < snapshot.index) {
    applying_.clear();
    applying_bytes_ = 0;
    out_.apply.clear();
    handed_ = snapshot.index;
  }
  apply_read_ = false;
  std::erase_if(log_reads_, [](const auto& read) { return read.second.purpose == ReadFor::kApply; });
  truncate_from_ = std::nullopt;
  repaired_.clear();
  install_ = snapshot;
  snapshot_ = snapshot;
  first_unsaved_ = snapshot.index + 1;
}

}  // namespace stele::raft
