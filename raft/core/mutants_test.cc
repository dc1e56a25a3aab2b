// Each planted bug of the core (base/mutants_of_raft.h) is found by the group under faults: an invariant
// breaks, one of the core's own asserts does, or the group makes no progress in the calm. If no seed finds
// it, a conversation must come out otherwise. A bug has a process of its own, which an assert may end.
#include "raft/core/mutants.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "base/mutants_of_raft.h"
#include "raft/core/testing/group.h"
#include "raft/core/testing/script.h"

namespace stele::raft {
namespace {

constexpr std::uint64_t kSeeds = 4000;

// A conversation that comes out otherwise than written; empty if none does.
std::string other_conversation() {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("raft/core/testdata")) {
    std::ifstream file(entry.path());
    std::stringstream expected;
    expected << file.rdbuf();
    std::istringstream in(expected.str());
    if (replay(in) != expected.str()) return entry.path().string();
    ++files;
  }
  return files >= 20 ? "" : "is missing";
}

// Ends the process: 0 if a seed found something.
[[noreturn]] void hunt(Mutant mutant, std::string_view name) {
  plant(mutant);
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Group group({.seed = seed});
    const std::string found = group.run();
    if (!found.empty()) {
      std::printf("%.*s: %s\n", static_cast<int>(name.size()), name.data(),
                  found.substr(0, found.find('\n')).c_str());
      std::fflush(stdout);
      _exit(0);
    }
  }
  if (const std::string other = other_conversation(); !other.empty()) {
    std::printf("%.*s: conversation %s\n", static_cast<int>(name.size()), name.data(), other.c_str());
    std::fflush(stdout);
    _exit(0);
  }
  _exit(1);
}

TEST(NoMutant, ChangesNoConversation) {
  EXPECT_EQ(other_conversation(), "");
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

INSTANTIATE_TEST_SUITE_P(All, Mutants, testing::ValuesIn(kMutantsOfRaft), [](const auto& info) {
  std::string name(info.param.name);
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
});

}  // namespace
}  // namespace stele::raft
