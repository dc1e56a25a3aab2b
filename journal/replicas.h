// Where the segments of one core's logs lie: who finds the replicas that a chain names, and says where those
// of a new segment shall be. How many a segment has (R) is how many were chosen for it, and stays; how many
// must have stored an entry (A) follows from that (quorum.h).
//
// A node alone has one, in its own process: LocalReplicas. A cluster has several on different nodes:
// ClusterReplicas (cluster_replicas.h).
#pragma once

#include <cstddef>
#include <vector>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "journal/client.h"
#include "journal/repair.h"
#include "journal/segment_replica.h"
#include "journal/tail_cache.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/runtime.h"

namespace stele::journal {

// Hears that others serve now than before, until it is destroyed. Called within Replicas; destroys nothing.
class NodesListener : public ListNode<struct NodesListenerTag> {
 public:
  virtual void on_nodes_changed() = 0;

 protected:
  ~NodesListener() = default;
};

// What is to be expected of a replica that a chain names, as far as is known without asking it.
enum class Standing {
  kKeeps,    // its node serves
  kAway,     // it does not, and may come back with all that it has
  kLeaving,  // its node is to be removed from the cluster: what it has is to lie elsewhere
  kGone,     // another disk is in its place
};

// Lives on one core and is called only there. Outlives the logs that use it, and what they have read.
class Replicas {
 public:
  virtual ~Replicas() = default;
  virtual runtime::Runtime& runtime() = 0;
  virtual TailBudget& tails() = 0;

  // The journal of this process; null: it has none.
  virtual SegmentReplica* local() = 0;
  // One that a chain names. Null: gone for good, for another disk is in its place by now. One that is not
  // reached is found all the same, and says so itself. Lives as long as this.
  virtual SegmentReplica* find(const meta::Replica& which) = 0;

  // Where a new segment of the shard shall lie: different nodes that serve, in no particular order.
  // kUnavailable: too few do.
  virtual Result<std::vector<meta::Replica>> choose(ShardId shard) = 0;
  // Where more of what lies at `besides` could be put, at most `count`; fewer if there are not so many nodes
  // that take it.
  virtual std::vector<meta::Replica> choose_more(ShardId shard, const std::vector<meta::Replica>& besides,
                                                 std::size_t count) = 0;
  // How many a segment shall have when all is well.
  virtual std::size_t wanted() const = 0;
  // Whether one that a chain names is there, as far as is known without asking it.
  virtual bool serves(const meta::Replica& which) const = 0;
  virtual Standing standing(const meta::Replica& which) const = 0;
  // Whether it serves and shall go on having what it has.
  bool keeps(const meta::Replica& which) const { return standing(which) == Standing::kKeeps; }
  // For copying segments that lack replicas. Null: nothing is looked after, there is but one place.
  virtual RepairTurns* repair_turns() = 0;
  virtual void watch_nodes(NodesListener& listener) = 0;
};

// One replica, on the disk of this process: an entry is committed when that one has stored it.
class LocalReplicas final : public Replicas {
 public:
  // Of `node`. The journal outlives this.
  LocalReplicas(JournalClient& journal, NodeId node) : journal_(journal), here_{node, journal.disk()} {}

  runtime::Runtime& runtime() override { return journal_.runtime(); }
  TailBudget& tails() override { return journal_.tails(); }
  SegmentReplica* local() override { return &journal_; }
  // Also null: of another node. A node alone reaches nobody.
  SegmentReplica* find(const meta::Replica& which) override { return which == here_ ? &journal_ : nullptr; }
  Result<std::vector<meta::Replica>> choose(ShardId) override { return std::vector{here_}; }
  std::vector<meta::Replica> choose_more(ShardId, const std::vector<meta::Replica>&, std::size_t) override {
    return {};
  }
  std::size_t wanted() const override { return 1; }
  bool serves(const meta::Replica& which) const override { return which == here_; }
  Standing standing(const meta::Replica& which) const override {
    return which == here_ ? Standing::kKeeps : Standing::kAway;
  }
  RepairTurns* repair_turns() override { return nullptr; }
  void watch_nodes(NodesListener&) override {}  // there are no others

 private:
  JournalClient& journal_;
  const meta::Replica here_;
};

}  // namespace stele::journal
