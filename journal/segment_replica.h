// Where a writer's entries go: one replica of its segments. The shard log is written against this interface
// only; JournalClient implements it for the journal of the same process, and a journal on another node will
// be another implementation.
//
// Lives on one core and is called only there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/task.h"
#include "storage/segment_store.h"

namespace stele::journal {

// Hears what became of a writer's entries. Called in turns of the writer's core, never from within a call of
// SegmentWriter. May destroy the writer.
class AppendListener {
 public:
  // The replica holds entries [0, end), as durably as it is configured to.
  virtual void on_stored(std::uint64_t end) = 0;
  // Nothing more of this writer is stored; last call. kNoSpace and kUnavailable: the entries from the last
  // stored end on may be appended again by another writer, once SpaceListener::on_space says so. Any other
  // code is final.
  virtual void on_append_failed(const Error& why) = 0;

 protected:
  ~AppendListener() = default;
};

// Appends to one segment in the name of one epoch. Destroying it gives up the answers still under way;
// entries that have left may be stored all the same.
class SegmentWriter {
 public:
  virtual ~SegmentWriter() = default;
  // The segment's next entry. Leaves at the end of the turn, together with whatever else goes that way.
  virtual void append(storage::LogEntry entry) = 0;
};

// Hears that the replica may take entries again: has_space() turned true, or it wants to be tried.
class SpaceListener : public ListNode<struct SpaceListenerTag> {
 public:
  virtual void on_space() = 0;

 protected:
  ~SpaceListener() = default;
};

class SegmentReplica {
 public:
  virtual ~SegmentReplica() = default;

  // Names the disk: a chain names its replicas by node and disk.
  virtual std::uint64_t disk() const = 0;

  // `first` is the number of entries the segment holds. The listener outlives the writer.
  virtual std::unique_ptr<SegmentWriter> open_writer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                                     AppendListener& listener) = 0;

  // Refuses all epochs below the given ones from now on, durably, all in one commit; answers in the order of
  // the requests. Like those below it fails as a whole only with kClosed.
  virtual runtime::Task<Result<std::vector<Result<storage::FenceAnswer>>>> fence(
      std::vector<storage::FenceRequest> requests) = 0;

  // As storage::SegmentStore::read.
  virtual runtime::Task<Result<std::vector<storage::LogEntry>>> read(SegmentId segment, std::uint64_t index,
                                                                     std::size_t max_bytes) = 0;

  // What the replica holds of each segment, nothing for those it does not know.
  virtual runtime::Task<Result<std::vector<std::optional<storage::SegmentInfo>>>> describe(
      std::vector<SegmentId> segments) = 0;
  // All it holds.
  virtual runtime::Task<Result<std::vector<storage::SegmentInfo>>> list() = 0;

  // Entries below `below` of the segment, or whole segments, are no longer needed. Lazily.
  virtual void trim(SegmentId segment, std::uint64_t below) = 0;
  virtual void remove(std::vector<SegmentId> segments) = 0;

  // False while it has no room for entries: the disk is full. The listener hears until it is destroyed.
  virtual bool has_space() const = 0;
  virtual void watch_space(SpaceListener& listener) = 0;
};

}  // namespace stele::journal
