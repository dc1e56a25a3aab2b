// What a leader does: heartbeats, appends within each member's window, the commit index.
#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/core.h"
#include "raft/core/mutants.h"
#include "raft/core/quorum.h"

namespace stele::raft {

void Core::lead_tick() {
  if (++heartbeat_elapsed_ >= options_.heartbeat_ticks) {
    heartbeat_elapsed_ = 0;
    for (auto& [node, progress] : progress_) {
      if (node != options_.self) send_heartbeat(node, progress);
    }
  }
  if (election_elapsed_ < options_.election_ticks) return;
  election_elapsed_ = 0;
  abort_transfer();
  check_quorum();
}

void Core::check_quorum() {
  const VoteResult result = vote_result(membership(), [&](NodeId node) -> std::optional<bool> {
    const auto at = progress_.find(node);
    return node == options_.self || (at != progress_.end() && at->second.active);
  });
  for (auto& [node, progress] : progress_) progress.active = false;
  if (result == VoteResult::kWon) return;
  STELE_MARK("raft: a leader stepped down because it hears of no majority");
  become_follower(hard_.term, std::nullopt);
}

void Core::send_heartbeat(NodeId to, Progress& progress) {
  // What the member is not known to have it must not take for committed: its own may be another.
  const LogIndex commit = std::min(progress.match(), commit_);
  progress.commit_sent = std::max(progress.commit_sent, commit);
  send(to, Heartbeat{commit, read_round_});
}

void Core::send_appends() {
  for (auto& [node, progress] : progress_) {
    if (node != options_.self) send_appends(node, progress);
  }
}

void Core::send_appends(NodeId to, Progress& progress) {
  bool sent = false;
  while (!progress.paused() && !progress.reading && progress.next() <= log_.last_index() &&
         send_append(to, progress)) {
    sent = true;
  }
  const bool probe = progress.state() == ProgressState::kProbe && !progress.paused();
  if (!sent && !progress.reading && (probe || progress.nudge) && progress.next() > log_.start().index) {
    // Nothing new to send: ask whether what was sent has arrived.
    const LogIndex previous = progress.next() - 1;
    const std::optional<Term> term = log_.term_at(previous);
    STELE_ASSERT(term.has_value());
    send(to, Append{{*term, previous}, {}, commit_});
    progress.sent_probe();
  }
  progress.nudge = false;
  if (std::min(progress.match(), commit_) > progress.commit_sent) send_heartbeat(to, progress);
}

// One message with entries, or a snapshot, or a read of what is to be sent. False if nothing more can go now.
bool Core::send_append(NodeId to, Progress& progress) {
  if (progress.next() <= log_.start().index) {
    send_snapshot(to, progress);
    return false;
  }
  std::vector<Entry> entries = log_.cached(progress.next(), log_.last_index(), options_.append_bytes_max);
  if (entries.empty()) {
    STELE_MARK("raft: entries for a follower are read from the disk");
    const LogIndex last =
        std::min(log_.last_index(), progress.next() + (options_.append_bytes_max / Entry::kOverhead));
    PendingLogRead& read = log_reads_.at(start_read({progress.next(), last}, options_.append_bytes_max));
    read.purpose = ReadFor::kAppend;
    read.node = to;
    progress.reading = true;
    return false;
  }
  send_entries(to, progress, std::move(entries));
  return true;
}

void Core::send_entries(NodeId to, Progress& progress, std::vector<Entry> entries) {
  const LogIndex previous = progress.next() - 1;
  const std::optional<Term> term = log_.term_at(previous);
  STELE_ASSERT(term.has_value() && entries.front().index == progress.next());
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.size();
  const LogIndex last = entries.back().index;
  progress.sent(last, bytes);
  progress.commit_sent = std::max(progress.commit_sent, std::min(commit_, last));
  send(to, Append{{*term, previous}, std::move(entries), commit_});
}

void Core::send_snapshot(NodeId to, Progress& progress) {
  STELE_ASSERT(snapshot_ && snapshot_->index >= log_.start().index);
  if (!progress.active) return;  // it would be sent for nothing
  STELE_MARK("raft: a follower needs a snapshot");
  progress.start_snapshot(snapshot_->index);
  send(to, InstallSnapshot{*snapshot_});
}

void Core::snapshot_sent(NodeId to, bool delivered) {
  const auto at = progress_.find(to);
  if (role_ != Role::kLeader || at == progress_.end()) return;
  at->second.snapshot_ended(delivered);
}

std::uint64_t Core::quorum(std::uint64_t (*of)(const Progress&)) const {
  Membership members = membership();
  if (planted(Mutant::kJointOfOneMajority)) members.voters_outgoing.clear();
  const NodeId first = *members.voters.begin();
  return quorum_reached(members, [&](NodeId node) {
    const auto at = progress_.find(node);
    STELE_ASSERT(at != progress_.end());
    const std::uint64_t value = of(at->second);
    if (planted(Mutant::kRemovedLeaderCounts) && node == first && !members.is_voter(options_.self)) {
      return std::max(value, stored_.index.value);
    }
    return value;
  });
}

// Only an entry of the own term commits by being counted; those before it commit with it (thesis,
// section 3.6.2).
void Core::advance_commit() {
  const LogIndex reached(quorum([](const Progress& progress) { return progress.match().value; }));
  if (reached <= commit_ || reached > log_.last_index()) return;
  if (log_.term_at(reached) != hard_.term && !planted(Mutant::kCommitOfEarlierTerm)) return;
  commit_to(reached);
  release_uncommitted();
  after_commit_of_membership();
}

void Core::release_uncommitted() {
  while (!uncommitted_.empty() && uncommitted_.front().first <= commit_) {
    uncommitted_bytes_ -= uncommitted_.front().second;
    uncommitted_.pop_front();
  }
}

void Core::on(const PeerMessage& from, const AppendAnswer& answer) {
  const auto at = progress_.find(from.from);
  if (role_ != Role::kLeader || at == progress_.end()) return;
  Progress& progress = at->second;
  progress.active = true;
  switch (answer.result) {
    case AppendResult::kStored:
      if (answer.index > log_.last_index()) return;
      if (progress.stored(answer.index)) advance_commit();
      if (role_ == Role::kLeader) maybe_hand_over();
      return;
    case AppendResult::kRejected: {
      // The follower has the hint's term up to the hint's index. What is of a later term here cannot be
      // there.
      const LogIndex hint = log_.last_at_most(answer.hint.index, answer.hint.term).index;
      progress.rejected(answer.index, std::min(hint, answer.hint.index));
      return;
    }
    case AppendResult::kUncertain:
      progress.uncertain(answer.hint.index);
      return;
  }
}

void Core::on(const PeerMessage& from, const HeartbeatAnswer& answer) {
  const auto at = progress_.find(from.from);
  if (role_ != Role::kLeader || at == progress_.end()) return;
  at->second.heard();
  at->second.read_round = std::max(at->second.read_round, std::min(answer.read_round, read_round_));
  release_reads();
}

}  // namespace stele::raft
