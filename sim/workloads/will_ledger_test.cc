#include "sim/workloads/will_ledger.h"

#include <gtest/gtest.h>

#include <string>

#include "sim/workloads/ledger_testing.h"
#include "sim/workloads/world_judge.h"

namespace stele::sim {
namespace {

class WillLedgerTest : public ::testing::Test {
 protected:
  std::string failure() { return testing::failure_of(world_); }

  World world_{1};
  WorldJudge judge_{world_};
  WillLedger wills_{judge_};
};

TEST_F(WillLedgerTest, OneThatIsOwedIsMissingUntilItComes) {
  wills_.must_come("w");
  EXPECT_EQ(wills_.missing(), 1u);
  EXPECT_EQ(wills_.first_missing(), "w");
  wills_.published("w");
  EXPECT_EQ(wills_.missing(), 1u) << "published is not received";
  wills_.received("w");
  EXPECT_EQ(wills_.missing(), 0u);
  wills_.must_come("w");  // it came before anybody knew that it had to
  EXPECT_EQ(wills_.missing(), 0u);
  EXPECT_EQ(wills_.came(), 1u);
  EXPECT_EQ(failure(), "");
}

TEST_F(WillLedgerTest, OneThatIsPublishedTwiceIsFound) {
  wills_.published("w");
  wills_.published("v");
  EXPECT_EQ(failure(), "");
  wills_.published("w");
  EXPECT_EQ(failure(), "the will w was published twice");
}

TEST_F(WillLedgerTest, OneThatComesTwiceIsFound) {
  wills_.received("w");
  wills_.received("w");
  EXPECT_EQ(failure(), "the will w came twice");
}

TEST_F(WillLedgerTest, OneThatIsPublishedAfterAGoodbyeIsFound) {
  wills_.must_not_come("w", "its client said goodbye");
  EXPECT_EQ(wills_.kept_away(), 1u);
  EXPECT_EQ(failure(), "");
  wills_.published("w");
  EXPECT_EQ(failure(), "the will w came, although its client said goodbye");
}

TEST_F(WillLedgerTest, OneThatComesAfterAGoodbyeIsFound) {
  wills_.must_not_come("w", "its client said goodbye");
  wills_.received("w");
  EXPECT_EQ(failure(), "the will w came, although its client said goodbye");
}

TEST_F(WillLedgerTest, AGoodbyeThatIsCommittedBehindThePublicationIsFound) {
  wills_.published("w");
  wills_.must_not_come("w", "its client said goodbye");
  EXPECT_EQ(failure(), "the will w was published, and its client said goodbye");
}

}  // namespace
}  // namespace stele::sim
