#include "raft/log_recovery.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/marks.h"

namespace stele::raft {

using runtime::Task;

namespace {

std::unexpected<Error> contradiction(std::uint64_t at, const std::string& what) {
  return error(ErrorCode::kCorrupt, "the Raft log's record " + std::to_string(at) + ": " + what);
}

class Recovery {
 public:
  Recovery(storage::SegmentStore& store, std::size_t read_bytes) : store_(store), read_bytes_(read_bytes) {}

  Task<Result<RecoveredLog>> run() {
    const auto segment = store_.info(kLogSegment);
    if (!segment) co_return finish();
    for (std::uint64_t at = segment->begin; at < segment->stored;) {
      STELE_CO_TRY(auto records, co_await store_.read(kLogSegment, at, read_bytes_));
      if (records.empty()) co_return contradiction(at, "it cannot be read");
      for (const storage::LogEntry& record : records) STELE_CO_CHECK(take(at++, record));
    }
    out_.next_record = segment->stored;
    if (!out_.state_at) co_return contradiction(segment->stored, "there is none of term and vote");
    cut(out_.state.start.index + 1);
    if (out_.places.first() > out_.state.start.index + 1) {
      co_return contradiction(segment->begin,
                              "entries are missing behind " + std::to_string(out_.state.start.index.value));
    }
    co_return finish();
  }

 private:
  Result<void> take(std::uint64_t at, const storage::LogEntry& stored) {
    auto record = decode_log_record(stored);
    if (!record) return std::unexpected(record.error().with_context("record " + std::to_string(at)));
    switch (record->type) {
      case LogRecord::Type::kState:
      case LogRecord::Type::kReplace:
        return take_state(at, record->type == LogRecord::Type::kReplace, std::move(record->state));
      case LogRecord::Type::kTruncate:
        STELE_MARK("raft log: truncation recovered");
        truncate(record->entry.index);
        return {};
      case LogRecord::Type::kEntry:
        // What was before it has been trimmed, though not all that was trimmed is gone.
        if (record->entry.index > out_.places.next()) restart(record->entry.index);
        if (record->entry.index < out_.places.next()) {
          return contradiction(at, "entry " + std::to_string(record->entry.index.value) + " where " +
                                       std::to_string(out_.places.next().value) + " should be");
        }
        out_.places.append(at);
        break;
      case LogRecord::Type::kRepair:
        // Of an entry that has been trimmed.
        if (!out_.places.find(record->entry.index)) return {};
        STELE_MARK("raft log: repaired entry recovered");
        out_.places.repair(record->entry.index, at);
    }
    note(record->entry);
    return {};
  }

  Result<void> take_state(std::uint64_t at, bool replaces, LogState state) {
    if (replaces) restart(state.start.index + 1);
    cut(state.start.index + 1);
    out_.state = std::move(state);
    out_.state_at = at;
    return {};
  }

  void note(const Entry& entry) {
    terms_[entry.index] = entry.term;
    memberships_.erase(entry.index);
    if (entry.membership) memberships_[entry.index] = *entry.membership;
  }
  void restart(LogIndex next) {
    out_.places.reset(next);
    terms_.clear();
    memberships_.clear();
  }
  void truncate(LogIndex from) {
    if (from < out_.places.first()) return restart(from);
    out_.places.truncate(from);
    terms_.erase(terms_.lower_bound(from), terms_.end());
    memberships_.erase(memberships_.lower_bound(from), memberships_.end());
  }
  void cut(LogIndex below) {
    out_.places.cut(below);
    terms_.erase(terms_.begin(), terms_.lower_bound(below));
    memberships_.erase(memberships_.begin(), memberships_.lower_bound(below));
  }

  Result<RecoveredLog> finish() {
    const SnapshotInfo& start = out_.state.start;
    LogOutline& log = out_.found.log;
    log.start = {start.term, start.index};
    log.base = start.membership;
    log.last = out_.places.next() - 1;
    Term before = start.term;
    for (const auto& [index, term] : terms_) {
      if (term < before) {
        return error(ErrorCode::kCorrupt, "the Raft log's entry " + std::to_string(index.value) +
                                              " is of an earlier term than the one before it");
      }
      if (log.terms.empty() || term != before) log.terms.push_back({index, term});
      before = term;
    }
    for (auto& [index, membership] : memberships_) log.memberships.push_back({index, std::move(membership)});
    out_.found.hard_state = out_.state.hard;
    return std::move(out_);
  }

  storage::SegmentStore& store_;
  std::size_t read_bytes_;
  RecoveredLog out_;
  std::map<LogIndex, Term> terms_;
  std::map<LogIndex, Membership> memberships_;
};

}  // namespace

Task<Result<RecoveredLog>> recover_log(storage::SegmentStore& store, std::size_t read_bytes) {
  Recovery recovery(store, read_bytes);
  co_return co_await recovery.run();
}

}  // namespace stele::raft
