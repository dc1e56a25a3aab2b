#include "runtime/runtime.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "runtime/timer_queue.h"

namespace stele::runtime {
namespace {

using namespace std::chrono_literals;

struct Noting : Timer {
  explicit Noting(std::vector<int>* fired, int name) : fired(fired), name(name) {}
  void on_timer() override {
    fired->push_back(name);
    if (then) then();
  }
  std::vector<int>* fired;
  int name;
  std::function<void()> then;
};

constexpr Instant at(Duration d) {
  return Instant(d);
}

TEST(TimerQueue, FiresByDeadlineThenByOrderOfArming) {
  TimerQueue queue;
  std::vector<int> fired;
  Noting a(&fired, 1), b(&fired, 2), c(&fired, 3), d(&fired, 4);
  queue.arm(a, at(20ms));
  queue.arm(b, at(10ms));
  queue.arm(c, at(10ms));
  queue.arm(d, at(30ms));
  EXPECT_EQ(queue.next(), at(10ms));
  queue.fire(at(20ms));
  EXPECT_EQ(fired, (std::vector<int>{2, 3, 1}));
  EXPECT_TRUE(d.armed());
}

TEST(TimerQueue, ATimerMayDestroyOthersAndArmItself) {
  TimerQueue queue;
  std::vector<int> fired;
  Noting first(&fired, 1);
  auto victim = std::make_unique<Noting>(&fired, 2);
  first.then = [&] {
    victim.reset();
    queue.arm(first, at(10ms));
  };
  queue.arm(first, at(10ms));
  queue.arm(*victim, at(10ms));
  queue.fire(at(10ms));
  EXPECT_EQ(fired, (std::vector<int>{1}));
  EXPECT_TRUE(first.armed());
}

// Against a sorted list.
TEST(TimerQueue, AgreesWithASortedList) {
  Random random(7);
  TimerQueue queue;
  std::vector<int> fired;
  std::vector<std::unique_ptr<Noting>> timers;
  for (int i = 0; i < 200; ++i) timers.push_back(std::make_unique<Noting>(&fired, i));
  std::vector<std::pair<Instant, int>> model;  // in order of arming
  for (int step = 0; step < 5000; ++step) {
    const int i = static_cast<int>(random.below(timers.size()));
    std::erase_if(model, [&](auto& entry) { return entry.second == i; });
    if (random.chance(1, 4)) {
      queue.disarm(*timers[i]);
    } else {
      const Instant when = at(Duration(random.below(50)));
      queue.arm(*timers[i], when);
      model.emplace_back(when, i);
    }
  }
  std::stable_sort(model.begin(), model.end(), [](auto& x, auto& y) { return x.first < y.first; });
  queue.fire(at(1s));
  std::vector<int> expected;
  for (auto& entry : model) expected.push_back(entry.second);
  EXPECT_EQ(fired, expected);
}

TEST(Endpoint, ParsesAndPrints) {
  EXPECT_EQ(parse_endpoint("127.0.0.1:1883")->to_string(), "127.0.0.1:1883");
  EXPECT_EQ(parse_endpoint("[::1]:0")->host, "::1");
  EXPECT_EQ(parse_endpoint("[::1]:9092")->to_string(), "[::1]:9092");
  for (auto bad : {"", "localhost", ":1", "h:", "h:65536", "h:1x", "::1:5"}) {
    EXPECT_EQ(parse_endpoint(bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace stele::runtime
