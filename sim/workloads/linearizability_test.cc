// Histories of which it is known what they are, and such of which a search without any cleverness finds out.
#include "sim/workloads/linearizability.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace stele::sim {
namespace {

using Kind = RegisterOperation::Kind;
using Operations = std::vector<RegisterOperation>;

constexpr std::uint64_t kEnough = 1'000'000;

RegisterOperation write(std::uint64_t value, Moment called, Moment answered) {
  return {.kind = Kind::kWrite, .value = value, .called = called, .answered = answered, .client = "w"};
}
RegisterOperation read(std::uint64_t value, Moment called, Moment answered) {
  return {.kind = Kind::kRead, .value = value, .called = called, .answered = answered, .client = "r"};
}

Verdict verdict(const Operations& history) {
  return judge_register(history, kEnough).verdict;
}

// Tries every order.
bool has_an_order(const Operations& history, std::vector<bool>& placed, std::uint64_t value) {
  Moment first_answer = kUnanswered;
  bool all = true;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (placed[i] || history[i].answered == kUnanswered) continue;
    all = false;
    first_answer = std::min(first_answer, history[i].answered);
  }
  if (all) return true;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const RegisterOperation& one = history[i];
    if (placed[i] || one.called > first_answer) continue;
    if (one.kind == Kind::kRead && one.answered != kUnanswered && one.value != value) continue;
    placed[i] = true;
    if (has_an_order(history, placed, one.kind == Kind::kWrite ? one.value : value)) return true;
    placed[i] = false;
  }
  return false;
}
Verdict tried_out(const Operations& history) {
  std::vector<bool> placed(history.size());
  return has_an_order(history, placed, 0) ? Verdict::kLinearizable : Verdict::kNotLinearizable;
}

// ---- known ones -----------------------------------------------------------------------------------------

TEST(Linearizability, OneAfterTheOther) {
  EXPECT_EQ(verdict({}), Verdict::kLinearizable);
  EXPECT_EQ(verdict({read(0, 1, 2), write(1, 3, 4), read(1, 5, 6), write(0, 7, 8), read(0, 9, 10)}),
            Verdict::kLinearizable);
  EXPECT_EQ(verdict({write(1, 1, 2), write(2, 3, 4), read(1, 5, 6)}), Verdict::kNotLinearizable);
  EXPECT_EQ(verdict({write(1, 1, 2), read(0, 3, 4)}), Verdict::kNotLinearizable);
  EXPECT_EQ(verdict({read(7, 1, 2)}), Verdict::kNotLinearizable);
  EXPECT_EQ(verdict({read(7, 1, 2), write(7, 3, 4)}), Verdict::kNotLinearizable);
}

TEST(Linearizability, WhatOverlapsHasEitherOrder) {
  EXPECT_EQ(verdict({write(1, 1, 4), read(0, 2, 3)}), Verdict::kLinearizable);
  EXPECT_EQ(verdict({write(1, 1, 4), read(1, 2, 3)}), Verdict::kLinearizable);
  EXPECT_EQ(verdict({write(1, 1, 4), write(2, 2, 3), read(1, 5, 6)}), Verdict::kLinearizable);
  EXPECT_EQ(verdict({write(1, 1, 4), write(2, 2, 3), read(2, 5, 6)}), Verdict::kLinearizable);
  // But one order for everybody.
  EXPECT_EQ(verdict({write(1, 1, 4), write(2, 2, 3), read(2, 5, 6), read(1, 7, 8)}),
            Verdict::kNotLinearizable);
}

// What one reader was told no later reader may not be told yet, answered or not.
TEST(Linearizability, NothingGoesBack) {
  EXPECT_EQ(verdict({write(1, 1, 10), read(0, 2, 3), read(1, 4, 5)}), Verdict::kLinearizable);
  EXPECT_EQ(verdict({write(1, 1, 10), read(1, 2, 3), read(0, 4, 5)}), Verdict::kNotLinearizable);
}

TEST(Linearizability, OfUnknownOutcome) {
  const Operations never = {write(1, 1, 2), write(2, 3, kUnanswered), read(1, 4, 5), read(1, 6, 7)};
  EXPECT_EQ(verdict(never), Verdict::kLinearizable);
  const Operations late = {write(1, 1, 2), write(2, 3, kUnanswered), read(1, 4, 5), read(2, 6, 7)};
  EXPECT_EQ(verdict(late), Verdict::kLinearizable);
  const Operations twice = {write(1, 1, 2), write(2, 3, kUnanswered), read(2, 4, 5), write(3, 6, 7),
                            read(2, 8, 9)};
  EXPECT_EQ(verdict(twice), Verdict::kNotLinearizable);
  EXPECT_EQ(verdict({read(9, 1, kUnanswered)}), Verdict::kLinearizable);
}

