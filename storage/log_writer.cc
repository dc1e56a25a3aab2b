#include "storage/log_writer.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"

namespace stele::storage {

using runtime::OpenMode;
using runtime::Task;

// Everything a recovery needs to know before the first block: the older files, and the state of each segment.
std::string LogWriter::prologue(FileSequence next, Position& end) const {
  std::vector<FileRecord> files;
  for (const auto& [sequence, file] : index_.files()) {
    if (file.live_bytes > 0) files.push_back({.sequence = sequence, .end = file.end});
  }
  const std::vector<SegmentRecord> states = index_.states();
  BatchEncoder encoder(next, Position(kFileHeaderBytes), Position(0));
  encoder.begin(BlockKind::kFiles, {}, {}, 0);
  encoder.add_payload(Bytes::copy(encode_files(files)), static_cast<std::uint32_t>(files.size()));
  encoder.begin(BlockKind::kStates, {}, {}, 0);
  encoder.add_payload(Bytes::copy(encode_states(states)), static_cast<std::uint32_t>(states.size()));
  end = encoder.finish();
  FileHeader header{.sequence = next, .incarnation = options_.incarnation, .prologue_end = end};
  if (!index_.files().empty()) {
    const auto& [sequence, file] = *index_.files().rbegin();
    header.predecessor = sequence;
    header.predecessor_end = file.end;
  }
  header.durability = options_.durability;
  std::string bytes = encode_file_header(header);
  for (const Bytes& slice : encoder.take_slices()) bytes.append(slice.view());
  return bytes;
}

// Everything in the file that is left is synced, so that damage in it can be told from a torn tail.
Task<Result<void>> LogWriter::seal() {
  if (!file_) co_return Result<void>();
  if (synced_ != position_) {
    auto synced = co_await file_->sync();
    if (!synced) {
      ++stats_.failed_syncs;
      poison();
      if (untrusted_) co_return synced;
      STELE_MARK("wal: sync failed before a roll, the file is left at its last good sync");
      co_return Result<void>();
    }
    ++stats_.syncs;
    synced_ = position_;
    unsynced_entries_ = false;
  }
  index_.set_file_end(sequence_, mutant(Mutant::kLoseLastBatchOnRoll) ? last_batch_ : position_);
  co_return Result<void>();
}

// Nothing since the last good sync is assumed stored, and nothing of it is read from the page cache.
void LogWriter::poison() {
  STELE_ASSERT(file_);
  if (unsynced_entries_) untrusted_ = {sequence_, synced_};
  index_.set_file_end(sequence_, synced_);
  file_.reset();
}

Task<Result<void>> LogWriter::open_next(std::uint64_t needed_bytes) {
  STELE_CO_CHECK(co_await seal());
  const FileSequence next = files_.next_sequence();
  Result<void> begun = error(ErrorCode::kNoSpace, "there is no spare file");
  named_ = false;
  while (!files_.spares().empty() && !begun && !named_) {
    const std::uint64_t spare = files_.spares().front();
    files_.spares().pop_front();
    begun = co_await begin_file(next, spare, needed_bytes);
  }
  if (!begun && !named_) begun = co_await begin_file(next, std::nullopt, needed_bytes);
  if (!begun && named_) begun.error().code = ErrorCode::kIo;  // whether it exists is unknown: no way back
  co_return begun;
}

Task<Result<void>> LogWriter::begin_file(FileSequence next, std::optional<std::uint64_t> spare,
                                         std::uint64_t needed_bytes) {
  Position end;
  std::string bytes = prologue(next, end);
  const std::string name = wal_name(next);
  const std::string from = files_.path(spare ? numbered_name("spare", *spare) : name + ".tmp");
  const OpenMode mode = spare ? OpenMode::kReadWrite : OpenMode::kCreate;
  auto file = co_await files_.files().open(from, {.mode = mode, .own_thread = true});
  if (!file) co_return std::unexpected(file.error());
  // A name that was lost with the power and could not be removed since may have been this very file once:
  // blocks of that life would be valid in this one.
  Result<void> written;
  if (!spare) written = co_await (*file)->truncate(0);
  if (written) {
    std::vector<Bytes> slices{Bytes::copy(bytes)};
    written = co_await (*file)->write_and_sync(Position(0), std::move(slices));
  }
  if (!written) {
    file->reset();
    [[maybe_unused]] const auto removed = co_await files_.files().remove(from);
    co_return written;
  }
  auto renamed = co_await files_.files().rename(from, files_.path(name));
  if (!renamed && renamed.error().code == ErrorCode::kNoSpace) {
    [[maybe_unused]] const auto removed = co_await files_.files().remove(from);
    co_return renamed;
  }
  named_ = true;
  STELE_CO_CHECK(std::move(renamed));
  STELE_CO_CHECK(co_await files_.files().sync_directory(files_.directory()));

  // The new file is the log now. Files that its prologue does not name are nobody's.
  for (const FileRecord& record : index_.file_records()) {
    if (index_.files().at(record.sequence).live_bytes > 0) continue;
    index_.drop_file(record.sequence);
    dead_.push_back(record.sequence);
  }
  if (sequence_.value != 0) ++stats_.rolls;
  ++stats_.syncs;
  stats_.written_bytes += bytes.size();
  file_ = *std::move(file);
  sequence_ = next;
  position_ = synced_ = last_batch_ = end;
  unsynced_entries_ = false;
  limit_ =
      std::max({options_.file_bytes, end.value * kPrologueShare, end.value + needed_bytes + kControlReserve});
  index_.add_file(next, end);
  co_return Result<void>();
}

Task<Result<void>> LogWriter::put(std::vector<Bytes> slices, Position end, bool sync) {
  Result<void> done;
  if (slices.empty()) {
    if (!sync || synced_ == position_) co_return done;
    done = co_await file_->sync();
  } else if (sync && !unsynced_entries_) {
    done = co_await file_->write_and_sync(position_, std::move(slices));
  } else {
    // In two steps, because a failed write behind unsynced entries is not yet the loss of those.
    done = co_await file_->write(position_, std::move(slices));
    if (!done && unsynced_entries_ && co_await file_->sync()) {
      synced_ = position_;
      unsynced_entries_ = false;
    }
    if (done && sync) done = co_await file_->sync();
  }
  if (!done) co_return done;
  stats_.written_bytes += end - position_;
  if (end != position_) {
    ++stats_.batches;
    last_batch_ = position_;
  }
  position_ = end;
  if (sync) {
    ++stats_.syncs;
    synced_ = position_;
    unsynced_entries_ = false;
  }
  index_.set_file_end(sequence_, position_);
  co_return done;
}

Task<Result<LogWriter::Written>> LogWriter::write(std::function<void(BatchEncoder&)> encode, Content content,
                                                  bool sync) {
  const std::uint64_t reserve = content == Content::kControlsOnly ? 0 : kControlReserve;
  Result<void> done;
  for (int tries = 0; tries < 2; ++tries) {
    if (!file_) {
      if (untrusted_) co_return error(ErrorCode::kIo, "the log failed before");
      STELE_CO_CHECK(co_await open_next(0));
    }
    std::optional<BatchEncoder> batch(std::in_place, sequence_, position_, synced_);
    encode(*batch);
    const bool empty = batch->empty();
    Position end = empty ? position_ : batch->finish();
    if (end.value + reserve > limit_ || (std::exchange(new_file_, false) && !empty)) {
      STELE_CO_CHECK(co_await open_next(end - position_));
      batch.emplace(sequence_, position_, synced_);
      encode(*batch);
      end = batch->finish();
      STELE_ASSERT(end.value + reserve <= limit_);
    }
    const std::uint64_t bytes = end - position_;
    done = co_await put(batch->take_slices(), end, sync);
    if (done) {
      if (!sync && content == Content::kEntries) unsynced_entries_ = true;
      co_return Written{.file = sequence_, .blocks = batch->blocks(), .bytes = bytes};
    }
    if (sync) ++stats_.failed_syncs;
    poison();
    if (untrusted_) break;
    if (done.error().code == ErrorCode::kNoSpace) co_return std::unexpected(done.error());
    STELE_MARK("wal: write or sync failed, moving to a new file");
  }
  if (done.error().code == ErrorCode::kNoSpace) done.error().code = ErrorCode::kIo;
  co_return std::unexpected(done.error());
}

}  // namespace stele::storage
