#include "runtime/conformance.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "runtime/channel.h"
#include "runtime/scope.h"

namespace stele::runtime {

using namespace std::chrono_literals;

namespace {

struct NotingTimer : Timer {
  explicit NotingTimer(std::function<void()> fired) : fired(std::move(fired)) {}
  void on_timer() override { fired(); }
  std::function<void()> fired;
};

struct NotingHook final : TurnEndHook {
  explicit NotingHook(std::function<void()> ended) : ended(std::move(ended)) {}
  void on_turn_end() override { ended(); }
  std::function<void()> ended;
};

Task<void> sleep_and_note(Runtime& runtime, Duration duration, StopToken stop, std::vector<bool>* slept) {
  const bool whole = co_await sleep(runtime, duration, std::move(stop));
  slept->push_back(whole);
}

// --- Clock and identity

STELE_CONFORMANCE(TheClockStandsStillWithinATurn, 1) {
  Runtime& rt = p.runtime();
  const Instant start = rt.now();
  std::uint64_t work = 1;
  for (int i = 0; i < 200'000; ++i) work = mix64(work + i);
  EXPECT_NE(work, 0u);
  EXPECT_EQ(rt.now(), start);
  Instant last = start;
  for (int i = 0; i < 50; ++i) {
    co_await next_turn(rt);
    EXPECT_GE(rt.now(), last);
    last = rt.now();
  }
  co_await sleep(rt, 5ms);
  EXPECT_GE(rt.now() - start, 5ms);
  EXPECT_GT(rt.wall_now().ms, 0);
}

STELE_CONFORMANCE(ACoreKnowsItsNumber, 3) {
  EXPECT_EQ(p.cores.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(p.cores[i]->core(), CoreId(i));
    EXPECT_EQ(p.cores[i]->core_count(), 3u);
  }
  co_return;
}

STELE_CONFORMANCE(TheLogTakesLines, 1) {
  Log& log = p.runtime().log();
  if (log.enabled(LogLevel::kInfo)) log.write(LogLevel::kInfo, "conformance", "a line\nin two parts");
  EXPECT_FALSE(log.enabled(LogLevel::kOff));
  co_return;
}

// --- Timers

STELE_CONFORMANCE(TimersFireByDeadlineThenByOrderOfArming, 1) {
  Runtime& rt = p.runtime();
  std::vector<int> fired;
  NotingTimer a([&] { fired.push_back(1); }), b([&] { fired.push_back(2); });
  NotingTimer c([&] { fired.push_back(3); }), d([&] { fired.push_back(4); });
  const Instant now = rt.now();
  rt.arm(a, now + 9ms);
  rt.arm(b, now + 3ms);
  rt.arm(c, now + 3ms);
  rt.arm(d, now + 6ms);
  EXPECT_TRUE(co_await until(rt, [&] { return fired.size() == 4; }));
  EXPECT_EQ(fired, (std::vector<int>{2, 3, 4, 1}));
  EXPECT_FALSE(a.armed());
}

STELE_CONFORMANCE(ATimerIsMovedDisarmedAndDestroyed, 1) {
  Runtime& rt = p.runtime();
  std::vector<int> fired;
  NotingTimer later([&] { fired.push_back(1); }), sooner([&] { fired.push_back(2); });
  NotingTimer disarmed([&] { fired.push_back(3); });
  auto destroyed = std::make_unique<NotingTimer>([&] { fired.push_back(4); });
  const Instant now = rt.now();
  rt.arm(later, now + 1ms);
  rt.arm(later, now + 8ms);
  rt.arm(sooner, now + 1h);
  rt.arm(sooner, now + 4ms);
  rt.arm(disarmed, now + 2ms);
  rt.arm(*destroyed, now + 2ms);
  rt.disarm(disarmed);
  rt.disarm(disarmed);
  destroyed.reset();
  EXPECT_TRUE(co_await until(rt, [&] { return fired.size() >= 2; }));
  co_await sleep(rt, 5ms);
  EXPECT_EQ(fired, (std::vector<int>{2, 1}));
}

STELE_CONFORMANCE(ATimerDueAtOnceFiresInALaterTurnNeverBeforeItsTime, 1) {
  Runtime& rt = p.runtime();
  bool fired = false;
  NotingTimer past([&] { fired = true; });
  rt.arm(past, rt.now() - 1s);
  EXPECT_FALSE(fired);
  EXPECT_TRUE(co_await until(rt, [&] { return fired; }));
  for (Duration wait : {Duration(1), Duration(999'999), Duration(1'000'001), Duration(2'500'000)}) {
    const Instant deadline = rt.now() + wait;
    Instant at{};
    NotingTimer timer([&] { at = rt.now(); });
    rt.arm(timer, deadline);
    EXPECT_TRUE(co_await until(rt, [&] { return at != Instant{}; }));
    EXPECT_GE(at, deadline);
  }
}

STELE_CONFORMANCE(SleepEndsByItsToken, 1) {
  Runtime& rt = p.runtime();
  std::vector<bool> slept;
  StopSource source;
  Scope scope;
  scope.spawn(sleep_and_note(rt, 1h, source.token(), &slept));
  scope.spawn(sleep_and_note(rt, 1ms, source.token(), &slept));
  EXPECT_TRUE(co_await until(rt, [&] { return slept.size() == 1; }));
  source.request_stop();
  EXPECT_EQ(slept.size(), 1u) << "a sleeper runs in a later turn, not within request_stop()";
  co_await scope.join();
  EXPECT_EQ(slept, (std::vector<bool>{true, false}));
  EXPECT_FALSE(co_await sleep(rt, 1h, source.token()));
}

STELE_CONFORMANCE(ASuspendedTaskMayBeDestroyed, 1) {
  Runtime& rt = p.runtime();
  std::vector<bool> slept;
  {
    Scope scope;
    scope.spawn(sleep_and_note(rt, 2ms, {}, &slept));
  }
  co_await sleep(rt, 6ms);
  EXPECT_TRUE(slept.empty());
}

// --- Channels

Task<void> send_numbers(Channel<int>& to, int count, std::vector<bool>* sent) {
  for (int i = 0; i < count; ++i) sent->push_back((co_await to.send(i)).has_value());
}

Task<void> receive_all(Runtime& runtime, Channel<int>& from, std::vector<int>* received) {
  while (const auto value = co_await from.receive(runtime)) received->push_back(*value);
  received->push_back(-1);
}

STELE_CONFORMANCE(AChannelPassesValuesInOrderAndHoldsNoMoreThanItsCapacity, 1) {
  Runtime& rt = p.runtime();
  Channel<int> channel(3);
  std::vector<bool> sent;
  Scope scope;
  scope.spawn(send_numbers(channel, 10, &sent));
  co_await next_turn(rt);
  EXPECT_EQ(sent.size(), 3u);
  EXPECT_TRUE(channel.full());
  EXPECT_FALSE(channel.try_send(99));
  std::vector<int> received;
  scope.spawn(receive_all(rt, channel, &received));
  EXPECT_TRUE(co_await until(rt, [&] { return sent.size() == 10 && channel.size() == 0; }));
  channel.close();
  co_await scope.join();
  EXPECT_EQ(received, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1}));
}

STELE_CONFORMANCE(AClosedChannelGivesWhatItHoldsAndTakesNoMore, 1) {
  Runtime& rt = p.runtime();
  Channel<int> channel(1);
  std::vector<bool> sent;
  Scope scope;
  scope.spawn(send_numbers(channel, 2, &sent));  // the second waits for room
  channel.close();
  co_await scope.join();
  EXPECT_EQ(sent, (std::vector<bool>{true, false}));
  EXPECT_EQ(co_await channel.receive(rt), 0);
  EXPECT_FALSE(channel.try_send(7));  // for all the room there is
  const auto ended = co_await channel.receive(rt);
  EXPECT_FALSE(ended.has_value());
  if (!ended) EXPECT_EQ(ended.error().code, ErrorCode::kClosed);
}

STELE_CONFORMANCE(ReceivingFromAChannelEndsAtItsDeadline, 1) {
  Runtime& rt = p.runtime();
  Channel<int> channel(1);
  const Instant deadline = rt.now() + 5ms;
  const auto nothing = co_await channel.receive(rt, deadline);
  EXPECT_GE(rt.now(), deadline);
  EXPECT_FALSE(nothing.has_value());
  if (!nothing) EXPECT_EQ(nothing.error().code, ErrorCode::kTimedOut);
  EXPECT_TRUE(channel.try_send(1));
  EXPECT_EQ(co_await channel.receive(rt, rt.now()), 1);  // what is there needs no time
}

Task<void> receive_and_destroy(Runtime& runtime, std::unique_ptr<Channel<int>>* channel, int* received) {
  if (const auto value = co_await (*channel)->receive(runtime)) *received = *value;
  channel->reset();
}

STELE_CONFORMANCE(WhoReceivesMayDestroyTheChannel, 1) {
  Runtime& rt = p.runtime();
  auto channel = std::make_unique<Channel<int>>(1);
  int received = 0;
  Scope scope;
  scope.spawn(receive_and_destroy(rt, &channel, &received));
  EXPECT_TRUE(channel->try_send(5));
  EXPECT_EQ(channel, nullptr);
  EXPECT_EQ(received, 5);
  co_await scope.join();
}

// --- Posts and turn ends

STELE_CONFORMANCE(WorkPostedToTheOwnCoreRunsInALaterTurnInOrder, 1) {
  Runtime& rt = p.runtime();
  std::vector<int> ran;
  NotingHook hook([&] { ran.push_back(0); });
  rt.at_turn_end(hook);
  for (int i = 1; i <= 3; ++i) rt.post(rt.core(), [&ran, i] { ran.push_back(i); });
  EXPECT_TRUE(ran.empty());
  EXPECT_TRUE(co_await until(rt, [&] { return ran.size() == 4; }));
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2, 3}));
}

