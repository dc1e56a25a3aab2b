// Conversations between cores, as text files with what is expected: raft/testdata/*.txt. A command, `----`,
// what came of it.
//
//   bazel run -c opt //raft:interaction_test -- --rewrite      writes what came into the files; read the diff
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "raft/core/testing/script.h"

namespace stele::raft {
namespace {

bool rewrite = false;

std::filesystem::path folder() {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  return std::filesystem::path(rewrite && workspace ? workspace : ".") / "raft/core/testdata";
}

std::vector<std::string> files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("raft/core/testdata")) {
    names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

class Interaction : public testing::TestWithParam<std::string> {};

TEST_P(Interaction, IsAsWritten) {
  const std::filesystem::path path = folder() / (GetParam() + ".txt");
  std::ifstream file(path);
  ASSERT_TRUE(file) << path;
  std::stringstream expected;
  expected << file.rdbuf();
  std::istringstream in(expected.str());
  const std::string now = replay(in);
  if (rewrite) {
    std::ofstream(path) << now;
  } else {
    EXPECT_EQ(now, expected.str())
        << "if this is as it should be: bazel run -c opt //raft:interaction_test -- --rewrite";
  }
}

INSTANTIATE_TEST_SUITE_P(All, Interaction, testing::ValuesIn(files()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace stele::raft

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i)
    stele::raft::rewrite = stele::raft::rewrite || std::string_view(argv[i]) == "--rewrite";
  return RUN_ALL_TESTS();
}
