#include "journal/shard_log.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "journal/shard_log_impl.h"

namespace stele::journal {
namespace {

using runtime::Task;

template <class T>
Task<Result<T>> ready(Result<T> value) {
  co_return value;
}

// At most `limit` entries of a segment. Uses nothing of the log, which may be destroyed meanwhile.
Task<Result<std::vector<LogEntry>>> read_segment(SegmentReplica& replica, std::string log, SegmentId segment,
                                                 std::uint64_t index, std::uint64_t limit,
                                                 std::size_t max_bytes) {
  auto entries = co_await replica.read(segment, index, max_bytes);
  if (!entries) co_return std::unexpected(entries.error().with_context(log));
  if (entries->empty()) {
    co_return error(ErrorCode::kCorrupt, log + ": segment " + std::to_string(segment.value) +
                                             " lacks entry " + std::to_string(index) +
                                             ", which its chain says it has");
  }
  // What lies behind a sealed end was never committed.
  if (entries->size() > limit) {
    STELE_MARK("journal: entries behind a sealed end cut off");
    entries->resize(limit);
  }
  co_return entries;
}

Task<Result<void>> sync_segment(SegmentReplica& replica, storage::FenceRequest request) {
  STELE_CO_TRY(auto answers, co_await replica.fence({request}));
  STELE_ASSERT(answers.size() == 1);
  if (!answers[0]) co_return std::unexpected(answers[0].error());
  co_return Result<void>();
}

}  // namespace

// ---- Impl -----------------------------------------------------------------------------------------------

ShardLog::Impl::Impl(Replicas& replicas, std::shared_ptr<ChainKeeper> keeper, TakenShard taken,
                     ShardLogOptions options)
    : replicas_(replicas),
      journal_(*replicas.local()),
      runtime_(replicas.runtime()),
      keeper_(std::move(keeper)),
      options_(options),
      shard_(taken.shard),
      epoch_(taken.epoch),
      snapshot_(std::move(taken.snapshot)),
      chain_(std::move(taken.chain)),
      begin_(taken.begin),
      trimmed_(taken.begin),
      tail_(replicas.tails(), chain_.sealed_end()),
      roll_at_bytes_(options.segment_bytes) {
  STELE_ASSERT(chain_.open() && chain_.last().epoch == epoch_);  // invariant 1: one writer, this one
  journal_.watch_space(*this);
  replicas_.tails().watch(*this);
  open_writer();
}

void ShardLog::Impl::set_listener(Listener& listener) {
  listener_ = &listener;
  if (why_lost_) runtime_.at_turn_end(*this);
}

std::string ShardLog::Impl::name() const {
  return "log of shard " + std::to_string(shard_.value);
}

bool ShardLog::Impl::writable() const {
  return (state_ == State::kOpen || (state_ == State::kFrozen && !stuck_)) && journal_.has_space();
}

Error ShardLog::Impl::why_not_writable() const {
  if (lost()) return {ErrorCode::kUnavailable, name() + " has another owner, or has failed"};
  if (state_ == State::kNoSpace || !journal_.has_space())
    return {ErrorCode::kNoSpace, "the disk is full: nothing new is taken"};
  return {ErrorCode::kUnavailable,
          name() + " waits for the meta service before it goes on in a new segment; try again"};
}

Lsn ShardLog::Impl::append(LogEntry entry) {
  const Lsn lsn = tail_.end();
  if (state_ == State::kOpen) writer_->append(entry);
  tail_.push(std::move(entry));
  if (tail_.pending_bytes() >= options_.max_pending_bytes) congested_ = true;
  return lsn;
}

// Everything that is not committed goes to the open segment.
void ShardLog::Impl::open_writer() {
  STELE_ASSERT(chain_.open() && !writer_);
  state_ = State::kOpen;
  const meta::Segment& segment = chain_.last();
  writer_ = journal_.open_writer(segment.id, epoch_, index_in(segment, tail_.committed()), *this);
  for (Lsn lsn = tail_.committed(); lsn < tail_.end(); ++lsn) writer_->append(tail_.at(lsn));
}

void ShardLog::Impl::close_writer() {
  writer_.reset();
}

// Whatever calls the listener does so last: it may destroy this.
void ShardLog::Impl::on_stored(std::uint64_t end) {
  STELE_ASSERT(state_ == State::kOpen);  // invariant 4: to an unfrozen writer
  const Lsn lsn = chain_.last().base + end;
  segment_bytes_ += tail_.commit(lsn);
  if (congested_ && tail_.pending_bytes() <= options_.max_pending_bytes / 2) {
    congested_ = false;
    if (!congested()) tell_unblocked();
  }
  if (segment_bytes_ >= roll_at_bytes_ || buggify(Buggify::kEarlyRoll)) roll();
  if (listener_) listener_->on_committed(lsn);
}

void ShardLog::Impl::on_append_failed(const Error& why) {
  STELE_ASSERT(state_ == State::kOpen);
  if (why.code != ErrorCode::kNoSpace && why.code != ErrorCode::kUnavailable) return lose(why);
  STELE_MARK("journal: append waits for room");
  state_ = State::kNoSpace;
  close_writer();
}

void ShardLog::Impl::on_space() {
  if (state_ == State::kNoSpace) open_writer();
  if (writable()) tell_unblocked();
}

void ShardLog::Impl::on_relief() {
  if (!congested_) tell_unblocked();
}

void ShardLog::Impl::tell_unblocked() {
  unblocked_ = true;
  runtime_.at_turn_end(*this);
}

// The listener hears at the end of the turn, when nothing of this log is on the stack.
void ShardLog::Impl::lose(Error why) {
  if (state_ == State::kLost) return;
  STELE_MARK("journal: ownership lost");
  state_ = State::kLost;
  close_writer();
  // An owner's open segment is only removed by a later owner.
  if (why.code == ErrorCode::kNotFound) why.code = ErrorCode::kFenced;
  why_lost_ = why.with_context(name());
  runtime_.at_turn_end(*this);
}

void ShardLog::Impl::on_turn_end() {
  if (!listener_) return;
  const bool unblocked = std::exchange(unblocked_, false);
  if (why_lost_) {
    const Error why = *std::exchange(why_lost_, std::nullopt);
    listener_->on_lost(why);
  } else if (unblocked && !lost()) {
    listener_->on_unblocked();
  }
}

bool ShardLog::Impl::read_cached(Lsn from, std::size_t max_bytes, std::vector<LogEntry>& out) const {
  return from >= begin_ && tail_.read(from, max_bytes, out);
}

Task<Result<std::vector<LogEntry>>> ShardLog::Impl::read(Lsn from, std::size_t max_bytes) const {
  using Entries = std::vector<LogEntry>;
  if (from < begin_) {
    return ready<Entries>(error(ErrorCode::kNotFound, name() + ": entry " + std::to_string(from.value) +
                                                          " is trimmed; it begins at " +
                                                          std::to_string(begin_.value)));
  }
  if (from > next()) {
    return ready<Entries>(error(ErrorCode::kInvalidArgument,
                                name() + ": entry " + std::to_string(from.value) + " is beyond its end"));
  }
  Entries cached;
  if (tail_.read(from, max_bytes, cached)) return ready<Entries>(std::move(cached));
  const meta::Segment* segment = chain_.locate(from);
  STELE_ASSERT(segment);  // begin <= from < tail begin <= committed: the chain covers it
  const Lsn end = segment->end ? *segment->end : tail_.committed();
  STELE_ASSERT(from < end);
  return read_segment(journal_, name(), segment->id, index_in(*segment, from), end - from, max_bytes);
}

Task<Result<void>> ShardLog::Impl::sync() const {
  // Sealed segments were synced before they were sealed.
  const meta::Segment& segment = chain_.last();
  if (tail_.committed() <= segment.base) return ready<void>({});
  return sync_segment(journal_, {segment.id, epoch_});
}

// ---- ShardLog -------------------------------------------------------------------------------------------

ShardLog::ShardLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ShardLog::~ShardLog() = default;
void ShardLog::set_listener(Listener& listener) {
  impl_->set_listener(listener);
}
ShardId ShardLog::shard() const {
  return impl_->shard();
}
Epoch ShardLog::epoch() const {
  return impl_->epoch();
}
const std::optional<meta::Snapshot>& ShardLog::snapshot() const {
  return impl_->snapshot();
}
Lsn ShardLog::begin() const {
  return impl_->begin();
}
Lsn ShardLog::committed() const {
  return impl_->committed();
}
Lsn ShardLog::next() const {
  return impl_->next();
}
bool ShardLog::lost() const {
  return impl_->lost();
}
const Chain& ShardLog::chain() const {
  return impl_->chain();
}
Lsn ShardLog::append(LogEntry entry) {
  return impl_->append(std::move(entry));
}
bool ShardLog::writable() const {
  return impl_->writable();
}
Error ShardLog::why_not_writable() const {
  return impl_->why_not_writable();
}
bool ShardLog::congested() const {
  return impl_->congested();
}
std::size_t ShardLog::pending_bytes() const {
  return impl_->pending_bytes();
}
bool ShardLog::read_cached(Lsn from, std::size_t max_bytes, std::vector<LogEntry>& out) const {
  return impl_->read_cached(from, max_bytes, out);
}
Task<Result<std::vector<LogEntry>>> ShardLog::read(Lsn from, std::size_t max_bytes) const {
  return impl_->read(from, max_bytes);
}
void ShardLog::trim(Lsn below) {
  impl_->trim(below);
}
void ShardLog::roll() {
  impl_->roll();
}
Task<Result<void>> ShardLog::sync() const {
  return impl_->sync();
}

}  // namespace stele::journal
