// For tests: the chains of a few shards, kept outside of every process, as the meta service would keep them
// but with a will of its own: it can be out of reach, answer late, lose its answers, or do things after it
// gave up on answering.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/result.h"
#include "journal/chain_keeper.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::journal {

// The state. Its rules are those of meta/handle_shards.cc.
class ModelChains {
 public:
  explicit ModelChains(std::uint32_t shards) {
    for (std::uint32_t id = 0; id < shards; ++id) shards_[ShardId(id)].id = ShardId(id);
  }

  const meta::Shard& shard(ShardId id) const { return shards_.at(id); }
  std::vector<ShardId> all() const;

  std::vector<meta::Shard> take(const std::vector<ShardId>& shards, NodeId node);
  std::vector<meta::Shard> read(const std::vector<ShardId>& shards) const;
  Result<meta::SealAndOpenResult> seal_and_open(const meta::SealAndOpenItem& item);
  Result<std::vector<SegmentId>> trim(const meta::TrimChainItem& item);
  Result<void> move(const meta::MoveSegment& command);
  // As SetSnapshot: what limits trimming.
  bool publish(ShardId shard, Epoch epoch, Lsn lsn);

  // ---- what goes wrong
  bool reachable = true;
  // Out of 8 swaps, how many lose their answer; and of those, how many of 8 happen only later, if ever.
  std::uint32_t lost_answers_of_8 = 0;
  std::uint32_t late_of_8 = 0;
  // How much longer than others the answer to a swap is on its way.
  runtime::Duration swap_answers_take{};
  // Runs something in a while, whatever becomes of the process.
  std::function<void(std::function<void()>)> later;

  std::uint64_t takes = 0, swaps = 0, trims = 0, moves = 0;  // commands executed

 private:
  std::map<ShardId, meta::Shard> shards_;
  std::uint64_t next_segment_ = 1;
};

// A core's way to it.
class ModelKeeper final : public ChainKeeper {
 public:
  ModelKeeper(runtime::Runtime& runtime, ModelChains& chains, NodeId node)
      : runtime_(runtime), chains_(chains), node_(node) {}
  NodeId node() const override { return node_; }
  runtime::Task<Result<std::vector<meta::Shard>>> take(std::vector<ShardId> shards) override;
  runtime::Task<Result<std::vector<meta::Shard>>> read(std::vector<ShardId> shards) override;
  runtime::Task<Result<meta::SealAndOpen::Answer>> seal_and_open(
      std::vector<meta::SealAndOpenItem> items) override;
  runtime::Task<Result<meta::TrimChain::Answer>> trim(std::vector<meta::TrimChainItem> items) override;
  runtime::Task<Result<void>> move(meta::MoveSegment command) override;

 private:
  runtime::Task<bool> travel();

  runtime::Runtime& runtime_;
  ModelChains& chains_;
  const NodeId node_;
};

}  // namespace stele::journal
