// Planted bugs of the quorum arithmetic, to show that its own search finds them (quorum_test.cc). A build
// without STELE_QUORUM_MUTANTS has no trace of them: mutant(…) is the constant false there. Only the library
// //journal:quorum_with_mutants defines it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

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
constexpr bool mutant(QuorumMutant) {
  return false;
}
#endif

}  // namespace stele::journal
