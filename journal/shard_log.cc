#include "journal/shard_log.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "journal/shard_log_impl.h"

namespace stele::journal {

using runtime::Task;

std::vector<SegmentReplica*> find_all(Replicas& replicas, const meta::Segment& segment) {
  std::vector<SegmentReplica*> found;
  found.reserve(segment.replicas.size());
  for (const meta::Replica& which : segment.replicas) found.push_back(replicas.find(which));
  return found;
}

SegmentReplica* only_local(Replicas& replicas, const meta::Segment& segment) {
  if (segment.replicas.size() != 1) return nullptr;
  SegmentReplica* const one = replicas.find(segment.replicas.front());
  return one == replicas.local() ? one : nullptr;
}

// ---- Impl -----------------------------------------------------------------------------------------------

ShardLog::Impl::Impl(Replicas& replicas, std::shared_ptr<ChainKeeper> keeper, TakenShard taken,
                     ShardLogOptions options)
    : replicas_(replicas),
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
      roll_at_bytes_(options.segment_bytes),
      begun_(runtime_.now()) {
  STELE_ASSERT(chain_.open() && chain_.last().epoch == epoch_);  // invariant 1: one writer, this one
  if (SegmentReplica* const local = replicas_.local()) local->watch_space(*this);
  replicas_.tails().watch(*this);
  replicas_.watch_nodes(*this);
  open_writer();
  if (replicas_.repair_turns()) scope_.spawn(look_after_chain());
}

void ShardLog::Impl::set_listener(Listener& listener) {
  listener_ = &listener;
  if (why_lost_) runtime_.at_turn_end(*this);
}

std::string ShardLog::Impl::name() const {
  return "log of shard " + std::to_string(shard_.value);
}

bool ShardLog::Impl::writable() const {
  if (state_ != State::kOpen && (state_ != State::kFrozen || stuck_)) return false;
  if (only_) return only_->has_space();
  return !quorum_ || quorum_->can_commit();
}

Error ShardLog::Impl::why_not_writable() const {
  if (lost()) return {ErrorCode::kUnavailable, name() + " has another owner, or has failed"};
  if (state_ == State::kNoSpace || (only_ && !only_->has_space()))
    return {ErrorCode::kNoSpace, "the disk is full: nothing new is taken"};
  Error why{ErrorCode::kUnavailable,
            name() + " waits for the meta service before it goes on in a new segment; try again"};
  if (quorum_ && !quorum_->can_commit()) {
    const auto& trouble = quorum_->last_trouble();
    if (trouble && trouble->code == ErrorCode::kNoSpace) why.code = ErrorCode::kNoSpace;
    why.message = name() + " waits: too few of its replicas take entries";
    if (trouble) why.message += ", the last one because of: " + trouble->to_string();
  } else if (stuck_) {
    why.message = name() + " waits before it goes on in a new segment; try again: " + stuck_->to_string();
  }
  return why;
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
  only_ = only_local(replicas_, segment);
  if (only_) {
    writer_ = only_->open_writer(segment.id, epoch_, index_in(segment, tail_.committed()), *this);
  } else {
    STELE_ASSERT(tail_.committed() == segment.base);  // each segment is begun once
    AppendListener& listener = *this;
    auto writer = std::make_unique<QuorumWriter>(runtime_, find_all(replicas_, segment), segment.id, epoch_,
                                                 listener, options_.writer);
    quorum_ = writer.get();
    quorum_->set_on_change([this] { on_replicas_changed(); });
    writer_ = std::move(writer);
    could_commit_ = true;
  }
  for (Lsn lsn = tail_.committed(); lsn < tail_.end(); ++lsn) writer_->append(tail_.at(lsn));
  lacking_since_.reset();
  look_after_replicas();
}

void ShardLog::Impl::close_writer() {
  quorum_ = nullptr;
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
  close_writer();
  if (replicated()) {
    STELE_MARK("journal: too few replicas are left");
    state_ = State::kOut;
    stuck_ = why;
    if (!changing_segment_) begin_change();
    return;
  }
  STELE_MARK("journal: append waits for room");
  state_ = State::kNoSpace;
}

void ShardLog::Impl::on_space() {
  if (state_ == State::kNoSpace) open_writer();
  if (writable()) tell_unblocked();
}

void ShardLog::Impl::on_replicas_changed() {
  const bool could = std::exchange(could_commit_, quorum_->can_commit());
  if (!could && writable()) tell_unblocked();
  look_after_replicas();
}

void ShardLog::Impl::on_nodes_changed() {
  for (auto& [id, care] : cares_) care.not_before = {};
  chain_changed_.wake_all();
  look_after_replicas();
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
