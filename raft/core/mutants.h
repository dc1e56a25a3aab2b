// Planted bugs of the core, to show that its own tests find them (raft/mutants_test.cc). They have a list of
// their own, for ./simulate hunts those of base/mutants.h with whole nodes. A build without
// STELE_RAFT_MUTANTS has no trace of them: mutant(…) is the constant false there. Only the library
// //raft/core:core_with_mutants defines it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace stele::raft {

enum class Mutant : std::uint8_t {
  kNone,
  kCommitOfEarlierTerm,
  kVoteNotStored,
  kAppendNotStored,
  kPreVoteBumpsTerm,
  kLeaseIgnored,
  kOldCompletionCounted,
  kRemovedLeaderCounts,
  kJointOfOneMajority,
  kMembershipNotReverted,
  kReadBeforeOwnCommit,
  kReadWithoutQuorum,
  kMatchFromStaleReject,
  kSnapshotBelowCommit,
  kConflictNotTruncated,
  kVoteForShorterLog,
  kDoubtForgotten,
  kRepairUnproven,
};

struct MutantInfo {
  Mutant mutant;
  std::string_view name;
  std::string_view what;
};

#ifdef STELE_RAFT_MUTANTS
std::span<const MutantInfo> all_mutants();
void select_mutant(Mutant mutant);
bool mutant(Mutant which);
#else
constexpr bool mutant(Mutant) {
  return false;
}
#endif

}  // namespace stele::raft
