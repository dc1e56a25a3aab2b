// Planted bugs of the quorum arithmetic, to show that they are found: by its own search (quorum_test.cc), for
// which //journal:quorum_with_mutants has them and a switch of its own, and by the simulator's scenario
// `journal`, in whose build the switch is that of base/mutants.h. In any other build mutant(…) is the
// constant false, and no trace of them is left.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/mutants_of_raft.h"

namespace stele::journal {

enum class QuorumMutant : std::uint8_t {
  kNone,
  kCommitAtFewer,
  kAckAfterFreeze,
  kSealAtOwnEnd,
  kTooFewAnswers,
  kShortestPrefix,
  kUncertainCounts,
  kCopiedToTooFew,
};

struct QuorumMutantInfo {
  QuorumMutant mutant;
  std::string_view name;
  std::string_view what;
};

#ifdef STELE_QUORUM_MUTANTS
std::span<const QuorumMutantInfo> all_quorum_mutants();
void select_mutant(QuorumMutant mutant);
bool mutant(QuorumMutant which);
#else
inline bool mutant(QuorumMutant which) {
  return stele::mutant(Mutant(mutants::kFirstOfQuorum + static_cast<int>(which)));
}
#endif

}  // namespace stele::journal
