// The state machine's side: one thing at a time, each when the log has it on the disk.
#include <algorithm>
#include <utility>

#include "base/marks.h"
#include "raft/member_impl.h"

namespace stele::raft {

using runtime::Task;

Task<void> Member::Impl::work() {
  while (!stopping()) {
    if (copy_wanted_) {
      co_await make_copy();
    } else if (work_.empty() || work_.front().after > durable_stores_) {
      co_await work_came_.wait();
    } else if (work_.front().install) {
      const SnapshotInfo snapshot = *std::move(work_.front().install);
      work_.pop_front();
      co_await install(snapshot);
    } else {
      co_await apply_some();
    }
  }
}

Task<void> Member::Impl::apply_some() {
  std::vector<Entry> batch;
  std::size_t bytes = 0;
  while (!work_.empty() && work_.front().after <= durable_stores_ && !work_.front().install) {
    std::vector<Entry>& entries = work_.front().entries;
    auto end = entries.begin();
    while (end != entries.end() && (batch.empty() || bytes + end->size() <= options_.apply_bytes)) {
      bytes += end->size();
      // What a crash of the log let be handed out again, and the state machine has.
      if (end->index > applied_) batch.push_back(*end);
      ++end;
    }
    entries.erase(entries.begin(), end);
    if (!entries.empty()) break;
    work_.pop_front();
  }
  if (batch.empty()) co_return;
  STELE_ASSERT(batch.front().index == applied_ + 1);
  for (;;) {
    auto answers = co_await machine_.apply(batch);
    if (answers) {
      STELE_ASSERT(answers->size() == batch.size());
      stats_.applied += batch.size();
      applied_to(batch.back().index);
      for (std::size_t i = 0; i < batch.size(); ++i) answer(batch[i], std::move((*answers)[i]));
      break;
    }
    if (answers.error().code != ErrorCode::kNoSpace) co_return fail(answers.error());
    STELE_MARK("raft: applying waits for room on the disk");
    applying_waits_ = true;
    const bool slept = co_await runtime::sleep(runtime_, options_.disk_pause, scope_.token());
    applying_waits_ = false;
    if (!slept || stopping()) co_return;
  }
  maybe_compact();
}

void Member::Impl::applied_to(LogIndex index) {
  applied_ = std::max(applied_, index);
  core_->applied(applied_);
  release_barriers();
  progress_.wake_all();
  drive_later();
}

// The state machine's own files are the snapshot.
void Member::Impl::maybe_compact() {
  if (stopping() || applied_ < compacted_ + options_.snapshot_every) return;
  if (applied_ <= core_->log().start().index || !core_->log().term_at(applied_)) return;
  compacted_ = applied_;
  core_->snapshot_taken(core_->snapshot_at(applied_));
  drive_later();
}

Task<void> Member::Impl::install(SnapshotInfo snapshot) {
  if (machine_.applied() < snapshot.index) {
    for (;;) {
      auto installed = co_await machine_.install(receiver_->path());
      if (installed) break;
      if (installed.error().code != ErrorCode::kNoSpace) co_return fail(installed.error());
      if (!co_await runtime::sleep(runtime_, options_.disk_pause, scope_.token()) || stopping()) co_return;
    }
    if (machine_.applied() != snapshot.index) {
      co_return fail({ErrorCode::kCorrupt, "a snapshot of entry " + std::to_string(snapshot.index.value) +
                                               " turns out to be of " +
                                               std::to_string(machine_.applied().value)});
    }
    ++stats_.snapshots_installed;
  } else {
    STELE_MARK("raft: a state machine is further than the snapshot of its log");
    (void)co_await receiver_->discard();
  }
  receiver_->done();
  if (stopping()) co_return;
  compacted_ = std::max(compacted_, snapshot.index);
  answer_unknown_up_to(snapshot.index);
  applied_to(snapshot.index);
}

Task<void> Member::Impl::make_copy() {
  copy_wanted_ = false;
  // Where the log has lost the last entry that is applied, it cannot be said what it was.
  if (!core_->log().term_at(applied_)) {
    sender_->copy_failed();
    co_return;
  }
  const SnapshotInfo of = core_->snapshot_at(applied_);
  auto copy = co_await machine_.copy();
  if (!copy) {
    STELE_MARK("raft: there is no copy to send");
    if (!stopping()) sender_->copy_failed();
    co_return;
  }
  sender_->copy_made(of, *std::move(copy));
}

}  // namespace stele::raft
