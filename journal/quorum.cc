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

// How many must have what is kept: A, or all that are left, if some are gone for good and these are fewer. Of
// the A that acknowledged an entry one is left as long as fewer than A are gone, and it has the entry if it
// is certain of what it acknowledged.
std::size_t FenceAnswers::acks_left() const {
  std::size_t gone = 0, certain = 0;
  for (const Replica& one : replicas_) {
    gone += one.state == State::kGone;
    certain += one.state == State::kCertain;
  }
  const bool all_are_certain = gone + certain == replicas_.size() && !stele::mutant(mutants::kGoneWaitedFor);
  return gone < quorum_.acks && all_are_certain ? std::min(quorum_.acks, certain) : quorum_.acks;
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
  const std::size_t acks = acks_left();
  if (plan.holders.size() + plan.behind.size() < acks) return std::nullopt;
  plan.copies = acks - std::min(acks, plan.holders.size());
  if (mutant(QuorumMutant::kCopiedToTooFew)) plan.copies = 0;
  return plan;
}

}  // namespace stele::journal
