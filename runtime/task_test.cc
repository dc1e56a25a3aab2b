#include "runtime/task.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <string>
#include <vector>

#include "runtime/random.h"
#include "runtime/scope.h"
#include "runtime/stop.h"

namespace stele::runtime {
namespace {

// A place to wait that the test opens.
struct Gate {
  std::coroutine_handle<> waiter;
  void open() { std::exchange(waiter, {}).resume(); }
  auto operator co_await() {
    struct Awaiter {
      Gate& gate;
      bool await_ready() { return false; }
      void await_suspend(std::coroutine_handle<> h) { gate.waiter = h; }
      void await_resume() {}
    };
    return Awaiter{*this};
  }
};

Task<int> one() {
  co_return 1;
}
Task<std::string> text(bool yes, Gate* gate) {
  if (gate) co_await *gate;
  // The three shapes that gcc 12 miscompiles (docs/building.md).
  if (co_await one() == 1) co_return yes ? std::string(100, 'y') : std::string();
  co_return "never";
}
Task<void> store(std::string* to, bool yes, Gate* gate) {
  *to = co_await text(yes, gate);
}

TEST(Task, RunsWhenAwaitedAndNotBefore) {
  std::string result = "untouched";
  Task<void> task = store(&result, true, nullptr);
  EXPECT_EQ(result, "untouched");
  Scope scope;
  scope.spawn(std::move(task));
  EXPECT_EQ(result, std::string(100, 'y'));
  EXPECT_EQ(scope.running(), 0u);
}

Task<int> count_down(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await one();
  co_return sum;
}
Task<void> store_count(int* to, int n) {
  *to = co_await count_down(n);
}

TEST(Task, AMillionAwaitsUseNoStack) {
  int count = 0;
  Scope scope;
  scope.spawn(store_count(&count, 1'000'000));
  EXPECT_EQ(count, 1'000'000);
}

Task<void> join_and_note(Scope* scope, bool* joined) {
  co_await scope->join();
  *joined = true;
}

TEST(Scope, JoinWaitsForAllThatWasSpawned) {
  Scope scope, outer;
  Gate first, second;
  std::string a, b;
  bool joined = false;
  scope.spawn(store(&a, true, &first));
  scope.spawn(store(&b, true, &second));
  outer.spawn(join_and_note(&scope, &joined));
  second.open();
  EXPECT_FALSE(joined);
  EXPECT_EQ(b.size(), 100u);
  first.open();
  EXPECT_TRUE(joined);
}

struct Noted {
  int* destroyed;
  ~Noted() { ++*destroyed; }
};
Task<void> hold(int* destroyed, Gate* gate) {
  Noted noted{destroyed};
  co_await *gate;
}
Task<void> hold_deep(int* destroyed, Gate* gate) {
  Noted noted{destroyed};
  co_await hold(destroyed, gate);
}

TEST(Scope, DestroyingItDestroysSuspendedFramesAndWhatTheyAwait) {
  int destroyed = 0;
  Gate gate;
  {
    Scope scope;
    scope.spawn(hold_deep(&destroyed, &gate));
    EXPECT_EQ(destroyed, 0);
  }
  EXPECT_EQ(destroyed, 2);
}

TEST(Stop, CallbacksRunOnceInOrderAndLateOnesAtOnce) {
  StopSource source;
  std::vector<int> order;
  StopCallback one(source.token(), [&] { order.push_back(1); });
  auto gone = std::make_unique<StopCallback>(source.token(), [&] { order.push_back(9); });
  StopCallback two(source.token(), [&] { order.push_back(2); });
  gone.reset();
  source.request_stop();
  source.request_stop();
  StopCallback late(source.token(), [&] { order.push_back(3); });
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(Random, IsTheSameEverywhereAndStaysInBounds) {
  Random random(1);
  // A seed means the same run on every machine, for good.
  EXPECT_EQ(random.next(), 12966619160104079557u);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LT(random.below(7), 7u);
    const auto v = random.between(-3, 3);
    EXPECT_TRUE(v >= -3 && v <= 3);
  }
}

}  // namespace
}  // namespace stele::runtime
