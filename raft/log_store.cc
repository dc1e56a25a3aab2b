#include "raft/log_store.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "raft/log_recovery.h"
#include "runtime/notification.h"
#include "runtime/one_shot.h"
#include "runtime/scope.h"

namespace stele::raft {

using runtime::Task;
using storage::LogEntry;
using storage::SegmentStore;

namespace {

constexpr Epoch kWriter{1};  // a store has one

// One store(), or one cut(), on its way to the disk. What did not find room is appended again, in order.
struct Pending {
  std::vector<LogEntry> records;
  bool stored = false;
  std::uint64_t oldest = 0;  // when this is durable, records before that one may go
  std::size_t entries = 0;
  LogStore::Completion done;
};

}  // namespace

class LogStore::Impl {
 public:
  Impl(runtime::Runtime& runtime, LogStoreOptions options, std::unique_ptr<SegmentStore> store,
       RecoveredLog recovered)
      : runtime_(runtime),
        options_(std::move(options)),
        store_(std::move(store)),
        state_(std::move(recovered.state)),
        found_(std::move(recovered.found)),
        places_(std::move(recovered.places)),
        next_record_(recovered.next_record),
        state_at_(recovered.state_at) {}

  StoredLog take_found() { return std::exchange(found_, {}); }

  void store(Store what, Completion done) {
    auto pending = std::make_unique<Pending>();
    pending->done = std::move(done);
    pending->entries = what.entries.size() + what.repaired.size();
    if (what.hard_state) state_.hard = *what.hard_state;
    if (what.snapshot) {
      STELE_MARK("raft log: replaced by a snapshot");
      places_.reset(what.snapshot->index + 1);
      state_.start = *std::move(what.snapshot);
      add_state(*pending, LogRecord::Type::kReplace);
    } else if (what.hard_state || !state_at_) {
      add_state(*pending, LogRecord::Type::kState);
    }
    for (Entry& entry : what.repaired) add(*pending, LogRecord::Type::kRepair, std::move(entry));
    if (what.truncate_from && *what.truncate_from < places_.next()) truncate(*pending, *what.truncate_from);
    for (Entry& entry : what.entries) add(*pending, LogRecord::Type::kEntry, std::move(entry));
    if (pending->records.empty()) add_state(*pending, LogRecord::Type::kState);
    push(std::move(pending));
  }

  void cut(const SnapshotInfo& to) {
    STELE_ASSERT(to.index >= state_.start.index);
    state_.start = to;
    places_.cut(to.index + 1);
    auto pending = std::make_unique<Pending>();
    add_state(*pending, LogRecord::Type::kState);
    push(std::move(pending));
  }

  Task<Result<std::vector<Entry>>> read(SlotRange slots, std::size_t bytes_max) {
    std::vector<Entry> out;
    std::size_t bytes = 0;
    for (LogIndex slot = slots.first; slot <= slots.last && bytes < bytes_max;) {
      const auto place = places_.find(slot);
      if (!place) break;
      auto records = co_await store_->read(kLogSegment, place->at, bytes_max - bytes);
      if (!records) {
        if (out.empty()) co_return std::unexpected(std::move(records).error());
        break;
      }
      if (records->empty()) break;  // not durable yet
      const std::uint64_t most =
          std::min<std::uint64_t>({place->count, records->size(), slots.last - slot + 1});
      for (std::uint64_t i = 0; i < most && (out.empty() || bytes < bytes_max); ++i, ++slot) {
        STELE_CO_TRY(LogRecord record, decode_log_record((*records)[i]));
        const bool is_entry =
            record.type == LogRecord::Type::kEntry || record.type == LogRecord::Type::kRepair;
        if (!is_entry || record.entry.index != slot) {
          co_return error(ErrorCode::kCorrupt, "the Raft log has another entry in the place of entry " +
                                                   std::to_string(slot.value));
        }
        bytes += record.entry.size();
        if (!out.empty() && bytes > bytes_max) co_return out;
        out.push_back(std::move(record.entry));
      }
    }
    if (out.empty()) {
      co_return error(ErrorCode::kNotFound,
                      "the Raft log does not have entry " + std::to_string(slots.first.value));
    }
    co_return out;
  }

