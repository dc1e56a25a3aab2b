#include "raft/core/membership.h"

#include <algorithm>

#include "base/assert.h"

namespace stele::raft {
namespace {

bool disjoint(const NodeSet& a, const NodeSet& b) {
  return std::ranges::none_of(a, [&](NodeId node) { return b.contains(node); });
}

}  // namespace

bool well_formed(const Membership& members) {
  if (members.voters.empty()) return false;
  if (!disjoint(members.voters, members.learners) || !disjoint(members.voters_outgoing, members.learners))
    return false;
  if (!disjoint(members.voters, members.learners_next)) return false;
  if (!members.joint()) return members.learners_next.empty() && !members.auto_leave;
  return std::ranges::includes(members.voters_outgoing, members.learners_next);
}

Membership enter_change(const Membership& now, const MembershipTarget& target) {
  STELE_ASSERT(!now.joint());
  Membership next;
  next.voters = target.voters;
  if (target.voters != now.voters) {
    next.voters_outgoing = now.voters;
    next.auto_leave = true;
  }
  for (const NodeId node : target.learners) {
    (next.voters_outgoing.contains(node) ? next.learners_next : next.learners).insert(node);
  }
  return next;
}

Membership leave_joint(const Membership& joint) {
  STELE_ASSERT(joint.joint());
  Membership next;
  next.voters = joint.voters;
  next.learners = joint.learners;
  next.learners.insert(joint.learners_next.begin(), joint.learners_next.end());
  STELE_ASSERT(well_formed(next));
  return next;
}

NodeSet members_of(const Membership& members) {
  NodeSet all = members.voters;
  for (const NodeSet* part : {&members.voters_outgoing, &members.learners, &members.learners_next}) {
    all.insert(part->begin(), part->end());
  }
  return all;
}

}  // namespace stele::raft
