// Who takes part, and who leads: changes of the membership, and the transfer of leadership.
#include <algorithm>
#include <memory>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/core/core.h"

namespace stele::raft {

Proposed Core::propose_membership(const MembershipTarget& target) {
  if (role_ != Role::kLeader || failed_) return {Refusal::kNotLeader, {}};
  if (transferee_) return {Refusal::kTransferring, {}};
  // One at a time, and none before an entry of the own term is committed: until then an earlier leader's
  // change may still be about to be truncated here, or not (Ongaro, "bug in single-server membership
  // changes", 2015).
  const bool settled = log_.membership_index() <= commit_ && log_.term_at(commit_) == hard_.term;
  if (!settled || membership().joint()) return {Refusal::kChangeUnderWay, {}};
  const Membership next = enter_change(membership(), target);
  if (!well_formed(next)) return {Refusal::kMalformed, {}};
  for (const NodeId node : target.voters) {
    if (!membership().is_voter(node) && !caught_up(node)) return {Refusal::kNotCaughtUp, {}};
  }
  append(EntryKind::kConfiguration, {}, std::make_shared<const Membership>(next));
  membership_changed();
  return {Refusal::kNone, log_.last()};
}

// A voter far behind would stand in the way of every commit until it has the log (thesis, section 4.2.1).
bool Core::caught_up(NodeId node) const {
  const auto at = progress_.find(node);
  return membership().learners.contains(node) && at != progress_.end() &&
         at->second.state() == ProgressState::kReplicate &&
         at->second.match() + options_.promotion_lag_max >= log_.last_index();
}

// The leader's book of members follows the configuration that is in its log.
void Core::membership_changed() {
  STELE_ASSERT(role_ == Role::kLeader);
  const NodeSet members = members_of(membership());
  std::erase_if(progress_, [&](const auto& known) { return !members.contains(known.first); });
  for (const NodeId node : members) progress_.try_emplace(node, log_.last_index() + 1, options_.window);
  if (transferee_ && !membership().is_voter(*transferee_)) abort_transfer();
}

// The commit index has moved.
void Core::after_commit_of_membership() {
  if (log_.membership_index() > commit_) return;
  if (membership().joint()) {
    if (!membership().auto_leave) return;
    append(EntryKind::kConfiguration, {}, std::make_shared<const Membership>(leave_joint(membership())));
    membership_changed();
    return;
  }
  if (membership().is_voter(options_.self)) return;
  STELE_MARK("raft: a leader stepped down because it is no longer a voter");
  for (auto& [node, progress] : progress_) {
    if (node != options_.self) send_heartbeat(node, progress);
  }
  become_follower(hard_.term, std::nullopt);
}

Refusal Core::transfer_leadership(NodeId target) {
  if (role_ != Role::kLeader || failed_) return Refusal::kNotLeader;
  if (target == options_.self || !membership().is_voter(target)) return Refusal::kNoSuchVoter;
  if (transferee_ == target) return Refusal::kNone;
  transferee_ = target;
  timeout_now_sent_ = false;
  election_elapsed_ = 0;
  maybe_hand_over();
  return Refusal::kNone;
}

void Core::abort_transfer() {
  if (transferee_ && role_ == Role::kLeader) STELE_MARK("raft: a transfer of leadership was given up");
  transferee_ = std::nullopt;
  timeout_now_sent_ = false;
}

void Core::maybe_hand_over() {
  if (!transferee_ || timeout_now_sent_) return;
  const auto at = progress_.find(*transferee_);
  STELE_ASSERT(at != progress_.end());
  if (at->second.match() != log_.last_index()) return;
  timeout_now_sent_ = true;
  send(*transferee_, TimeoutNow{});
}

}  // namespace stele::raft
