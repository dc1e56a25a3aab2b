#include "sim/workloads/group_ledger.h"

#include <algorithm>

namespace stele::sim {

namespace {

// Overwritten commits are kept for fetches that were under way.
constexpr std::uint64_t kKept = 10'000;

}  // namespace

void GroupLedger::joined(std::int32_t newest, std::int32_t generation, const std::string& leader,
                         const std::string& protocol) {
  if (generation < newest) {
    return judge_.fail("generation " + std::to_string(generation) + " of the group was given out after " +
                       std::to_string(newest));
  }
  const auto [at, first] = leaders_.try_emplace(generation, leader, protocol);
  if (!first && at->second != std::pair(leader, protocol)) {
    return judge_.fail("generation " + std::to_string(generation) + " of the group has leader " +
                       at->second.first + " for one member and " + leader + " for another");
  }
  generation_ = std::max(generation_, generation);
}

void GroupLedger::alive(std::int32_t newest, std::int32_t generation) {
  if (generation >= newest) return;
  judge_.fail("a heartbeat of generation " + std::to_string(generation) + " was accepted after " +
              std::to_string(newest) + " had been given out");
}

void GroupLedger::assigned(std::int32_t generation, std::int32_t partition, const std::string& who) {
  const auto [at, first] = owners_.try_emplace({generation, partition}, who);
  if (first || at->second == who) return;
  judge_.fail("partition " + std::to_string(partition) + " has two owners in generation " +
              std::to_string(generation) + ": " + at->second + " and " + who);
}

GroupLedger::Commit GroupLedger::committing(std::int32_t generation, std::int32_t partition,
                                            std::int64_t offset) {
  const Commit id = now();
  sent_.push_back({.id = id,
                   .generation = generation,
                   .partition = partition,
                   .offset = offset,
                   .newest = generation_,
                   .sent = id});
  return id;
}

void GroupLedger::committed(Commit commit, Outcome outcome) {
  const auto found = std::ranges::find(sent_, commit, &Sent::id);
  if (found == sent_.end()) return;
  if (outcome == Outcome::kUnknown) return;
  if (outcome == Outcome::kRefused) {
    sent_.erase(found);
    return;
  }
  found->settled = now();
  found->accepted = true;
  ++commits_;
  if (found->generation >= 0 && found->generation < found->newest) {
    return judge_.fail("an offset was committed for generation " + std::to_string(found->generation) +
                       " after generation " + std::to_string(found->newest) + " had been given out");
  }
  overwrite(Sent(*found));
}

// What was settled before this one was sent is not there any more, nor is what only an older generation
// could have committed.
void GroupLedger::overwrite(const Sent& by) {
  std::erase_if(sent_, [this](const Sent& one) {
    return one.overwritten != UINT64_MAX && one.overwritten + kKept < now_;
  });
  for (Sent& one : sent_) {
    if (one.partition != by.partition || one.id == by.id || one.overwritten != UINT64_MAX) continue;
    if (one.settled < by.sent || one.generation < by.generation) one.overwritten = now_;
  }
}

void GroupLedger::fetched(Moment sent, std::int32_t partition, std::int64_t offset) {
  if (judge_.sees_commits() && offset >= 0 && !logged_.contains({partition, offset})) {
    return judge_.fail("offset " + std::to_string(offset) + " of partition " + std::to_string(partition) +
                       " was told as the group's before that was committed");
  }
  bool any = false;
  std::string allowed;
  for (const Sent& one : sent_) {
    if (one.partition != partition || one.overwritten < sent) continue;
    if (one.offset == offset) return;
    // None may be told by a fetch that was under way before any was there.
    any |= one.accepted && one.settled < sent;
    allowed += " " + std::to_string(one.offset);
  }
  if (!any && offset < 0) return;
  judge_.fail("the committed offset of partition " + std::to_string(partition) + " is " +
              std::to_string(offset) + ", where it could only be one of" + allowed);
}

}  // namespace stele::sim
