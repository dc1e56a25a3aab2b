// The writer of a segment store: from the queue to the log, one group commit after the other.
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "storage/segment_store_impl.h"

namespace stele::storage {

using runtime::Task;

namespace {
constexpr runtime::Duration kRetryAfterNoSpace = std::chrono::milliseconds(100);
}  // namespace

// Whatever comes while a commit is under way is the next one.
Task<void> SegmentStore::Impl::run_writer() {
  while (!ended_) {
    if (queue_.empty()) {
      co_await work_.wait();
      continue;
    }
    co_await commit(take_batch());
    if (no_space_) co_await runtime::sleep(runtime_, kRetryAfterNoSpace, scope_.token());
  }
  Batch rest(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.end()));
  queue_.clear();
  complete_all(rest, std::unexpected(Error{ErrorCode::kClosed, "the log is closed"}));
}

SegmentStore::Impl::Batch SegmentStore::Impl::take_batch() {
  Batch batch;
  std::uint64_t bytes = 0;
  while (!queue_.empty() && bytes < options_.max_batch_bytes) {
    Operation& next = queue_.front();
    if (next.kind == Operation::Kind::kAppend) bytes += next.chunk->bytes;
    if (next.kind == Operation::Kind::kMove) bytes += next.place.bytes;
    batch.push_back(std::move(next));
    queue_.pop_front();
    if (buggify(Buggify::kSmallGroupCommit)) break;
  }
  return batch;
}

Task<void> SegmentStore::Impl::commit(Batch batch) {
  bool entries = false, moves = false, sync = false, something = false;
  for (const Operation& operation : batch) {
    const bool append = operation.kind == Operation::Kind::kAppend;
    moves = moves || operation.kind == Operation::Kind::kMove;
    entries = entries || append || moves;
    sync = sync || operation.must_sync() || (append && options_.durability == Durability::kFsync);
    something = something || operation.kind != Operation::Kind::kRefused;
  }
  if (!something || failure_) {
    co_await next_turn();
    if (failure_) {
      fail(std::move(batch), *failure_);
    } else {
      complete_all(batch, {});
    }
    co_return;
  }
  if (mutant(Mutant::kAcknowledgeBeforeSync)) {
    for (Operation& operation : batch) {
      if (operation.kind != Operation::Kind::kAppend || !operation.done) continue;
      std::exchange(operation.done, {})({});
    }
  }
  // Not for what is moved: it would be worth moving again.
  if (entries && !moves && buggify(Buggify::kEarlyLogFile)) log_.begin_new_file();
  auto written =
      co_await log_.write([this, &batch](BatchEncoder& encoder) { encode(batch, encoder); },
                          entries ? LogWriter::Content::kEntries : LogWriter::Content::kControlsOnly, sync);
  for (const FileSequence file : log_.take_dead()) dead_.push_back(file);
  if (!written) {
    if (written.error().code == ErrorCode::kNoSpace) {
      on_no_space(std::move(batch), written.error());
    } else {
      fail(std::move(batch), written.error());
    }
    co_return;
  }
  no_space_ = false;
  apply(batch, *written);
  complete_all(batch, {});
  chores_.wake_all();
}

// Entries first, control records last: a removal comes behind what it removes.
void SegmentStore::Impl::encode(const Batch& batch, BatchEncoder& encoder) const {
  encode_appends(batch, encoder);
  std::vector<ControlRecord> controls;
  for (const Operation& operation : batch) {
    if (operation.kind == Operation::Kind::kControl) controls.push_back(operation.control);
    if (operation.kind != Operation::Kind::kMove) continue;
    for (const ReadBlock& block : operation.blocks.blocks) {
      encoder.begin(BlockKind::kMoved, operation.segment, block.header.epoch, block.header.first);
      encoder.add_payload(block.payload, block.header.count);
    }
  }
  if (controls.empty()) return;
  encoder.begin(BlockKind::kControl, {}, {}, 0);
  encoder.add_payload(Bytes::copy(encode_controls(controls)), static_cast<std::uint32_t>(controls.size()));
}

// Appends to one segment share blocks, whatever came between them.
void SegmentStore::Impl::encode_appends(const Batch& batch, BatchEncoder& encoder) const {
  std::vector<const Operation*> appends;
  for (const Operation& operation : batch) {
    if (operation.kind == Operation::Kind::kAppend) appends.push_back(&operation);
  }
  std::sort(appends.begin(), appends.end(), [](const Operation* a, const Operation* b) {
    return std::pair(a->segment, a->chunk->first) < std::pair(b->segment, b->chunk->first);
  });
  const Operation* before = nullptr;
  for (const Operation* append : appends) {
    bool open = before && before->segment == append->segment && before->epoch == append->epoch;
    const EntryChunk& chunk = *append->chunk;
    for (std::size_t i = 0; i < chunk.entries.size(); ++i) {
      const LogEntry& entry = chunk.entries[i];
      if (!open ||
          (encoder.block_bytes() > 0 && encoder.block_bytes() + entry.size() > options_.max_block_bytes)) {
        encoder.begin(BlockKind::kEntries, append->segment, append->epoch, chunk.first + i);
        open = true;
      }
      encoder.add(entry);
    }
    before = append;
  }
}