// ---- the conflict ---------------------------------------------------------------------------------------

TEST(Linearizability, TheConflictIsWhatMatters) {
  RegisterHistory history;
  const Time now{};
  for (std::uint64_t value = 1; value <= 50; ++value) {
    const auto beside = history.writing("b", 100 + value, now);
    history.wrote(history.writing("a", value, now), now);
    history.wrote(beside, now);
    history.read(history.reading("c", now), value % 2 == 0 ? value : 100 + value, now);
  }
  EXPECT_EQ(judge_register(history.operations(), kEnough).verdict, Verdict::kLinearizable);
  history.read(history.reading("late", now), 20, now);
  for (std::uint64_t value = 51; value <= 60; ++value) history.wrote(history.writing("a", value, now), now);
  const Judgement found = judge_register(history.operations(), kEnough);
  ASSERT_EQ(found.verdict, Verdict::kNotLinearizable);
  ASSERT_EQ(found.conflict.size(), 3);
  EXPECT_EQ(found.conflict[0].value, 20);
  EXPECT_EQ(found.conflict[1].kind, Kind::kWrite);
  EXPECT_EQ(found.conflict[2].client, "late");
  // Without the steps for that, it is still one.
  const Judgement hasty = judge_register(history.operations(), found.steps);
  ASSERT_EQ(hasty.verdict, Verdict::kNotLinearizable);
  EXPECT_EQ(verdict(hasty.conflict), Verdict::kNotLinearizable);
}

// What was read after all that matters may have been written after it.
TEST(Linearizability, NothingLaterIsInTheConflict) {
  const Operations history = {read(9, 1, 20), write(1, 2, 3), write(2, 4, 5), read(1, 6, 7), write(9, 8, 9)};
  const Judgement found = judge_register(history, kEnough);
  ASSERT_EQ(found.verdict, Verdict::kNotLinearizable);
  EXPECT_EQ(found.conflict, (Operations{history[1], history[2], history[3]}));
}

TEST(Linearizability, AnOperationCanBeRead) {
  EXPECT_EQ(to_string(write(3, 1, kUnanswered)), "w writes 3 (0.000000000 to nobody knows)");
}

TEST(Linearizability, WhatOverlapsIsCounted) {
  RegisterHistory history;
  const Time now{};
  const auto one = history.writing("a", 1, now);
  const auto two = history.reading("b", now);
  (void)history.reading("c", now);  // never answered
  history.wrote(one, now);
  history.read(two, 1, now);
  EXPECT_EQ(history.contended(), 2);
  history.wrote(history.writing("a", 2, now), now);
  EXPECT_EQ(history.contended(), 2);
}

// ---- any ------------------------------------------------------------------------------------------------

// Places calls and answers on one line, so that no two share a moment.
Operations in_order(Operations history) {
  std::vector<std::pair<Moment, Moment*>> moments;
  for (RegisterOperation& one : history) {
    moments.emplace_back(one.called, &one.called);
    if (one.answered != kUnanswered) moments.emplace_back(one.answered, &one.answered);
  }
  // Those of one array, and so of a known order.
  std::ranges::sort(moments);
  Moment next = 0;
  for (const auto& [at, moment] : moments) *moment = ++next;
  return history;
}

// Happened in the order of the vector, at 100, 200, …: each write has a value of its own.
Operations happened(std::size_t most, Moment reach) {
  Operations history;
  std::uint64_t value = 0;
  const auto count = *rc::gen::inRange<std::size_t>(1, most);
  for (std::size_t i = 1; i <= count; ++i) {
    const Moment called = i * 100 + reach - *rc::gen::inRange<Moment>(1, reach);
    Moment answered = i * 100 + reach + *rc::gen::inRange<Moment>(1, reach);
    if (*rc::gen::inRange(0, 3) != 0) {
      history.push_back(read(value, called, answered));
      continue;
    }
    const int outcome = *rc::gen::inRange(0, 8);  // 0: unknown, and nothing happened; 1: unknown
    if (outcome < 2) answered = kUnanswered;
    history.push_back(write(i, called, answered));
    if (outcome != 0) value = i;
  }
  return in_order(std::move(history));
}

