// What a data directory says of its cluster, as text.
#include "server/cluster_file.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace stele::server {
namespace {

ClusterFile member() {
  return {.state = ClusterFile::State::kMember,
          .node = NodeId(2),
          .directory = Uuid::from_random(1, 2),
          .cluster = Uuid::from_random(3, 4),
          .founders = {NodeId(1), NodeId(5)},
          .peers = {{NodeId(1), {"a.example", 7000}}, {NodeId(5), {"::1", 7001}}}};
}

TEST(ClusterFile, ComesBackAsItWas) {
  EXPECT_EQ(decode_cluster_file(encode(member())).value(), member());
  const ClusterFile joining{.state = ClusterFile::State::kJoining,
                            .node = NodeId(9),
                            .directory = Uuid::from_random(1, 2),
                            .cluster = {},
                            .founders = {},
                            .peers = {}};
  EXPECT_EQ(decode_cluster_file(encode(joining)).value(), joining);
}

TEST(ClusterFile, IsAsItsPageSays) {
  const std::string text = encode(member());
  EXPECT_TRUE(text.starts_with("stele cluster member, format 1\nstate member\nnode 2\ndirectory ")) << text;
  EXPECT_NE(text.find("\nfounder 1\nfounder 5\npeer 1 a.example:7000\npeer 5 [::1]:7001\ncheck "),
            std::string::npos)
      << text;
}

TEST(ClusterFile, AnotherVersionAndAnotherFile) {
  EXPECT_EQ(decode_cluster_file("stele cluster member, format 2\n").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(decode_cluster_file("").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(decode_cluster_file("something").error().code, ErrorCode::kCorrupt);
  ClusterFile incomplete = member();
  incomplete.founders.clear();
  EXPECT_EQ(decode_cluster_file(encode(incomplete)).error().code, ErrorCode::kCorrupt);
}

RC_GTEST_PROP(ClusterFile, WhatIsChangedOrCutOffIsFound, ()) {
  std::string text = encode(member());
  const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
  if (*rc::gen::arbitrary<bool>()) {
    text.resize(at);
  } else {
    text[at] = static_cast<char>(text[at] ^ *rc::gen::inRange(1, 256));
  }
  RC_ASSERT(!decode_cluster_file(text).has_value());
}

}  // namespace
}  // namespace stele::server
