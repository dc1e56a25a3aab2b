#include "broker/route_feed.h"

#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::broker {
namespace {

// Adds to the batch if there is room, or if it is the first.
bool add(RouteBatch& batch, std::size_t& room, RouteNews news) {
  const std::size_t bytes = news.bytes();
  if (!batch.news.empty() && bytes > room) return false;
  room -= std::min(room, bytes);
  batch.news.push_back(std::move(news));
  return true;
}

}  // namespace

// ---- what holds -----------------------------------------------------------------------------------------

std::uint64_t RouteFeed::note(CoreId core, RouteNews news) {
  if (!news.of_shard()) return note_of_core(core, std::move(news));
  if (news.kind == RouteNews::Kind::kShardBegins) return note_begin(std::move(news));
  const std::optional<Section> section = section_of(news);
  return section ? note_of_shard(*section, std::move(news)) : version_;
}

std::uint64_t RouteFeed::note_begin(RouteNews news) {
  const auto known = section_of_shard_.find(news.shard);
  if (known != section_of_shard_.end()) {
    if (news.epoch <= sections_.at(known->second).epoch) return version_;
    erase_section(news.shard);
  }
  const Section section = version_ + 1;
  sections_.emplace(section, ShardSection{news.shard, news.epoch});
  section_of_shard_.emplace(news.shard, section);
  news.number = 1;
  return change(section, std::move(news));
}

std::uint64_t RouteFeed::note_of_shard(Section section, RouteNews news) {
  if (news.kind == RouteNews::Kind::kShardTold) news.number = 1;
  news.number = std::min(news.number, 1U);
  const auto there = items_.find(key_of(section, news));
  if (there != items_.end() && news.number == 1) return there->second.version;
  if (there == items_.end() && news.number == 0) return version_;
  return change(section, std::move(news));
}

std::uint64_t RouteFeed::note_of_core(CoreId core, RouteNews news) {
  const bool live = news.kind == RouteNews::Kind::kLiveInterest;
  news.shard = {};
  news.epoch = {};
  const std::uint32_t here = live ? std::min(news.number, 1U) : news.number;
  const auto there = items_.find(key_of(0, news));
  if (there == items_.end()) {
    if (here == 0) return version_;
    news.number = here;
    Key key(0, news.kind, news.tenant, news.text);
    const std::uint64_t version = change(0, std::move(news));
    items_.find(key)->second.cores.emplace_back(core, here);
    return version;
  }
  auto& cores = there->second.cores;
  const auto part = std::ranges::find(cores, core, &std::pair<CoreId, std::uint32_t>::first);
  if (part == cores.end()) {
    if (here > 0) cores.emplace_back(core, here);
  } else if (here > 0) {
    part->second = here;
  } else {
    cores.erase(part);
  }
  std::uint32_t total = 0;
  for (const auto& [of, number] : cores) total += number;
  news.number = live ? std::min(total, 1U) : total;
  return news.number == there->second.number ? there->second.version : change(0, std::move(news));
}

std::uint64_t RouteFeed::change(Section section, RouteNews news) {
  if (news.number == 0) {
    const auto there = items_.find(key_of(section, news));
    STELE_ASSERT(there != items_.end());
    items_.erase(there);
  } else {
    Item& item = items_[Key(section, news.kind, news.tenant, news.text)];
    item.number = news.number;
    item.version = version_ + 1;
  }
  return append(section, std::move(news));
}

std::uint64_t RouteFeed::append(Section section, RouteNews news) {
  change_bytes_ += news.bytes();
  changes_.emplace_back(section, std::move(news));
  ++version_;
  while (!changes_.empty() &&
         (changes_.size() > limits_.max_changes || change_bytes_ > limits_.max_change_bytes)) {
    change_bytes_ -= changes_.front().news.bytes();
    changes_.pop_front();
  }
  return version_;
}

void RouteFeed::forget_shard(ShardId shard, Epoch epoch) {
  const auto known = section_of_shard_.find(shard);
  if (known != section_of_shard_.end() && sections_.at(known->second).epoch <= epoch) erase_section(shard);
}

void RouteFeed::erase_section(ShardId shard) {
  const auto known = section_of_shard_.find(shard);
  const Section section = known->second;
  const auto begin = items_.lower_bound(KeyView(section, {}, {}, {}));
  items_.erase(begin, items_.lower_bound(KeyView(section + 1, {}, {}, {})));
  sections_.erase(section);
  section_of_shard_.erase(known);
}

std::optional<RouteFeed::Section> RouteFeed::section_of(const RouteNews& news) const {
  const auto known = section_of_shard_.find(news.shard);
  if (known == section_of_shard_.end() || sections_.at(known->second).epoch != news.epoch)
    return std::nullopt;
  return known->second;
}

