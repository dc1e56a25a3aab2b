#include "journal/quorum_mutants.h"

namespace stele::journal {
#ifdef STELE_QUORUM_MUTANTS
namespace {
constexpr QuorumMutantInfo kMutants[] = {
    {QuorumMutant::kCommitAtFewer, "commit-at-fewer", "an entry commits with one acknowledgement less"},
    {QuorumMutant::kAckAfterFreeze, "ack-after-freeze", "acknowledgements count after the freeze"},
    {QuorumMutant::kSealAtOwnEnd, "seal-at-own-end",
     "a writer seals at the longest replica's end, not at its commit position"},
    {QuorumMutant::kTooFewAnswers, "too-few-answers", "a take-over goes on with R-A certain answers"},
    {QuorumMutant::kShortestPrefix, "shortest-prefix", "a take-over seals at the shortest prefix"},
    {QuorumMutant::kUncertainCounts, "uncertain-counts", "an uncertain answer counts as a certain one"},
    {QuorumMutant::kCopiedToTooFew, "copied-to-too-few",
     "a take-over seals what fewer than A replicas have on disk"},
};
QuorumMutant selected = QuorumMutant::kNone;
}  // namespace

std::span<const QuorumMutantInfo> all_quorum_mutants() {
  return kMutants;
}
void select_mutant(QuorumMutant mutant) {
  selected = mutant;
}
bool mutant(QuorumMutant which) {
  return selected == which;
}
#endif
}  // namespace stele::journal
