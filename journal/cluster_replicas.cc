#include "journal/cluster_replicas.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "journal/quorum.h"

namespace stele::journal {

using runtime::Task;

namespace {

template <class T>
Task<Result<T>> ready(Result<T> value) {
  co_return value;
}

}  // namespace

// One that nobody here knows how to reach, yet: whoever looks for it later may find more.
class ClusterReplicas::Absent final : public SegmentReplica {
 public:
  Absent(runtime::Runtime& runtime, std::uint64_t disk, Error why)
      : runtime_(runtime), disk_(disk), why_(std::move(why)) {}
  std::uint64_t disk() const override { return disk_; }
  std::unique_ptr<SegmentWriter> open_writer(SegmentId, Epoch, std::uint64_t,
                                             AppendListener& listener) override {
    return std::make_unique<Writer>(runtime_, listener, why_);
  }
  Task<Result<std::vector<Result<storage::FenceAnswer>>>> fence(std::vector<storage::FenceRequest>) override {
    return no<std::vector<Result<storage::FenceAnswer>>>();
  }
  Task<Result<std::vector<storage::LogEntry>>> read(SegmentId, std::uint64_t, std::size_t) override {
    return no<std::vector<storage::LogEntry>>();
  }
  Task<Result<std::vector<std::optional<storage::SegmentInfo>>>> describe(std::vector<SegmentId>) override {
    return no<std::vector<std::optional<storage::SegmentInfo>>>();
  }
  Task<Result<std::vector<storage::SegmentInfo>>> list() override {
    return no<std::vector<storage::SegmentInfo>>();
  }
  void trim(SegmentId, std::uint64_t) override {}
  void remove(std::vector<SegmentId>) override {}
  bool has_space() const override { return false; }
  void watch_space(SpaceListener&) override {}  // this one never has any

 private:
  class Writer final : public SegmentWriter, private runtime::TurnEndHook {
   public:
    Writer(runtime::Runtime& runtime, AppendListener& listener, const Error& why)
        : listener_(listener), why_(why) {
      runtime.at_turn_end(*this);
    }
    void append(storage::LogEntry) override {}

   private:
    void on_turn_end() override {
      const Error why = why_;
      listener_.on_append_failed(why);
    }
    AppendListener& listener_;
    const Error why_;
  };
  template <class T>
  Task<Result<T>> no() const {
    return ready<T>(std::unexpected(why_));
  }

