// A member of a Raft group as the knobs say.
#pragma once

#include "raft/member.h"
#include "sim/knobs.h"

namespace stele::sim {

// Without who it is, and who founded the group.
raft::MemberOptions raft_options(const Knobs& knobs);

}  // namespace stele::sim
