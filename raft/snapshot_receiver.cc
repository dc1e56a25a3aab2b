#include "raft/snapshot_receiver.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/marks.h"
#include "storage/durable_directory.h"

namespace stele::raft {

using runtime::Task;

SnapshotReceiver::SnapshotReceiver(runtime::Runtime& runtime, std::string directory, std::size_t queue_bytes,
                                   Hooks hooks)
    : runtime_(runtime),
      directory_(std::move(directory)),
      queue_bytes_(queue_bytes),
      hooks_(std::move(hooks)) {}
SnapshotReceiver::~SnapshotReceiver() = default;

Task<Result<bool>> SnapshotReceiver::open() {
  runtime::Files& files = runtime_.files();
  STELE_CO_CHECK(co_await storage::make_durable_directory(files, directory_));
  STELE_CO_TRY(const auto entries, co_await files.list(directory_));
  bool found = false;
  for (const auto& entry : entries) {
    if (entry.name == "snapshot") found = true;
    if (entry.name == "part") STELE_CO_CHECK(co_await files.remove(unfinished()));
  }
  scope_.spawn(run());
  co_return found;
}

Task<Result<void>> SnapshotReceiver::discard() {
  auto removed = co_await runtime_.files().remove(path());
  if (!removed && removed.error().code != ErrorCode::kNotFound) co_return removed;
  co_return Result<void>();
}

void SnapshotReceiver::part(NodeId from, Term term, SnapshotPart part) {
  const std::size_t bytes = part.data.size() + Entry::kOverhead;
  if (taken_ || (queued_ != 0 && queued_ + bytes > queue_bytes_)) {
    STELE_MARK("raft: a part of a snapshot was dropped");
    return;
  }
  queued_ += bytes;
  queue_.push_back({from, term, std::move(part)});
  came_.wake_all();
}

Task<void> SnapshotReceiver::run() {
  while (!stopping()) {
    if (queue_.empty()) {
      co_await came_.wait();
      continue;
    }
    Part next = std::move(queue_.front());
    queue_.pop_front();
    queued_ -= next.part.data.size() + Entry::kOverhead;
    if (!taken_) co_await take(std::move(next));
  }
  if (file_) co_await file_->close();
}

Task<void> SnapshotReceiver::take(Part part) {
  const LogPoint last{part.part.snapshot.term, part.part.snapshot.index};
  if (!file_ || last != last_ || part.part.copy != copy_) {
    // Of an earlier leader's, or of an earlier one of the same leader.
    if (file_ && (part.term < term_ || (part.term == term_ && last < last_))) {
      STELE_MARK("raft: a part of an older snapshot is ignored");
      co_return;
    }
    if (auto begun = co_await begin(part); !begun) co_return answer(part, SnapshotState::kRefused);
  }
  term_ = std::max(term_, part.term);
  if (part.part.offset == have_ && !part.part.data.empty()) {
    if (auto written = co_await write(part.part); !written) {
      STELE_MARK("raft: a snapshot cannot be written");
      co_await give_up();
      co_return answer(part, SnapshotState::kRefused);
    }
  }
  if (stopping()) co_return;
  if (have_ < copy_.bytes) co_return answer(part, SnapshotState::kReceiving);
  co_await finish(std::move(part));
}

Task<Result<void>> SnapshotReceiver::begin(const Part& part) {
  co_await give_up();
  STELE_CO_TRY(auto file, co_await runtime_.files().open(unfinished(), {.mode = runtime::OpenMode::kCreate}));
  STELE_CO_CHECK(co_await file->truncate(0));
  file_ = std::move(file);
  term_ = part.term;
  last_ = {part.part.snapshot.term, part.part.snapshot.index};
  copy_ = part.part.copy;
  have_ = 0;
  checksum_ = 0;
  co_return Result<void>();
}

Task<Result<void>> SnapshotReceiver::write(const SnapshotPart& part) {
  std::vector<Bytes> slices;
  slices.push_back(part.data);
  STELE_CO_CHECK(co_await file_->write(Position(have_), std::move(slices)));
  have_ += part.data.size();
  checksum_ = crc32c(part.data.view(), checksum_);
  co_return Result<void>();
}

Task<void> SnapshotReceiver::finish(Part part) {
  if (checksum_ != copy_.checksum) {
    STELE_MARK("raft: a snapshot came that is not what was sent");
    co_await give_up();
    co_return answer(part, SnapshotState::kRefused);
  }
  auto placed = co_await put_in_place();
  if (stopping()) co_return;
  if (!placed) {
    // After a failed sync nothing is known of a file; and this disk is not to be trusted with the log either.
    if (placed.error().code != ErrorCode::kNoSpace) co_return hooks_.failed(placed.error());
    co_await give_up();
    co_return answer(part, SnapshotState::kRefused);
  }
  taken_ = hooks_.complete(part.from, part.term, part.part.snapshot);
  answer(part, SnapshotState::kDone);
  if (!taken_) {
    STELE_MARK("raft: a snapshot was received for nothing");
    (void)co_await discard();
  }
}

Task<Result<void>> SnapshotReceiver::put_in_place() {
  STELE_CO_CHECK(co_await file_->sync());
  STELE_CO_CHECK(co_await file_->close());
  file_.reset();
  STELE_CO_CHECK(co_await runtime_.files().rename(unfinished(), path()));
  co_return co_await runtime_.files().sync_directory(directory_);
}

// What was received is of no use.
Task<void> SnapshotReceiver::give_up() {
  if (file_) co_await file_->close();
  file_.reset();
  (void)co_await runtime_.files().remove(unfinished());
}

void SnapshotReceiver::answer(const Part& to, SnapshotState state) {
  if (stopping()) return;
  const SnapshotInfo& of = to.part.snapshot;
  hooks_.answer(to.from, {.last = {of.term, of.index}, .copy = to.part.copy, .have = have_, .state = state});
}

Task<void> SnapshotReceiver::close() {
  scope_.request_stop();
  came_.wake_all();
  co_await scope_.join();
}

}  // namespace stele::raft
