// How an owner goes on to the next segment, and how the chain loses its first ones.
//
// Rolling. The owner asks the meta service whether it answers and whether the shard is still its own: while
// it does not, the segment just grows. Then it freezes: entries wait here, and no answer for the old segment
// counts any more, whatever comes of the rest, because the end that is sealed is the commit position of this
// moment. It syncs the segment, and swaps: seals the old, opens the next. A swap whose answer is lost is
// looked up in the chain; until it is known to have happened or not, nothing moves. Then everything that is
// not committed goes to the next segment, including what the old one may have stored behind its end.

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "journal/shard_log_impl.h"

namespace stele::journal {

using namespace std::chrono_literals;
using runtime::Task;

void ShardLog::Impl::roll() {
  if (state_ != State::kOpen || changing_segment_ || !journal_.has_space()) return;
  if (tail_.committed() == chain_.last().base) return;
  changing_segment_ = true;
  scope_.spawn(change_segment());
}

Task<void> ShardLog::Impl::change_segment() {
  // The next attempt, if this one does not even begin, is due when the segment has grown by another eighth.
  roll_at_bytes_ = segment_bytes_ + options_.segment_bytes / 8;
  auto shards = co_await keeper_->read({shard_});
  if (shards && shards->at(0).epoch != epoch_)
    lose({ErrorCode::kFenced, "epoch " + std::to_string(shards->at(0).epoch.value) + " owns it"});
  if (!shards || state_ != State::kOpen) {
    STELE_MARK("journal: roll put off");
    changing_segment_ = false;
    co_return;
  }

  state_ = State::kFrozen;
  close_writer();
  const Lsn end = tail_.committed();
  Swap swap = Swap::kNotYet;
  for (runtime::Duration pause = 20ms;; pause = std::min<runtime::Duration>(pause * 2, 1s)) {
    swap = co_await try_swap(end);
    if (swap != Swap::kNotYet) break;
    STELE_MARK("journal: roll tried again");
    stuck_ = true;
    co_await runtime::sleep(runtime_, pause);
    if (lost()) break;
  }
  changing_segment_ = false;
  if (swap != Swap::kDone) co_return;
  open_writer();
  if (std::exchange(stuck_, false) && writable()) tell_unblocked();
}

// Everything below the end is synced before the chain says that it is there (invariant 6).
Task<ShardLog::Impl::Swap> ShardLog::Impl::try_swap(Lsn end) {
  const meta::Segment last = chain_.last();
  auto synced = co_await sync();
  if (!synced) {
    const ErrorCode code = synced.error().code;
    if (code == ErrorCode::kNoSpace || code == ErrorCode::kUnavailable) co_return Swap::kNotYet;
    lose(synced.error());
    co_return Swap::kLost;
  }
  auto replicas = replicas_.choose(shard_);
  if (!replicas) co_return Swap::kNotYet;
  auto answers = co_await keeper_->seal_and_open(
      {{.shard = shard_, .epoch = epoch_, .last = last.id, .end = end, .replicas = std::move(*replicas)}});
  if (answers && answers->at(0)) co_return adopt(end, std::move(answers->at(0)->opened));
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
  const auto dropped = chain_.seal_and_open(end, std::move(opened));
  STELE_ASSERT(!dropped);  // it was not empty
  segment_bytes_ = 0;
  roll_at_bytes_ = options_.segment_bytes;
  return Swap::kDone;
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
      chain_.trim(below);
      journal_.remove(std::move(*answer));
    }
    const meta::Segment& kept = chain_.segments().front();
    if (below > kept.base) journal_.trim(kept.id, index_in(kept, below));
    trimmed_ = below;
  }
  trimming_ = false;
}

}  // namespace stele::journal
