#include "journal/testing/segment_search.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

namespace stele::journal::testing {

SegmentHistory::SegmentHistory(const SearchLimits& limits)
    : limits_(limits), replicas_(limits.quorum.replicas), acks_(limits.quorum) {
  for (std::uint8_t i = 0; i < limits.takers; ++i) {
    takers_.push_back({.began = false,
                       .answers = FenceAnswers(limits.quorum),
                       .heard = std::vector<std::uint8_t>(limits.quorum.replicas)});
  }
}

std::string SegmentHistory::key() const {
  std::string key;
  const auto put = [&](std::uint64_t value) { key.push_back(static_cast<char>(value)); };
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    put(replicas_[i].stored);
    put(replicas_[i].told);
    put(std::uint64_t(replicas_[i].fence) * 2 + replicas_[i].damaged);
    put(acks_.stored_by(i));
  }
  for (const Taker& taker : takers_) {
    put(taker.began);
    for (const std::uint8_t heard : taker.heard) put(heard);
  }
  for (const std::uint64_t value :
       {acks_.committed(), std::uint64_t(acks_.frozen()), std::uint64_t(appended_), std::uint64_t(epoch_),
        std::uint64_t(sealed_), end_})
    put(value);
  return key;
}

std::vector<SegmentHistory::Step> SegmentHistory::steps() const {
  std::vector<Step> out;
  writer_steps(out);
  for (std::uint8_t r = 0; r < replicas_.size(); ++r) {
    const Replica& replica = replicas_[r];
    // Only replicas that are not damaged count against the limit; one may lose more and more.
    if (replica.stored > 0 && (replica.damaged || damages_ < limits_.damages))
      out.push_back({Kind::kDamage, r});
  }
  for (std::uint8_t i = 0; i < takers_.size(); ++i) {
    if (takers_[i].began) {
      taker_steps(i, out);
    } else if (i == 0 || takers_[i - 1].began) {
      out.push_back({Kind::kTake, 0, i});
      break;
    }
  }
  return out;
}

void SegmentHistory::writer_steps(std::vector<Step>& out) const {
  if (!acks_.frozen() && appended_ < limits_.entries) out.push_back({Kind::kAppend});
  for (std::uint8_t r = 0; r < replicas_.size(); ++r) {
    if (replicas_[r].stored < appended_ && replicas_[r].fence == 1) out.push_back({Kind::kStore, r});
    if (replicas_[r].told > acks_.stored_by(r)) out.push_back({Kind::kAck, r});
  }
  if (!acks_.frozen()) out.push_back({Kind::kFreeze});
  if (acks_.frozen() && !sealed_ && epoch_ == 1) out.push_back({Kind::kOwnSeal});
}

void SegmentHistory::taker_steps(std::uint8_t number, std::vector<Step>& out) const {
  const Taker& taker = takers_[number];
  const std::uint8_t epoch = number + 2;
  for (std::uint8_t r = 0; r < replicas_.size(); ++r) {
    if (taker.heard[r] == 0 && replicas_[r].fence < epoch) out.push_back({Kind::kFence, r, number});
  }
  const auto plan = taker.answers.plan();
  if (!plan) return;
  const auto source = std::ranges::max_element(plan->holders, {},
                                               [&](std::size_t holder) { return replicas_[holder].stored; });
  for (const std::size_t r : plan->behind) {
    const Replica& replica = replicas_[r];
    if (replica.fence != epoch) continue;
    const auto who = static_cast<std::uint8_t>(r);
    if (replica.stored >= plan->end) {
      out.push_back({Kind::kCopied, who, number});
    } else if (replicas_[*source].stored > replica.stored) {
      out.push_back({Kind::kCopy, who, number});
    }
  }
  if (plan->copies == 0 && !sealed_ && epoch_ == epoch) out.push_back({Kind::kTakerSeal, 0, number});
}

void SegmentHistory::take(const Step& step) {
  Replica& replica = replicas_[step.who];
  const std::string at = " " + std::to_string(step.who);
  switch (step.kind) {
    case Kind::kAppend:
      ++appended_;
      last_step_ = "append";
      break;
    case Kind::kStore:
      replica.told = ++replica.stored;
      last_step_ = "stored by" + at;
      break;
    case Kind::kAck:
      acks_.stored(step.who, replica.told);
      last_step_ = "acknowledged by" + at;
      break;
    case Kind::kDamage:
      if (!std::exchange(replica.damaged, true)) ++damages_;
      --replica.stored;
      last_step_ = "an entry lost by" + at;
      break;
    case Kind::kFreeze:
      acks_.freeze();
      last_step_ = "freeze";
      break;
    case Kind::kOwnSeal:
      last_step_ = "own seal";
      seal(acks_.freeze());
      break;
    case Kind::kTake:
      epoch_ = step.taker + 2;
      takers_[step.taker].began = true;
      last_step_ = "epoch " + std::to_string(epoch_);
      break;
    case Kind::kFence:
      replica.fence = step.taker + 2;
      hear(takers_[step.taker], step.who, replica.stored);
      last_step_ = "fence of epoch " + std::to_string(replica.fence) + " at" + at;
      break;
    case Kind::kCopy:
      ++replica.stored;
      last_step_ = "copied to" + at;
      break;
    case Kind::kCopied:
      hear(takers_[step.taker], step.who, replica.stored);
      last_step_ = "copy acknowledged by" + at;
      break;
    case Kind::kTakerSeal:
      last_step_ = "sealed in epoch " + std::to_string(epoch_);
      seal(takers_[step.taker].answers.plan()->end);
      break;
  }
  check();
}

void SegmentHistory::hear(Taker& taker, std::uint8_t replica, std::uint8_t end) {
  const bool certain = replicas_[replica].certain();
  taker.answers.answered(replica, end, certain);
  taker.heard[replica] = static_cast<std::uint8_t>(1 + 2 * end + certain);
}

void SegmentHistory::seal(std::uint64_t end) {
  sealed_ = true;
  end_ = end;
  // A replica that lost something may have had it.
  const auto had = std::ranges::count_if(
      replicas_, [&](const Replica& replica) { return replica.damaged || replica.stored >= end; });
  if (static_cast<std::size_t>(had) < limits_.quorum.acks)
    wrong_ = "sealed at " + std::to_string(end) + ", which " + std::to_string(had) + " replicas have stored";
}

void SegmentHistory::check() {
  if (sealed_ && acks_.committed() > end_)
    wrong_ = "entry " + std::to_string(end_) + " was acknowledged, and is behind the sealed end";
}

SearchResult search(const SearchLimits& limits) {
  struct Seen {
    std::string before;
    std::string step;
  };
  SearchResult result;
  std::unordered_map<std::string, Seen> seen;  // looked up only
  std::deque<SegmentHistory> open;
  open.emplace_back(limits);
  seen[open.front().key()];
  while (!open.empty() && result.wrong.empty()) {
    const SegmentHistory here = std::move(open.front());
    open.pop_front();
    ++result.states;
    if (here.sealed()) ++result.sealed;
    const std::string from = here.key();
    here.each_next([&](SegmentHistory next) {
      std::string key = next.key();
      if (!result.wrong.empty() || !seen.try_emplace(key, Seen{from, next.last_step()}).second) return;
      result.wrong = next.wrong();
      if (!result.wrong.empty()) {
        for (const Seen* at = &seen[key]; !at->step.empty(); at = &seen[at->before])
          result.steps.push_back(at->step);
        std::ranges::reverse(result.steps);
      }
      open.push_back(std::move(next));
    });
  }
  return result;
}

}  // namespace stele::journal::testing