RouteNews RouteFeed::news_of(const Key& key, const Item& item) const {
  RouteNews news{.kind = key.kind, .tenant = key.tenant, .text = key.text, .number = item.number};
  if (key.section == 0) return news;
  const ShardSection& section = sections_.at(key.section);
  news.shard = section.shard;
  news.epoch = section.epoch;
  return news;
}

// ---- who follows ----------------------------------------------------------------------------------------

void RouteFeed::follow(FollowerId follower) {
  followers_.try_emplace(follower);
}

void RouteFeed::unfollow(FollowerId follower) {
  followers_.erase(follower);
}

std::uint64_t RouteFeed::lowest_acknowledged() const {
  std::uint64_t lowest = version_;
  for (const auto& [id, follower] : followers_) lowest = std::min(lowest, follower.acknowledged);
  return lowest;
}

std::shared_ptr<const RouteBatch> RouteFeed::next_batch(FollowerId id, std::size_t max_bytes) {
  const auto found = followers_.find(id);
  if (found == followers_.end()) return nullptr;
  Follower& follower = found->second;
  if (follower.unanswered) return std::exchange(follower.lost, false) ? follower.unanswered : nullptr;
  if (follower.way != Way::kBegin && follower.sent + 1 < first_kept()) {
    if (follower.way == Way::kSnapshot) STELE_MARK("routes: a snapshot overtaken by changes begins again");
    STELE_MARK("routes: a follower too far behind for increments");
    follower.way = Way::kBegin;
  }
  if (follower.way == Way::kIncrements && follower.sent == version_) return nullptr;

  RouteBatch batch;
  batch.source_incarnation = incarnation_;
  batch.follower_incarnation = id.incarnation;
  batch.after = follower.number;
  batch.number = follower.number = ++batches_;
  if (follower.way == Way::kIncrements) {
    fill_increments(follower, max_bytes, batch);
  } else {
    fill_piece(follower, max_bytes, batch);
  }
  STELE_ASSERT(follower.sent <= version_);
  follower.unanswered = std::make_shared<const RouteBatch>(std::move(batch));
  return follower.unanswered;
}

void RouteFeed::fill_increments(Follower& follower, std::size_t max_bytes, RouteBatch& batch) const {
  batch.first = follower.sent + 1;
  while (follower.sent < version_ && add(batch, max_bytes, change_at(follower.sent + 1).news))
    ++follower.sent;
  batch.last = follower.sent;
}

void RouteFeed::fill_piece(Follower& follower, std::size_t max_bytes, RouteBatch& batch) const {
  if (follower.way == Way::kBegin) {
    batch.anew = true;
    follower.way = Way::kSnapshot;
    follower.sent = version_;
    follower.cursor.reset();
  }
  batch.complete = false;
  // What was told before and has changed since.
  for (; follower.sent < version_; ++follower.sent) {
    const Change& change = change_at(follower.sent + 1);
    if (!follower.cursor || KeyView(*follower.cursor) < key_of(change.section, change.news)) continue;
    if (!add(batch, max_bytes, change.news)) break;
    STELE_MARK("routes: a change of what a snapshot has told already");
  }
  batch.first = batch.last = follower.sent;
  if (follower.sent < version_) return;
  // All of that is as it is now: the walk may go on.
  auto at = follower.cursor ? items_.upper_bound(*follower.cursor) : items_.begin();
  for (; at != items_.end() && add(batch, max_bytes, news_of(at->first, at->second)); ++at) {
    follower.cursor = at->first;
  }
  if (at != items_.end()) return;
  batch.complete = true;
  follower.way = Way::kIncrements;
  follower.cursor.reset();
}

void RouteFeed::on_answer(FollowerId id, const RouteBatchAnswer& answer) {
  const auto found = followers_.find(id);
  if (found == followers_.end()) return;
  Follower& follower = found->second;
  if (!follower.unanswered || answer.source_incarnation != incarnation_ ||
      answer.number != follower.unanswered->number) {
    return;
  }
  const auto batch = std::exchange(follower.unanswered, nullptr);
  follower.lost = false;
  if (answer.gap || (batch->complete && answer.version != batch->last)) {
    STELE_MARK("routes: a follower has a gap");
    follower.way = Way::kBegin;
  } else if (batch->complete) {
    STELE_ASSERT(follower.acknowledged <= batch->last);
    follower.acknowledged = batch->last;
  }
}

void RouteFeed::on_lost(FollowerId id) {
  const auto found = followers_.find(id);
  if (found != followers_.end() && found->second.unanswered) found->second.lost = true;
}

}  // namespace stele::broker
