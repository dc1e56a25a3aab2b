#include "broker/shard_knowledge.h"

#include <algorithm>
#include <utility>

#include "base/marks.h"

namespace stele::broker {

void ShardKnowledge::apply(NodeId source, const RouteNews& news, std::vector<RouteNews>& changes) {
  if (news.shard.value >= shards_.size()) return;
  Shard& shard = shards_[news.shard.value];
  if (news.kind == RouteNews::Kind::kShardBegins) return begin(shard, source, news, changes);
  if (!shard.begun || news.epoch > *shard.begun) return;
  if (news.epoch < *shard.begun) return hear_old_owner(shard, news, changes);
  if (shard.owner != source) return;
  if (news.kind == RouteNews::Kind::kShardTold) return end_telling(shard, news, changes);
  change(shard, news, shard.telling, changes);
}

void ShardKnowledge::hear_old_owner(Shard& shard, const RouteNews& news, std::vector<RouteNews>& changes) {
  const bool interest = news.kind != RouteNews::Kind::kShardTold && news.number > 0;
  if (!interest || shard.told == shard.begun || shard.wanted.contains(key_of(news))) {
    STELE_MARK("routes: what an old owner says is ignored");
    return;
  }
  STELE_MARK("routes: an old owner's interest until the new one has told");
  change(shard, news, 0, changes);
}

void ShardKnowledge::begin(Shard& shard, NodeId source, const RouteNews& news,
                           std::vector<RouteNews>& changes) {
  const bool again = shard.begun == news.epoch && shard.owner == source;  // in another snapshot
  if (!again) {
    if (shard.begun && *shard.begun >= news.epoch) return;
    shard.begun = news.epoch;
    shard.owner = source;
    changes.push_back(news);
  }
  ++shard.telling;
  shard.whole = false;
}

void ShardKnowledge::end_telling(Shard& shard, const RouteNews& news, std::vector<RouteNews>& changes) {
  if (std::exchange(shard.whole, true)) return;
  shard.told = shard.begun;
  // What has not been told again. Queues go before the interest that feeds them.
  std::vector<Key> gone;
  for (const auto& [key, telling] : shard.wanted) {
    if (telling != shard.telling) gone.push_back(key);
  }
  std::ranges::reverse(gone);
  for (Key& key : gone) {
    STELE_MARK("routes: a new owner does not know an interest any more");
    shard.wanted.erase(key);
    changes.push_back({key.kind, news.shard, news.epoch, key.tenant, std::move(key.text), 0});
  }
}

void ShardKnowledge::change(Shard& shard, const RouteNews& news, std::uint64_t telling,
                            std::vector<RouteNews>& changes) {
  const bool changed = news.number > 0 ? shard.wanted.insert_or_assign(key_of(news), telling).second
                                       : shard.wanted.erase(key_of(news)) > 0;
  if (changed) changes.push_back(news);
}

bool ShardKnowledge::complete(std::span<const Epoch> epochs) const {
  if (epochs.size() != shards_.size()) return false;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (!shards_[i].told || *shards_[i].told < epochs[i]) return false;
  }
  return true;
}

}  // namespace stele::broker
