#include "broker/queue/queue_level.h"

#include "base/assert.h"

namespace stele::broker::queue {

std::size_t QueueLevel::memory_bytes() const {
  constexpr std::size_t kPerMark = (sizeof(std::uint64_t) + sizeof(Mark) + 2 * sizeof(std::uint64_t)) * 4 / 3;
  return messages_.memory_bytes() + marks_.size() * kPerMark;
}

std::optional<Lsn> QueueLevel::lsn_needed() const {
  const std::optional<StoredMessage> first = messages_.at_or_above(0);  // they arrived in the log's order
  if (!first) return std::nullopt;
  return first->lsn;
}

QueueLevel::Mark QueueLevel::mark(std::uint64_t number) const {
  if (marks_.empty()) return {};
  const auto found = marks_.find(number);
  return found != marks_.end() ? found->second : Mark();
}

MessageInfo QueueLevel::info(std::uint8_t level, const StoredMessage& message, Mark mark) const {
  MessageInfo info;
  info.key = {level, message.number};
  info.place = {message.lsn, message.index};
  info.bytes = message.bytes;
  info.expires_at_ms = message.time_ms;
  info.deliveries = mark.deliveries;
  info.redelivered = mark.deliveries > 0 || message.number < redelivered_below_;
  return info;
}

std::optional<MessageInfo> QueueLevel::find(std::uint8_t level, std::uint64_t number) const {
  const std::optional<StoredMessage> found = messages_.find(number);
  if (!found) return std::nullopt;
  return info(level, *found, mark(number));
}

std::optional<std::uint64_t> QueueLevel::at_or_above(std::uint64_t number) const {
  const std::optional<StoredMessage> found = messages_.at_or_above(number);
  if (!found) return std::nullopt;
  return found->number;
}

std::optional<MessageInfo> QueueLevel::fresh_from(std::uint8_t level, std::uint64_t number) const {
  std::optional<StoredMessage> found = messages_.at_or_above(number);
  while (found && mark(found->number).turn != 0) found = messages_.at_or_above(found->number + 1);
  if (!found) return std::nullopt;
  return info(level, *found, {});
}

std::optional<QueueLevel::Turn> QueueLevel::returned_from(std::uint64_t turn) const {
  if (returned_.empty()) return std::nullopt;
  const auto found = returned_.lower_bound(turn);
  if (found == returned_.end()) return std::nullopt;
  return Turn{found->first, found->second};
}

std::uint64_t QueueLevel::push(Place place, std::uint32_t bytes, std::int64_t expires_at_ms) {
  messages_.push_back(
      {.number = next_, .lsn = place.lsn, .index = place.index, .bytes = bytes, .time_ms = expires_at_ms});
  return next_++;
}

void QueueLevel::return_to(std::uint64_t number, Mark mark) {
  STELE_ASSERT(mark.turn != 0 && has(number));
  Mark& kept = marks_[number];
  if (kept.turn != 0) returned_.erase(kept.turn);
  kept = mark;
  const bool fresh = returned_.emplace(mark.turn, number).second;
  STELE_ASSERT(fresh);
}

std::optional<StoredMessage> QueueLevel::remove(std::uint64_t number) {
  std::optional<StoredMessage> was = messages_.erase(number);
  if (was && !marks_.empty()) {
    if (const auto found = marks_.find(number); found != marks_.end()) {
      returned_.erase(found->second.turn);
      marks_.erase(found);
    }
  }
  return was;
}

std::uint64_t QueueLevel::remove_range(std::uint64_t first, std::uint64_t end) {
  const auto from = marks_.lower_bound(first);
  const auto to = marks_.lower_bound(end);
  for (auto at = from; at != to; ++at) returned_.erase(at->second.turn);
  marks_.erase(from, to);
  return messages_.erase_range(first, end);
}

}  // namespace stele::broker::queue
