// One core's way to the journal of its process, and what the shard logs of the core share: the budget of
// memory for the tails of their logs.
//
// Appends of all shards of the core leave in one post per turn; answers come in one post per commit. No byte
// is copied on the way. On the journal core itself nothing is posted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "journal/admission.h"
#include "journal/core_tails.h"
#include "journal/segment_replica.h"
#include "journal/tail_cache.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/task.h"
#include "storage/segment_store.h"

namespace stele::journal {

class JournalServer;
namespace internal {
class ClientImpl;
}

struct JournalClientOptions {
  // Committed entries of the core's shards kept in memory; the oldest go first.
  std::size_t tail_bytes = 32 << 20;
  // All shards are congested from so many uncommitted bytes on the core on, until half of it is left.
  std::size_t max_pending_bytes = 32 << 20;
};

// Made on its core while the server is open. Outlives the shard logs that use it.
class JournalClient final : public SegmentReplica {
 public:
  JournalClient(runtime::Runtime& runtime, const JournalServer& server, JournalClientOptions options = {});
  ~JournalClient() override;

  runtime::Runtime& runtime() { return runtime_; }
  TailBudget& tails() { return tails_.budget(); }

  std::uint64_t disk() const override { return disk_; }
  std::unique_ptr<SegmentWriter> open_writer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                             AppendListener& listener) override;
  runtime::Task<Result<std::vector<Result<storage::FenceAnswer>>>> fence(
      std::vector<storage::FenceRequest> requests) override;
  runtime::Task<Result<std::vector<storage::LogEntry>>> read(SegmentId segment, std::uint64_t index,
                                                             std::size_t max_bytes) override;
  runtime::Task<Result<std::vector<std::optional<storage::SegmentInfo>>>> describe(
      std::vector<SegmentId> segments) override;
  runtime::Task<Result<std::vector<storage::SegmentInfo>>> list() override;
  void trim(SegmentId segment, std::uint64_t below) override;
  void remove(std::vector<SegmentId> segments) override;
  bool has_space() const override;
  void watch_space(SpaceListener& listener) override;

  // ---- For the owners and take-overs of other nodes (replica_service.h).

  // Appends what a writer elsewhere has sent, perhaps for the second time: what the segment has of it already
  // is not stored again, for what is at a place was put there by the segment's one writer. Leaves at the end
  // of the turn. `done` comes in a turn of this core, with the batch's end once everything up to it is
  // stored; never, if this client goes before. kFenced: also if no chain has the segment any more
  // (admission.h). kUnavailable: also if what comes before is not here. Other errors as of
  // storage::SegmentStore::append.
  void append_for_peer(SegmentId segment, Epoch epoch, std::uint64_t first,
                       std::vector<storage::LogEntry> entries,
                       std::move_only_function<void(Result<std::uint64_t>)> done);
  // As fence(). kNotFound: also if no chain has the segment any more.
  runtime::Task<Result<std::vector<Result<storage::FenceAnswer>>>> fence_for_peer(
      std::vector<storage::FenceRequest> requests);
  // From now on segments that are not known here may be begun by peers, as far as `admission` lets them;
  // before, none is.
  void admit(SegmentAdmission admission);

 private:
  runtime::Runtime& runtime_;
  const std::uint64_t disk_;
  CoreTails tails_;
  std::unique_ptr<internal::ClientImpl> impl_;
};

}  // namespace stele::journal
