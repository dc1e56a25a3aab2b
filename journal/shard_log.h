// ShardLog: the owner's side of one shard's log (docs/journal.md).
//
// A log is a chain of segments. A segment has one writer for its whole life, so an owner begins by taking the
// shard over: it fences the last segment, finds its end, seals it there and opens its own. From then on
// append() gives an entry its LSN at once, entries leave together at the end of the turn, and commit in
// order. If ever an append fails for good, or a newer owner turns up, the ownership ends: on_lost(), and
// nothing of this object commits any more; what was appended may or may not be in the log of the next owner.
//
// Lives on the shard's core and is called only there. Destroying it ends the ownership silently: what has
// left may still be stored.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "journal/chain.h"
#include "journal/chain_keeper.h"
#include "journal/quorum_writer.h"
#include "journal/repair.h"
#include "journal/take_segment.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/task.h"
#include "storage/segment_store.h"

namespace stele::meta {
class MetaClient;
}

namespace stele::journal {

class JournalClient;
class Replicas;
using storage::LogEntry;

struct ShardLogOptions {
  // A segment that holds so many committed bytes is sealed and the next one opened. A soft limit.
  std::uint64_t segment_bytes = 256ULL << 20;
  // congested() from so many uncommitted bytes on, until half of it is left.
  std::size_t max_pending_bytes = 8 << 20;

  // ---- Of logs with several replicas.
  // A replica that takes nothing for so long is replaced: the segment is sealed, and the next one lies on
  // nodes that serve. Likewise when a segment has had fewer replicas than wanted for so long, and there are
  // more by now.
  runtime::Duration replace_after = std::chrono::seconds(10);
  // A sealed segment one of whose replicas does not serve for so long is copied to another node, while enough
  // others have it; if they do not, after `replace_after`.
  runtime::Duration repair_after = std::chrono::minutes(10);
  // So long after a take-over it is seen whether all replicas have the sealed segments whole.
  runtime::Duration look_after = std::chrono::seconds(10);
  RepairOptions repair = {};
  QuorumWriterOptions writer = {};
  TakeSegmentOptions take = {};
};

class ShardLog {
 public:
  // Every call comes in a turn of the log's core, never from within one of its methods. on_lost may destroy
  // the log, the others must not.
  class Listener {
   public:
    // Everything below `end` is committed. Once per commit, not per entry.
    virtual void on_committed(Lsn end) = 0;
    // The ownership ended: kFenced (another owner), kIo (the journal failed), kClosed. Last call.
    virtual void on_lost(const Error& why) = 0;
    // congested() turned false, or writable() true.
    virtual void on_unblocked() {}

   protected:
    ~Listener() = default;
  };

  // Takes these shards over for a process of `node`, all or none, with one command to the meta service before
  // and one after the fences, which all go out together: one group commit of each journal. Answers in the
  // order of `shards`; nothing calls back before set_listener().
  //
  // kFenced: another process took one of them meanwhile. kCorrupt: the disk does not hold what the chain
  // says; the message tells shard and segment. kNoSpace, kIo: of the journal or the meta service.
  // kUnavailable: of these, or too few replicas of a segment answer, of which the message tells, or too few
  // nodes serve. It may be tried again.
  static runtime::Task<Result<std::vector<std::unique_ptr<ShardLog>>>> take_over_all(
      Replicas& replicas, meta::MetaClient& meta, NodeId node, meta::Incarnation incarnation,
      std::vector<ShardId> shards, ShardLogOptions options = {});
  // The same with another keeper of the chains.
  static runtime::Task<Result<std::vector<std::unique_ptr<ShardLog>>>> take_over_all(
      Replicas& replicas, std::shared_ptr<ChainKeeper> keeper, std::vector<ShardId> shards,
      ShardLogOptions options = {});
  // The same for each shard by itself: one that lies on a node that is down keeps the others for no more than
  // five seconds. As a whole it fails when a command to the meta service does, or the journal of this
  // process.
  using EachTaken = std::vector<Result<std::unique_ptr<ShardLog>>>;
  static runtime::Task<Result<EachTaken>> take_over_each(Replicas& replicas, meta::MetaClient& meta,
                                                         NodeId node, meta::Incarnation incarnation,
                                                         std::vector<ShardId> shards,
                                                         ShardLogOptions options = {});
  static runtime::Task<Result<EachTaken>> take_over_each(Replicas& replicas,
                                                         std::shared_ptr<ChainKeeper> keeper,
                                                         std::vector<ShardId> shards,
                                                         ShardLogOptions options = {});
  ~ShardLog();

  void set_listener(Listener& listener);

  ShardId shard() const;
  Epoch epoch() const;
  // The last one published when the shard was taken over: replay begins at its LSN.
  const std::optional<meta::Snapshot>& snapshot() const;
  Lsn begin() const;      // trimmed below
  Lsn committed() const;  // everything below is
  Lsn next() const;       // what append() will give
  bool lost() const;
  const Chain& chain() const;

  // Gives the entry its LSN. After on_lost it still gives LSNs, which never commit.
  Lsn append(LogEntry entry);

  // False while the disk is full, too few replicas take entries, or the segment cannot be changed for the
  // next because the meta service does not answer: decide nothing new. What is appended all the same waits
  // (and counts as pending). Reading goes on, and writing by itself once there is room.
  bool writable() const;
  // Of a log that is not: kNoSpace, the disk is full; kUnavailable, too few replicas or the meta service
  // answer, or the log is lost.
  Error why_not_writable() const;
  // Too much is uncommitted, here or on this core: wait for on_unblocked() before deciding more.
  bool congested() const;
  std::size_t pending_bytes() const;

  // Entries from `from` on, committed or not, appended to `out`: at least one if there is any, no more than
  // fit `max_bytes` after the first. False if they are not in memory: use read().
  bool read_cached(Lsn from, std::size_t max_bytes, std::vector<LogEntry>& out) const;
  // The same from the disk if need be, of whichever replica answers. An entry that comes from there is all
  // head. Empty at next(). kNotFound: trimmed. kUnavailable: no replica that has them is reached; try again.
  // The log may be destroyed meanwhile.
  runtime::Task<Result<std::vector<LogEntry>>> read(Lsn from, std::size_t max_bytes) const;

  // Entries below `below` (no more than committed) are replaced by something durable, and nobody will read
  // them. Whole segments leave the chain, and then the disk; lazily, and again with the next call if it
  // fails.
  void trim(Lsn below);

  // Seals the segment and opens the next, without waiting for its size. Nothing happens if it is empty, if
  // another roll is under way, or while the meta service does not answer.
  void roll();

  // Waits until everything committed is on the disk, at A replicas, also with a durability that does not wait
  // for it. Before anything is published that must not be newer than the log: a snapshot. The log may be
  // destroyed meanwhile.
  runtime::Task<Result<void>> sync() const;

 private:
  class Impl;
  explicit ShardLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Removes what no chain of `shards`, which are all shards there are, has on this disk of the keeper's node
// any more: what a process left behind that died between changing a chain and changing the disk, and segments
// that were never appended to. Answers how many. From then on owners on other nodes may begin segments here
// (admission.h). Once, when the process starts, before it takes any shard over.
runtime::Task<Result<std::size_t>> remove_orphans(JournalClient& journal, std::shared_ptr<ChainKeeper> keeper,
                                                  std::vector<ShardId> shards);
// The same for all shards of a cluster.
runtime::Task<Result<std::size_t>> remove_orphans(JournalClient& journal, meta::MetaClient& meta,
                                                  NodeId node);

}  // namespace stele::journal
