// The owners of shards in a cluster without brokers: each appends, rolls, trims and reads back, until it is
// lost, or has been replaced for a while. Whoever takes a shard over reads all of it first. JournalLedger
// says what may be found; besides, each commit and each seal is held against what the disks have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "journal/cluster_replicas.h"
#include "journal/shard_log.h"
#include "meta/client.h"
#include "meta/types.h"
#include "runtime/task.h"
#include "sim/workloads/journal_ledger.h"
#include "sim/workloads/world_judge.h"
#include "sim/world.h"

namespace stele::sim {

struct JournalLoad {
  JournalLoad(World& w, std::uint32_t shard_count, std::size_t entry_bytes)
      : world(w), shards(shard_count), ledger(judge, shard_count, entry_bytes) {}
  World& world;
  const std::uint32_t shards;
  WorldJudge judge{world};
  JournalLedger ledger;
  ChainLedger chains{judge};
  journal::ShardLogOptions log;
  Duration pause{};  // between two acts of an owner, on average
  bool trims = true;
  bool calm = false;  // the faults are over: what cannot be read is lost
  bool over = false;  // nobody appends any more
  std::uint64_t rolls = 0, trimmed = 0, replaced = 0;

  // Of the replicas that a segment has, how many have entries up to `end` on their disks, and of how many
  // nobody can tell now.
  struct Holders {
    std::size_t have = 0, unknown = 0;
  };
  std::function<Holders(const meta::Segment&, std::uint64_t end)> holders;
};

// Where an owner lives: a core of a process, whose parts outlive it.
struct OwnerPlace {
  runtime::Runtime& runtime;
  meta::MetaClient& meta;
  journal::ClusterReplicas& replicas;
  const bool& stopping;
};

class JournalOwner final : private journal::ShardLog::Listener {
 public:
  // Of a log that was just taken over.
  JournalOwner(JournalLoad& load, OwnerPlace place, std::unique_ptr<journal::ShardLog> log);
  static runtime::Task<void> run(JournalOwner& self);
  // It does nothing any more and may be destroyed.
  bool ended() const { return ended_; }
  bool lost() const { return lost_; }
  bool serves() const { return compared_ && !lost_ && !ended_; }
  bool all_committed() const { return log_->committed() == log_->next(); }
  const journal::ShardLog& log() const { return *log_; }
  ShardId shard() const { return shard_; }
  Epoch epoch() const { return epoch_; }
  // Each replica of each segment is read by itself. False: somebody else owns the shard by now.
  static runtime::Task<bool> read_replicas(JournalOwner& self);

 private:
  bool replaced() const { return !load_.ledger.owns(shard_, epoch_); }
  bool leaves() const { return lost_ || place_.stopping; }
  static runtime::Task<bool> read(JournalOwner& self, Lsn from, Lsn to);
  static runtime::Task<bool> read_replica(JournalOwner& self, meta::Segment segment, meta::Replica which);
  static runtime::Task<void> act(JournalOwner& self);
  static runtime::Task<void> trim(JournalOwner& self);
  void append();
  void check_seals();
  void on_committed(Lsn end) override;
  void on_lost(const Error& why) override;

  JournalLoad& load_;
  const OwnerPlace place_;
  std::unique_ptr<journal::ShardLog> log_;
  const ShardId shard_;
  const Epoch epoch_;
  Lsn told_;
  SegmentId checked_{0};  // the last segment, when seals were looked at
  bool compared_ = false, lost_ = false, ended_ = false;
};

}  // namespace stele::sim
