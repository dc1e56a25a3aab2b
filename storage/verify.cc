#include "storage/verify.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "storage/block.h"
#include "storage/index_checkpoint.h"
#include "storage/log_scan.h"
#include "storage/recovery.h"

namespace stele::storage {

using runtime::Task;

std::string VerifyFinding::to_string() const {
  if (file.empty()) return what;
  return file + " position " + std::to_string(position) + ": " + what;
}

bool VerifyReport::sound() const {
  return std::none_of(findings.begin(), findings.end(), [](const auto& finding) { return finding.damage; });
}

std::string VerifyReport::summary() const {
  const auto damaged =
      std::count_if(findings.begin(), findings.end(), [](const auto& f) { return f.damage; });
  return std::to_string(files) + " log files, " + std::to_string(spares) + " spare; " +
         std::to_string(segments) + " segments, " + std::to_string(blocks) + " blocks, " +
         std::to_string(entries) + " entries, " + std::to_string(bytes) + " bytes; " +
         std::to_string(damaged) + " damaged";
}

namespace {

constexpr std::size_t kChunk = 1 << 20;

class Verifier {
 public:
  Verifier(runtime::Files& files, std::string directory) : files_(files), directory_(std::move(directory)) {}

  Task<Result<VerifyReport>> run() {
    STELE_CO_TRY(found_, co_await list_log_directory(files_, directory_));
    report_.spares = found_.spares.size();
    for (const std::string& name : found_.leftovers) note(name, "remains of work that did not complete");
    if (!found_.logs.empty()) {
      // The last file tells which others are needed, and how far.
      const FileSequence last = found_.logs.back();
      STELE_CO_CHECK(co_await walk(last, std::nullopt));
      for (const auto& [file, end] : needed_) {
        if (std::find(found_.logs.begin(), found_.logs.end(), file) == found_.logs.end()) {
          damage(wal_name(file), 0, "the file is missing");
        } else {
          STELE_CO_CHECK(co_await walk(file, end));
        }
      }
      for (const FileSequence file : found_.logs) {
        if (file != last && !needed_.contains(file)) note(wal_name(file), "freed, not yet used again");
      }
    }
    STELE_CO_CHECK(co_await check_checkpoint());
    co_await check_as_a_start_would();
    co_return std::move(report_);
  }

 private:
  void damage(std::string file, std::uint64_t position, std::string what) {
    report_.findings.push_back(
        {.file = std::move(file), .position = position, .what = std::move(what), .damage = true});
  }
  void note(std::string file, std::string what, std::uint64_t position = 0) {
    report_.findings.push_back(
        {.file = std::move(file), .position = position, .what = std::move(what), .damage = false});
  }

  // All blocks of a file, also those behind damage. `end`: known of all files but the last.
  Task<Result<void>> walk(FileSequence sequence, std::optional<Position> end) {
    const std::string name = wal_name(sequence);
    STELE_CO_TRY(auto file,
                 co_await files_.open(directory_ + "/" + name, {.mode = runtime::OpenMode::kRead}));
    ++report_.files;
    STELE_CO_TRY(const std::uint64_t size, co_await file->size());
    STELE_CO_TRY(const Bytes head, co_await file->read(Position(0), kFileHeaderBytes));
    const auto header = decode_file_header(head);
    if (!header) damage(name, 0, header.error().message);
    if (header && header->sequence != sequence)
      damage(name, 0, "this is another file: " + wal_name(header->sequence));
    if (header && incarnation_ == 0) incarnation_ = header->incarnation;
    if (header && header->incarnation != incarnation_) damage(name, 0, "the file belongs to another store");

    ScanOptions options{.file = sequence, .from = Position(kFileHeaderBytes), .limit = Position(size)};
    options.synced = end ? *end : header ? header->prologue_end : Position(0);
    if (end) options.limit = std::min(options.limit, *end);
    options.chunk = kChunk;
    const BlockVisitor visit = [this, last = !end](const BlockHeader& block, const Bytes& payload) {
      return visit_block(block, payload, last);
    };
    while (true) {
      STELE_CO_TRY(const ScanEnd scanned, co_await scan_blocks(*file, options, visit));
      if (scanned.end == options.limit && (!end || scanned.end == *end)) break;
      if (!end && scanned.tail != TailState::kDamaged) {
        if (scanned.tail == TailState::kTorn) note(name, "a write that did not complete", scanned.end.value);
        break;
      }
      FileWindow rest(*file, kChunk, options.limit);
      STELE_CO_TRY(const auto next, co_await find_block(rest, sequence, scanned.end + kBlockAlignment));
      damage(name, scanned.end.value,
             "damaged up to position " + std::to_string(next ? next->position.value : options.limit.value));
      if (!next) break;
      options.from = next->position;
    }
    report_.bytes += options.limit.value;
    co_return Result<void>();
  }

