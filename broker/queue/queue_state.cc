#include "broker/queue/queue_state.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/marks.h"

namespace stele::broker::queue {

namespace {

constexpr unsigned kWhyBits = 3;
constexpr std::uint32_t kMaxDeliveries = UINT32_MAX >> kWhyBits;

}  // namespace

std::optional<MessageInfo> QueueState::find(MessageKey key) const {
  const auto level = levels_.find(key.level);
  return level != levels_.end() ? level->second.find(key.level, key.number) : std::nullopt;
}

bool QueueState::has(MessageKey key) const {
  const auto level = levels_.find(key.level);
  return level != levels_.end() && level->second.has(key.number);
}

// ---- what comes -----------------------------------------------------------------------------------------

std::int64_t QueueState::expiry(const Arrival& arrival, WallTime now) const {
  std::optional<std::int64_t> ttl_ms = options_.message_ttl_ms;
  if (arrival.ttl_ms) ttl_ms = std::min(ttl_ms.value_or(INT64_MAX), *arrival.ttl_ms);
  if (!ttl_ms) return kNever;
  // As in quorum queues, a TTL of 0 leaves the millisecond of the arrival to be delivered in.
  const std::int64_t after_ms = std::max<std::int64_t>(1, *ttl_ms);
  return now.ms < kNever - after_ms ? now.ms + after_ms : kNever;
}

MessageKey QueueState::enqueue(const Arrival& arrival, WallTime now) {
  const std::uint8_t level = std::min(arrival.priority, options_.max_priority.value_or(0));
  const std::uint64_t number = levels_[level].push(arrival.place, arrival.bytes, expiry(arrival, now));
  ++size_;
  bytes_ += arrival.bytes;
  ++counts_.arrived;
  return {level, number};
}

void QueueState::refuse(const Arrival& arrival, WallTime now) {
  ++counts_.refused;
  if (options_.overflow != Overflow::kRejectPublishDlx) return;
  StoredMessage message;
  message.lsn = arrival.place.lsn;
  message.index = arrival.place.index;
  message.bytes = arrival.bytes;
  bury(message, 0, Why::kMaxLength, now);
}

// ---- what goes ------------------------------------------------------------------------------------------

void QueueState::bury(const StoredMessage& message, std::uint32_t deliveries, Why why, WallTime now) {
  if (!options_.dead_letter_exchange) return;
  StoredMessage dead = message;
  dead.number = next_dead_++;
  dead.time_ms = now.ms;
  dead.tag = static_cast<std::uint32_t>(why) | std::min(deliveries, kMaxDeliveries) << kWhyBits;
  dead_.push_back(dead);
  while (!options_.at_least_once() && dead_.size() > options_.dead_letters_max) {
    STELE_MARK("queue: too many dead letters, the oldest is lost");
    dead_.erase(dead_.at_or_above(0)->number);
    ++counts_.lost;
  }
}

void QueueState::gone(const StoredMessage& message, std::uint32_t deliveries, Why why, WallTime now) {
  --size_;
  bytes_ -= message.bytes;
  ++counts_.left[static_cast<std::size_t>(why)];
  if (is_death(why)) bury(message, deliveries, why, now);
}

void QueueState::remove(const Removed& removed, WallTime now) {
  for (const KeyRange& range : removed.messages) {
    const auto found = levels_.find(range.level);
    if (found == levels_.end()) continue;
    QueueLevel& level = found->second;
    const std::uint64_t end = range.first + std::min(range.count, UINT64_MAX - range.first);
    if (range.count > 1 && !(is_death(removed.why) && options_.dead_letter_exchange)) {
      const std::uint64_t bytes = level.bytes();
      const std::uint64_t count = level.remove_range(range.first, end);
      size_ -= count;
      bytes_ -= bytes - level.bytes();
      counts_.left[static_cast<std::size_t>(removed.why)] += count;
      continue;
    }
    for (auto number = level.at_or_above(range.first); number && *number < end;
         number = level.at_or_above(*number + 1)) {
      const std::uint32_t deliveries = level.mark(*number).deliveries;
      gone(*level.remove(*number), deliveries, removed.why, now);
    }
  }
}

void QueueState::give_back(const Returned& returned, WallTime now) {
  for (const MessageKey& key : returned.messages) {
    const auto found = levels_.find(key.level);
    if (found == levels_.end() || !found->second.has(key.number)) continue;
    QueueLevel& level = found->second;
    QueueLevel::Mark mark = level.mark(key.number);
    if (returned.counts && mark.deliveries < UINT32_MAX) ++mark.deliveries;
    if (returned.counts && options_.delivery_limit && mark.deliveries > *options_.delivery_limit) {
      STELE_MARK("queue: delivery limit");
      gone(*level.remove(key.number), mark.deliveries, Why::kDeliveryLimit, now);
      continue;
    }
    mark.turn = next_turn_++;
    level.return_to(key.number, mark);
  }
}

void QueueState::apply(const QueueFact& fact, WallTime now) {
  ++facts_;
  if (const auto* removed = std::get_if<Removed>(&fact)) {
    remove(*removed, now);
  } else {
    give_back(std::get<Returned>(fact), now);
  }
}

void QueueState::forwarded(std::uint64_t first, std::uint64_t count) {
  counts_.forwarded += dead_.erase_range(first, first + std::min(count, UINT64_MAX - first));
}

void QueueState::set_options(QueueOptions options) {
  options.max_priority = options_.max_priority;
  options.single_active_consumer = options_.single_active_consumer;
  options.type = options_.type;
  options_ = std::move(options);
  if (!options_.dead_letter_exchange && !dead_.empty()) {
    STELE_MARK("queue: dead letters lost with their exchange");
    counts_.lost += dead_.size();
    dead_.clear();
  }
}

void QueueState::take_over(Epoch epoch) {
  STELE_ASSERT(epoch >= epoch_);
  epoch_ = epoch;
  for (auto& [id, level] : levels_) level.all_redelivered();
}

// ---- what is there --------------------------------------------------------------------------------------

std::optional<DeadLetter> QueueState::dead_letter_from(std::uint64_t number) const {
  const std::optional<StoredMessage> found = dead_.at_or_above(number);
  if (!found) return std::nullopt;
  DeadLetter dead;
  dead.number = found->number;
  dead.place = {found->lsn, found->index};
  dead.bytes = found->bytes;
  dead.why = static_cast<Why>(found->tag & ((1U << kWhyBits) - 1));
  dead.died_at_ms = found->time_ms;
  dead.deliveries = found->tag >> kWhyBits;
  return dead;
}

std::optional<Lsn> QueueState::lsn_needed() const {
  std::optional<Lsn> lowest = dead_.lowest_lsn();
  for (const auto& [id, level] : levels_) {
    const std::optional<Lsn> of_level = level.lsn_needed();
    if (of_level && (!lowest || *of_level < *lowest)) lowest = of_level;
  }
  return lowest;
}

std::size_t QueueState::memory_bytes() const {
  std::size_t all = sizeof *this + dead_.memory_bytes();
  for (const auto& [id, level] : levels_) all += level.memory_bytes();
  return all;
}

std::uint64_t QueueState::hash() const {
  Hasher hasher;
  encode([&](std::string_view record) { hasher.add(record); });
  return hasher.value();
}

}  // namespace stele::broker::queue
