// What the shard log needs of the meta service, which keeps the chains. An interface, so that the log can be
// tried against a keeper that is slow, unreachable, or answers nothing at all.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "meta/commands.h"
#include "meta/types.h"
#include "model/ids.h"
#include "runtime/task.h"

namespace stele::meta {
class MetaClient;
}

namespace stele::journal {

// Lives on one core. kUnavailable, kTimedOut and kClosed mean that the outcome of a command is unknown.
class ChainKeeper {
 public:
  virtual ~ChainKeeper() = default;
  virtual NodeId node() const = 0;
  // Makes this process the owner, in higher epochs; all or none.
  virtual runtime::Task<Result<std::vector<meta::Shard>>> take(std::vector<ShardId> shards) = 0;
  virtual runtime::Task<Result<std::vector<meta::Shard>>> read(std::vector<ShardId> shards) = 0;
  virtual runtime::Task<Result<meta::SealAndOpen::Answer>> seal_and_open(
      std::vector<meta::SealAndOpenItem> items) = 0;
  virtual runtime::Task<Result<meta::TrimChain::Answer>> trim(std::vector<meta::TrimChainItem> items) = 0;
  virtual runtime::Task<Result<void>> move(meta::MoveSegment segment) = 0;
};

// `meta` outlives it.
std::shared_ptr<ChainKeeper> keep_chains_in(meta::MetaClient& meta, NodeId node,
                                            meta::Incarnation incarnation);

}  // namespace stele::journal