  Result<void> visit_block(const BlockHeader& block, const Bytes& payload, bool last) {
    ++report_.blocks;
    bool follows = true;
    if (block.kind == BlockKind::kEntries || block.kind == BlockKind::kMoved) {
      report_.entries += block.count;
      std::vector<std::string_view> entries;
      follows = split_entries(payload, block.count, entries);
    } else if (block.kind == BlockKind::kStates) {
      follows = decode_states(payload, block.count).has_value();
    } else if (block.kind == BlockKind::kFiles) {
      const auto files = decode_files(payload, block.count);
      follows = files.has_value();
      for (std::size_t i = 0; last && files && i < files->size(); ++i) {
        needed_.emplace((*files)[i].sequence, (*files)[i].end);
      }
    } else {
      const auto controls = decode_controls(payload, block.count);
      follows = controls.has_value();
      for (std::size_t i = 0; last && controls && i < controls->size(); ++i) {
        if ((*controls)[i].type == ControlRecord::Type::kFree)
          needed_.erase(FileSequence((*controls)[i].value));
      }
    }
    if (!follows) {
      damage(wal_name(block.file), block.position.value, "the payload does not follow its format");
    }
    return {};
  }

  Task<Result<void>> check_checkpoint() {
    if (found_.checkpoints.empty()) co_return Result<void>();
    const std::string name = numbered_name("index", found_.checkpoints.back());
    STELE_CO_TRY(auto file,
                 co_await files_.open(directory_ + "/" + name, {.mode = runtime::OpenMode::kRead}));
    STELE_CO_TRY(const std::uint64_t size, co_await file->size());
    STELE_CO_TRY(const Bytes bytes, co_await file->read(Position(0), static_cast<std::size_t>(size)));
    const auto checkpoint = decode_checkpoint(bytes);
    if (!checkpoint) note(name, checkpoint.error().message + "; a start reads the log in full instead");
    co_return Result<void>();
  }

  // Whether the parts make a whole: without the checkpoint, and with it.
  Task<void> check_as_a_start_would() {
    LogDirectory without = found_;
    without.checkpoints.clear();
    for (LogDirectory* directory : {&without, &found_}) {
      RecoveryOptions options{.directory = directory_, .grain = {}};
      const auto recovered = co_await recover(files_, *directory, std::move(options));
      if (recovered) {
        report_.segments = recovered->index.segments().size();
      } else if (report_.sound()) {
        damage("", 0, recovered.error().message);
      }
    }
  }

  runtime::Files& files_;
  const std::string directory_;
  LogDirectory found_;
  VerifyReport report_;
  std::uint64_t incarnation_ = 0;
  std::map<FileSequence, Position> needed_;
};

}  // namespace

Task<Result<VerifyReport>> verify(runtime::Files& files, std::string directory) {
  Verifier verifier(files, std::move(directory));
  co_return co_await verifier.run();
}

}  // namespace stele::storage