STELE_CONFORMANCE(PostedWorkThatPostsDoesNotHoldUpTheLoop, 1) {
  Runtime& rt = p.runtime();
  // Work that posts itself again and again must not starve timers.
  struct Spinner {
    Runtime& rt;
    bool stop = false, stopped = false;
    void spin() {
      if (stop) {
        stopped = true;
      } else {
        rt.post(rt.core(), [this] { spin(); });
      }
    }
  } spinner{rt};
  spinner.spin();
  co_await sleep(rt, 2ms);
  spinner.stop = true;
  EXPECT_TRUE(co_await until(rt, [&] { return spinner.stopped; }));
}

STELE_CONFORMANCE(PostsBetweenCoresKeepTheirOrder, 2) {
  Runtime& rt = p.runtime();
  Runtime& other = *p.cores[1];
  constexpr int kCount = 2000;
  std::vector<int> there;  // core 1's, until it says that it is done
  std::vector<int> back;   // core 0's
  for (int i = 0; i < kCount; ++i) {
    rt.post(CoreId(1), [&there, &back, &other, i] {
      there.push_back(i);
      other.post(CoreId(0), [&back, i] { back.push_back(i); });
    });
    if (i % 100 == 0) co_await next_turn(rt);
  }
  EXPECT_TRUE(co_await until(rt, [&] { return back.size() == kCount; }));
  EXPECT_TRUE(std::is_sorted(there.begin(), there.end()));
  EXPECT_TRUE(std::is_sorted(back.begin(), back.end()));
  EXPECT_EQ(there.size(), std::size_t{kCount});
}