  LogStoreStats stats() const {
    const storage::SegmentStoreStats store = store_->stats();
    LogStoreStats out = stats_;
    out.syncs = store.syncs;
    out.disk_bytes = store.log_bytes;
    out.waiting = pending_.size();
    out.no_space = short_of_space_;
    return out;
  }

  Task<Result<void>> close() {
    // Once more, where there was no room, or where it turns out now that there was none.
    const std::uint64_t before = shortages_;
    const auto waits = [&] {
      return !pending_.empty() && !failure_ && !(short_of_space_ && shortages_ > before + 1);
    };
    while (waits()) co_await settled_.wait();
    if (short_of_space_) fail({ErrorCode::kNoSpace, "closed while the disk is full"});
    co_await scope_.close();
    co_return co_await store_->close();
  }

 private:
  // ---- what is to be written

  void add_state(Pending& pending, LogRecord::Type type) {
    state_at_ = next_record_++;
    pending.records.push_back(encode({.type = type, .entry = {}, .state = state_}));
  }

  void truncate(Pending& pending, LogIndex from) {
    STELE_MARK("raft log: truncated");
    places_.truncate(from);
    LogRecord record{.type = LogRecord::Type::kTruncate, .entry = {}, .state = {}};
    record.entry.index = from;
    ++next_record_;
    pending.records.push_back(encode(record));
  }

  void add(Pending& pending, LogRecord::Type type, Entry entry) {
    STELE_ASSERT(type == LogRecord::Type::kRepair || entry.index == places_.next());
    if (type == LogRecord::Type::kRepair) {
      places_.repair(entry.index, next_record_);
    } else {
      places_.append(next_record_);
    }
    ++next_record_;
    pending.records.push_back(encode({.type = type, .entry = std::move(entry), .state = {}}));
  }

  // ---- its way to the disk

  void push(std::unique_ptr<Pending> pending) {
    ++stats_.stores;
    pending->oldest = std::min(*state_at_, places_.oldest().value_or(*state_at_));
    pending_.push_back(std::move(pending));
    if (failure_) return answer_failure_later();
    if (under_way_ == 0 && !short_of_space_) submit();
  }

  // What waits goes as one. More goes when all of it is answered, and not before: behind an append that found
  // no room, a later one might find some.
  void submit() {
    for (const auto& pending : pending_) {
      if (pending->stored) continue;
      if (under_way_ > 0 && !store_->accepting()) return;
      ++under_way_;
      const auto info = store_->info(kLogSegment);
      store_->append(kLogSegment, kWriter, info ? info->end : 0, pending->records,
                     [this, of = pending.get()](Result<void> result) { stored(*of, std::move(result)); });
    }
  }

  void stored(Pending& pending, Result<void> result) {
    --under_way_;
    if (result) {
      pending.stored = true;
    } else if (result.error().code == ErrorCode::kNoSpace || result.error().code == ErrorCode::kUnavailable) {
      if (!std::exchange(short_of_space_, true)) ++shortages_;
    } else {
      return fail(result.error());
    }
    settle();
  }

  void settle() {
    while (!pending_.empty() && pending_.front()->stored) {
      const auto pending = std::move(pending_.front());
      pending_.pop_front();
      stats_.entries += pending->entries;
      store_->trim(kLogSegment, pending->oldest);
      if (pending->done) pending->done(Result<void>());
      if (failure_) return;
    }
    if (under_way_ == 0 && !pending_.empty()) {
      if (!short_of_space_) {
        submit();
      } else if (!std::exchange(retrying_, true)) {
        scope_.spawn(try_again());
      }
    }
    settled_.wake_all();
  }

