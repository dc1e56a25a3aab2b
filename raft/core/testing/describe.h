// Peer messages, effects and states as lines of text: for scripted tests, and for what a failed seed prints.
#pragma once

#include <string>

#include "raft/core/core.h"

namespace stele::raft {

std::string describe(const NodeSet& nodes);
std::string describe(const Membership& members);
std::string describe(LogPoint point);  // term/index
std::string describe(const Entry& entry);
std::string describe(const PeerMessage& message);
std::string describe(const SnapshotInfo& snapshot);
std::string describe(Role role);
std::string describe(Refusal refusal);
std::string describe(ProgressState state);

}  // namespace stele::raft
