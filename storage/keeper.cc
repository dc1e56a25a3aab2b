// The keeper of a segment store: what can wait. Its errors cost space or start-up time, never data: they are
// logged, and it goes on at the next occasion.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/buggify.h"
#include "base/marks.h"
#include "storage/index_checkpoint.h"
#include "storage/segment_store_impl.h"

namespace stele::storage {

using runtime::LogLevel;
using runtime::Task;

namespace {
constexpr std::uint64_t kCheckpointGrowth = 4;
// A spare is prepared once a file is this far filled: a small store never needs one.
constexpr std::uint64_t kSpareAfter = 8;
}  // namespace

Task<void> SegmentStore::Impl::run_keeper() {
  const auto warn = [this](const char* what, const Error& why) {
    runtime_.log().write(LogLevel::kWarn, "storage", std::string(what) + ": " + why.to_string());
  };
  // With every commit it is woken; the files are looked at when there can be something to find.
  std::optional<std::uint64_t> looked_at;
  // What could not be written is not written again before the log has rolled: on a disk that is nearly full
  // it would take, with every commit, the room that the commit needs.
  std::optional<std::uint64_t> checkpoint_failed_in, spare_failed_in;
  while (!closing_) {
    const std::uint64_t changes = index_.changes_of_files();
    const bool look = looked_at != changes || !dead_.empty();
    const bool freed = !look || co_await free_files();
    if (closing_) break;
    if (!failure_ && !no_space_) {
      const std::uint64_t rolls = log_.stats().rolls;
      if (checkpoint_due() && checkpoint_failed_in != rolls) {
        if (const auto done = co_await write_checkpoint(); !done) {
          warn("index checkpoint", done.error());
          checkpoint_failed_in = rolls;
        }
      }
      if (!closing_ && files_.spares().empty() && log_.position().value > options_.file_bytes / kSpareAfter &&
          options_.spare_files > 0 && spare_failed_in != rolls) {
        if (const auto done = co_await files_.make_spare(options_.file_bytes); !done) {
          warn("preparing a spare log file", done.error());
          spare_failed_in = rolls;
        }
      }
      if (const auto file = closing_ || !look ? std::nullopt : file_to_move()) {
        const std::uint64_t live = index_.files().at(*file).live_bytes;
        if (const auto moved = co_await move_file(*file); !moved && !closing_) {
          unmovable_.insert(*file);
          warn("moving entries", moved.error());
        }
        // Nothing has moved when all that is left is about to be removed; that commit wakes this up.
        const auto now = index_.files().find(*file);
        if (now == index_.files().end() || now->second.live_bytes != live || unmovable_.contains(*file))
          continue;
        STELE_MARK("storage: nothing to move but what is being removed");
      }
      if (freed && !failure_ && !no_space_) looked_at = changes;
    }
    // What died while this one waited for something else woke nobody.
    if (!closing_ && index_.changes_of_files() == changes) co_await chores_.wait();
  }
}

// A file of which nothing is needed is freed in the log first, synced together with the trims and removals
// that were its end, and then used again. False: not all could be freed now.
Task<bool> SegmentStore::Impl::free_files() {
  std::vector<FileSequence> unneeded;
  for (const auto& [sequence, file] : index_.files()) {
    if (file.live_bytes == 0 && sequence != log_.current()) unneeded.push_back(sequence);
  }
  for (const FileSequence file : unneeded) {
    if (closing_ || failure_) co_return false;
    Operation operation{.kind = Operation::Kind::kControl};
    operation.control = {.type = ControlRecord::Type::kFree, .value = file.value};
    if (!co_await enqueue_and_wait(std::move(operation))) co_return false;
  }
  while (!dead_.empty()) {
    const FileSequence file = dead_.back();
    dead_.pop_back();
    co_await files_.retire(file, options_.file_bytes, options_.spare_files);
    ++stats_.freed_files;
  }
  co_return true;
}

bool SegmentStore::Impl::checkpoint_due() const {
  const std::uint64_t rolls = log_.stats().rolls - checkpoint_rolls_;
  if (!checkpointed_ || buggify(Buggify::kEarlyCheckpoint)) return index_.files().size() > 1;
  return rolls >= options_.checkpoint_files &&
         rolls * options_.file_bytes >= kCheckpointGrowth * checkpoint_bytes_;
}

Task<Result<void>> SegmentStore::Impl::write_checkpoint() {
  const std::uint64_t rolls = log_.stats().rolls;
  const std::string bytes = encode_checkpoint(index_, incarnation_, log_.current());
  // It leaves out what was trimmed, so the trims must not be lost.
  STELE_CO_CHECK(co_await enqueue_and_wait({.kind = Operation::Kind::kSync}));
  const std::uint64_t number = last_checkpoint_ + 1;
  const std::string name = numbered_name("index", number);
  const std::string unfinished = files_.path(name + ".tmp");
  runtime::Files& files = runtime_.files();
  STELE_CO_TRY(auto file, co_await files.open(unfinished, {.mode = runtime::OpenMode::kCreate}));
  STELE_CO_CHECK(co_await file->truncate(0));
  std::vector<Bytes> slices{Bytes::copy(bytes)};
  STELE_CO_CHECK(co_await file->write_and_sync(Position(0), std::move(slices)));
  file.reset();
  STELE_CO_CHECK(co_await files.rename(unfinished, files_.path(name)));
  last_checkpoint_ = number;
  STELE_CO_CHECK(co_await files.sync_directory(files_.directory()));
  for (const std::uint64_t old : std::exchange(old_checkpoints_, {number})) {
    [[maybe_unused]] const auto removed = co_await files.remove(files_.path(numbered_name("index", old)));
  }
  checkpointed_ = true;
  checkpoint_rolls_ = rolls;
  checkpoint_bytes_ = bytes.size();
  ++stats_.checkpoints;
  co_return Result<void>();
}

// The oldest file that is mostly dead. The two newest are left alone: their entries may be about to die.
std::optional<FileSequence> SegmentStore::Impl::file_to_move() const {
  std::size_t left = index_.files().size();
  for (const auto& [sequence, file] : index_.files()) {
    if (left-- <= 2) return std::nullopt;
    if (file.live_bytes == 0 || unmovable_.contains(sequence)) continue;
    if (file.live_bytes * 100 <= options_.file_bytes * options_.move_below_percent) return sequence;
  }
  return std::nullopt;
}

Task<Result<void>> SegmentStore::Impl::move_file(FileSequence file) {
  std::vector<std::pair<SegmentId, Place>> places;
  for (const auto& [id, segment] : index_.segments()) {
    for (const Place& place : segment.places) {
      if (place.file == file) places.emplace_back(id, place);
    }
  }
  std::uint64_t step = 0;
  for (const auto& [id, place] : places) {
    if (closing_ || failure_ || no_space_) co_return Result<void>();
    STELE_CO_CHECK(co_await move_place(id, place));
    step += place.bytes;
    if (step < options_.move_step_bytes) continue;
    step = 0;
    co_await runtime::sleep(runtime_, options_.move_pause, scope_.token());
  }
  co_return Result<void>();
}

Task<Result<void>> SegmentStore::Impl::move_place(SegmentId id, Place place) {
  if (!still_at(id, std::max(place.from, index_.find(id) ? index_.find(id)->begin : 0), place)) {
    co_return Result<void>();
  }
  STELE_CO_TRY(auto file, co_await files_.open(place.file));
  PlaceQuery query{.segment = id, .place = place, .from = place.from, .start = place.position};
  query.chunk = static_cast<std::size_t>(options_.read_bytes);
  STELE_CO_TRY(ReadBlocks blocks, co_await read_place(std::move(file), std::move(query)));
  const BlockHeader& last = blocks.blocks.back().header;
  if (last.first + last.count < place.to) {
    co_return error(ErrorCode::kCorrupt, wal_name(place.file) + " lacks entries of segment " +
                                             std::to_string(id.value) + " from " +
                                             std::to_string(last.first + last.count) + " on");
  }
  Operation operation{.kind = Operation::Kind::kMove, .segment = id};
  operation.place = place;
  operation.blocks = std::move(blocks);
  auto moved = co_await enqueue_and_wait(std::move(operation));
  // A full disk or a failed log is no damage of this file.
  if (!moved) STELE_MARK("storage: move given up");
  co_return Result<void>();
}

}  // namespace stele::storage
