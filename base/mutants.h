// Planted bugs. In a build with STELE_MUTANTS one of them can be switched on at run time, to show that the
// simulator finds it; in any other build mutant(…) is the constant false and no trace of it is left.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace stele {

enum class Mutant {
  kNone,
  kAcknowledgeBeforeSync,
  kSkipCrcAtRecovery,
  kLoseLastBatchOnRoll,
  kDeliverBeforeCommit,
  kSnapshotOfUncommittedState,
  kForwardCursorNotStored,
  kListOffsetsOffByOne,
  kPubrecBeforeCommit,
  kPubcompBeforeCommit,
  kReleaseNotLogged,
  kUnreleasedForgottenAtTakeOver,
  kQos2HomeMoves,
  kPublishBeforeNumberCommits,
  kPubrelBeforeCommit,
  kGroupGenerationNotFenced,
  kOffsetCommitBeforeCommit,
  kAclNotAsked,
  kSequenceNotChecked,
  kDuplicateBeforeCommit,
  kSharedNotGivenBack,
  kWillForgotten,
  kWillAfterDisconnect,
  kWillNotKept,
  kExpiredDelivered,
  kAckOfWrongSession,
  kTimeGoesBack,
  kRetainedOverwritten,
  kEndBeforeCommit,
  kOffsetsBeforeCommit,
  kOffsetNotLowered,
  kSubscribedBeforeRouted,
  kUnsubscribedBeforeCommit,
  kTopicBeforeRouted,
  kRetainedBeforeCommit,
  kTenantForgotten,
  // Of the core of Raft (raft/core).
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
  // Not of the broker: what makes two runs of one seed differ.
  kOrderOfAddresses,
  kOrderOfHashMap,
  kUninitialisedByte,
};

struct MutantInfo {
  Mutant mutant;
  std::string_view name;  // as given to ./simulate --mutant
  std::string_view what;
  bool repeatable = true;              // two runs of one seed are the same
  std::string_view scenario = "node";  // of the simulator, that finds it
};
// All of them but kNone, in order.
std::span<const MutantInfo> all_mutants();
std::optional<Mutant> find_mutant(std::string_view name);

#ifdef STELE_MUTANTS
void select_mutant(Mutant mutant);
bool mutant(Mutant which);
#else
constexpr bool mutant(Mutant) {
  return false;
}
#endif

}  // namespace stele
