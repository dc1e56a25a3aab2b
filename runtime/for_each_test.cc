#include "runtime/for_each.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "runtime/notification.h"

namespace stele::runtime {
namespace {

TEST(ForEach, RunsSoManyAtOnceInOrder) {
  std::vector<Notification> gates(5);
  std::vector<std::size_t> begun, ended;
  bool done = false;
  Scope scope;
  const auto all = [&]() -> Task<void> {
    co_await for_each(gates.size(), 2, [&](std::size_t i) -> Task<void> {
      begun.push_back(i);
      co_await gates[i].wait();
      ended.push_back(i);
    });
    done = true;
  };
  scope.spawn(all());
  EXPECT_EQ(begun, (std::vector<std::size_t>{0, 1}));
  gates[1].wake_all();
  gates[2].wake_all();
  EXPECT_EQ(begun, (std::vector<std::size_t>{0, 1, 2, 3}));
  gates[3].wake_all();
  gates[0].wake_all();
  EXPECT_FALSE(done);
  gates[4].wake_all();
  EXPECT_TRUE(done);
  EXPECT_EQ(ended, (std::vector<std::size_t>{1, 2, 3, 0, 4}));
}

TEST(ForEach, OfNothingIsComplete) {
  bool done = false;
  Scope scope;
  const auto none = [&]() -> Task<void> {
    co_await for_each(0, 3, [](std::size_t) -> Task<void> { co_return; });
    done = true;
  };
  scope.spawn(none());
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace stele::runtime
