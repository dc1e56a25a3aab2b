#include "sim/workloads/ledger.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/workloads/ledger_testing.h"
#include "sim/workloads/world_judge.h"

namespace stele::sim {
namespace {

MessageId id(std::uint64_t sequence, std::uint32_t publisher = 1, std::uint32_t address = 0) {
  return {.publisher = publisher, .address = address, .sequence = sequence};
}

class LedgerTest : public ::testing::Test {
 protected:
  std::string failure() { return testing::failure_of(world_); }
  void sent_and_committed(const MessageId& message) {
    ledger_.sent(message);
    ledger_.committed(message);
  }
  // Without gaps and duplicates.
  void receive(const MessageId& message) { ledger_.received("r", message, false, false); }

  World world_{1};
  WorldJudge judge_{world_};
  Ledger ledger_{judge_};
};

TEST(MessageIdTest, IsReadFromWhatItWrites) {
  EXPECT_EQ(MessageId::parse(id(7, 2, 3).text()), id(7, 2, 3));
  EXPECT_EQ(MessageId::parse("2:3:7 xxxx"), id(7, 2, 3));
  for (const char* wrong : {"", "2:3", "2:3:", "2:3:7x", "2 3 7", ":3:7", "-1:3:7"}) {
    EXPECT_FALSE(MessageId::parse(wrong)) << wrong;
  }
}

TEST_F(LedgerTest, AnAcknowledgementBeforeTheCommitIsFound) {
  sent_and_committed(id(0));
  ledger_.acknowledged(id(0));
  EXPECT_EQ(failure(), "");
  ledger_.sent(id(1));
  ledger_.acknowledged(id(1));
  EXPECT_EQ(failure(), "message 1:0:1 was acknowledged before it was committed");
}

// Outside of the simulator.
class Blind final : public Judge {
 public:
  void fail(std::string why) override { why_ = std::move(why); }
  bool failed() const override { return !why_.empty(); }
  Time now() const override { return {}; }
  bool sees_commits() const override { return false; }
  const std::string& why() const { return why_; }

 private:
  std::string why_;
};

TEST(LedgerWithoutAShadow, HoldsNothingAgainstCommitsAndAllElse) {
  Blind judge;
  Ledger ledger(judge);
  ledger.sent(id(0));
  ledger.sent(id(1));
  ledger.acknowledged(id(0));
  ledger.received("r", id(1), false, false);
  EXPECT_EQ(judge.why(), "");
  EXPECT_EQ(ledger.missing("r", {id(0)}).size(), 1U);
  ledger.received("r", id(0), false, false);
  EXPECT_EQ(judge.why(),
            "r received message 1:0:0 for the first time after message 1 of the same publisher and address");
}

TEST_F(LedgerTest, AMessageThatNobodySentIsFound) {
  sent_and_committed(id(0, 1));
  receive(id(0, 2));
  EXPECT_EQ(failure(), "r received message 2:0:0, which nobody sent");
}

TEST_F(LedgerTest, AMessageThatIsSeenBeforeItsCommitIsFound) {
  ledger_.sent(id(0));
  receive(id(0));
  EXPECT_EQ(failure(), "r received message 1:0:0 before it was committed");
}

TEST_F(LedgerTest, ACopyThatIsNotMarkedIsFound) {
  sent_and_committed(id(0));
  receive(id(0));
  ledger_.received("other", id(0), false, false);
  ledger_.received("r", id(0), true, false);
  EXPECT_EQ(failure(), "");
  receive(id(0));
  EXPECT_EQ(failure(), "r received message 1:0:0 twice, not marked as such");
}

TEST_F(LedgerTest, FirstCopiesOutOfOrderAreFound) {
  for (const std::uint64_t sequence : {0, 1, 2}) sent_and_committed(id(sequence));
  sent_and_committed(id(0, 1, 1));
  receive(id(1));
  receive(id(2));
  receive(id(0, 1, 1));  // another address
  EXPECT_EQ(failure(), "");
  receive(id(0));
  EXPECT_EQ(failure(),
            "r received message 1:0:0 for the first time after message 2 of the same publisher and address");
}

TEST_F(LedgerTest, WhoMayMissMessagesMaySeeThoseOutOfOrderThatWereSentAgain) {
  for (const std::uint64_t sequence : {0, 1, 2}) sent_and_committed(id(sequence));
  ledger_.sent_again(id(0));
  ledger_.sent_again(id(1));
  ledger_.received("away", id(2), false, true);
  ledger_.received("away", id(0), false, true);
  EXPECT_EQ(failure(), "");
  receive(id(2));
  receive(id(1));
  EXPECT_EQ(failure(),
            "r received message 1:0:1 for the first time after message 2 of the same publisher and address");
}

TEST_F(LedgerTest, WhatWasSentOnceIsInOrderForWhoMayMissMessagesToo) {
  for (const std::uint64_t sequence : {0, 1}) sent_and_committed(id(sequence));
  ledger_.received("away", id(1), false, true);
  ledger_.received("away", id(0), false, true);
  EXPECT_NE(failure(), "");
}

TEST_F(LedgerTest, WhatWasRefusedMayComeLater) {
  for (const std::uint64_t sequence : {0, 1}) sent_and_committed(id(sequence));
  ledger_.refused(id(0));
  receive(id(1));
  receive(id(0));
  EXPECT_EQ(failure(), "");
}

TEST_F(LedgerTest, AGroupsMembersSeeWhatIsCommittedInAnyOrder) {
  for (const std::uint64_t sequence : {0, 1}) sent_and_committed(id(sequence));
  for (const std::uint64_t sequence : {1, 0, 1}) ledger_.received_unordered("g", id(sequence));
  EXPECT_EQ(failure(), "");
  EXPECT_EQ(ledger_.received_count("g"), 2u);
  ledger_.sent(id(2));
  ledger_.received_unordered("g", id(2));
  EXPECT_EQ(failure(), "g received message 1:0:2 before it was committed");
}

TEST_F(LedgerTest, AGroupsMessageThatNobodySentIsFound) {
  ledger_.received_unordered("g", id(0));
  EXPECT_EQ(failure(), "g received message 1:0:0, which nobody sent");
}

TEST_F(LedgerTest, TellsWhatIsMissing) {
  for (const std::uint64_t sequence : {0, 1, 2}) {
    sent_and_committed(id(sequence));
    ledger_.acknowledged(id(sequence));
  }
  receive(id(0));
  receive(id(2));
  EXPECT_EQ(ledger_.missing("r", ledger_.acknowledged()), std::vector{id(1)});
  EXPECT_EQ(ledger_.missing("nobody", ledger_.acknowledged()).size(), 3u);
  receive(id(1));  // too late, but not missing any more
  EXPECT_EQ(ledger_.missing("r", ledger_.acknowledged()).size(), 0u);
}

}  // namespace
}  // namespace stele::sim
