// How one membership becomes another. Pure.
//
// A change names who shall vote and who shall learn in the end. If the voters change, the group goes through
// a joint configuration (thesis, section 4.3); if only learners do, it does not. Voters that become learners
// keep their vote in the outgoing half, and are learners once it is gone.
#pragma once

#include "raft/core/types.h"

namespace stele::raft {

struct MembershipTarget {
  NodeSet voters;
  NodeSet learners;
};

// A membership that holds together: somebody votes, nobody is voter and learner at once, and the parts of a
// joint one appear in a joint one only.
bool well_formed(const Membership& members);

// The first step from `now`, which is not joint, to `target`.
Membership enter_change(const Membership& now, const MembershipTarget& target);
// What follows on a joint one.
Membership leave_joint(const Membership& joint);

// Everybody who receives the log.
NodeSet members_of(const Membership& members);

}  // namespace stele::raft