STELE_CONFORMANCE(PostsKeepTheOrderOfWhatCausedThem, 3) {
  Runtime& rt = p.runtime();
  Runtime& relay = *p.cores[1];
  constexpr int kCount = 1000;
  std::vector<int> there;  // core 2's, until it says that it is done
  bool done = false;
  for (int i = 0; i < kCount; ++i) {
    rt.post(CoreId(2), [&there, i] { there.push_back(2 * i); });
    rt.post(CoreId(1),
            [&there, &relay, i] { relay.post(CoreId(2), [&there, i] { there.push_back(2 * i + 1); }); });
    if (i % 10 == 0) co_await next_turn(rt);
  }
  rt.post(CoreId(1),
          [&] { relay.post(CoreId(2), [&] { p.cores[2]->post(CoreId(0), [&done] { done = true; }); }); });
  EXPECT_TRUE(co_await until(rt, [&] { return done; }));
  std::set<int> seen;
  for (const int one : there) {
    if (one % 2 == 1) EXPECT_TRUE(seen.contains(one - 1)) << one;
    seen.insert(one);
  }
  EXPECT_EQ(seen.size(), std::size_t{2 * kCount});
}

STELE_CONFORMANCE(ACoreThatWaitsIsWokenByAPost, 2) {
  Runtime& rt = p.runtime();
  Runtime& other = *p.cores[1];
  for (int round = 0; round < 50; ++round) {
    bool answered = false;
    rt.post(CoreId(1), [&] { other.post(CoreId(0), [&answered] { answered = true; }); });
    EXPECT_TRUE(co_await until(rt, [&] { return answered; }));
  }
}

