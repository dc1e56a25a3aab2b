// The arithmetic of quorums, against every history of small segments and long drawn ones of larger. Each
// planted bug (journal/quorum_mutants.h) must be found by the same search that finds nothing without.
#include "journal/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

#include "journal/quorum_mutants.h"
#include "journal/testing/segment_search.h"

namespace stele::journal {
namespace {

using testing::search;
using testing::SearchLimits;
using testing::SearchResult;
using testing::SegmentHistory;

// ---- commit positions -----------------------------------------------------------------------------------

TEST(SegmentAcks, CommitsWhatAQuorumHas) {
  SegmentAcks acks(Quorum::of(3));
  EXPECT_FALSE(acks.stored(0, 5));
  EXPECT_EQ(acks.committed(), 0u);
  EXPECT_TRUE(acks.stored(2, 3));
  EXPECT_EQ(acks.committed(), 3u);
  EXPECT_TRUE(acks.stored(1, 4));
  EXPECT_EQ(acks.committed(), 4u);
  EXPECT_FALSE(acks.stored(1, 2)) << "came late";
  EXPECT_TRUE(acks.stored(1, 9));
  EXPECT_EQ(acks.committed(), 5u);
}

TEST(SegmentAcks, OneReplicaIsItsOwnQuorum) {
  SegmentAcks acks(Quorum::of(1), 7);
  EXPECT_FALSE(acks.stored(0, 6));
  EXPECT_TRUE(acks.stored(0, 8));
  EXPECT_EQ(acks.committed(), 8u);
}

TEST(SegmentAcks, ALostReplicaKeepsWhatItHas) {
  SegmentAcks acks(Quorum::of(3));
  acks.stored(0, 5);
  acks.lost(0);
  EXPECT_FALSE(acks.stored(0, 9)) << "an answer of the writer that ended";
  EXPECT_TRUE(acks.can_commit());
  EXPECT_TRUE(acks.stored(1, 8));
  EXPECT_EQ(acks.committed(), 5u);
  acks.lost(1);
  EXPECT_FALSE(acks.can_commit());
  EXPECT_TRUE(acks.rejoined(0, 6));
  EXPECT_EQ(acks.committed(), 6u);
  EXPECT_TRUE(acks.can_commit());
}

TEST(SegmentAcks, NothingCountsAfterTheFreeze) {
  SegmentAcks acks(Quorum::of(3));
  acks.stored(0, 5);
  acks.stored(1, 3);
  EXPECT_EQ(acks.freeze(), 3u);
  EXPECT_FALSE(acks.stored(1, 5));
  EXPECT_FALSE(acks.rejoined(2, 5));
  EXPECT_EQ(acks.committed(), 3u);
  EXPECT_EQ(acks.freeze(), 3u);
}

TEST(SegmentAcks, IsTheHighestPositionThatEnoughHave) {
  EXPECT_TRUE(rc::check([] {
    const std::size_t replicas = *rc::gen::inRange<std::size_t>(1, 8);
    const Quorum quorum{replicas, *rc::gen::inRange<std::size_t>(1, replicas + 1)};
    SegmentAcks acks(quorum);
    std::vector<std::uint64_t> ends(replicas);
    for (int i = *rc::gen::inRange(0, 60); i > 0; --i) {
      const std::size_t who = *rc::gen::inRange<std::size_t>(0, replicas);
      const std::uint64_t end = *rc::gen::inRange<std::uint64_t>(0, 20);
      const std::uint64_t before = acks.committed();
      const bool moved = acks.stored(who, end);
      ends[who] = std::max(ends[who], end);
      std::uint64_t expected = 0;
      for (std::uint64_t at = 1; at <= 20; ++at) {
        const auto have = std::ranges::count_if(ends, [&](std::uint64_t held) { return held >= at; });
        if (static_cast<std::size_t>(have) >= quorum.acks) expected = at;
      }
      RC_ASSERT(acks.committed() == expected);
      RC_ASSERT(moved == (expected > before));
    }
  }));
}

// ---- take-overs -----------------------------------------------------------------------------------------

TEST(FenceAnswers, TwoCertainOnesOfThreeAreEnough) {
  FenceAnswers answers(Quorum::of(3));
  EXPECT_FALSE(answers.plan());
  answers.answered(2, 4, true);
  EXPECT_FALSE(answers.plan());
  answers.answered(0, 7, true);
  EXPECT_EQ(answers.plan(), (SealPlan{.end = 7, .holders = {0}, .behind = {2}, .copies = 1}));
  answers.answered(2, 7, true);
  EXPECT_EQ(answers.plan(), (SealPlan{.end = 7, .holders = {0, 2}, .behind = {}, .copies = 0}));
}

TEST(FenceAnswers, UncertainOnesProveNothingUntilAllAreThere) {
  FenceAnswers answers(Quorum::of(3));
  answers.answered(0, 7, true);
  answers.answered(1, 9, false);
  EXPECT_FALSE(answers.plan());
  answers.missing(2);
  EXPECT_EQ(answers.plan(), (SealPlan{.end = 9, .holders = {1}, .behind = {0, 2}, .copies = 1}));
}

TEST(FenceAnswers, WhoIsGoneHasAnsweredButIsNotCopiedTo) {
  FenceAnswers answers(Quorum::of(3));
  answers.answered(0, 7, true);
  answers.gone(1);
  EXPECT_FALSE(answers.plan());
  answers.answered(2, 3, false);
  EXPECT_EQ(answers.plan(), (SealPlan{.end = 7, .holders = {0}, .behind = {2}, .copies = 1}));
  answers.gone(2);
  EXPECT_TRUE(answers.enough());
  EXPECT_FALSE(answers.plan()) << "nobody to copy to";
}

// Both had to acknowledge every entry.
TEST(FenceAnswers, OfTwoOneIsEnoughOnceTheOtherIsGone) {
  FenceAnswers answers(Quorum::of(2));
  answers.answered(1, 7, true);
  EXPECT_FALSE(answers.plan()) << "the other may come back, and be copied to";
  answers.gone(0);
  EXPECT_EQ(answers.plan(), (SealPlan{.end = 7, .holders = {1}, .behind = {}, .copies = 0}));
  answers.answered(1, 7, false);
  EXPECT_FALSE(answers.plan()) << "it may have lost what nobody else has";
  FenceAnswers nobody(Quorum::of(2));
  nobody.gone(0);
  nobody.gone(1);
  EXPECT_FALSE(nobody.plan());
}

// However many are gone: no plan, or one that has whatever was committed.
TEST(FenceAnswers, NoCommittedEntryIsLeftOutThoughSomeAreGone) {
  EXPECT_TRUE(rc::check([] {
    const Quorum quorum = Quorum::of(*rc::gen::inRange<std::size_t>(1, 8));
    std::vector<std::uint64_t> stored;
    for (std::size_t i = 0; i < quorum.replicas; ++i)
      stored.push_back(*rc::gen::inRange<std::uint64_t>(0, 10));
    std::vector<std::uint64_t> sorted = stored;
    std::ranges::sort(sorted, std::greater<>());
    const std::uint64_t committed = sorted[quorum.acks - 1];
    FenceAnswers answers(quorum);
    std::size_t gone = 0;
    for (std::size_t i = 0; i < quorum.replicas; ++i) {
      if (*rc::gen::inRange(0, 3) == 0) {
        ++gone;
        answers.gone(i);
      } else {
        answers.answered(i, stored[i], true);
      }
      const auto plan = answers.plan();
      RC_ASSERT(!plan || plan->end >= committed);
    }
    RC_ASSERT(answers.plan().has_value() == (gone < quorum.acks));
  }));
}

TEST(FenceAnswers, OneReplicaIsBelievedWhateverItSays) {
  FenceAnswers answers(Quorum::of(1));
  answers.answered(0, 4, false);
  EXPECT_EQ(answers.plan(), (SealPlan{.end = 4, .holders = {0}, .behind = {}, .copies = 0}));
}

// Whatever A replicas acknowledged it, and whichever answer: an entry is in the plan.
TEST(FenceAnswers, NoCommittedEntryIsLeftOut) {
  EXPECT_TRUE(rc::check([] {
    const Quorum quorum = Quorum::of(*rc::gen::inRange<std::size_t>(1, 8));
    std::vector<std::uint64_t> stored;
    for (std::size_t i = 0; i < quorum.replicas; ++i)
      stored.push_back(*rc::gen::inRange<std::uint64_t>(0, 10));
    std::vector<std::uint64_t> sorted = stored;
    std::ranges::sort(sorted, std::greater<>());
    const std::uint64_t committed = sorted[quorum.acks - 1];
    // No more than R−A replicas lose some of it, and say so.
    std::vector<bool> damaged(quorum.replicas);
    for (std::size_t i = quorum.replicas - quorum.acks; i > 0; --i) {
      const std::size_t who = *rc::gen::inRange<std::size_t>(0, quorum.replicas);
      damaged[who] = true;
      stored[who] = *rc::gen::inRange<std::uint64_t>(0, stored[who] + 1);
    }
    FenceAnswers answers(quorum);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < quorum.replicas; ++i) order.push_back(i);
    std::uint64_t end = 0;
    while (!order.empty()) {
      const auto next = order.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, std::ptrdiff_t(order.size()));
      answers.answered(*next, stored[*next], !damaged[*next]);
      order.erase(next);
      const auto plan = answers.plan();
      if (!plan) continue;
      RC_ASSERT(plan->end >= committed);
      RC_ASSERT(plan->end >= end);
      RC_ASSERT(plan->holders.size() + plan->copies >= quorum.acks);
      RC_ASSERT(plan->copies <= plan->behind.size());
      for (const std::size_t holder : plan->holders) RC_ASSERT(stored[holder] >= plan->end);
      end = plan->end;
    }
    RC_ASSERT(answers.enough());
  }));
}

