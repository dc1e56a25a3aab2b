// Each planted bug of the core (raft/mutants.h) is found by the group under faults: an invariant breaks, one
// of the core's own asserts does, or the group makes no progress in the calm. A bug has a process of its own,
// which an assert may end.
#include "raft/mutants.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "raft/testing/group.h"

namespace stele::raft {
namespace {

constexpr std::uint64_t kSeeds = 10000;

// Ends the process: 0 if a seed found something.
[[noreturn]] void hunt(Mutant mutant, std::string_view name) {
  select_mutant(mutant);
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    std::printf("%.*s: ", static_cast<int>(name.size()), name.data());
    Group group({.seed = seed});
    const std::string found = group.run();
    if (!found.empty()) {
      std::printf("%s\n", found.substr(0, found.find('\n')).c_str());
      std::fflush(stdout);
      _exit(0);
    }
    std::printf("\r");
  }
  _exit(1);
}

class Mutants : public testing::TestWithParam<MutantInfo> {};

TEST_P(Mutants, IsFound) {
  std::fflush(stdout);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) hunt(GetParam().mutant, GetParam().name);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const bool found = WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(found) << GetParam().what << ": no seed of " << kSeeds << " notices it";
}

INSTANTIATE_TEST_SUITE_P(All, Mutants, testing::ValuesIn(all_mutants().begin(), all_mutants().end()),
                         [](const auto& info) {
                           std::string name(info.param.name);
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace stele::raft
