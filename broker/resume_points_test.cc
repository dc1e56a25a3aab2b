#include "broker/resume_points.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace stele::broker {
namespace {

TEST(ResumePoints, BeginsAtThePlaceUnlessItKnowsBetter) {
  ResumePoints points;
  EXPECT_EQ(points.from(Offset(10), Lsn(3)), Lsn(3));
  points.note(Offset(10), Lsn(50));
  EXPECT_EQ(points.from(Offset(9), Lsn(3)), Lsn(3));
  EXPECT_EQ(points.from(Offset(10), Lsn(3)), Lsn(50));
  EXPECT_EQ(points.from(Offset(12), Lsn(3)), Lsn(50));
  EXPECT_EQ(points.from(Offset(12), Lsn(60)), Lsn(60));
}

TEST(ResumePoints, OneReaderAfterTheOtherAtTheSameOffsetTakesOnePoint) {
  ResumePoints points;
  points.note(Offset(1), Lsn(10));
  for (int i = 0; i < 100; ++i) points.note(Offset(20), Lsn(40));
  points.note(Offset(20), Lsn(30));
  EXPECT_EQ(points.from(Offset(1), Lsn(0)), Lsn(10));
  EXPECT_EQ(points.from(Offset(20), Lsn(0)), Lsn(40));
}

// A member of a consumer group that came too late with its commit is followed by one that reads the same.
TEST(ResumePoints, WhoReadsTheSameAgainBeginsWithIt) {
  ResumePoints points;
  points.note(Offset(107), Lsn(4000));
  points.note(Offset(110), Lsn(9000));
  EXPECT_EQ(points.from(Offset(107), Lsn(698)), Lsn(4000));
  EXPECT_EQ(points.from(Offset(109), Lsn(698)), Lsn(4000));
  EXPECT_EQ(points.from(Offset(110), Lsn(698)), Lsn(9000));
  EXPECT_EQ(points.from(Offset(106), Lsn(698)), Lsn(698));
}

// Readers that begin where it says find all records that they ask for, and a reader that goes on where it
// stopped begins no further back than that.
RC_GTEST_PROP(ResumePointsProperty, NoRecordIsPassedOver, ()) {
  // Records of the stream by LSN; between them lie entries of others.
  std::vector<Lsn> records;
  Lsn end(0);
  for (const int gap : *rc::gen::nonEmpty<std::vector<int>>()) {
    records.push_back(end + std::uint64_t(std::abs(gap % 50)));
    end = records.back() + 1;
  }
  ResumePoints points;
  const auto reads = *rc::gen::container<std::vector<std::pair<std::size_t, std::size_t>>>(
      rc::gen::pair(rc::gen::inRange<std::size_t>(0, records.size()), rc::gen::inRange<std::size_t>(1, 5)));
  for (const auto& [first, count] : reads) {
    const Lsn from = points.from(Offset(std::int64_t(first)), Lsn(0));
    RC_ASSERT(from <= records[first]);
    const std::size_t last = std::min(first + count, records.size()) - 1;
    // It may have looked at entries of others behind the last one that it took.
    const std::uint64_t others = last + 1 < records.size() ? records[last + 1] - records[last] - 1 : 0;
    const Lsn stopped = records[last] + 1 + others * *rc::gen::inRange(0, 3) / 2;
    points.note(Offset(std::int64_t(first)), records[first]);
    points.note(Offset(std::int64_t(last)) + 1, stopped);
    RC_ASSERT(points.from(Offset(std::int64_t(first)), Lsn(0)) == records[first]);
    RC_ASSERT(points.from(Offset(std::int64_t(last)) + 1, Lsn(0)) >= stopped);
  }
}

}  // namespace
}  // namespace stele::broker