STELE_CONFORMANCE(TurnEndHooksRunOnceBeforeTheNextTurn, 1) {
  Runtime& rt = p.runtime();
  std::vector<int> ran;
  NotingHook nested([&] { ran.push_back(2); });
  NotingHook first([&] {
    ran.push_back(1);
    rt.at_turn_end(nested);
  });
  auto destroyed = std::make_unique<NotingHook>([&] { ran.push_back(9); });
  rt.at_turn_end(first);
  rt.at_turn_end(first);
  rt.at_turn_end(*destroyed);
  destroyed.reset();
  EXPECT_TRUE(ran.empty());
  rt.post(rt.core(), [&] { ran.push_back(3); });
  EXPECT_TRUE(co_await until(rt, [&] { return std::ranges::find(ran, 3) != ran.end(); }));
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

STELE_CONFORMANCE(AHookAskedForByATimerRunsInThatTurn, 1) {
  Runtime& rt = p.runtime();
  Instant fired_at{}, ended_at{};
  NotingHook hook([&] { ended_at = rt.now(); });
  NotingTimer timer([&] {
    fired_at = rt.now();
    rt.at_turn_end(hook);
  });
  rt.arm(timer, rt.now() + 2ms);
  EXPECT_TRUE(co_await until(rt, [&] { return ended_at != Instant{}; }));
  EXPECT_EQ(fired_at, ended_at);
}

// --- Blocking work

STELE_CONFORMANCE(OffloadedJobsRunAndThenTheirCompletion, 2) {
  Runtime& rt = p.runtime();
  std::vector<int> results(20, 0);
  std::size_t done = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    rt.offload([&results, i](BlockingFiles&) { results[i] = static_cast<int>(i * i); }, [&] { ++done; });
  }
  EXPECT_EQ(done, 0u) << "a completion never runs within offload()";
  EXPECT_TRUE(co_await until(rt, [&] { return done == results.size(); }));
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], static_cast<int>(i * i));
}

STELE_CONFORMANCE(BlockingFilesWorkInsideOffload, 1) {
  const std::string path = p.scratch + "/db", missing = p.scratch + "/missing";
  co_await run_blocking(p.runtime(), [path, missing, dir = p.scratch](BlockingFiles& files) {
    EXPECT_EQ(files.open(path, OpenMode::kRead).error().code, ErrorCode::kNotFound);
    EXPECT_EQ(files.open(path, OpenMode::kReadWrite).error().code, ErrorCode::kNotFound);
    EXPECT_FALSE(*files.exists(path));
    auto file = files.open(path, OpenMode::kCreate);
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(files.open(path, OpenMode::kCreateNew).error().code, ErrorCode::kAlreadyExists);
    EXPECT_TRUE(*files.exists(path));
    EXPECT_TRUE((*file)->write(Position(0), "hello world"));
    EXPECT_TRUE((*file)->write(Position(6), "there"));
    EXPECT_TRUE((*file)->sync());
    EXPECT_EQ((*file)->size(), 11u);
    char buffer[32];
    EXPECT_EQ((*file)->read(Position(6), buffer, sizeof(buffer)), 5u);
    EXPECT_EQ(std::string_view(buffer, 5), "there");
    EXPECT_EQ((*file)->read(Position(99), buffer, sizeof(buffer)), 0u);
    EXPECT_TRUE((*file)->truncate(5));
    EXPECT_EQ((*file)->size(), 5u);
    EXPECT_TRUE(files.sync_directory(dir));
    file->reset();
    EXPECT_TRUE(files.remove(path));
    EXPECT_EQ(files.remove(missing).error().code, ErrorCode::kNotFound);
  });
}

Task<void> block_and_note(Runtime& runtime, BlockingWork job, bool* resumed) {
  co_await run_blocking(runtime, std::move(job));
  *resumed = true;
}

STELE_CONFORMANCE(ATaskMayBeDestroyedWhileItsJobRuns, 1) {
  Runtime& rt = p.runtime();
  bool resumed = false;
  {
    Scope scope;
    scope.spawn(block_and_note(rt, [](BlockingFiles&) {}, &resumed));
  }
  co_await run_blocking(rt, [](BlockingFiles&) {});
  co_await sleep(rt, 2ms);
  EXPECT_FALSE(resumed);
}

}  // namespace
}  // namespace stele::runtime
