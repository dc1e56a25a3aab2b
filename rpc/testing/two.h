// Two nodes in a simulated world, one of which speaks to the other.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "rpc/testing/node.h"
#include "sim/world.h"

namespace stele::rpc::testing {

struct Two {
  explicit Two(NodeOptions first = {}, NodeOptions second = {}) : a(world, 1, first), b(world, 2, second) {
    a.knows = {2};
    b.knows = {1};
  }
  void boot() {
    a.boot();
    b.boot();
  }
  // Until the channel from a to b is there.
  bool meet() {
    a.act([&] { a.to(2).keep_open(); });
    world.run_until([&] { return a.to(2).up(); }, std::chrono::minutes(1));
    return a.to(2).up();
  }
  // Runs until the call has its result.
  CallResult wait(const std::shared_ptr<std::optional<CallResult>>& result) {
    world.run_until([&] { return result->has_value(); }, std::chrono::minutes(10));
    if (result->has_value()) return **result;
    return std::unexpected(CallError{{ErrorCode::kInternal, "no result"}, {}});
  }
  std::uint64_t refused(Reason reason) { return b.server().stats().refused[std::size_t(reason)]; }
  std::uint64_t wrong(Wrong what) { return b.server().stats().wrong[std::size_t(what)]; }

  sim::World world{1};
  Node a, b;
};

inline void expect_error(const CallResult& result, ErrorCode code, Fate fate) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_EQ(result.error().fate, fate) << result.error().message;
}

}  // namespace stele::rpc::testing
