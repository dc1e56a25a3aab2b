// A replica on another node, over a channel to it. The other side is ReplicaService (docs/replication.md).
//
// Appends leave at the end of the turn, in batches that do not wait for each other's answers. What a replica
// answers to a batch is true of everything before it: it refuses what would leave a gap. When anything goes
// wrong, a lost connection included, the writer ends: on_append_failed. Whether what was on its way is stored
// is then unknown, and it is not taken for stored; another writer begins at what was, sends the same again,
// and the replica skips what it has.
//
// Memory is bounded: a writer that holds too much of what its replica has not stored ends likewise
// (kUnavailable), and the others of the segment go on.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "journal/segment_replica.h"
#include "meta/types.h"
#include "model/ids.h"
#include "rpc/channel.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/task.h"
#include "storage/segment_store.h"

namespace stele::journal {

struct RemoteReplicaOptions {
  runtime::Duration timeout = std::chrono::seconds(10);  // of each request
  // A replica that refused entries, or was not reached, is asked so often whether it takes them again.
  runtime::Duration probe = std::chrono::milliseconds(500);
  // One entry may make a batch larger.
  std::size_t max_batch_bytes = 1 << 20;
  // Sent by all its writers and not answered. One batch may go beyond it.
  std::size_t max_in_flight_bytes = 8 << 20;
  // Held by one writer, sent or not. Who has more for a new writer gives it as it gets stored.
  std::size_t max_held_bytes = 32 << 20;
};

struct RemoteReplicaStats {
  std::uint64_t batches = 0;  // sent
  std::uint64_t writers_failed = 0;
  std::uint64_t writers_too_slow = 0;  // of them, for what they held
};

// Lives on the channel's core. Outlives its writers, and is outlived by the channel.
class RemoteReplica final : public SegmentReplica, private runtime::TurnEndHook {
 public:
  RemoteReplica(runtime::Runtime& runtime, rpc::Channel& channel, meta::Replica which,
                RemoteReplicaOptions options = {});
  ~RemoteReplica() override;

  std::uint64_t disk() const override { return which_.disk; }
  NodeId node() const { return which_.node; }

  // Of the errors that a writer ends with, these say something of the replica alone: kUnavailable (not
  // reached, gave no answer in time, too slow), kNoSpace, kIo, kNotFound (another disk is there by now, or
  // the segment is not). kFenced is about the writer's epoch.
  std::unique_ptr<SegmentWriter> open_writer(SegmentId segment, Epoch epoch, std::uint64_t first,
                                             AppendListener& listener) override;
  // Those that answer fail as a whole also with kUnavailable (the outcome is unknown) and kNotFound: the node
  // has another disk by now.
  runtime::Task<Result<std::vector<Result<storage::FenceAnswer>>>> fence(
      std::vector<storage::FenceRequest> requests) override;
  runtime::Task<Result<std::vector<storage::LogEntry>>> read(SegmentId segment, std::uint64_t index,
                                                             std::size_t max_bytes) override;
  runtime::Task<Result<std::vector<std::optional<storage::SegmentInfo>>>> describe(
      std::vector<SegmentId> segments) override;
  runtime::Task<Result<std::vector<storage::SegmentInfo>>> list() override;
  // Dropped while there is no connection.
  void trim(SegmentId segment, std::uint64_t below) override;
  void remove(std::vector<SegmentId> segments) override;

  // Also false while it is not reached, once an append or a read has shown it.
  bool has_space() const override { return !probing_; }
  void watch_space(SpaceListener& listener) override { watchers_.push_back(listener); }

  const RemoteReplicaStats& stats() const { return stats_; }
  std::size_t in_flight_bytes() const { return in_flight_bytes_; }

 private:
  class Writer;
  void on_turn_end() override;
  void touch(Writer& writer);
  void send();
  void tell_writers();
  void tell_space();
  void refused(const Error& why);
  runtime::Task<void> probe();

  runtime::Runtime& runtime_;
  rpc::Channel& channel_;
  const meta::Replica which_;
  const RemoteReplicaOptions options_;
  RemoteReplicaStats stats_;
  std::uint64_t next_writer_ = 1;
  std::map<std::uint64_t, Writer*> writers_;
  std::vector<std::uint64_t> touched_;  // have something to tell or to send
  std::size_t in_flight_bytes_ = 0;
  bool probing_ = false;
  bool space_again_ = false;
  IntrusiveList<SpaceListener, SpaceListenerTag> watchers_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  runtime::Scope scope_;  // last: its task uses all of the above
};

}  // namespace stele::journal
