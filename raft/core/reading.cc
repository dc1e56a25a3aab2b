// Linearizable reads without a log entry: ReadIndex (thesis, section 6.4).
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/core.h"
#include "raft/core/mutants.h"

namespace stele::raft {

bool Core::read_index(std::uint64_t context) {
  if (failed_ || !leader_) return false;
  if (role_ == Role::kLeader) {
    pending_reads_.push_back({options_.self, context});
  } else {
    forwarded_reads_.insert(context);
    send(*leader_, ReadRequest{context});
  }
  return true;
}

// Everything asked since the last flush shares a round. The round's index is taken now, which is not before
// any of them asked; and only once a commit of the own term shows that the commit index is not behind an
// earlier leader's.
void Core::flush_reads() {
  if (pending_reads_.empty()) return;
  if (log_.term_at(commit_) != hard_.term && !planted(Mutant::kReadBeforeOwnCommit)) {
    STELE_MARK("raft: a read waits for a commit in the leader's own term");
    return;
  }
  ++read_round_;
  rounds_.push_back({read_round_, commit_, std::exchange(pending_reads_, {})});
  for (auto& [node, progress] : progress_) {
    if (node == options_.self) {
      progress.read_round = read_round_;
    } else {
      send_heartbeat(node, progress);
    }
  }
  release_reads();
}

void Core::release_reads() {
  if (rounds_.empty()) return;
  std::uint64_t confirmed = quorum([](const Progress& progress) { return progress.read_round; });
  if (planted(Mutant::kReadWithoutQuorum)) confirmed = read_round_;
  while (!rounds_.empty() && rounds_.front().round <= confirmed) {
    const ReadRound round = std::move(rounds_.front());
    rounds_.pop_front();
    for (const PendingRead& read : round.reads) confirm(read.reader, read.context, round.index);
  }
}

void Core::confirm(NodeId reader, std::uint64_t context, LogIndex index) {
  STELE_ASSERT(role_ == Role::kLeader);
  if (reader == options_.self) {
    out_.read_states.push_back({context, index});
  } else {
    send(reader, ReadAnswer{context, index});
  }
}

// Of reads that others passed on these hear nothing: they notice the new leader, or ask again.
void Core::refuse_reads() {
  for (const PendingRead& read : pending_reads_) {
    if (read.reader == options_.self) out_.reads_refused.push_back(read.context);
  }
  for (const ReadRound& round : rounds_) {
    for (const PendingRead& read : round.reads) {
      if (read.reader == options_.self) out_.reads_refused.push_back(read.context);
    }
  }
  out_.reads_refused.insert(out_.reads_refused.end(), forwarded_reads_.begin(), forwarded_reads_.end());
  pending_reads_.clear();
  rounds_.clear();
  forwarded_reads_.clear();
  read_round_ = 0;
}

void Core::on(const PeerMessage& from, const ReadRequest& request) {
  if (role_ == Role::kLeader) pending_reads_.push_back({from.from, request.context});
}

void Core::on(const PeerMessage&, const ReadAnswer& answer) {
  if (forwarded_reads_.erase(answer.context) == 0) return;
  out_.read_states.push_back({answer.context, answer.index});
}

}  // namespace stele::raft
