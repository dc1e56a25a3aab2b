#include "storage/recovery.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "base/mutants.h"
#include "storage/index_checkpoint.h"
#include "storage/log_scan.h"

namespace stele::storage {

using runtime::Task;

Task<Result<LogDirectory>> list_log_directory(runtime::Files& files, std::string directory) {
  STELE_CO_TRY(const auto entries, co_await files.list(directory));
  LogDirectory found;
  for (const auto& entry : entries) {
    if (entry.directory) continue;
    if (entry.name.ends_with(".tmp")) {
      found.leftovers.push_back(entry.name);
    } else if (const auto log = parse_numbered_name("wal", entry.name)) {
      found.logs.push_back(FileSequence(*log));
    } else if (const auto spare = parse_numbered_name("spare", entry.name)) {
      found.spares.push_back(*spare);
    } else if (const auto checkpoint = parse_numbered_name("index", entry.name)) {
      found.checkpoints.push_back(*checkpoint);
    }
  }
  std::sort(found.logs.begin(), found.logs.end());
  std::sort(found.spares.begin(), found.spares.end());
  std::sort(found.checkpoints.begin(), found.checkpoints.end());
  co_return found;
}

namespace {

std::string place_name(FileSequence file, Position position) {
  return wal_name(file) + " position " + std::to_string(position.value);
}

std::unexpected<Error> corrupt(FileSequence file, Position position, std::string what) {
  return error(ErrorCode::kCorrupt, place_name(file, position) + ": " + std::move(what));
}

// One recovery. Goes from the last file, which knows the others, back to the oldest.
class Recovery {
 public:
  Recovery(runtime::Files& files, LogDirectory found, RecoveryOptions options)
      : files_(files), found_(std::move(found)), options_(std::move(options)), recovered_(options_.grain) {}

  Task<Result<Recovered>> run() {
    if (found_.logs.empty()) {
      if (found_.checkpoints.empty()) co_return std::move(recovered_);
      co_return error(ErrorCode::kCorrupt, "the log files are missing, but there is " +
                                               numbered_name("index", found_.checkpoints.back()) +
                                               ", which names them");
    }
    STELE_CO_CHECK(co_await read_last());
    STELE_CO_CHECK(check_files());
    STELE_CO_CHECK(co_await load_checkpoint());
    for (const auto& [file, end] : older_) {
      if (covered_.contains(file)) continue;
      STELE_CO_CHECK(co_await read_older(file, end));
    }
    STELE_CO_CHECK(build_index());
    co_return std::move(recovered_);
  }

 private:
  std::string path(FileSequence file) const { return options_.directory + "/" + wal_name(file); }
  BlockCheck check() const { return {.crc = !mutant(Mutant::kSkipCrcAtRecovery)}; }

  Task<Result<FileHeader>> read_header(runtime::File& file, FileSequence sequence) {
    STELE_CO_TRY(const Bytes bytes, co_await file.read(Position(0), kFileHeaderBytes));
    auto header = decode_file_header(bytes);
    if (!header) co_return std::unexpected(header.error().with_context(place_name(sequence, Position(0))));
    if (header->sequence != sequence) {
      co_return corrupt(sequence, Position(0),
                        "this is the file " + wal_name(header->sequence) + " under another name");
    }
    if (recovered_.incarnation != 0 && header->incarnation != recovered_.incarnation) {
      co_return corrupt(sequence, Position(0), "the file belongs to another store");
    }
    co_return header;
  }

