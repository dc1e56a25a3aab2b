// The planted bugs of Raft's core: in the simulator's list of all, and in that of the core's own tests
// (raft/core/mutants.h), which finds all. Those without a scenario are not looked for by ./simulate
// --mutants: they take an election in the one moment that matters, or hurt nothing but progress.
#pragma once

#include "base/mutants.h"

namespace stele {

inline constexpr MutantInfo kMutantsOfRaft[] = {
    {.mutant = Mutant::kCommitOfEarlierTerm,
     .name = "raft-commit-of-earlier-term",
     .what = "an entry of an earlier term commits because a majority has it",
     .scenario = ""},
    {.mutant = Mutant::kVoteNotStored,
     .name = "raft-vote-not-stored",
     .what = "a vote leaves before it is stored",
     .scenario = ""},
    {.mutant = Mutant::kAppendNotStored,
     .name = "raft-append-not-stored",
     .what = "an append is acknowledged before it is stored",
     .scenario = "raft"},
    {.mutant = Mutant::kPreVoteBumpsTerm,
     .name = "raft-pre-vote-bumps-term",
     .what = "a pre-vote's request changes the term",
     .scenario = ""},
    {.mutant = Mutant::kLeaseIgnored,
     .name = "raft-lease-ignored",
     .what = "votes are granted while the leader is heard of",
     .scenario = ""},
    {.mutant = Mutant::kOldCompletionCounted,
     .name = "raft-old-completion-counted",
     .what = "what the disk completes of an earlier term counts for this one",
     .scenario = ""},
    {.mutant = Mutant::kRemovedLeaderCounts,
     .name = "raft-removed-leader-counts",
     .what = "a leader that is no voter counts itself",
     .scenario = ""},
    {.mutant = Mutant::kJointOfOneMajority,
     .name = "raft-joint-of-one-majority",
     .what = "a joint configuration asks the new voters only",
     .scenario = ""},
    {.mutant = Mutant::kMembershipNotReverted,
     .name = "raft-membership-not-reverted",
     .what = "a configuration outlives the truncation of its entry",
     .scenario = ""},
    {.mutant = Mutant::kReadBeforeOwnCommit,
     .name = "raft-read-before-own-commit",
     .what = "a leader serves reads before an entry of its own term is committed",
     .scenario = "raft"},
    {.mutant = Mutant::kReadWithoutQuorum,
     .name = "raft-read-without-quorum",
     .what = "a leader serves reads without asking anybody",
     .scenario = ""},
    {.mutant = Mutant::kMatchFromStaleReject,
     .name = "raft-match-from-stale-reject",
     .what = "a rejection's hint is taken as a match",
     .scenario = ""},
    {.mutant = Mutant::kSnapshotBelowCommit,
     .name = "raft-snapshot-below-commit",
     .what = "a snapshot from before the commit is installed",
     .scenario = ""},
    {.mutant = Mutant::kConflictNotTruncated,
     .name = "raft-conflict-not-truncated",
     .what = "an entry in conflict with the leader's is kept",
     .scenario = "raft"},
    {.mutant = Mutant::kVoteForShorterLog,
     .name = "raft-vote-for-shorter-log",
     .what = "logs are not compared before a vote",
     .scenario = "raft"},
    {.mutant = Mutant::kDoubtForgotten,
     .name = "raft-doubt-forgotten",
     .what = "a log whose tail is lost votes as one that never had it",
     .scenario = ""},
    {.mutant = Mutant::kRepairUnproven,
     .name = "raft-repair-unproven",
     .what = "lost slots are filled with whatever a peer has there",
     .scenario = ""},
};

// ---- of journals and meta services that work together ----------------------------------------------------
//
// Found by the simulator's scenarios `journal` and `meta`. They are values of Mutant by themselves, so that
// what knows only those of base/mutants.h need not be built again for each. The first seven are those of the
// quorum's arithmetic, in the order of journal/quorum_mutants.h: there the search of quorum_test finds them,
// here whole nodes do. Those without a scenario are not looked for by ./simulate --mutants:
// docs/simulation.md says why.

namespace mutants {
inline constexpr int kFirstOfQuorum = 1000;  // after which come QuorumMutant's
// Of journal/.
inline constexpr Mutant kFenceNotStored{1100};
inline constexpr Mutant kReadBeforeFence{1101};
inline constexpr Mutant kAppendAfterFence{1102};
inline constexpr Mutant kSegmentBeforeChain{1103};
inline constexpr Mutant kDamagedTailCertain{1104};
inline constexpr Mutant kRepairedTooEarly{1105};
inline constexpr Mutant kSealWithoutSync{1106};
inline constexpr Mutant kAwayTakenForWhole{1107};
inline constexpr Mutant kTrimmedNotLeftOut{1108};
inline constexpr Mutant kGoneWaitedFor{1109};
inline constexpr Mutant kRemovedForGood{1110};
// Of meta/.
inline constexpr Mutant kSwapInAnyEpoch{1200};
inline constexpr Mutant kTrimTooFar{1201};
inline constexpr Mutant kCommandAppliedAgain{1202};
inline constexpr Mutant kMetaReadWithoutBarrier{1203};
inline constexpr Mutant kAnsweredBeforeAppliedHere{1204};
inline constexpr Mutant kProducerIdsAgain{1205};
inline constexpr Mutant kCopyNotTold{1206};
inline constexpr Mutant kLeaseFromAnswer{1207};
inline constexpr Mutant kLeaseOfFormerLeader{1208};
}  // namespace mutants

inline constexpr MutantInfo kMutantsOfCluster[] = {
    {.mutant = Mutant(mutants::kFirstOfQuorum + 1),
     .name = "journal-commit-at-fewer",
     .what = "an entry commits with one acknowledgement less",
     .scenario = "journal"},
    {.mutant = Mutant(mutants::kFirstOfQuorum + 2),
     .name = "journal-ack-after-freeze",
     .what = "acknowledgements count after the freeze",
     .scenario = ""},
    {.mutant = Mutant(mutants::kFirstOfQuorum + 3),
     .name = "journal-seal-at-own-end",
     .what = "a writer seals at the longest replica's end, not at its commit position",
     .scenario = ""},
    {.mutant = Mutant(mutants::kFirstOfQuorum + 4),
     .name = "journal-too-few-answers",
     .what = "a take-over goes on with R-A certain answers",
     .scenario = ""},
    {.mutant = Mutant(mutants::kFirstOfQuorum + 5),
     .name = "journal-shortest-prefix",
     .what = "a take-over seals at the shortest prefix",
     .scenario = "journal"},
    {.mutant = Mutant(mutants::kFirstOfQuorum + 6),
     .name = "journal-uncertain-counts",
     .what = "an uncertain answer counts as a certain one",
     .scenario = ""},
    {.mutant = Mutant(mutants::kFirstOfQuorum + 7),
     .name = "journal-copied-to-too-few",
     .what = "a take-over seals what fewer than A replicas have on disk",
     .scenario = "journal"},
    {.mutant = mutants::kFenceNotStored,
     .name = "journal-fence-not-stored",
     .what = "a fence is answered before it is on the disk",
     .scenario = "journal"},
    {.mutant = mutants::kReadBeforeFence,
     .name = "journal-read-before-fence",
     .what = "a take-over asks where a segment ends before it fences it",
     .scenario = "journal"},
    {.mutant = mutants::kAppendAfterFence,
     .name = "journal-append-after-fence",
     .what = "a fenced segment takes entries of earlier epochs",
     .scenario = "journal"},
    {.mutant = mutants::kSegmentBeforeChain,
     .name = "journal-segment-before-chain",
     .what = "a new segment is written to before the chain has it",
     .scenario = "journal"},
    {.mutant = mutants::kDamagedTailCertain,
     .name = "journal-damaged-tail-certain",
     .what = "a replica with a damaged tail answers as one that has all it acknowledged",
     .scenario = ""},
    {.mutant = mutants::kRepairedTooEarly,
     .name = "journal-repaired-too-early",
     .what = "a repair counts a replica as whole before it has the entries",
     .scenario = "journal"},
    {.mutant = mutants::kSealWithoutSync,
     .name = "journal-seal-without-sync",
     .what = "a writer seals its segment without asking who has it on the disk",
     .scenario = ""},
    // Of the following four the scenario has found the likes by itself.
    {.mutant = mutants::kAwayTakenForWhole,
     .name = "journal-away-taken-for-whole",
     .what = "a replica that was away when its segment was looked after is taken for one that has all of it",
     .scenario = ""},
    {.mutant = mutants::kTrimmedNotLeftOut,
     .name = "journal-trimmed-not-left-out",
     .what = "a take-over cannot copy a segment whose beginning is trimmed",
     .scenario = "journal"},
    {.mutant = mutants::kGoneWaitedFor,
     .name = "journal-gone-waited-for",
     .what = "a take-over waits for a replica that is gone for good, though those that are left have all",
     .scenario = "journal"},
    {.mutant = mutants::kRemovedForGood,
     .name = "journal-removed-for-good",
     .what = "a node never again takes a segment that it has removed",
     .scenario = "journal"},
    {.mutant = mutants::kSwapInAnyEpoch,
     .name = "meta-swap-in-any-epoch",
     .what = "a chain changes for an owner of an earlier epoch",
     .scenario = ""},
    {.mutant = mutants::kTrimTooFar,
     .name = "meta-trim-too-far",
     .what = "a chain loses segments that hold entries behind the trim",
     .scenario = "journal"},
    {.mutant = mutants::kCommandAppliedAgain,
     .name = "meta-command-applied-again",
     .what = "a command that comes again is applied again",
     .scenario = "meta"},
    {.mutant = mutants::kMetaReadWithoutBarrier,
     .name = "meta-read-without-barrier",
     .what = "the database is read without asking who leads",
     .scenario = "meta"},
    {.mutant = mutants::kAnsweredBeforeAppliedHere,
     .name = "meta-answered-before-applied-here",
     .what = "a command is answered before this node has applied it",
     .scenario = "meta"},
    {.mutant = mutants::kProducerIdsAgain,
     .name = "meta-producer-ids-again",
     .what = "the last of a range of producer ids is given out again",
     .scenario = "meta"},
    {.mutant = mutants::kCopyNotTold,
     .name = "meta-copy-not-told",
     .what = "nobody is told of the view of a database that was received",
     .scenario = "meta"},
    {.mutant = mutants::kLeaseFromAnswer,
     .name = "meta-lease-from-answer",
     .what = "a lease counts from its answer, not from when it was asked for",
     .scenario = "meta"},
    {.mutant = mutants::kLeaseOfFormerLeader,
     .name = "meta-lease-of-former-leader",
     .what = "a leader grants leases without asking whether it still leads",
     .scenario = ""},
};

}  // namespace stele
