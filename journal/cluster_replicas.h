// The replicas of a cluster, for the logs of one core: the journal of this process, if it has one, and those
// of other nodes, over channels of its own, so that what is small does not wait behind entries.
//
// It knows of nodes what the meta service's view says: feed it with learn(). It chooses nodes that live, take
// entries as far as is known here, and are not being drained: different ones, in as many zones as there are,
// and this one if it can (meta/placement.h). If fewer serve than a segment should have, it gets as many as
// there are, down to a minimum (docs/replication.md says why).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "journal/client.h"
#include "journal/core_tails.h"
#include "journal/remote_replica.h"
#include "journal/replicas.h"
#include "meta/placement.h"
#include "meta/types.h"
#include "rpc/hello.h"
#include "rpc/peers.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::journal {

struct ClusterReplicasOptions {
  // Of a new segment; as many as there are journals in the cluster, if those are fewer.
  std::size_t replicas = 3;
  // With fewer nodes that serve none is opened. 0: as many as must have stored an entry when all are there,
  // so that what is acknowledged is never on fewer disks than it would be then. At most `replicas`.
  std::size_t min_replicas = 0;
  RemoteReplicaOptions remote;
  rpc::ChannelOptions channel;
  // Where nodes listen for each other: the name of the address in the view.
  std::string listener = "rpc";
  // Segments that lack replicas are copied so many at a time.
  std::size_t repairs_at_once = 2;
  // For the tails of the logs, where there is no journal whose client says so.
  JournalClientOptions without_journal;
};

// Lives on one core. The runtime and the client outlive it.
class ClusterReplicas final : public Replicas {
 public:
  // `self` tells who this node is, and `local` is its journal on this core; null: it has none. `dial`: how
  // each node is reached, as of rpc::Peers.
  ClusterReplicas(runtime::Runtime& runtime, rpc::Identity self, JournalClient* local,
                  ClusterReplicasOptions options = {}, rpc::Peers::DialFor dial = {});
  ~ClusterReplicas() override;

  // Before anything else, and whenever the view changes.
  void learn(std::shared_ptr<const meta::MetaView> view);
  // Closes the channels. Once, when the logs are gone.
  runtime::Task<void> close(runtime::Duration grace);

  runtime::Runtime& runtime() override { return runtime_; }
  TailBudget& tails() override;
  SegmentReplica* local() override { return local_; }
  SegmentReplica* find(const meta::Replica& which) override;
  Result<std::vector<meta::Replica>> choose(ShardId shard) override;
  std::vector<meta::Replica> choose_more(ShardId shard, const std::vector<meta::Replica>& besides,
                                         std::size_t count) override;
  std::size_t wanted() const override { return wanted_; }
  bool serves(const meta::Replica& which) const override;
  Standing standing(const meta::Replica& which) const override;
  RepairTurns* repair_turns() override { return &repair_turns_; }
  void watch_nodes(NodesListener& listener) override { watchers_.push_back(listener); }

 private:
  class Absent;
  bool takes(const meta::Node& node, std::uint64_t disk) const;
  std::vector<meta::ReplicaCandidate> candidates(bool with_drained) const;
  std::vector<meta::Replica> place(ShardId shard, bool with_drained) const;

  runtime::Runtime& runtime_;
  const rpc::Identity self_;
  JournalClient* const local_;
  const ClusterReplicasOptions options_;
  std::size_t wanted_ = 1;
  std::unique_ptr<CoreTails> tails_;  // null: those of the journal's client
  std::shared_ptr<const meta::MetaView> view_;
  rpc::Peers peers_;
  std::map<meta::Replica, std::unique_ptr<RemoteReplica>> remotes_;
  std::map<meta::Replica, std::unique_ptr<SegmentReplica>> absent_;
  IntrusiveList<NodesListener, NodesListenerTag> watchers_;
  RepairTurns repair_turns_;
};

}  // namespace stele::journal