  Task<Result<void>> read_last() {
    const FileSequence last = found_.logs.back();
    STELE_CO_TRY(auto file, co_await files_.open(path(last), {.mode = runtime::OpenMode::kRead}));
    STELE_CO_TRY(const FileHeader header, co_await read_header(*file, last));
    STELE_CO_TRY(const std::uint64_t size, co_await file->size());
    recovered_.last = last;
    recovered_.last_size = size;
    recovered_.incarnation = header.incarnation;
    const ScanOptions options{.file = last,
                              .from = Position(kFileHeaderBytes),
                              .synced = header.prologue_end,
                              .limit = Position(size),
                              .check = check(),
                              .chunk = options_.chunk};
    const BlockVisitor visit = [this](const BlockHeader& block, const Bytes& payload) {
      return visit_last(block, payload);
    };
    STELE_CO_TRY(const ScanEnd end, co_await scan_blocks(*file, options, visit));
    if (end.tail == TailState::kDamaged || end.end < header.prologue_end) {
      co_return corrupt(last, end.end, "a block is damaged that had been stored");
    }
    if (end.tail == TailState::kTorn) STELE_MARK("wal: torn tail dropped");
    recovered_.scanned_bytes += end.end.value;
    recovered_.tail = end.tail;
    recovered_.last_synced = end.synced;
    last_end_ = end.end;
    // A torn write was not acknowledged; a damaged block that was last looks the same.
    const bool below_fsync = header.durability != 0;
    if (end.tail == TailState::kTorn || (below_fsync && !recovered_.clean)) {
      STELE_MARK("wal: unclean restart leaves segments uncertain");
      for (auto& [id, state] : states_) state.certain = false;
    }
    co_return Result<void>();
  }

  // The last file begins with the state of everything and goes on with what happened since.
  Result<void> visit_last(const BlockHeader& block, const Bytes& payload) {
    const auto bad = [&](std::string what) { return corrupt(block.file, block.position, std::move(what)); };
    recovered_.clean = false;
    if (block.kind == BlockKind::kFiles) {
      const auto records = decode_files(payload, block.count);
      if (!records) return bad("the list of files does not follow its format");
      for (const FileRecord& record : *records) older_.emplace(record.sequence, record.end);
    } else if (block.kind == BlockKind::kStates) {
      const auto records = decode_states(payload, block.count);
      if (!records) return bad("the states of segments do not follow their format");
      for (const SegmentRecord& record : *records) states_.emplace(record.segment, record);
    } else if (block.kind == BlockKind::kControl) {
      const auto records = decode_controls(payload, block.count);
      if (!records) return bad("the control records do not follow their format");
      for (const ControlRecord& record : *records) apply(record);
    } else if (block.kind == BlockKind::kEntries) {
      const auto [it, added] = states_.try_emplace(block.segment, SegmentRecord{.segment = block.segment});
      SegmentRecord& state = it->second;
      if (block.first != state.end) {
        return bad("segment " + std::to_string(block.segment.value) + " goes on at entry " +
                   std::to_string(block.first) + ", not at " + std::to_string(state.end));
      }
      state.end += block.count;
      state.fence = std::max(state.fence, block.epoch);
      add_block(block);
    } else {
      add_block(block);
    }
    return {};
  }

  void apply(const ControlRecord& record) {
    const auto it = states_.find(record.segment);
    switch (record.type) {
      case ControlRecord::Type::kFence: {
        SegmentRecord& state =
            states_.try_emplace(record.segment, SegmentRecord{.segment = record.segment}).first->second;
        state.fence = std::max(state.fence, Epoch(record.value));
        state.certain = state.certain && record.certain;
        break;
      }
      case ControlRecord::Type::kTrim:
        if (it == states_.end()) break;
        it->second.begin = std::max(it->second.begin, std::min(record.value, it->second.end));
        break;
      case ControlRecord::Type::kRemove:
        states_.erase(record.segment);
        break;
      case ControlRecord::Type::kFree:
        older_.erase(FileSequence(record.value));
        break;
      case ControlRecord::Type::kClean:
        recovered_.clean = true;
        break;
    }
  }

  void add_block(const BlockHeader& header) {
    const PlacedBlock block{.kind = header.kind,
                            .segment = header.segment,
                            .epoch = header.epoch,
                            .first = header.first,
                            .count = header.count,
                            .position = header.position,
                            .bytes = header.stored_bytes};
    std::vector<Place>& places = places_[header.file][header.segment];
    if (!places.empty() && extend(places.back(), header.file, block, options_.grain)) return;
    places.push_back(place_of(header.file, block));
  }

  // Every file that is needed must be there; the others were freed and can go.
  Result<void> check_files() {
    const std::set<FileSequence> present(found_.logs.begin(), found_.logs.end());
    for (const auto& [file, end] : older_) {
      if (!present.contains(file)) {
        return error(ErrorCode::kCorrupt, wal_name(file) + " is missing; it is needed up to position " +
                                              std::to_string(end.value));
      }
    }
    for (const FileSequence file : found_.logs) {
      if (file != recovered_.last && !older_.contains(file)) recovered_.dead.push_back(file);
    }
    return {};
  }

