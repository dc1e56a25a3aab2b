// A whole group under faults from a seed: the invariants of core.h at every step, and progress once the
// faults end. To see one seed: --test_arg=--gtest_filter=... with STELE_RAFT_SEED is not needed, a failure
// names its seed; kFirst below starts there.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>

#include "base/assert.h"
#include "raft/core/testing/group.h"

namespace stele::raft {
namespace {

constexpr std::uint64_t kFirst = 1;
constexpr std::uint64_t kSeeds = 2000;

std::uint64_t current_seed = 0;

void tell_seed(void*) {
  std::fprintf(stderr, "seed %lu\n", current_seed);
}

TEST(Group, KeepsItsInvariantsUnderFaultsAndGoesOnAfterThem) {
  set_assertion_hook(tell_seed, nullptr);
  Group::Counts sum;
  for (std::uint64_t seed = kFirst; seed < kFirst + kSeeds; ++seed) {
    current_seed = seed;
    Group group({.seed = seed, .trace = kSeeds == 1});
    ASSERT_EQ(group.run(), "");
    const Group::Counts& counts = group.counts();
    sum.committed += counts.committed;
    sum.elections += counts.elections;
    sum.snapshots += counts.snapshots;
    sum.reads += counts.reads;
    sum.changes += counts.changes;
    sum.transfers += counts.transfers;
    sum.repaired += counts.repaired;
  }
  // It was worth something: each kind of thing happened, and often.
  EXPECT_GT(sum.committed, kSeeds * 10);
  EXPECT_GT(sum.elections, kSeeds * 2);
  for (const std::uint64_t count : {sum.snapshots, sum.reads, sum.changes, sum.transfers, sum.repaired}) {
    EXPECT_GT(count, kSeeds / 10);
  }
}

}  // namespace
}  // namespace stele::raft