  runtime::Runtime& runtime_;
  const std::uint64_t disk_;
  const Error why_;
};

ClusterReplicas::ClusterReplicas(runtime::Runtime& runtime, rpc::Identity self, JournalClient* local,
                                 ClusterReplicasOptions options, rpc::Peers::DialFor dial)
    : runtime_(runtime),
      self_(std::move(self)),
      local_(local),
      options_(std::move(options)),
      view_(std::make_shared<const meta::MetaView>()),
      peers_(runtime, self_, options_.channel, std::move(dial)),
      repair_turns_(runtime, options_.repairs_at_once) {
  STELE_ASSERT(options_.replicas > 0 && options_.min_replicas <= options_.replicas);
  if (!local_) {
    tails_ = std::make_unique<CoreTails>(runtime, options_.without_journal.tail_bytes,
                                         options_.without_journal.max_pending_bytes);
  }
}

ClusterReplicas::~ClusterReplicas() = default;

TailBudget& ClusterReplicas::tails() {
  return local_ ? local_->tails() : tails_->budget();
}

void ClusterReplicas::learn(std::shared_ptr<const meta::MetaView> view) {
  view_ = std::move(view);
  std::size_t journals = 0;
  for (const auto& [id, node] : view_->nodes()) {
    const bool here = id == self_.node;
    const bool journal = here ? local_ != nullptr : (node.roles & meta::kJournalRole) && node.disk != 0;
    if (journal && !node.leaving) ++journals;
    if (here) continue;
    const auto at = std::ranges::find(node.addresses, options_.listener, &meta::NodeAddress::listener);
    if (at != node.addresses.end()) peers_.set(id, {at->host, at->port});
  }
  wanted_ = std::clamp<std::size_t>(journals, 1, options_.replicas);
  IntrusiveList<NodesListener, NodesListenerTag> now;
  while (!watchers_.empty()) now.push_back(watchers_.pop_front());
  while (!now.empty()) {
    NodesListener& watcher = now.pop_front();
    watchers_.push_back(watcher);
    watcher.on_nodes_changed();
  }
}

bool ClusterReplicas::serves(const meta::Replica& which) const {
  if (which.node == self_.node) return local_ && local_->disk() == which.disk;
  const auto node = view_->nodes().find(which.node);
  return node != view_->nodes().end() && node->second.lives && node->second.disk == which.disk;
}

Standing ClusterReplicas::standing(const meta::Replica& which) const {
  const auto node = view_->nodes().find(which.node);
  if (node != view_->nodes().end() && node->second.leaving) return Standing::kLeaving;
  if (serves(which)) return Standing::kKeeps;
  if (which.node == self_.node) return local_ ? Standing::kGone : Standing::kAway;
  const bool another =
      node != view_->nodes().end() && node->second.disk != 0 && node->second.disk != which.disk;
  return another ? Standing::kGone : Standing::kAway;
}

Task<void> ClusterReplicas::close(runtime::Duration grace) {
  remotes_.clear();
  return peers_.close(grace);
}

SegmentReplica* ClusterReplicas::find(const meta::Replica& which) {
  std::string why = "node " + std::to_string(which.node.value);
  if (which.node == self_.node) {
    if (local_) return local_->disk() == which.disk ? local_ : nullptr;
    why += ", which is this one, has no journal";
  } else if (rpc::Channel* const channel = peers_.find(which.node)) {
    auto& remote = remotes_[which];
    if (!remote) remote = std::make_unique<RemoteReplica>(runtime_, *channel, which, options_.remote);
    return remote.get();
  } else {
    why += " is not known";
  }
  auto& absent = absent_[which];
  if (!absent)
    absent = std::make_unique<Absent>(runtime_, which.disk, Error{ErrorCode::kUnavailable, std::move(why)});
  return absent.get();
}

// As far as is known here. Of a node that was not used lately nothing is.
bool ClusterReplicas::takes(const meta::Node& node, std::uint64_t disk) const {
  if (node.id == self_.node) return local_ && local_->has_space();
  if (!node.lives || !(node.roles & meta::kJournalRole) || disk == 0) return false;
  const auto remote = remotes_.find({node.id, disk});
  return remote == remotes_.end() || remote->second->has_space();
}

std::vector<meta::ReplicaCandidate> ClusterReplicas::candidates(bool with_drained) const {
  std::vector<meta::ReplicaCandidate> disks;
  for (const auto& [id, node] : view_->nodes()) {
    // The view may not yet know of the disk that is here.
    const std::uint64_t disk = id == self_.node && local_ ? local_->disk() : node.disk;
    disks.push_back({.node = id,
                     .disk = disk,
                     .zone = node.zone,
                     .takes = takes(node, disk) && (with_drained || !node.draining)});
  }
  return disks;
}

std::vector<meta::Replica> ClusterReplicas::place(ShardId shard, bool with_drained) const {
  std::vector<meta::Replica> places;
  for (const meta::ReplicaPlace& place :
       meta::place_replicas(candidates(with_drained), options_.replicas, self_.node, {}, shard.value))
    places.push_back({place.node, place.disk});
  return places;
}

std::vector<meta::Replica> ClusterReplicas::choose_more(ShardId shard,
                                                        const std::vector<meta::Replica>& besides,
                                                        std::size_t count) {
  std::vector<meta::ReplicaPlace> there;
  for (const meta::Replica& which : besides) there.push_back({which.node, which.disk});
  std::vector<meta::Replica> places;
  for (const meta::ReplicaPlace& place :
       meta::place_replicas(candidates(false), count, std::nullopt, there, shard.value))
    places.push_back({place.node, place.disk});
  return places;
}

Result<std::vector<meta::Replica>> ClusterReplicas::choose(ShardId shard) {
  const std::size_t least =
      options_.min_replicas > 0 ? std::min(options_.min_replicas, wanted_) : Quorum::of(wanted_).acks;
  std::vector<meta::Replica> places = place(shard, false);
  if (places.size() < least) places = place(shard, true);
  if (places.size() >= least) return places;
  return error(ErrorCode::kUnavailable, "only " + std::to_string(places.size()) +
                                            " nodes take entries, and a segment needs " +
                                            std::to_string(least));
}

}  // namespace stele::journal