void SegmentStore::Impl::apply(Batch& batch, const LogWriter::Written& written) {
  auto block = written.blocks.begin();
  for (; block != written.blocks.end() && block->kind == BlockKind::kEntries; ++block) {
    index_.append(written.file, *block);
  }
  for (Operation& operation : batch) {
    if (operation.kind == Operation::Kind::kMove) {
      std::vector<PlacedBlock> moved;
      for (std::size_t i = 0; i < operation.blocks.blocks.size(); ++i) {
        STELE_ASSERT(block != written.blocks.end());
        moved.push_back(*block++);
        stats_.moved_bytes += moved.back().bytes;
      }
      if (!index_.move(operation.segment, operation.place, written.file, moved)) {
        STELE_MARK("storage: moved entries that had died meanwhile");
      }
    } else if (operation.kind == Operation::Kind::kAppend) {
      operation.chunk->written = true;
      if (options_.durability == Durability::kMemory) {
        cache_.evict();
      } else if (const Segment* segment = find(operation.segment); segment) {
        cache_.push(operation.chunk);
      }
    }
  }
  for (const Operation& operation : batch) {
    if (operation.kind == Operation::Kind::kControl) apply_control(operation);
  }
  STELE_ASSERT(block == written.blocks.end());
}

void SegmentStore::Impl::apply_control(const Operation& operation) {
  const ControlRecord& control = operation.control;
  if (control.type == ControlRecord::Type::kFree) {
    const FileSequence file(control.value);
    if (!index_.files().contains(file)) return;  // a new file has left it out already
    index_.drop_file(file);
    dead_.push_back(file);
    return;
  }
  if (control.type == ControlRecord::Type::kClean) return;
  index_.apply(control);
  if (control.type == ControlRecord::Type::kRemove) {
    cache_.remove(control.segment);
    segments_.erase(control.segment);
  }
}

void SegmentStore::Impl::complete(Operation& operation, Result<void> result) {
  if (operation.kind == Operation::Kind::kAppend && operation.chunk) {
    STELE_ASSERT(pending_bytes_ >= operation.chunk->bytes);
    pending_bytes_ -= operation.chunk->bytes;
    operation.chunk.reset();
    const auto latency =
        std::chrono::duration_cast<std::chrono::microseconds>(runtime_.now() - operation.since);
    stats_.append_latency_us_total += std::uint64_t(latency.count());
    stats_.append_latency_us_max = std::max(stats_.append_latency_us_max, std::uint64_t(latency.count()));
  }
  if (!operation.done) return;
  Completion done = std::exchange(operation.done, {});
  if (operation.kind == Operation::Kind::kRefused) {
    done(std::unexpected(operation.refusal));
  } else {
    done(std::move(result));
  }
}

void SegmentStore::Impl::complete_all(Batch& batch, const Result<void>& result) {
  for (Operation& operation : batch) complete(operation, result);
}

// Nothing of the batch is stored. What was appended is refused, with all that was queued behind it: it would
// leave gaps. Trims, removals and frees stay, for they may make space; fences are tried once more without the
// appends, then answered. With Durability::kMemory appends were acknowledged already, so they stay too.
void SegmentStore::Impl::on_no_space(Batch batch, const Error& why) {
  STELE_MARK("storage: disk full");
  no_space_ = true;
  const bool acknowledged = options_.durability == Durability::kMemory && !closing_;
  const bool had_entries = std::any_of(batch.begin(), batch.end(), [](const Operation& operation) {
    return operation.kind == Operation::Kind::kAppend || operation.kind == Operation::Kind::kMove;
  });
  std::move(queue_.begin(), queue_.end(), std::back_inserter(batch));
  queue_.clear();
  Batch refused;
  for (Operation& operation : batch) {
    bool stays = operation.kind == Operation::Kind::kAppend && acknowledged;
    if (operation.kind == Operation::Kind::kControl) {
      const bool awaited = operation.control.type == ControlRecord::Type::kFence ||
                           operation.control.type == ControlRecord::Type::kClean;
      stays = !awaited || (had_entries && options_.durability != Durability::kMemory);
    }
    if (stays) {
      queue_.push_back(std::move(operation));
      continue;
    }
    if (operation.kind == Operation::Kind::kAppend) forget_unstored(operation.segment);
    refused.push_back(std::move(operation));
  }
  complete_all(refused, std::unexpected(Error{ErrorCode::kNoSpace, why.message}));
}

// The segment ends where its stored entries do.
void SegmentStore::Impl::forget_unstored(SegmentId id) {
  const auto it = segments_.find(id);
  const LogIndex::Segment* stored = index_.find(id);
  if (it != segments_.end()) it->second.end = stored ? stored->end : 0;
}

void SegmentStore::Impl::fail(Batch batch, const Error& why) {
  if (!failure_) {
    STELE_MARK("storage: log failed");
    failure_ = why;
    runtime_.log().write(
        runtime::LogLevel::kError, "storage",
        "the log in " + options_.directory + " failed and takes no more: " + why.to_string());
  }
  while (!queue_.empty()) {
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  for (const Operation& operation : batch) {
    if (operation.kind != Operation::Kind::kAppend || options_.durability == Durability::kMemory) continue;
    forget_unstored(operation.segment);
  }
  complete_all(batch, std::unexpected(Error{ErrorCode::kIo, "the log failed: " + failure_->message}));
}

void SegmentStore::Impl::answer_later(Completion done, Result<void> result) {
  answers_.emplace_back(std::move(done), std::move(result));
  if (answers_.size() > 1) return;
  runtime_.post(runtime_.core(), [self = std::weak_ptr<Impl*>(self_)] {
    const auto alive = self.lock();
    if (!alive) return;
    auto answers = std::exchange((*alive)->answers_, {});
    for (auto& [answer, outcome] : answers) answer(std::move(outcome));
  });
}

Task<void> SegmentStore::Impl::next_turn() {
  auto turn = std::make_shared<runtime::Notification>();
  runtime_.post(runtime_.core(), [waiting = std::weak_ptr<runtime::Notification>(turn)] {
    if (const auto notification = waiting.lock()) notification->wake_all();
  });
  co_await turn->wait();
}

}  // namespace stele::storage