  Task<void> try_again() {
    STELE_MARK("raft log: waits for room on the disk");
    const bool slept = co_await runtime::sleep(runtime_, options_.full_disk_pause, scope_.token());
    retrying_ = false;
    if (!slept || failure_) co_return;
    short_of_space_ = false;
    submit();
  }

  // ---- failure

  void fail(const Error& why) {
    if (failure_) return;
    failure_ = why;
    answer_failure_later();
    settled_.wake_all();
  }
  void answer_failure_later() {
    if (answering_) return;
    answering_ = true;
    scope_.spawn(answer_failure());
  }
  Task<void> answer_failure() {
    co_await runtime::sleep(runtime_, {});
    answering_ = false;
    // The store may still hold on to some of them.
    for (const auto& pending : pending_) {
      if (auto done = std::exchange(pending->done, {})) done(std::unexpected(*failure_));
    }
  }

  runtime::Runtime& runtime_;
  LogStoreOptions options_;
  std::unique_ptr<SegmentStore> store_;
  LogState state_;  // as of everything that was handed in
  StoredLog found_;
  LogPlaces places_;
  std::uint64_t next_record_;              // of everything that was handed in
  std::optional<std::uint64_t> state_at_;  // the newest state's record

  std::deque<std::unique_ptr<Pending>> pending_;
  std::size_t under_way_ = 0;  // parts that the store has not answered
  bool short_of_space_ = false;
  std::uint64_t shortages_ = 0;  // how often it came to that
  bool retrying_ = false;
  bool answering_ = false;
  std::optional<Error> failure_;
  runtime::Notification settled_;
  LogStoreStats stats_;
  runtime::Scope scope_;  // last
};

LogStore::LogStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogStore::~LogStore() = default;

Task<Result<std::unique_ptr<LogStore>>> LogStore::open(runtime::Runtime& runtime, LogStoreOptions options) {
  storage::SegmentStoreOptions of_store;
  of_store.directory = options.directory;
  of_store.durability = storage::Durability::kFsync;
  of_store.file_bytes = options.file_bytes;
  of_store.tail_cache_bytes = options.read_bytes;
  STELE_CO_TRY(auto store, co_await SegmentStore::open(runtime, std::move(of_store)));
  auto recovered = co_await recover_log(*store, options.read_bytes);
  if (!recovered) co_return std::unexpected(recovered.error().with_context("in " + options.directory));
  co_return std::unique_ptr<LogStore>(new LogStore(
      std::make_unique<Impl>(runtime, std::move(options), std::move(store), *std::move(recovered))));
}

Task<Result<void>> begin_log(runtime::Runtime& runtime, LogStoreOptions options, SnapshotInfo start) {
  STELE_CO_TRY(auto log, co_await LogStore::open(runtime, std::move(options)));
  Result<void> stored;
  if (log->take_found().hard_state.term == Term(0)) {
    STELE_MARK("raft log: begun behind a state machine");
    Store first;
    first.term = start.term;
    first.last = start.index;
    first.hard_state = HardState{.term = start.term, .vote = {}, .doubt = {}};
    first.snapshot = std::move(start);
    runtime::OneShot<Result<void>> done;
    log->store(std::move(first), [done](Result<void> result) { done.set(std::move(result)); });
    stored = co_await done.wait();
  }
  const auto closed = co_await log->close();
  if (!stored) co_return stored;
  co_return closed;
}

StoredLog LogStore::take_found() {
  return impl_->take_found();
}
void LogStore::store(Store what, Completion done) {
  impl_->store(std::move(what), std::move(done));
}
void LogStore::cut(const SnapshotInfo& to) {
  impl_->cut(to);
}
Task<Result<std::vector<Entry>>> LogStore::read(SlotRange slots, std::size_t bytes_max) {
  return impl_->read(slots, bytes_max);
}
LogStoreStats LogStore::stats() const {
  return impl_->stats();
}
Task<Result<void>> LogStore::close() {
  return impl_->close();
}

}  // namespace stele::raft
