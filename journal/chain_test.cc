#include "journal/chain.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <utility>
#include <vector>

namespace stele::journal {
namespace {

meta::Segment segment(std::uint64_t id, std::uint64_t base, std::optional<std::uint64_t> end,
                      std::uint64_t epoch = 1) {
  meta::Segment made;
  made.id = SegmentId(id);
  made.base = Lsn(base);
  if (end) made.end = Lsn(*end);
  made.epoch = Epoch(epoch);
  return made;
}

std::string fault(std::vector<meta::Segment> segments) {
  auto chain = Chain::from(std::move(segments));
  if (chain) return "";
  EXPECT_EQ(chain.error().code, ErrorCode::kCorrupt);
  return chain.error().message;
}

TEST(Chain, RefusesWhatIsNoChain) {
  EXPECT_EQ(fault({}), "");
  EXPECT_EQ(fault({segment(1, 5, 9), segment(2, 9, 9), segment(3, 9, {})}), "");
  EXPECT_NE(fault({segment(1, 0, 9), segment(2, 10, {})}).find("begins at 10"), std::string::npos);
  EXPECT_NE(fault({segment(1, 0, 9), segment(2, 8, {})}).find("begins at 8"), std::string::npos);
  EXPECT_NE(fault({segment(1, 0, {}), segment(2, 0, {})}).find("open"), std::string::npos);
  EXPECT_NE(fault({segment(1, 7, 6)}).find("ends before"), std::string::npos);
  EXPECT_NE(fault({segment(1, 0, 2), segment(1, 2, {})}).find("twice"), std::string::npos);
  EXPECT_NE(fault({segment(1, 0, 2, 5), segment(2, 2, {}, 4)}).find("epoch"), std::string::npos);
}

TEST(Chain, LocatesPastEmptySegments) {
  const Chain chain =
      *Chain::from({segment(1, 5, 9), segment(2, 9, 9), segment(3, 9, 12), segment(4, 12, {})});
  EXPECT_EQ(chain.locate(Lsn(4)), nullptr);
  EXPECT_EQ(chain.locate(Lsn(5))->id, SegmentId(1));
  EXPECT_EQ(chain.locate(Lsn(8))->id, SegmentId(1));
  EXPECT_EQ(chain.locate(Lsn(9))->id, SegmentId(3));
  EXPECT_EQ(chain.locate(Lsn(12))->id, SegmentId(4));
  EXPECT_EQ(chain.locate(Lsn(1'000'000))->id, SegmentId(4));
  EXPECT_EQ(chain.begin(), Lsn(5));
  EXPECT_EQ(chain.sealed_end(), Lsn(12));
  EXPECT_EQ(index_in(*chain.locate(Lsn(11)), Lsn(11)), 2u);
}

TEST(Chain, EmptyLastSegmentLeavesWhenSealed) {
  Chain chain;
  EXPECT_FALSE(chain.open());
  EXPECT_EQ(chain.locate(Lsn(0)), nullptr);
  EXPECT_EQ(chain.seal_and_open(Lsn(0), segment(1, 0, {}, 1)), std::nullopt);
  EXPECT_EQ(chain.seal_and_open(Lsn(0), segment(2, 0, {}, 2)), SegmentId(1));
  EXPECT_EQ(chain.seal_and_open(Lsn(3), segment(3, 3, {}, 3)), std::nullopt);
  EXPECT_EQ(chain.segments().size(), 2u);
  EXPECT_EQ(chain.segments()[0].end, Lsn(3));
}

// The model: for every entry the segment it was written to, none for those trimmed.
TEST(Chain, SealsAndTrimsAsAVectorOfOwnersWould) {
  rc::check("chain against a vector", [] {
    Chain chain;
    std::vector<std::uint64_t> segment_of;  // by LSN
    std::uint64_t next_id = 1, epoch = 1, begin = 0;
    chain.seal_and_open(Lsn(0), segment(next_id++, 0, {}, epoch));
    const auto steps = *rc::gen::container<std::vector<std::pair<std::uint8_t, std::uint8_t>>>(
        rc::gen::pair(rc::gen::inRange<std::uint8_t>(0, 4), rc::gen::inRange<std::uint8_t>(0, 9)));
    for (auto [kind, amount] : steps) {
      if (kind <= 1) {
        segment_of.insert(segment_of.end(), amount, chain.last().id.value);
      } else if (kind == 2) {
        const Lsn end(segment_of.size());
        const bool empty = chain.last().base == end;
        const SegmentId last = chain.last().id;
        const auto dropped = chain.seal_and_open(end, segment(next_id++, end.value, {}, ++epoch));
        RC_ASSERT(dropped == (empty ? std::optional(last) : std::nullopt));
      } else {
        const std::uint64_t below = std::min<std::uint64_t>(begin + amount, segment_of.size());
        for (SegmentId id : chain.trim(Lsn(below))) {
          while (begin < segment_of.size() && segment_of[begin] == id.value) ++begin;
          RC_ASSERT(begin <= below);
        }
        RC_ASSERT(chain.begin() == Lsn(begin));
      }
      RC_ASSERT(Chain::from(chain.segments()).has_value());
      for (std::uint64_t lsn = 0; lsn < segment_of.size(); ++lsn) {
        const meta::Segment* found = chain.locate(Lsn(lsn));
        RC_ASSERT((found ? found->id.value : 0) == (lsn < begin ? 0 : segment_of[lsn]));
      }
      RC_ASSERT(chain.locate(Lsn(segment_of.size()))->id == chain.last().id);
    }
  });
}

}  // namespace
}  // namespace stele::journal
