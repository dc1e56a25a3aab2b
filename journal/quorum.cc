#include "journal/quorum.h"

#include <algorithm>
#include <functional>

#include "base/assert.h"
#include "journal/quorum_mutants.h"

namespace stele::journal {

// ---- SegmentAcks ----------------------------------------------------------------------------------------

SegmentAcks::SegmentAcks(Quorum quorum, std::uint64_t committed)
    : quorum_(quorum), committed_(committed), replicas_(quorum.replicas) {
  STELE_ASSERT(quorum_.acks > 0 && quorum_.acks <= quorum_.replicas);
}

bool SegmentAcks::stored(std::size_t replica, std::uint64_t end) {
  Replica& one = replicas_.at(replica);
  if (one.lost || end <= one.end) return false;
  if (frozen_ && !mutant(QuorumMutant::kAckAfterFreeze)) return false;  // invariant 4
  one.end = end;
  return advance();
}

void SegmentAcks::lost(std::size_t replica) {
  replicas_.at(replica).lost = true;
}

bool SegmentAcks::rejoined(std::size_t replica, std::uint64_t end) {
  Replica& one = replicas_.at(replica);
  one.lost = false;
  if (frozen_) return false;
  one.end = end;
  return advance();
}

// The A-th highest position: so many replicas hold everything below it.
bool SegmentAcks::advance() {
  std::vector<std::uint64_t> ends;
  ends.reserve(replicas_.size());
  for (const Replica& one : replicas_) ends.push_back(one.end);
  std::size_t nth = quorum_.acks - 1;
  if (mutant(QuorumMutant::kCommitAtFewer) && nth > 0) --nth;
  std::nth_element(ends.begin(), ends.begin() + static_cast<std::ptrdiff_t>(nth), ends.end(),
                   std::greater<>());
  if (ends[nth] <= committed_) return false;
  committed_ = ends[nth];
  return true;
}

std::size_t SegmentAcks::healthy() const {
  return static_cast<std::size_t>(
      std::count_if(replicas_.begin(), replicas_.end(), [](const Replica& one) { return !one.lost; }));
}

std::uint64_t SegmentAcks::freeze() {
  frozen_ = true;
  if (mutant(QuorumMutant::kSealAtOwnEnd)) {
    for (const Replica& one : replicas_) committed_ = std::max(committed_, one.end);
  }
  return committed_;
}

// ---- FenceAnswers ---------------------------------------------------------------------------------------

FenceAnswers::FenceAnswers(Quorum quorum) : quorum_(quorum), replicas_(quorum.replicas) {
  STELE_ASSERT(quorum_.acks > 0 && quorum_.acks <= quorum_.replicas);
}

void FenceAnswers::answered(std::size_t replica, std::uint64_t end, bool certain) {
  replicas_.at(replica) = {.state = certain ? State::kCertain : State::kUncertain, .end = end};
}

void FenceAnswers::gone(std::size_t replica) {
  replicas_.at(replica) = {.state = State::kGone, .end = 0};
}

bool FenceAnswers::enough() const {
  std::size_t certain = 0, answers = 0;
  for (const Replica& one : replicas_) {
    if (one.state != State::kUnknown) ++answers;
    if (one.state == State::kCertain ||
        (mutant(QuorumMutant::kUncertainCounts) && one.state == State::kUncertain))
      ++certain;
  }
  std::size_t needed = quorum_.certain_answers();
  if (mutant(QuorumMutant::kTooFewAnswers) && needed > 1) --needed;
  return certain >= needed || answers == quorum_.replicas;
}

std::optional<SealPlan> FenceAnswers::plan() const {
  if (!enough()) return std::nullopt;
  SealPlan plan;
  bool first = true;
  for (const Replica& one : replicas_) {
    if (!one.there()) continue;
    if (mutant(QuorumMutant::kShortestPrefix) && !first) {
      plan.end = std::min(plan.end, one.end);
    } else {
      plan.end = std::max(plan.end, one.end);
    }
    first = false;
  }
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    if (!replicas_[i].there()) continue;
    (replicas_[i].end >= plan.end ? plan.holders : plan.behind).push_back(i);
  }
  std::ranges::sort(plan.behind, [this](std::size_t x, std::size_t y) {
    return replicas_[x].end != replicas_[y].end ? replicas_[x].end > replicas_[y].end : x < y;
  });
  if (plan.holders.size() + plan.behind.size() < quorum_.acks) return std::nullopt;
  plan.copies = quorum_.acks - std::min(quorum_.acks, plan.holders.size());
  if (mutant(QuorumMutant::kCopiedToTooFew)) plan.copies = 0;
  return plan;
}

}  // namespace stele::journal
