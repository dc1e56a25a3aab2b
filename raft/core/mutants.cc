#include "raft/core/mutants.h"

namespace stele::raft {
#ifdef STELE_RAFT_MUTANTS
namespace {
constexpr MutantInfo kMutants[] = {
    {Mutant::kCommitOfEarlierTerm, "commit-of-earlier-term",
     "an entry of an earlier term commits because a majority has it"},
    {Mutant::kVoteNotStored, "vote-not-stored", "a vote leaves before it is stored"},
    {Mutant::kAppendNotStored, "append-not-stored", "an append is acknowledged before it is stored"},
    {Mutant::kPreVoteBumpsTerm, "pre-vote-bumps-term", "a pre-vote's request changes the term"},
    {Mutant::kLeaseIgnored, "lease-ignored", "votes are granted while the leader is heard of"},
    {Mutant::kOldCompletionCounted, "old-completion-counted",
     "what the disk completes of an earlier term counts for this one"},
    {Mutant::kRemovedLeaderCounts, "removed-leader-counts", "a leader that is no voter counts itself"},
    {Mutant::kJointOfOneMajority, "joint-of-one-majority", "a joint configuration asks the new voters only"},
    {Mutant::kMembershipNotReverted, "membership-not-reverted",
     "a configuration outlives the truncation of its entry"},
    {Mutant::kReadBeforeOwnCommit, "read-before-own-commit",
     "a leader serves reads before an entry of its own term is committed"},
    {Mutant::kReadWithoutQuorum, "read-without-quorum", "a leader serves reads without asking anybody"},
    {Mutant::kMatchFromStaleReject, "match-from-stale-reject", "a rejection's hint is taken as a match"},
    {Mutant::kSnapshotBelowCommit, "snapshot-below-commit", "a snapshot from before the commit is installed"},
    {Mutant::kConflictNotTruncated, "conflict-not-truncated",
     "an entry in conflict with the leader's is kept"},
    {Mutant::kVoteForShorterLog, "vote-for-shorter-log", "logs are not compared before a vote"},
    {Mutant::kDoubtForgotten, "doubt-forgotten", "a log whose tail is lost votes as one that never had it"},
    {Mutant::kRepairUnproven, "repair-unproven", "lost slots are filled with whatever a peer has there"},
};
Mutant selected = Mutant::kNone;
}  // namespace

std::span<const MutantInfo> all_mutants() {
  return kMutants;
}
void select_mutant(Mutant mutant) {
  selected = mutant;
}
bool mutant(Mutant which) {
  return selected == which;
}
#endif
}  // namespace stele::raft
