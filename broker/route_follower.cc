#include "broker/route_follower.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::broker {

std::optional<RouteBatchAnswer> RouteFollower::take(const RouteBatch& batch,
                                                    std::vector<RouteNews>& changes) {
  if (batch.follower_incarnation != incarnation_ || batch.source_incarnation <= ended_ ||
      batch.source_incarnation < source_incarnation_) {
    return std::nullopt;
  }
  RouteBatchAnswer answer{.source_incarnation = batch.source_incarnation, .number = batch.number};
  const bool same_source = batch.source_incarnation == source_incarnation_;
  if (same_source && batch.number <= number_) {
    if (batch.number < number_) return std::nullopt;
    STELE_MARK("routes: a batch comes again");
    answer.version = version_;
    return answer;
  }
  if (!batch.anew && !(same_source && follows(batch))) {
    answer.version = same_source ? version_ : 0;
    answer.gap = true;
    return answer;
  }
  if (!same_source) {
    source_incarnation_ = batch.source_incarnation;
    version_ = 0;
    complete_ = false;
  }
  number_ = batch.number;
  if (batch.anew) {
    in_snapshot_ = true;
    ++snapshot_;
  }
  for (const RouteNews& news : batch.news) {
    if (news.of_shard()) {
      shards_.apply(source_, news, changes);
    } else {
      change(news, changes);
    }
  }
  if (batch.complete) {
    if (std::exchange(in_snapshot_, false)) drop_untold(changes);
    complete_ = true;
    version_ = batch.last;
  }
  answer.version = version_;
  return answer;
}

bool RouteFollower::follows(const RouteBatch& batch) const {
  if (batch.after != number_) return false;
  if (in_snapshot_) return true;
  return batch.complete && batch.first == version_ + 1 && batch.last == version_ + batch.news.size();
}

void RouteFollower::change(const RouteNews& news, std::vector<RouteNews>& changes) {
  Key key(news.kind, news.tenant, news.text);
  if (news.number == 0) {
    if (items_.erase(key) > 0) changes.push_back(news);
    return;
  }
  Item& item = items_[std::move(key)];
  item.snapshot = snapshot_;
  if (std::exchange(item.number, news.number) != news.number) changes.push_back(news);
}

void RouteFollower::drop_untold(std::vector<RouteNews>& changes) {
  for (auto at = items_.begin(); at != items_.end();) {
    if (at->second.snapshot == snapshot_) {
      ++at;
      continue;
    }
    STELE_MARK("routes: a snapshot does not tell an interest any more");
    changes.push_back({.kind = at->first.kind, .tenant = at->first.tenant, .text = at->first.text});
    at = items_.erase(at);
  }
}

void RouteFollower::source_ended(std::uint64_t source_incarnation, std::vector<RouteNews>& changes) {
  ended_ = std::max(ended_, source_incarnation);
  if (source_incarnation_ > source_incarnation) return;  // its successor speaks already
  ++snapshot_;
  drop_untold(changes);
  source_incarnation_ = number_ = version_ = 0;
  in_snapshot_ = complete_ = false;
  STELE_ASSERT(items_.empty());
}

}  // namespace stele::broker
