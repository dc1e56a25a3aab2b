// Votes: who asks, who grants, what comes of it.
#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"
#include "raft/core/core.h"
#include "raft/core/mutants.h"
#include "raft/core/quorum.h"

namespace stele::raft {

std::uint64_t Core::random() {
  random_state_ += 0x9e3779b97f4a7c15ULL;
  return mix64(random_state_);
}

// What every change of role or term begins with.
void Core::reset(Term term) {
  STELE_ASSERT(term >= hard_.term);
  if (term != hard_.term) {
    hard_.term = term;
    hard_.vote = std::nullopt;
  }
  leader_ = std::nullopt;
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  election_timeout_ =
      options_.election_ticks + static_cast<std::uint32_t>(random() % options_.election_ticks);
  votes_.clear();
  progress_.clear();
  abort_transfer();
  uncommitted_.clear();
  uncommitted_bytes_ = 0;
  refuse_reads();
}

// A node whose log is not known to be whole cannot lead: it has not what it would have to send. One that is
// removed by a configuration that is not committed can, and may have to: perhaps nobody else has that entry,
// and without its vote the voters before it elect nobody (thesis, section 4.2.2).
bool Core::may_campaign() const {
  return log_.votes_since(commit_, options_.self) && log_.damaged().empty() && !in_doubt() && !failed_;
}

bool Core::leased() const {
  return leader_ && election_elapsed_ < options_.election_ticks;
}

void Core::become_follower(Term term, std::optional<NodeId> leader) {
  reset(term);
  role_ = Role::kFollower;
  leader_ = leader;
}

void Core::campaign() {
  if (role_ != Role::kLeader && may_campaign()) start_campaign(true, false);
}

void Core::start_campaign(bool pre, bool transfer) {
  STELE_ASSERT(role_ != Role::kLeader && may_campaign());
  reset(pre ? hard_.term : hard_.term + 1);
  role_ = pre ? Role::kPreCandidate : Role::kCandidate;
  if (!pre) hard_.vote = options_.self;
  const VoteRequest request{pre, transfer, log_.last()};
  for (const NodeId node : members_of(membership())) {
    if (node == options_.self || !membership().is_voter(node)) continue;
    if (pre) {
      out_.send.push_back({options_.self, node, hard_.term + 1, request});
    } else {
      send_after_store(node, request);
    }
  }
  // The own vote counts when it is on the disk; a pre-vote is not put there.
  if (pre) count_vote(options_.self, true);
}

void Core::count_vote(NodeId from, bool granted) {
  votes_.emplace(from, granted);
  const VoteResult result = vote_result(membership(), [&](NodeId node) -> std::optional<bool> {
    const auto vote = votes_.find(node);
    return vote == votes_.end() ? std::nullopt : std::optional(vote->second);
  });
  if (result == VoteResult::kLost) {
    become_follower(hard_.term, std::nullopt);
  } else if (result == VoteResult::kWon && role_ == Role::kPreCandidate) {
    start_campaign(false, false);
  } else if (result == VoteResult::kWon) {
    become_leader();
  }
}

void Core::become_leader() {
  STELE_ASSERT(role_ == Role::kCandidate && hard_.vote == options_.self);
  STELE_ASSERT(log_.damaged().empty() && !in_doubt());
  const LogPoint durable = stored_;
  reset(hard_.term);
  role_ = Role::kLeader;
  leader_ = options_.self;
  membership_changed();
  const auto own = progress_.find(options_.self);
  if (own == progress_.end()) {
    STELE_MARK("raft: a node leads that its latest configuration removes");
  } else if (durable.term == hard_.term) {
    own->second.stored_here(std::min(durable.index, log_.last_index()));
  }
  append(EntryKind::kEmpty, {}, nullptr);
}

void Core::on(const PeerMessage& from, const VoteRequest& request) {
  const bool free =
      hard_.vote == from.from || (!hard_.vote && !leader_) || (request.pre && from.term > hard_.term);
  // What was lost counts: see damage in core.h.
  const LogPoint own = std::max(log_.last(), hard_.doubt);
  const bool long_enough = request.last >= own || planted(Mutant::kVoteForShorterLog);
  if (!long_enough && request.last >= log_.last())
    STELE_MARK("raft: a vote was refused because of what was lost");
  const bool granted = free && long_enough;
  if (request.pre) {
    out_.send.push_back(
        {options_.self, from.from, granted ? from.term : hard_.term, VoteAnswer{true, granted}});
    return;
  }
  if (granted) {
    hard_.vote = from.from;
    election_elapsed_ = 0;
  }
  send_after_store(from.from, VoteAnswer{false, granted});
}

void Core::on(const PeerMessage& from, const VoteAnswer& answer) {
  const Role asked = answer.pre ? Role::kPreCandidate : Role::kCandidate;
  if (role_ != asked) return;
  if (answer.pre && answer.granted && from.term != hard_.term + 1) return;  // of another campaign
  count_vote(from.from, answer.granted);
}

void Core::on(const PeerMessage& from, const TimeoutNow&) {
  if (role_ == Role::kLeader || leader_ != from.from) return;
  if (!may_campaign()) {
    STELE_MARK("raft: leadership was handed to a node that may not lead");
    return;
  }
  start_campaign(false, true);
}

// Its only purpose is the term, which is dealt with by now.
void Core::on(const PeerMessage&, const TermNotice&) {}

}  // namespace stele::raft
