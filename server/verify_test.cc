// A node's data directory as verify sees it, whole and damaged.
#include "server/verify.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "runtime/conformance_peer.h"
#include "runtime/scope.h"
#include "runtime/uv/uv_process.h"
#include "server/data_format.h"
#include "server/node.h"

namespace stele::server {
namespace {

namespace fs = std::filesystem;
using runtime::Runtime;
using runtime::Task;

std::string scratch(const char* name) {
  const std::string path = testing::TempDir() + "/" + name;
  fs::remove_all(path);
  return path;
}

Task<void> run_and_stop(runtime::uv::UvProcess* process, Task<void> body) {
  co_await std::move(body);
  process->stop();
}
void run(const std::function<Task<void>(Runtime&)>& body) {
  runtime::uv::UvProcess process({.cores = 1, .log_level = runtime::LogLevel::kOff});
  runtime::Scope scope;
  process.run([&](Runtime& runtime) { scope.spawn(run_and_stop(&process, body(runtime))); });
}

// What a node leaves that made a topic, wrote nothing else, and was stopped.
Task<void> serve_once(Runtime& runtime, std::string directory) {
  Runtime* cores[] = {&runtime};
  NodeConfig config;
  config.data = directory;
  config.shards = 4;
  Node node(cores, config);
  const auto started = co_await node.start();
  EXPECT_TRUE(started) << started.error().message;
  if (started) {
    const auto made = co_await node.broker(CoreId(0)).create_topic({}, "t", 4, {}, false);
    EXPECT_TRUE(made) << made.error().message;
  }
  const auto in_use = co_await verify_directory(runtime, directory);
  EXPECT_EQ(runtime::code_of(in_use), ErrorCode::kAlreadyExists);
  co_await node.stop();
}

Result<VerifyOutcome> verified(const std::string& directory) {
  Result<VerifyOutcome> out = error(ErrorCode::kInternal, "did not run");
  struct Into {
    static Task<void> verify(Runtime& runtime, std::string directory, Result<VerifyOutcome>* out) {
      *out = co_await verify_directory(runtime, std::move(directory));
    }
  };
  run([&](Runtime& runtime) { return Into::verify(runtime, directory, &out); });
  return out;
}

std::string served(const char* name) {
  std::string directory = scratch(name);
  run([&](Runtime& runtime) { return serve_once(runtime, directory); });
  return directory;
}

void flip_a_byte(const fs::path& path, std::size_t at) {
  std::ifstream in(path, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(in), {});
  ASSERT_LT(at, content.size());
  content[at] = static_cast<char>(content[at] ^ 0x10);
  std::ofstream(path, std::ios::binary) << content;
}

bool any_names(const std::vector<std::string>& lines, const std::string& name) {
  for (const auto& line : lines) {
    if (line.find(name) != std::string::npos) return true;
  }
  return false;
}

TEST(Verify, WhatANodeLeavesIsSound) {
  const auto outcome = verified(served("sound"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->damage, std::vector<std::string>());
  EXPECT_TRUE(any_names(outcome->summary, "meta: 1 topics, 4 shards"));
}

TEST(Verify, ASnapshotThatIsDamagedOrGone) {
  const std::string directory = served("snapshot");
  std::vector<fs::path> snapshots;
  for (const auto& entry : fs::directory_iterator(directory + "/snapshots"))
    snapshots.push_back(entry.path());
  ASSERT_GE(snapshots.size(), 2u);
  flip_a_byte(snapshots[0], fs::file_size(snapshots[0]) / 2);
  fs::remove(snapshots[1]);
  const auto outcome = verified(directory);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->damage.size(), 2u);
  EXPECT_TRUE(any_names(outcome->damage, snapshots[0].filename()));
  EXPECT_TRUE(any_names(outcome->damage, snapshots[1].filename()));
}

TEST(Verify, ADatabaseThatIsDamagedOrGone) {
  const std::string directory = served("database");
  const std::string database = directory + "/meta/meta.db";
  flip_a_byte(database, 20);
  auto outcome = verified(directory);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(any_names(outcome->damage, "meta.db"));
  fs::remove(database);
  outcome = verified(directory);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(any_names(outcome->damage, "meta.db is missing"));
  EXPECT_FALSE(fs::exists(database)) << "nothing is made";
}

TEST(Verify, WhatIsNoDataDirectory) {
  const std::string directory = scratch("none");
  EXPECT_EQ(verified(directory).error().code, ErrorCode::kNotFound);
  fs::create_directories(directory);
  EXPECT_EQ(verified(directory).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(fs::is_empty(directory));
  std::ofstream(directory + "/format") << "stele data directory, format 99\n";
  EXPECT_EQ(verified(directory).error().code, ErrorCode::kUnsupported);
}

TEST(DataFormat, OnlyOursAndNoNewerOne) {
  EXPECT_TRUE(check_data_format("d", data_format_text()));
  const auto code = [](std::string_view text) { return check_data_format("d", text).error().code; };
  EXPECT_EQ(code(""), ErrorCode::kNotFound);
  EXPECT_EQ(code("stele data directory, format 2\n"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("stele data directory, format 99999999999999999999\n"), ErrorCode::kUnsupported);
  for (const char* text : {"x", "stele data directory, format ", "stele data directory, format 0",
                           "stele data directory, format x"}) {
    EXPECT_EQ(code(text), ErrorCode::kCorrupt) << text;
  }
}

}  // namespace
}  // namespace stele::server
