// How an owner looks after the sealed segments of its chain: each is to lie whole on as many disks as wanted.
//
// After a take-over, and when a segment was sealed, it is not known whether all its replicas have all of it:
// a seal waits for A. So each is asked once. One that lacks some is copied there out of those that have it;
// one that has lost a replica, or has fewer than wanted because there were fewer nodes, gets others. First
// the copy is complete and on its disk, then the metadata name it: a compare-and-swap on the epoch and on
// where the segment lay; then it is asked again, for a node that started in between may have thrown away what
// no chain had there. What is named no longer is removed last.
//
// Nothing is copied at once because a node is away: it would come back to find its segments elsewhere. While
// enough others have the segment, that takes `repair_after`.

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "journal/quorum.h"
#include "journal/repair.h"
#include "journal/shard_log_impl.h"

namespace stele::journal {

using namespace std::chrono_literals;
using runtime::Task;

namespace {
constexpr runtime::Duration kFirstPause = 1s, kLongestPause = 30s;

bool contains(const std::vector<meta::Replica>& replicas, const meta::Replica& which) {
  return std::ranges::find(replicas, which) != replicas.end();
}
bool contains_all(const std::vector<meta::Replica>& replicas, const std::vector<meta::Replica>& these) {
  return std::ranges::all_of(these, [&](const meta::Replica& which) { return contains(replicas, which); });
}
}  // namespace

// How many of its replicas shall go on having it.
std::size_t ShardLog::Impl::kept(const meta::Segment& segment) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      segment.replicas, [&](const meta::Replica& which) { return replicas_.keeps(which); }));
}

// When to look after it next; nothing: all is well.
std::optional<runtime::Instant> ShardLog::Impl::look_after_at(const meta::Segment& segment) {
  Care& care = cares_[segment.id];
  const std::size_t kept = this->kept(segment);
  const bool lacks = kept < segment.replicas.size() || kept < replicas_.wanted();
  if (!lacks) {
    care.lacking_since.reset();
    if (contains_all(care.whole, segment.replicas)) {
      care.pause = runtime::Duration::zero();
      return std::nullopt;
    }
    return std::max(care.not_before, begun_ + options_.look_after);
  }
  if (!care.lacking_since) care.lacking_since = runtime_.now();
  runtime::Duration patience = runtime::Duration::zero();  // there is nobody to wait for
  const bool away = std::ranges::any_of(segment.replicas, [&](const meta::Replica& which) {
    return replicas_.standing(which) == Standing::kAway;
  });
  if (away) {
    const bool enough = kept >= Quorum::of(segment.replicas.size()).acks;
    patience = enough ? options_.repair_after : options_.replace_after;
  }
  return std::max(care.not_before, *care.lacking_since + patience);
}

std::optional<ShardLog::Impl::Next> ShardLog::Impl::next_to_look_after() {
  std::optional<Next> next;
  for (const meta::Segment& segment : chain_.segments()) {
    if (!segment.end) continue;
    const auto at = look_after_at(segment);
    if (at && (!next || *at < next->at)) next = Next{*at, segment};
  }
  return next;
}

Task<void> ShardLog::Impl::look_after_chain() {
  while (!lost()) {
    std::erase_if(cares_, [&](const auto& one) { return !chain_.find(one.first); });
    auto next = next_to_look_after();
    if (!next) {
      co_await chain_changed_.wait();
      co_await runtime::sleep(runtime_, runtime::Duration::zero());  // not in the call that told of it
      continue;
    }
    const runtime::Duration left = next->at - runtime_.now();
    if (left > left.zero()) {
      co_await runtime::sleep(runtime_, std::min<runtime::Duration>(left, 1s));
      continue;
    }
    const RepairTurns::Turn turn = co_await replicas_.repair_turns()->take();
    // What it was when it waited for its turn.
    const meta::Segment* const now = chain_.find(next->segment.id);
    if (!now || lost()) continue;
    const bool moved = co_await look_after(*now);
    // It is looked at once more as what it is now; else, unless it is as it should be, after a while.
    Care& care = cares_[next->segment.id];
    care.pause = moved ? runtime::Duration::zero()
                       : std::clamp<runtime::Duration>(care.pause * 2, kFirstPause, kLongestPause);
    care.not_before = runtime_.now() + care.pause;
  }
}