  Task<Result<void>> load_checkpoint() {
    if (found_.checkpoints.empty()) co_return Result<void>();
    const std::string name = numbered_name("index", found_.checkpoints.back());
    auto file = co_await files_.open(options_.directory + "/" + name, {.mode = runtime::OpenMode::kRead});
    if (!file) co_return Result<void>();
    const auto size = co_await (*file)->size();
    if (!size) co_return Result<void>();
    const auto bytes = co_await (*file)->read(Position(0), static_cast<std::size_t>(*size));
    if (!bytes) co_return Result<void>();
    auto checkpoint = decode_checkpoint(*bytes);
    if (!checkpoint || checkpoint->incarnation != recovered_.incarnation) {
      STELE_MARK("index checkpoint: damaged, log read in full");
      co_return Result<void>();
    }
    for (const FileRecord& record : checkpoint->files) {
      if (record.sequence >= recovered_.last) {
        co_return error(ErrorCode::kCorrupt, "log files after " + wal_name(recovered_.last) +
                                                 " are missing: " + name + " knows " +
                                                 wal_name(record.sequence) + " as full");
      }
      const auto it = older_.find(record.sequence);
      if (it == older_.end()) continue;
      if (it->second != record.end) {
        STELE_MARK("index checkpoint: does not fit its log file, which is read in full");
        continue;
      }
      covered_.insert(record.sequence);
    }
    for (auto& [segment, places] : checkpoint->segments) {
      for (const Place& place : places) {
        if (covered_.contains(place.file)) places_[place.file][segment].push_back(place);
      }
    }
    recovered_.checkpointed_files = covered_.size();
    co_return Result<void>();
  }

  Task<Result<void>> read_older(FileSequence sequence, Position end) {
    STELE_CO_TRY(auto file, co_await files_.open(path(sequence), {.mode = runtime::OpenMode::kRead}));
    const auto header = co_await read_header(*file, sequence);
    if (!header) co_return std::unexpected(header.error());
    const ScanOptions options{.file = sequence,
                              .from = Position(kFileHeaderBytes),
                              .synced = end,
                              .limit = end,
                              .check = check(),
                              .chunk = options_.chunk};
    const BlockVisitor visit = [this](const BlockHeader& block, const Bytes&) -> Result<void> {
      if (block.kind == BlockKind::kEntries || block.kind == BlockKind::kMoved) add_block(block);
      return {};
    };
    STELE_CO_TRY(const ScanEnd scanned, co_await scan_blocks(*file, options, visit));
    if (scanned.end != end)
      co_return corrupt(sequence, scanned.end, "a block is damaged that had been stored");
    recovered_.scanned_bytes += end.value;
    co_return Result<void>();
  }

  Result<void> build_index() {
    LogIndex& index = recovered_.index;
    for (const auto& [file, end] : older_) index.add_file(file, end);
    index.add_file(recovered_.last, last_end_);
    std::map<SegmentId, std::vector<Place>> by_segment;
    for (auto& [file, segments] : places_) {
      for (auto& [segment, places] : segments) {
        if (!states_.contains(segment)) continue;
        auto& all = by_segment[segment];
        all.insert(all.end(), places.begin(), places.end());
      }
    }
    places_.clear();
    for (const auto& [id, state] : states_) STELE_CHECK(index.restore(state, by_segment[id]));
    return {};
  }

  runtime::Files& files_;
  const LogDirectory found_;
  const RecoveryOptions options_;
  Recovered recovered_;
  Position last_end_;
  std::map<FileSequence, Position> older_;  // files that are needed, and their valid ends
  std::set<FileSequence> covered_;          // of them, those that the checkpoint tells
  std::map<SegmentId, SegmentRecord> states_;
  std::map<FileSequence, std::map<SegmentId, std::vector<Place>>> places_;
};

}  // namespace

Task<Result<Recovered>> recover(runtime::Files& files, LogDirectory found, RecoveryOptions options) {
  Recovery recovery(files, std::move(found), std::move(options));
  co_return co_await recovery.run();
}

}  // namespace stele::storage
