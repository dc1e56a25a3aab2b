// Planted bugs of the core (base/mutants_of_raft.h), to show that they are found: by the core's own tests
// (mutants_test.cc), for which //raft/core:core_with_mutants has them and a switch of its own, and by the
// simulator's scenario `raft`, in whose build the switch is that of base/mutants.h. In any other build
// planted(…) is the constant false, and no trace of them is left.
#pragma once

#include "base/mutants.h"

namespace stele::raft {

#ifdef STELE_RAFT_MUTANTS
void plant(Mutant mutant);
bool planted(Mutant which);
#else
inline bool planted(Mutant which) {
  return mutant(which);
}
#endif

}  // namespace stele::raft
