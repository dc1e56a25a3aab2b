#include "journal/testing/model_keeper.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/assert.h"

namespace stele::journal {

using runtime::Task;

std::vector<ShardId> ModelChains::all() const {
  std::vector<ShardId> ids;
  for (const auto& [id, shard] : shards_) ids.push_back(id);
  return ids;
}

std::vector<meta::Shard> ModelChains::take(const std::vector<ShardId>& shards, NodeId node) {
  ++takes;
  for (ShardId id : shards) {
    ++shards_.at(id).epoch;
    shards_.at(id).owner = node;
  }
  return read(shards);
}

std::vector<meta::Shard> ModelChains::read(const std::vector<ShardId>& shards) const {
  std::vector<meta::Shard> found;
  for (ShardId id : shards) found.push_back(shards_.at(id));
  return found;
}

Result<meta::SealAndOpenResult> ModelChains::seal_and_open(const meta::SealAndOpenItem& item) {
  ++swaps;
  meta::Shard& shard = shards_.at(item.shard);
  const bool same = shard.chain.empty() ? !item.last : item.last == shard.chain.back().id;
  if (item.epoch != shard.epoch || !same) return error(ErrorCode::kFenced, "another one by now");
  meta::SealAndOpenResult result;
  if (!shard.chain.empty()) {
    meta::Segment& last = shard.chain.back();
    STELE_ASSERT(!last.end && item.end >= last.base);
    STELE_ASSERT(!shard.snapshot || item.end >= shard.snapshot->lsn);
    if (last.base == item.end) {
      result.dropped = last.id;
      shard.chain.pop_back();
    } else {
      last.end = item.end;
    }
  }
  result.opened.id = SegmentId(next_segment_++);
  result.opened.base = item.end;
  result.opened.epoch = item.epoch;
  result.opened.replicas = item.replicas;
  shard.chain.push_back(result.opened);
  return result;
}

Result<std::vector<SegmentId>> ModelChains::trim(const meta::TrimChainItem& item) {
  ++trims;
  meta::Shard& shard = shards_.at(item.shard);
  if (item.epoch != shard.epoch) return error(ErrorCode::kFenced, "another epoch by now");
  if (item.below > (shard.snapshot ? shard.snapshot->lsn : Lsn(0)))
    return error(ErrorCode::kInvalidArgument, "beyond the snapshot");
  std::vector<SegmentId> dropped;
  while (shard.chain.front().end && *shard.chain.front().end <= item.below) {
    dropped.push_back(shard.chain.front().id);
    shard.chain.erase(shard.chain.begin());
  }
  return dropped;
}

Result<void> ModelChains::move(const meta::MoveSegment& command) {
  ++moves;
  meta::Shard& shard = shards_.at(command.shard);
  if (command.epoch != shard.epoch) return error(ErrorCode::kFenced, "another epoch by now");
  const auto found = std::ranges::find(shard.chain, command.segment, &meta::Segment::id);
  if (found == shard.chain.end()) return error(ErrorCode::kNotFound, "trimmed");
  STELE_ASSERT(found->end);
  if (found->replicas != command.before) return error(ErrorCode::kFenced, "it lies elsewhere");
  found->replicas = command.after;
  return {};
}

bool ModelChains::publish(ShardId id, Epoch epoch, Lsn lsn) {
  meta::Shard& shard = shards_.at(id);
  if (shard.epoch != epoch) return false;
  shard.snapshot = meta::Snapshot{.lsn = lsn, .file = "snapshot"};
  return true;
}

// ---- ModelKeeper ----------------------------------------------------------------------------------------

namespace {
std::unexpected<Error> no_answer() {
  return error(ErrorCode::kUnavailable, "the keeper does not answer");
}
}  // namespace

Task<bool> ModelKeeper::travel() {
  co_await runtime::sleep(runtime_, std::chrono::microseconds(runtime_.random().between(1, 3000)));
  co_return chains_.reachable;
}

Task<Result<std::vector<meta::Shard>>> ModelKeeper::take(std::vector<ShardId> shards) {
  if (!co_await travel()) co_return no_answer();
  auto taken = chains_.take(shards, node_);
  if (!co_await travel()) co_return no_answer();
  co_return taken;
}

Task<Result<std::vector<meta::Shard>>> ModelKeeper::read(std::vector<ShardId> shards) {
  if (!co_await travel()) co_return no_answer();
  auto found = chains_.read(shards);
  if (!co_await travel()) co_return no_answer();
  co_return found;
}

Task<Result<meta::SealAndOpen::Answer>> ModelKeeper::seal_and_open(std::vector<meta::SealAndOpenItem> items) {
  if (!co_await travel()) co_return no_answer();
  const bool lost = runtime_.random().chance(chains_.lost_answers_of_8, 8);
  if (lost && runtime_.random().chance(chains_.late_of_8, 8)) {
    chains_.later([&chains = chains_, items] {
      for (const meta::SealAndOpenItem& item : items) (void)chains.seal_and_open(item);
    });
    co_return no_answer();
  }
  meta::SealAndOpen::Answer answer;
  for (const meta::SealAndOpenItem& item : items) answer.push_back(chains_.seal_and_open(item));
  if (chains_.swap_answers_take.count() > 0) co_await runtime::sleep(runtime_, chains_.swap_answers_take);
  if (!co_await travel() || lost) co_return no_answer();
  co_return answer;
}

Task<Result<meta::TrimChain::Answer>> ModelKeeper::trim(std::vector<meta::TrimChainItem> items) {
  if (!co_await travel()) co_return no_answer();
  meta::TrimChain::Answer answer;
  for (const meta::TrimChainItem& item : items) answer.push_back(chains_.trim(item));
  if (!co_await travel()) co_return no_answer();
  co_return answer;
}

Task<Result<void>> ModelKeeper::move(meta::MoveSegment command) {
  if (!co_await travel()) co_return no_answer();
  const bool lost = runtime_.random().chance(chains_.lost_answers_of_8, 8);
  auto answer = chains_.move(command);
  if (!co_await travel() || lost) co_return no_answer();
  co_return answer;
}

}  // namespace stele::journal
