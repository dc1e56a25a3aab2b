// The chains as the meta service keeps them.

#include <utility>

#include "journal/chain_keeper.h"
#include "journal/client.h"
#include "journal/shard_log.h"
#include "meta/client.h"

namespace stele::journal {
namespace {

using runtime::Task;

class MetaChainKeeper final : public ChainKeeper {
 public:
  MetaChainKeeper(meta::MetaClient& meta, NodeId node, meta::Incarnation incarnation)
      : meta_(meta), node_(node), incarnation_(incarnation) {}

  NodeId node() const override { return node_; }
  Task<Result<std::vector<meta::Shard>>> take(std::vector<ShardId> shards) override {
    return meta_.execute(
        meta::TakeShards{.node = node_, .incarnation = incarnation_, .shards = std::move(shards)});
  }
  Task<Result<std::vector<meta::Shard>>> read(std::vector<ShardId> shards) override {
    return meta_.read_shards(std::move(shards));
  }
  Task<Result<meta::SealAndOpen::Answer>> seal_and_open(std::vector<meta::SealAndOpenItem> items) override {
    return meta_.execute(meta::SealAndOpen{.items = std::move(items)});
  }
  Task<Result<meta::TrimChain::Answer>> trim(std::vector<meta::TrimChainItem> items) override {
    return meta_.execute(meta::TrimChain{.items = std::move(items)});
  }
  Task<Result<void>> move(meta::MoveSegment segment) override {
    auto moved = co_await meta_.execute(std::move(segment));
    if (!moved) co_return std::unexpected(std::move(moved).error());
    co_return Result<void>();
  }

 private:
  meta::MetaClient& meta_;
  const NodeId node_;
  const meta::Incarnation incarnation_;
};

}  // namespace

std::shared_ptr<ChainKeeper> keep_chains_in(meta::MetaClient& meta, NodeId node,
                                            meta::Incarnation incarnation) {
  return std::make_shared<MetaChainKeeper>(meta, node, incarnation);
}

Task<Result<std::vector<std::unique_ptr<ShardLog>>>> ShardLog::take_over_all(
    Replicas& replicas, meta::MetaClient& meta, NodeId node, meta::Incarnation incarnation,
    std::vector<ShardId> shards, ShardLogOptions options) {
  return take_over_all(replicas, keep_chains_in(meta, node, incarnation), std::move(shards), options);
}

Task<Result<ShardLog::EachTaken>> ShardLog::take_over_each(Replicas& replicas, meta::MetaClient& meta,
                                                           NodeId node, meta::Incarnation incarnation,
                                                           std::vector<ShardId> shards,
                                                           ShardLogOptions options) {
  return take_over_each(replicas, keep_chains_in(meta, node, incarnation), std::move(shards), options);
}

Task<Result<std::size_t>> remove_orphans(JournalClient& journal, meta::MetaClient& meta, NodeId node) {
  std::vector<ShardId> all;
  for (std::uint32_t id = 0; id < meta.view()->cluster().shard_count; ++id) all.push_back(ShardId(id));
  return remove_orphans(journal, keep_chains_in(meta, node, meta::Incarnation(0)), std::move(all));
}

}  // namespace stele::journal