// True: it lies elsewhere now.
Task<bool> ShardLog::Impl::look_after(meta::Segment segment) {
  std::vector<meta::Replica> asked;
  for (const meta::Replica& which : segment.replicas) {
    if (replicas_.keeps(which)) asked.push_back(which);
  }
  const std::size_t had = asked.size(), wanted = replicas_.wanted();
  if (had < wanted) {
    for (const meta::Replica& which : replicas_.choose_more(shard_, asked, wanted - had)) {
      if (!contains(segment.replicas, which)) asked.push_back(which);
    }
  }
  const std::size_t targets = asked.size();
  const bool nowhere_else = targets == had && had < wanted;
  const bool as_it_should_be = had == segment.replicas.size();
  if ((nowhere_else || as_it_should_be) && targets == had && contains_all(cares_[segment.id].whole, asked))
    co_return false;
  // Those that shall not keep it may have it all the same.
  for (const meta::Replica& which : segment.replicas) {
    if (!contains(asked, which) && replicas_.serves(which)) asked.push_back(which);
  }
  std::vector<SegmentReplica*> found;
  for (const meta::Replica& which : asked) found.push_back(replicas_.find(which));
  auto outcome = co_await complete_segment(std::move(found), segment.id, epoch_,
                                           index_in(segment, *segment.end), targets, options_.repair);
  if (!outcome) {
    if (outcome.error().code == ErrorCode::kFenced) lose(outcome.error());
    co_return false;
  }
  std::vector<meta::Replica> complete;
  for (std::size_t i = 0; i < targets; ++i) {
    if (outcome->complete[i]) complete.push_back(asked[i]);
  }
  // Who was away was not asked: it may lack some when it is back.
  std::vector<meta::Replica>& whole = cares_[segment.id].whole;
  if (mutant(mutants::kAwayTakenForWhole) && complete.size() == targets) whole = segment.replicas;
  for (const meta::Replica& which : complete) {
    if (!contains(whole, which)) whole.push_back(which);
  }
  std::vector<meta::Replica> after = complete;
  if (complete.size() < wanted) {
    // Nobody is given up for less than what is wanted, but who is gone for good.
    for (const meta::Replica& which : segment.replicas) {
      if (!contains(after, which) && replicas_.find(which)) after.push_back(which);
    }
  }
  const bool same =
      after.size() == segment.replicas.size() &&
      std::ranges::all_of(after, [&](const auto& one) { return contains(segment.replicas, one); });
  if (same || after.empty()) co_return false;
  cares_[segment.id].whole.clear();
  co_return co_await move_segment(segment, std::move(after));
}

// What was copied to who is not named in the end is left for that node's next start, or for another attempt.
Task<bool> ShardLog::Impl::move_segment(const meta::Segment& segment, std::vector<meta::Replica> after) {
  auto moved = co_await keeper_->move(
      {.shard = shard_, .epoch = epoch_, .segment = segment.id, .before = segment.replicas, .after = after});
  if (lost()) co_return false;
  if (!moved) {
    // Perhaps it has happened, now or at an earlier attempt.
    auto shards = co_await keeper_->read({shard_});
    if (!shards || lost()) co_return false;
    const meta::Shard& shard = shards->at(0);
    if (shard.epoch != epoch_) {
      lose({ErrorCode::kFenced, "epoch " + std::to_string(shard.epoch.value) + " owns it"});
      co_return false;
    }
    const auto found = std::ranges::find(shard.chain, segment.id, &meta::Segment::id);
    if (found == shard.chain.end()) co_return false;
    STELE_MARK("journal: where a segment lies is read again");
    after = found->replicas;
  }
  chain_.place(segment.id, after);
  for (const meta::Replica& which : segment.replicas) {
    if (contains(after, which)) continue;
    if (SegmentReplica* const replica = replicas_.find(which)) replica->remove({segment.id});
  }
  STELE_MARK("journal: a segment lies elsewhere");
  co_return moved.has_value();
}

}  // namespace stele::journal