// ---- every history --------------------------------------------------------------------------------------

const SearchLimits kSearched[] = {
    {.quorum = Quorum::of(1), .entries = 3, .takers = 3, .damages = 0},
    {.quorum = Quorum::of(2), .entries = 3, .takers = 2, .damages = 0},
    {.quorum = Quorum::of(3), .entries = 3, .takers = 1, .damages = 0},
    {.quorum = Quorum::of(3), .entries = 2, .takers = 1, .damages = 1},
    {.quorum = Quorum::of(3), .entries = 1, .takers = 2, .damages = 1},
};

std::string text_of(const SearchResult& result) {
  std::string text = result.wrong;
  for (const std::string& step : result.steps) text += "\n  " + step;
  return text;
}

TEST(AllHistories, LoseNothing) {
  std::size_t sealed = 0;
  for (const SearchLimits& limits : kSearched) {
    const SearchResult result = search(limits);
    EXPECT_EQ(result.wrong, "") << text_of(result);
    std::printf("R=%zu A=%zu: %zu states, %zu sealed\n", limits.quorum.replicas, limits.quorum.acks,
                result.states, result.sealed);
    sealed += result.sealed;
  }
  EXPECT_GT(sealed, 100'000u);
}

// More damage than R−A copies is more than three replicas survive: the search would see it.
TEST(AllHistories, ShowWhatIsTooMuchDamage) {
  const SearchResult result = search({.quorum = Quorum::of(3), .entries = 1, .takers = 1, .damages = 2});
  EXPECT_NE(result.wrong, "");
}

// What is too large to be searched is walked through.
TEST(DrawnHistories, LoseNothing) {
  EXPECT_TRUE(rc::check([] {
    const std::size_t replicas = *rc::gen::element<std::size_t>(3, 4, 5);
    const SearchLimits limits{.quorum = Quorum::of(replicas),
                              .entries = *rc::gen::inRange<std::uint8_t>(1, 7),
                              .takers = *rc::gen::inRange<std::uint8_t>(1, 4),
                              .damages = static_cast<std::uint8_t>(replicas - Quorum::of(replicas).acks)};
    SegmentHistory at(limits);
    for (int i = 0; i < 80; ++i) {
      std::vector<SegmentHistory> next;
      at.each_next([&](SegmentHistory one) { next.push_back(std::move(one)); });
      if (next.empty()) break;
      at = next[*rc::gen::inRange<std::size_t>(0, next.size())];
      RC_ASSERT(at.wrong() == std::string());
    }
  }));
}

class Planted : public ::testing::TestWithParam<QuorumMutantInfo> {
 public:
  ~Planted() override { select_mutant(QuorumMutant::kNone); }
};

TEST_P(Planted, IsFound) {
  select_mutant(GetParam().mutant);
  for (const SearchLimits& limits : kSearched) {
    const SearchResult result = search(limits);
    if (result.wrong.empty()) continue;
    std::printf("%s\n", text_of(result).c_str());
    return;
  }
  ADD_FAILURE() << GetParam().what << ": no history notices it";
}

INSTANTIATE_TEST_SUITE_P(All, Planted,
                         ::testing::ValuesIn(all_quorum_mutants().begin(), all_quorum_mutants().end()),
                         [](const auto& info) {
                           std::string name(info.param.name);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace stele::journal
