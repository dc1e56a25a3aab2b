// Inside of SegmentStore. Two tasks run for as long as it is open: the writer takes what has queued up and
// makes one group commit of it after the other; the keeper does what can wait: moves entries out of mostly
// dead files, frees files, prepares spares, writes the index checkpoint. Everything it changes in the log
// goes through the writer's queue.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/notification.h"
#include "runtime/scope.h"
#include "storage/entry_cache.h"
#include "storage/log_files.h"
#include "storage/log_index.h"
#include "storage/log_writer.h"
#include "storage/place_reader.h"
#include "storage/recovery.h"
#include "storage/segment_store.h"

namespace stele::storage {

// Something for the log. Completed in the order of queueing.
struct Operation {
  enum class Kind {
    kAppend,
    kControl,
    kMove,
    kSync,     // writes nothing: everything before it is synced
    kRefused,  // writes nothing: answers with `refusal`
  };
  Kind kind = Kind::kRefused;
  SegmentId segment{};
  Epoch epoch{};
  std::shared_ptr<EntryChunk> chunk{};  // kAppend
  ControlRecord control{};              // kControl
  Place place{};                        // kMove: what is moved
  ReadBlocks blocks{};                  // kMove: its content
  Error refusal{};
  SegmentStore::Completion done{};  // may be empty
  runtime::Instant since{};

  bool must_sync() const {
    return kind == Kind::kMove || kind == Kind::kSync ||
           (kind == Kind::kControl && control.type != ControlRecord::Type::kTrim &&
            control.type != ControlRecord::Type::kRemove);
  }
};

// The last file that a recovery found.
struct RecoveredTail {
  FileSequence file{};  // 0: none
  Position synced{};    // certainly on the disk up to here
  Position end{};       // valid up to here
  std::uint64_t size = 0;
};

class SegmentStore::Impl final : public runtime::TurnEndHook {
 public:
  Impl(runtime::Runtime& runtime, SegmentStoreOptions options, Recovered recovered, LogDirectory found);

  // Begins the file behind what was recovered, and the two tasks.
  runtime::Task<Result<void>> start(RecoveredTail tail);

  std::uint64_t incarnation() const { return incarnation_; }
  void append(SegmentId segment, Epoch epoch, std::uint64_t first, std::vector<LogEntry> entries,
              Completion done);
  bool accepting() const { return pending_bytes_ < options_.max_pending_bytes / 2 + 1; }
  runtime::Task<std::vector<Result<FenceAnswer>>> fence_many(std::vector<FenceRequest> requests);
  runtime::Task<Result<std::vector<LogEntry>>> read(SegmentId segment, std::uint64_t index,
                                                    std::size_t max_bytes);
  bool read_cached(SegmentId segment, std::uint64_t index, std::size_t max_bytes, std::vector<LogEntry>& out);
  void trim(SegmentId segment, std::uint64_t below);
  void remove(SegmentId segment);
  Result<SegmentInfo> info(SegmentId segment) const;
  std::vector<SegmentInfo> segments() const;
  bool failed() const { return failure_.has_value(); }
  SegmentStoreStats stats() const;
  runtime::Task<Result<void>> close();

 private:
  // A segment as callers see it: with what is queued. The index has what is stored.
  struct Segment {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Epoch fence;
    bool removed = false;
    // Where readers stopped inside a place: the first entry of a block, and where the block is or, among
    // blocks of others, follows. Who reads on begins there and not with the place.
    struct Hint {
      std::uint64_t index = 0;
      FileSequence file;
      Position place;
      Position position;
    };
    std::array<Hint, 8> hints;
    std::size_t next_hint = 0;
  };
  using Batch = std::vector<Operation>;

  // segment_store.cc
  runtime::Task<Result<void>> settle(RecoveredTail tail);
  const Segment* find(SegmentId segment) const;
  std::uint64_t readable_end(SegmentId id, const Segment& segment) const;
  SegmentInfo describe(SegmentId id, const Segment& segment) const;
  std::optional<Error> refusal_of(SegmentId id, Epoch epoch, std::uint64_t first,
                                  const std::vector<LogEntry>& entries, std::uint64_t bytes) const;
  void enqueue(Operation operation);
  runtime::Task<Result<void>> enqueue_and_wait(Operation operation);
  bool still_at(SegmentId segment, std::uint64_t index, const Place& place) const;
  static Position start_in(const Segment& segment, const Place& place, std::uint64_t index);
  static void note_stop(Segment& segment, const Place& place, const ReadBlocks& read, std::uint64_t next);

  // group_commit.cc
  void on_turn_end() override { work_.wake_all(); }
  runtime::Task<void> run_writer();
  Batch take_batch();
  runtime::Task<void> commit(Batch batch);
  void encode(const Batch& batch, BatchEncoder& encoder) const;
  void encode_appends(const Batch& batch, BatchEncoder& encoder) const;
  void apply(Batch& batch, const LogWriter::Written& written);
  void apply_control(const Operation& operation);
  void complete(Operation& operation, Result<void> result);
  void complete_all(Batch& batch, const Result<void>& result);
  void on_no_space(Batch batch, const Error& why);
  void fail(Batch batch, const Error& why);
  void forget_unstored(SegmentId id);
  void answer_later(Completion done, Result<void> result);
  runtime::Task<void> next_turn();

  // keeper.cc
  runtime::Task<void> run_keeper();
  bool checkpoint_due() const;
  runtime::Task<Result<void>> write_checkpoint();
  runtime::Task<bool> free_files();
  std::optional<FileSequence> file_to_move() const;
  runtime::Task<Result<void>> move_file(FileSequence file);
  runtime::Task<Result<void>> move_place(SegmentId segment, Place place);

  runtime::Runtime& runtime_;
  const SegmentStoreOptions options_;
  const std::uint64_t incarnation_;

  LogIndex index_;
  LogFiles files_;
  LogWriter log_;
  EntryCache cache_;
  std::map<SegmentId, Segment> segments_;

  std::deque<Operation> queue_;
  std::uint64_t pending_bytes_ = 0;
  runtime::Notification work_;                                // the writer waits for it
  runtime::Notification chores_;                              // the keeper waits for it
  std::vector<std::pair<Completion, Result<void>>> answers_;  // for the next turn, Durability::kMemory
  std::shared_ptr<Impl*> self_;                               // what was posted finds it, as long as it lives
  bool closing_ = false;                                      // no appends any more
  bool ended_ = false;                                        // the writer ends when the queue is empty
  std::optional<Error> failure_;
  bool no_space_ = false;

  std::vector<FileSequence> dead_;     // files to be retired
  std::vector<std::string> untidy_;    // files to be removed at the start
  std::set<FileSequence> unmovable_;   // moving their entries failed
  std::uint64_t last_checkpoint_ = 0;  // number of the file
  std::vector<std::uint64_t> old_checkpoints_;
  std::uint64_t checkpoint_bytes_ = 0;
  std::uint64_t checkpoint_rolls_ = 0;  // how many rolls it has seen
  bool checkpointed_ = false;           // by this process
  Position recovered_end_{};            // of the file before the first that this store began
  FileSequence recovered_file_{};
  std::uint64_t recovered_size_ = 0;
  SegmentStoreStats stats_;

  runtime::Scope scope_;  // last: its tasks use everything above
};

}  // namespace stele::storage
