#include "raft/core/mutants.h"

namespace stele::raft {
#ifdef STELE_RAFT_MUTANTS
namespace {
Mutant selected = Mutant::kNone;
}  // namespace

void plant(Mutant mutant) {
  selected = mutant;
}
bool planted(Mutant which) {
  return selected == which;
}
#endif
}  // namespace stele::raft
