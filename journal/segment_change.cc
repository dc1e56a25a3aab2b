// How an owner goes on to the next segment, and how the chain loses its first ones.
//
// Rolling. The owner asks the meta service whether it answers and whether the shard is still its own: while
// it does not, the segment just grows. Then it freezes: entries wait here, and no answer for the old segment
// counts any more, whatever comes of the rest, because the end that is sealed is the commit position of this
// moment. It syncs the segment, and swaps: seals the old, opens the next. A swap whose answer is lost is
// looked up in the chain; until it is known to have happened or not, nothing moves. Then everything that is
// not committed goes to the next segment, including what the old one may have stored behind its end.
//
// Replicas that are lost. A segment keeps its replicas; others take their place by rolling. If too few are
// left that could ever store more, that is the only way on, however long it takes. If one takes nothing for a
// while, it is done when nothing stands in its way: meta service and A replicas answer, and other nodes
// serve.

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants_of_raft.h"
#include "journal/shard_log_impl.h"

namespace stele::journal {

using namespace std::chrono_literals;
using runtime::Task;

namespace {
// One message to each disk.
void remove_segments(Replicas& replicas, const std::vector<meta::Segment>& segments) {
  std::map<meta::Replica, std::vector<SegmentId>> by_disk;
  for (const meta::Segment& segment : segments) {
    for (const meta::Replica& which : segment.replicas) by_disk[which].push_back(segment.id);
  }
  for (auto& [which, ids] : by_disk) {
    if (SegmentReplica* const replica = replicas.find(which)) replica->remove(std::move(ids));
  }
}

// For what is planted.
Task<Result<void>> done_at_once() {
  co_return Result<void>();
}
Task<void> swap_later(std::shared_ptr<ChainKeeper> keeper, meta::SealAndOpenItem item) {
  (void)co_await keeper->seal_and_open({std::move(item)});
}
}  // namespace

void ShardLog::Impl::roll() {
  if (state_ != State::kOpen || changing_segment_ || !writable()) return;
  if (tail_.committed() == chain_.last().base) return;
  begin_change();
}

void ShardLog::Impl::begin_change() {
  changing_segment_ = true;
  scope_.spawn(change_segment());
}

Task<void> ShardLog::Impl::change_segment() {
  // The next attempt, if this one does not even begin, is due when the segment has grown by another eighth.
  roll_at_bytes_ = segment_bytes_ + options_.segment_bytes / 8;
  for (runtime::Duration pause = 20ms; !co_await may_change();
       pause = std::min<runtime::Duration>(pause * 2, 1s)) {
    if (state_ != State::kOut) {
      STELE_MARK("journal: roll put off");
      changing_segment_ = false;
      co_return;
    }
    co_await runtime::sleep(runtime_, pause);
  }

  state_ = State::kFrozen;
  close_writer();
  const Lsn end = tail_.committed();
  Swap swap = Swap::kNotYet;
  for (runtime::Duration pause = 20ms;; pause = std::min<runtime::Duration>(pause * 2, 1s)) {
    swap = co_await try_swap(end);
    if (swap != Swap::kNotYet) break;
    STELE_MARK("journal: roll tried again");
    STELE_ASSERT(stuck_);
    co_await runtime::sleep(runtime_, pause);
    if (lost()) break;
  }
  changing_segment_ = false;
  if (swap != Swap::kDone) co_return;
  open_writer();
  if (std::exchange(stuck_, std::nullopt) && writable()) tell_unblocked();
}

// Once it is frozen there is no way back: so first it is seen whether the swap is likely to go through.
Task<bool> ShardLog::Impl::may_change() {
  auto shards = co_await keeper_->read({shard_});
  if (shards && shards->at(0).epoch != epoch_)
    lose({ErrorCode::kFenced, "epoch " + std::to_string(shards->at(0).epoch.value) + " owns it"});
  if (!shards || lost()) co_return false;
  if (!replicas_.choose(shard_)) co_return false;
  if (replicated() && state_ == State::kOpen && !co_await sync()) co_return false;
  co_return state_ == State::kOpen || state_ == State::kOut;
}

// Everything below the end is synced before the chain says that it is there (invariant 6): at A replicas. It
// may have to be copied to some, for one that had it may be out of reach now.
Task<Result<void>> ShardLog::Impl::sync_to_seal(Lsn end) {
  const meta::Segment& last = chain_.last();
  if (only_ || end == last.base) return sync();
  if (mutant(mutants::kSealWithoutSync)) return done_at_once();
  TakeSegmentOptions options = options_.take;
  options.give_up_after = std::min<runtime::Duration>(options.give_up_after, 2s);
  return sync_segment(runtime_, find_all(replicas_, last), last.id, epoch_, index_in(last, end),
                      SyncHow::kCopy, options);
}

Task<ShardLog::Impl::Swap> ShardLog::Impl::try_swap(Lsn end) {
  auto synced = co_await sync_to_seal(end);
  if (!synced) {
    const ErrorCode code = synced.error().code;
    stuck_ = synced.error();
    // Perhaps for good: another owner may have the shard by now.
    if (code == ErrorCode::kNoSpace || code == ErrorCode::kUnavailable) co_return co_await learn_swap(end);
    lose(synced.error());
    co_return Swap::kLost;
  }
  auto replicas = replicas_.choose(shard_);
  if (!replicas) {
    stuck_ = replicas.error();
    co_return Swap::kNotYet;
  }
  if (mutant(mutants::kSegmentBeforeChain)) {
    const meta::SealAndOpenItem item{
        .shard = shard_, .epoch = epoch_, .last = chain_.last().id, .end = end, .replicas = *replicas};
    scope_.spawn(swap_later(keeper_, item));
    co_return adopt(end, meta::Segment{.id = SegmentId(chain_.last().id.value + 1),
                                       .base = end,
                                       .end = std::nullopt,
                                       .epoch = epoch_,
                                       .replicas = item.replicas});
  }
  auto answers = co_await keeper_->seal_and_open({{.shard = shard_,
                                                   .epoch = epoch_,
                                                   .last = chain_.last().id,
                                                   .end = end,
                                                   .replicas = *std::move(replicas)}});
  if (answers && answers->at(0)) co_return adopt(end, std::move(answers->at(0)->opened));
  stuck_ = answers ? answers->at(0).error() : answers.error();
  co_return co_await learn_swap(end);
}

// No answer, or one that says no: perhaps to the second of two attempts. The chain knows.
Task<ShardLog::Impl::Swap> ShardLog::Impl::learn_swap(Lsn end) {
  auto shards = co_await keeper_->read({shard_});
  if (!shards) {
    // A meta service that failed or is gone does not come back in this process; a stop must not wait for it.
    const ErrorCode code = shards.error().code;
    if (code != ErrorCode::kIo && code != ErrorCode::kCorrupt && code != ErrorCode::kClosed)
      co_return Swap::kNotYet;
    STELE_MARK("journal: meta service lost in the middle of a roll");
    lose(shards.error());
    co_return Swap::kLost;
  }
  const meta::Shard& shard = shards->at(0);
  if (shard.epoch != epoch_) {
    lose({ErrorCode::kFenced, "epoch " + std::to_string(shard.epoch.value) + " owns it"});
    co_return Swap::kLost;
  }
  STELE_ASSERT(!shard.chain.empty());  // the last segment of a chain is never trimmed
  if (shard.chain.back().id == chain_.last().id) co_return Swap::kNotYet;
  STELE_MARK("journal: roll found done");
  co_return adopt(end, shard.chain.back());
}

ShardLog::Impl::Swap ShardLog::Impl::adopt(Lsn end, meta::Segment opened) {
  if (lost()) {
    STELE_MARK("journal: lost while rolling");
    return Swap::kLost;
  }
  STELE_ASSERT(state_ == State::kFrozen && end == tail_.committed());
  // Only this owner swaps in this epoch.
  STELE_ASSERT(opened.epoch == epoch_ && opened.base == end && !opened.end);
  // One that is empty has left the chain. Nobody else has written to it or will, and this owner is done.
  const meta::Segment before = chain_.last();
  if (chain_.seal_and_open(end, std::move(opened))) {
    STELE_MARK("journal: empty segment replaced");
    remove_segments(replicas_, {before});
  }
  segment_bytes_ = 0;
  roll_at_bytes_ = options_.segment_bytes;
  chain_changed_.wake_all();
  return Swap::kDone;
}

// ---- replicas that are lost -----------------------------------------------------------------------------

// A log that nothing is appended to does not find out by itself that a replica is away.
bool ShardLog::Impl::lacks_replicas() const {
  if (state_ != State::kOpen) return false;
  const std::vector<meta::Replica>& present = chain_.last().replicas;
  if ((quorum_ ? quorum_->healthy() : present.size()) < replicas_.wanted()) return true;
  return !std::ranges::all_of(present, [&](const meta::Replica& one) { return replicas_.keeps(one); });
}

bool ShardLog::Impl::others_are_better() const {
  if (quorum_ && quorum_->out() > 0) return true;
  auto choice = replicas_.choose(shard_);
  if (!choice) return false;
  std::vector<meta::Replica> present = chain_.last().replicas;
  std::ranges::sort(present);
  std::ranges::sort(*choice);
  return *choice != present;
}

// None is lost: there are more now than when the segment was begun, or one shall not keep it. There is nobody
// to wait for.
bool ShardLog::Impl::need_not_wait() const {
  const std::vector<meta::Replica>& present = chain_.last().replicas;
  if (quorum_ && quorum_->healthy() < present.size()) return false;
  return std::ranges::none_of(present, [&](const meta::Replica& one) {
    return replicas_.standing(one) == Standing::kAway || replicas_.standing(one) == Standing::kGone;
  });
}

void ShardLog::Impl::look_after_replicas() {
  if (!lacks_replicas()) {
    lacking_since_.reset();
    return;
  }
  if (!lacking_since_) lacking_since_ = runtime_.now();
  if (std::exchange(replacing_, true)) return;
  scope_.spawn(replace_lost());
}

// As long as the segment lacks some.
Task<void> ShardLog::Impl::replace_lost() {
  while (lacking_since_ && !lost()) {
    const runtime::Duration left = *lacking_since_ + options_.replace_after - runtime_.now();
    if (left > left.zero() && !need_not_wait()) {
      co_await runtime::sleep(runtime_, std::min<runtime::Duration>(left, 1s));
      continue;
    }
    if (state_ == State::kOpen && !changing_segment_ && others_are_better()) {
      STELE_MARK("journal: replicas replaced by a roll");
      begin_change();
    }
    co_await runtime::sleep(runtime_, 1s);
  }
  replacing_ = false;
}

// ---- trimming -------------------------------------------------------------------------------------------

void ShardLog::Impl::trim(Lsn below) {
  begin_ = std::max(begin_, std::min(below, tail_.committed()));
  if (trimmed_ == begin_ || trimming_ || lost()) return;
  trimming_ = true;
  scope_.spawn(trim_chain());
}

// First the chain, then the disk: what no chain has, a later process removes.
Task<void> ShardLog::Impl::trim_chain() {
  while (trimmed_ < begin_ && !lost()) {
    const Lsn below = begin_;
    const meta::Segment& first = chain_.segments().front();
    if (first.end && *first.end <= below) {
      auto answers = co_await keeper_->trim({{.shard = shard_, .epoch = epoch_, .below = below}});
      Result<std::vector<SegmentId>> answer =
          answers ? std::move(answers->at(0)) : std::unexpected(answers.error());
      if (!answer) {
        STELE_MARK("journal: trim put off");
        if (answer.error().code == ErrorCode::kFenced) lose(answer.error());
        break;
      }
      std::vector<meta::Segment> dropped;
      for (const meta::Segment& segment : chain_.segments()) {
        if (segment.end && *segment.end <= below) dropped.push_back(segment);
      }
      chain_.trim(below);
      remove_segments(replicas_, dropped);
    }
    const meta::Segment& kept = chain_.segments().front();
    if (below > kept.base) {
      for (SegmentReplica* const replica : find_all(replicas_, kept)) {
        if (replica) replica->trim(kept.id, index_in(kept, below));
      }
    }
    trimmed_ = below;
  }
  trimming_ = false;
}

}  // namespace stele::journal