TEST(Linearizability, AcceptsWhatHappened) {
  EXPECT_TRUE(rc::check([] {
    const Judgement found = judge_register(happened(200, 500), kEnough);
    RC_ASSERT(found.verdict == Verdict::kLinearizable);
  }));
}

TEST(Linearizability, AgreesWithTryingItOut) {
  EXPECT_TRUE(rc::check([] {
    Operations history = happened(8, 300);
    // One of them was told something else.
    RegisterOperation& one = history[*rc::gen::inRange<std::size_t>(0, history.size())];
    if (one.kind == Kind::kRead) one.value = *rc::gen::inRange<std::uint64_t>(0, 9);
    const Judgement found = judge_register(history, kEnough);
    RC_ASSERT(found.verdict == tried_out(history));
    RC_CLASSIFY(found.verdict == Verdict::kNotLinearizable);
    if (found.verdict == Verdict::kLinearizable) return;
    RC_ASSERT(tried_out(found.conflict) == Verdict::kNotLinearizable);
    for (const RegisterOperation& kept : found.conflict)
      RC_ASSERT(std::ranges::find(history, kept) != history.end());
  }));
}

// Values of all kinds, also such that several writes have or none.
TEST(Linearizability, AgreesWithTryingItOutWhateverItIs) {
  EXPECT_TRUE(rc::check([] {
    Operations history;
    const auto count = *rc::gen::inRange<std::size_t>(1, 7);
    for (std::size_t i = 0; i < count; ++i) {
      const Moment called = *rc::gen::inRange<Moment>(1, 12);
      const Moment lasts = *rc::gen::inRange<Moment>(1, 8);
      const auto value = *rc::gen::inRange<std::uint64_t>(0, 3);
      const Moment answered = *rc::gen::inRange(0, 5) == 0 ? kUnanswered : called + lasts;
      history.push_back(*rc::gen::arbitrary<bool>() ? write(value, called, answered)
                                                    : read(value, called, answered));
    }
    history = in_order(std::move(history));
    const Verdict found = verdict(history);
    RC_ASSERT(found == tried_out(history));
    RC_CLASSIFY(found == Verdict::kNotLinearizable);
  }));
}

// What was overwritten before a read was asked for.
std::optional<std::uint64_t> stale_value(const Operations& history, const RegisterOperation& asked) {
  for (const RegisterOperation& old : history) {
    for (const RegisterOperation& by : history) {
      if (old.kind == Kind::kWrite && by.kind == Kind::kWrite && by.answered != kUnanswered &&
          old.answered < by.called && by.answered < asked.called)
        return old.value;
    }
  }
  return std::nullopt;
}

TEST(Linearizability, RefusesAStaleRead) {
  EXPECT_TRUE(rc::check([] {
    Operations history = happened(100, 500);
    for (RegisterOperation& one : history) {
      if (one.kind != Kind::kRead) continue;
      const auto stale = stale_value(history, one);
      if (!stale) continue;
      one.value = *stale;
      RC_ASSERT(judge_register(history, kEnough).verdict == Verdict::kNotLinearizable);
      return;
    }
    RC_TAG("without a stale read");
  }));
}

// Many writes at once, and a reader who saw them in an order that only the last try would find.
TEST(Linearizability, SaysThatItDoesNotKnow) {
  Operations history;
  constexpr std::uint64_t kWrites = 10;
  for (std::uint64_t value = 1; value <= kWrites; ++value)
    history.push_back(write(value, value, 1000 + value));
  for (std::uint64_t value = kWrites; value >= 1; --value) {
    const Moment called = 100 + 2 * (kWrites - value);
    history.push_back(read(value, called, called + 1));
  }
  EXPECT_EQ(judge_register(history, 10).verdict, Verdict::kUndecided);
  EXPECT_EQ(judge_register(history, kEnough).verdict, Verdict::kLinearizable);
  EXPECT_LE(judge_register(history, 10).steps, 11);
  history.push_back(read(kWrites, 500, 501));
  EXPECT_EQ(judge_register(history, 100).verdict, Verdict::kUndecided);
  EXPECT_EQ(judge_register(history, kEnough).verdict, Verdict::kNotLinearizable);
}

}  // namespace
}  // namespace stele::sim
