// Commands and answers of the cluster: its nodes, and shards with their logs.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "meta/command_codec_parts.h"

namespace stele::meta::codec {

// ---- values ----------------------------------------------------------------------------------------------
// For each kind: pack(value, table) and unpack(table, value).

void pack(const NodeAddress& from, fbs::NodeAddressT& to) {
  to.listener = from.listener;
  to.host = from.host;
  to.port = from.port;
}
void unpack(const fbs::NodeAddressT& from, NodeAddress& to) {
  to = {.listener = from.listener, .host = from.host, .port = from.port};
}

void pack(const Replica& from, fbs::ReplicaT& to) {
  to.node = from.node.value;
  to.disk = from.disk;
}
void unpack(const fbs::ReplicaT& from, Replica& to) {
  to = {.node = NodeId(from.node), .disk = from.disk};
}

void pack(const Segment& from, fbs::SegmentT& to) {
  to.id = from.id.value;
  to.base = from.base.value;
  to.sealed = from.end.has_value();
  to.end = from.end ? from.end->value : 0;
  to.epoch = from.epoch.value;
  to.replicas = pack_all<fbs::ReplicaT>(from.replicas);
}
void unpack(const fbs::SegmentT& from, Segment& to) {
  to = {.id = SegmentId(from.id),
        .base = Lsn(from.base),
        .end = from.sealed ? std::optional(Lsn(from.end)) : std::nullopt,
        .epoch = Epoch(from.epoch),
        .replicas = unpack_all<Replica>(from.replicas)};
}

void pack(const Snapshot& from, fbs::SnapshotT& to) {
  to.lsn = from.lsn.value;
  to.file = from.file;
}
std::unique_ptr<fbs::SnapshotT> pack(const std::optional<Snapshot>& from) {
  if (!from) return nullptr;
  auto to = std::make_unique<fbs::SnapshotT>();
  pack(*from, *to);
  return to;
}
std::optional<Snapshot> unpack(const std::unique_ptr<fbs::SnapshotT>& from) {
  if (!from) return std::nullopt;
  return Snapshot{.lsn = Lsn(from->lsn), .file = from->file};
}

void pack(const Shard& from, fbs::ShardT& to) {
  to.id = from.id.value;
  to.owner = from.owner.value;
  to.owner_incarnation = from.owner_incarnation.value;
  to.epoch = from.epoch.value;
  to.chain = pack_all<fbs::SegmentT>(from.chain);
  to.snapshot = pack(from.snapshot);
  to.has_assigned = from.assigned.has_value();
  to.assigned = from.assigned.value_or(NodeId(0)).value;
}
void unpack(const fbs::ShardT& from, Shard& to) {
  to = {.id = ShardId(from.id),
        .assigned = from.has_assigned ? std::optional(NodeId(from.assigned)) : std::nullopt,
        .owner = NodeId(from.owner),
        .owner_incarnation = Incarnation(from.owner_incarnation),
        .epoch = Epoch(from.epoch),
        .chain = unpack_all<Segment>(from.chain),
        .snapshot = unpack(from.snapshot)};
}

void pack(const SealAndOpenItem& from, fbs::SealAndOpenItemT& to) {
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  to.has_last = from.last.has_value();
  to.last = from.last ? from.last->value : 0;
  to.end = from.end.value;
  to.replicas = pack_all<fbs::ReplicaT>(from.replicas);
}
void unpack(const fbs::SealAndOpenItemT& from, SealAndOpenItem& to) {
  to = {.shard = ShardId(from.shard),
        .epoch = Epoch(from.epoch),
        .last = from.has_last ? std::optional(SegmentId(from.last)) : std::nullopt,
        .end = Lsn(from.end),
        .replicas = unpack_all<Replica>(from.replicas)};
}

void pack(const TrimChainItem& from, fbs::TrimChainItemT& to) {
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  to.below = from.below.value;
}
void unpack(const fbs::TrimChainItemT& from, TrimChainItem& to) {
  to = {.shard = ShardId(from.shard), .epoch = Epoch(from.epoch), .below = Lsn(from.below)};
}

void pack(const AssignShards::Item& from, fbs::AssignShardsItemT& to) {
  to.shard = from.shard.value;
  to.has_before = from.before.has_value();
  to.before = from.before.value_or(NodeId(0)).value;
  to.to = from.to.value;
}
void unpack(const fbs::AssignShardsItemT& from, AssignShards::Item& to) {
  to = {.shard = ShardId(from.shard),
        .before = from.has_before ? std::optional(NodeId(from.before)) : std::nullopt,
        .to = NodeId(from.to)};
}

// ---- commands --------------------------------------------------------------------------------------------

fbs::CreateClusterT pack(const CreateCluster& from) {
  fbs::CreateClusterT to;
  to.shard_count = from.shard_count;
  to.id = pack(from.id);
  return to;
}
Result<Command> unpack(const fbs::CreateClusterT& from) {
  return CreateCluster{.shard_count = from.shard_count, .id = unpack(from.id)};
}

fbs::RegisterNodeT pack(const RegisterNode& from) {
  fbs::RegisterNodeT to;
  to.node = from.node.value;
  to.addresses = pack_all<fbs::NodeAddressT>(from.addresses);
  to.roles = from.roles;
  to.zone = from.zone;
  to.disk = from.disk;
  to.product = from.product;
  to.directory = pack(from.directory);
  return to;
}
Result<Command> unpack(const fbs::RegisterNodeT& from) {
  return RegisterNode{.node = NodeId(from.node),
                      .addresses = unpack_all<NodeAddress>(from.addresses),
                      .roles = from.roles,
                      .zone = from.zone,
                      .disk = from.disk,
                      .product = from.product,
                      .directory = unpack(from.directory)};
}

fbs::AdmitNodeT pack(const AdmitNode& from) {
  fbs::AdmitNodeT to;
  to.node = from.node.value;
  to.directory = pack(from.directory);
  to.addresses = pack_all<fbs::NodeAddressT>(from.addresses);
  to.roles = from.roles;
  to.zone = from.zone;
  to.product = from.product;
  return to;
}
Result<Command> unpack(const fbs::AdmitNodeT& from) {
  return AdmitNode{.node = NodeId(from.node),
                   .directory = unpack(from.directory),
                   .addresses = unpack_all<NodeAddress>(from.addresses),
                   .roles = from.roles,
                   .zone = from.zone,
                   .product = from.product};
}

fbs::EndIncarnationT pack(const EndIncarnation& from) {
  fbs::EndIncarnationT to;
  to.node = from.node.value;
  to.incarnation = from.incarnation.value;
  return to;
}
Result<Command> unpack(const fbs::EndIncarnationT& from) {
  return EndIncarnation{.node = NodeId(from.node), .incarnation = Incarnation(from.incarnation)};
}

fbs::DrainNodeT pack(const DrainNode& from) {
  fbs::DrainNodeT to;
  to.node = from.node.value;
  to.draining = from.draining;
  to.leaving = from.leaving;
  return to;
}
Result<Command> unpack(const fbs::DrainNodeT& from) {
  return DrainNode{.node = NodeId(from.node), .draining = from.draining, .leaving = from.leaving};
}

fbs::RemoveNodeT pack(const RemoveNode& from) {
  fbs::RemoveNodeT to;
  to.node = from.node.value;
  return to;
}
Result<Command> unpack(const fbs::RemoveNodeT& from) {
  return RemoveNode{.node = NodeId(from.node)};
}

fbs::AssignShardsT pack(const AssignShards& from) {
  fbs::AssignShardsT to;
  to.items = pack_all<fbs::AssignShardsItemT>(from.items);
  return to;
}
Result<Command> unpack(const fbs::AssignShardsT& from) {
  return AssignShards{.items = unpack_all<AssignShards::Item>(from.items)};
}

fbs::TakeShardsT pack(const TakeShards& from) {
  fbs::TakeShardsT to;
  to.node = from.node.value;
  to.incarnation = from.incarnation.value;
  to.shards = values_of(from.shards);
  return to;
}
Result<Command> unpack(const fbs::TakeShardsT& from) {
  return TakeShards{.node = NodeId(from.node),
                    .incarnation = Incarnation(from.incarnation),
                    .shards = ids_of<ShardId>(from.shards)};
}

fbs::SealAndOpenT pack(const SealAndOpen& from) {
  fbs::SealAndOpenT to;
  to.items = pack_all<fbs::SealAndOpenItemT>(from.items);
  return to;
}
Result<Command> unpack(const fbs::SealAndOpenT& from) {
  return SealAndOpen{.items = unpack_all<SealAndOpenItem>(from.items)};
}

fbs::TrimChainT pack(const TrimChain& from) {
  fbs::TrimChainT to;
  to.items = pack_all<fbs::TrimChainItemT>(from.items);
  return to;
}
Result<Command> unpack(const fbs::TrimChainT& from) {
  return TrimChain{.items = unpack_all<TrimChainItem>(from.items)};
}

fbs::MoveSegmentT pack(const MoveSegment& from) {
  fbs::MoveSegmentT to;
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  to.segment = from.segment.value;
  to.before = pack_all<fbs::ReplicaT>(from.before);
  to.after = pack_all<fbs::ReplicaT>(from.after);
  return to;
}
Result<Command> unpack(const fbs::MoveSegmentT& from) {
  return MoveSegment{.shard = ShardId(from.shard),
                     .epoch = Epoch(from.epoch),
                     .segment = SegmentId(from.segment),
                     .before = unpack_all<Replica>(from.before),
                     .after = unpack_all<Replica>(from.after)};
}

fbs::ReleaseShardT pack(const ReleaseShard& from) {
  fbs::ReleaseShardT to;
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  return to;
}
Result<Command> unpack(const fbs::ReleaseShardT& from) {
  return ReleaseShard{.shard = ShardId(from.shard), .epoch = Epoch(from.epoch)};
}

fbs::SetSnapshotT pack(const SetSnapshot& from) {
  fbs::SetSnapshotT to;
  to.shard = from.shard.value;
  to.epoch = from.epoch.value;
  to.lsn = from.snapshot.lsn.value;
  to.file = from.snapshot.file;
  return to;
}
Result<Command> unpack(const fbs::SetSnapshotT& from) {
  return SetSnapshot{.shard = ShardId(from.shard),
                     .epoch = Epoch(from.epoch),
                     .snapshot = {.lsn = Lsn(from.lsn), .file = from.file}};
}

// ---- answers ---------------------------------------------------------------------------------------------

fbs::ClusterInfoT pack(const ClusterInfo& from) {
  fbs::ClusterInfoT to;
  to.id = from.id;
  to.shard_count = from.shard_count;
  return to;
}
Result<Answer> unpack(const fbs::ClusterInfoT& from) {
  return ClusterInfo{.id = from.id, .shard_count = from.shard_count};
}

fbs::NodeT pack(const Node& from) {
  fbs::NodeT to;
  to.id = from.id.value;
  to.incarnation = from.incarnation.value;
  to.addresses = pack_all<fbs::NodeAddressT>(from.addresses);
  to.roles = from.roles;
  to.zone = from.zone;
  to.disk = from.disk;
  to.product = from.product;
  to.ended = !from.lives;
  to.draining = from.draining;
  to.directory = pack(from.directory);
  to.leaving = from.leaving;
  return to;
}
Result<Answer> unpack(const fbs::NodeT& from) {
  return Node{.id = NodeId(from.id),
              .incarnation = Incarnation(from.incarnation),
              .addresses = unpack_all<NodeAddress>(from.addresses),
              .roles = from.roles,
              .zone = from.zone,
              .disk = from.disk,
              .product = from.product,
              .lives = !from.ended,
              .draining = from.draining,
              .leaving = from.leaving,
              .directory = unpack(from.directory)};
}

fbs::ShardsT pack(const std::vector<Shard>& from) {
  fbs::ShardsT to;
  to.shards = pack_all<fbs::ShardT>(from);
  return to;
}
Result<Answer> unpack(const fbs::ShardsT& from) {
  return unpack_all<Shard>(from.shards);
}

fbs::SealAndOpenResultsT pack(const SealAndOpen::Answer& from) {
  fbs::SealAndOpenResultsT to;
  for (const auto& result : from) {
    auto& item = to.items.emplace_back(std::make_unique<fbs::SealAndOpenResultT>());
    if (!result) {
      item->failure = pack(result.error());
      continue;
    }
    item->opened = std::make_unique<fbs::SegmentT>();
    pack(result->opened, *item->opened);
    item->dropped = result->dropped ? result->dropped->value : 0;
  }
  return to;
}
Result<Answer> unpack(const fbs::SealAndOpenResultsT& from) {
  SealAndOpen::Answer to;
  for (const auto& item : from.items) {
    if (item->failure) {
      to.push_back(std::unexpected(unpack(*item->failure)));
      continue;
    }
    if (!item->opened) return malformed("no segment was opened");
    SealAndOpenResult result;
    unpack(*item->opened, result.opened);
    if (item->dropped) result.dropped = SegmentId(item->dropped);
    to.push_back(std::move(result));
  }
  return to;
}

fbs::TrimChainResultsT pack(const TrimChain::Answer& from) {
  fbs::TrimChainResultsT to;
  for (const auto& result : from) {
    auto& item = to.items.emplace_back(std::make_unique<fbs::TrimChainResultT>());
    if (result) {
      item->dropped = values_of(*result);
    } else {
      item->failure = pack(result.error());
    }
  }
  return to;
}
Result<Answer> unpack(const fbs::TrimChainResultsT& from) {
  TrimChain::Answer to;
  for (const auto& item : from.items) {
    if (item->failure) {
      to.push_back(std::unexpected(unpack(*item->failure)));
    } else {
      to.push_back(ids_of<SegmentId>(item->dropped));
    }
  }
  return to;
}

fbs::PreviousSnapshotT pack_answer(const std::optional<Snapshot>& from) {
  fbs::PreviousSnapshotT to;
  to.snapshot = pack(from);
  return to;
}
Result<Answer> unpack(const fbs::PreviousSnapshotT& from) {
  return unpack(from.snapshot);
}

}  // namespace stele::meta::codec
