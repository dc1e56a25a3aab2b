#include "broker/queue/queue_dispatch.h"

#include <absl/container/btree_set.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"

namespace stele::broker::queue {

namespace {

// No entry of the log is to be large.
template <class T>
std::vector<std::vector<T>> parts_of(std::vector<T> all) {
  std::vector<std::vector<T>> parts;
  if (all.size() <= QueueDispatch::kMaxPerFact) {
    if (!all.empty()) parts.push_back(std::move(all));
    return parts;
  }
  for (std::size_t at = 0; at < all.size(); at += QueueDispatch::kMaxPerFact) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(QueueDispatch::kMaxPerFact, all.size() - at);
    parts.emplace_back(from, from + static_cast<std::ptrdiff_t>(count));
  }
  return parts;
}

}  // namespace

QueueDispatch::QueueDispatch(const QueueState& state, DispatchLimits limits, WallTime now)
    : state_(state),
      limits_(limits),
      fronts_(std::size_t{state.options().max_priority.value_or(0)} + 1),
      used_at_ms_(now.ms),
      facts_expected_(state.facts()) {
  for (std::size_t why = 0; why < kWhys; ++why) removed_[why].why = static_cast<Why>(why);
}

void QueueDispatch::begin() {
  STELE_ASSERT(!pending());
  leaving_ = 0;
  leaving_bytes_ = 0;
}

void QueueDispatch::finish(QueueFacts& facts) {
  const std::size_t before = facts.size();
  for (Removed& removed : removed_) {
    for (auto& part : parts_of(std::exchange(removed.messages, {}))) {
      facts.emplace_back(Removed{removed.why, std::move(part)});
    }
  }
  for (auto& part : parts_of(std::exchange(returned_.messages, {}))) {
    facts.emplace_back(Returned{std::move(part), returned_.counts});
  }
  facts_expected_ += facts.size() - before;
}

// ---- the front ------------------------------------------------------------------------------------------

std::optional<QueueDispatch::Head> QueueDispatch::returned_head(std::uint8_t id,
                                                                const QueueLevel& level) const {
  const std::optional<QueueLevel::Turn> first = level.returned_from(fronts_[id].turn);
  if (!first) return std::nullopt;
  return Head{*level.find(id, first->number), first->turn};
}

std::optional<QueueDispatch::Head> QueueDispatch::fresh_head(std::uint8_t id, const QueueLevel& level) const {
  const std::optional<MessageInfo> message = level.fresh_from(id, fronts_[id].number);
  if (!message) return std::nullopt;
  return Head{*message, 0};
}

std::optional<QueueDispatch::Head> QueueDispatch::head() const {
  for (const auto& [id, level] : state_.levels()) {
    if (level.size() == 0) continue;
    if (std::optional<Head> found = returned_head(id, level)) return found;
    if (std::optional<Head> found = fresh_head(id, level)) return found;
  }
  return std::nullopt;
}

void QueueDispatch::pass(const Head& head) {
  Front& front = fronts_[head.message.key.level];
  if (head.turn != 0) {
    front.turn = head.turn + 1;
  } else {
    front.number = head.message.key.number + 1;
  }
}

void QueueDispatch::leave(std::uint32_t bytes) {
  ++leaving_;
  leaving_bytes_ += bytes;
}

void QueueDispatch::leave(Why why, MessageKey key, std::uint32_t bytes) {
  add_key(removed_[static_cast<std::size_t>(why)].messages, key);
  leave(bytes);
}

void QueueDispatch::drop(Why why, const Head& head) {
  pass(head);
  leave(why, head.message.key, head.message.bytes);
}

// ---- giving ---------------------------------------------------------------------------------------------

Delivery QueueDispatch::give(ChannelId channel, ConsumerId consumer, bool auto_ack, const Head& head,
                             WallTime now) {
  pass(head);
  const MessageInfo& message = head.message;
  Delivery delivery{consumer, channel, {state_.epoch(), 0, message.key}, message};
  if (auto_ack) {
    leave(Why::kSettled, message.key, message.bytes);
    return delivery;
  }
  const std::uint64_t number = next_acquisition_++;
  delivery.acquisition.number = number;
  Channel& to = channels_[channel];
  to.out.emplace_hint(to.out.end(), number, Out{message.key, consumer, message.bytes, now.ms});
  if (consumer != ConsumerId()) ++to.counted;
  const bool free = holders_.emplace(message.key, Holder{channel, number}).second;
  STELE_ASSERT(free);
  ++out_;
  out_bytes_ += message.bytes;
  return delivery;
}

bool QueueDispatch::deliver(WallTime now, std::size_t max, std::uint64_t max_bytes,
                            std::vector<Delivery>& deliveries, QueueFacts& facts) {
  begin();
  bool more = false;
  std::uint64_t bytes = 0;
  std::size_t done = 0, given = 0;
  while (Consumer* consumer = next_consumer()) {
    const std::optional<Head> next = head();
    if (!next) break;
    more = done == max || (given > 0 && bytes + next->message.bytes > max_bytes);
    if (more) break;
    ++done;
    if (next->message.expired(now)) {
      drop(Why::kExpired, *next);
      continue;
    }
    ++given;
    bytes += next->message.bytes;
    ++consumer->out;
    deliveries.push_back(
        give(consumer->spec.channel, consumer->spec.id, consumer->spec.auto_ack, *next, now));
    end_turn(*consumer);
  }
  finish(facts);
  return more;
}

QueueDispatch::Get QueueDispatch::get(ChannelId channel, bool auto_ack, WallTime now,
                                      std::optional<Delivery>& delivery, QueueFacts& facts) {
  if (state_.options().single_active_consumer) return Get::kSingleActive;
  begin();
  used_at_ms_ = now.ms;
  const std::optional<Head> next = head();
  if (!next) return Get::kEmpty;
  if (next->message.expired(now)) return Get::kExpired;
  delivery = give(channel, ConsumerId(), auto_ack, *next, now);
  finish(facts);
  return Get::kGot;
}

// ---- settling -------------------------------------------------------------------------------------------

QueueDispatch::Out QueueDispatch::release(Channel& channel, Outs::iterator out) {
  const Out was = out->second;
  channel.out.erase(out);
  if (!was.gone) {
    holders_.erase(was.key);
    --out_;
    out_bytes_ -= was.bytes;
  }
  if (was.consumer != ConsumerId()) {
    STELE_ASSERT(channel.counted > 0);
    --channel.counted;
    if (const auto consumer = consumers_.find(was.consumer); consumer != consumers_.end()) {
      --consumer->second.out;
      if (channel.limit == 0) queue_up(consumer->second);
    }
    if (channel.limit != 0) queue_up(channel);  // any of its consumers may be next
  }
  return was;
}

void QueueDispatch::give_back(const Out& out) {
  if (out.gone) return;
  returned_.messages.push_back(out.key);
  leave(out.bytes);
}

// An earlier owner gave it; whoever has it now, or will have, settles nothing by it any more.
bool QueueDispatch::settle_late(MessageKey key) {
  const std::optional<MessageInfo> message = state_.find(key);
  if (!message) return false;
  STELE_MARK("queue: acknowledged to a later owner");
  if (const auto holder = holders_.find(key); holder != holders_.end()) {
    STELE_MARK("queue: acknowledged to a later owner while with somebody else");
    channels_.at(holder->second.channel).out.at(holder->second.acquisition).gone = true;
    holders_.erase(holder);
    --out_;
    out_bytes_ -= message->bytes;
  }
  leave(Why::kSettled, key, message->bytes);
  return true;
}

std::size_t QueueDispatch::settle(ChannelId id, std::span<const Acquisition> what, Outcome outcome,
                                  QueueFacts& facts) {
  begin();
  std::size_t settled = 0;
  std::vector<MessageKey> late;
  absl::btree_set<MessageKey> here;  // only if there are late ones
  for (const Acquisition& one : what) {
    if (one.epoch < state_.epoch() && outcome == Outcome::kAck) late.push_back(one.message);
  }
  const auto found = channels_.find(id);
  for (const Acquisition& one : what) {
    if (found == channels_.end() || one.epoch != state_.epoch()) continue;
    const auto at = found->second.out.find(one.number);
    if (at == found->second.out.end()) continue;
    const Out out = release(found->second, at);
    if (out.gone) continue;
    ++settled;
    if (!late.empty()) here.insert(out.key);
    if (outcome == Outcome::kRequeue) {
      give_back(out);
    } else {
      leave(outcome == Outcome::kAck ? Why::kSettled : Why::kRejected, out.key, out.bytes);
    }
  }
  for (const MessageKey& key : late) {
    if (here.insert(key).second && settle_late(key)) ++settled;
  }
  forget_if_idle(id);
  if (contested_) choose_active();
  finish(facts);
  return settled;
}

void QueueDispatch::take_back(ChannelId id, const Acquisition& what, QueueFacts& facts) {
  begin();
  const auto found = channels_.find(id);
  if (found == channels_.end() || what.epoch != state_.epoch()) return;
  const auto at = found->second.out.find(what.number);
  if (at == found->second.out.end()) return;
  returned_.counts = false;
  give_back(release(found->second, at));
  forget_if_idle(id);
  if (contested_) choose_active();
  finish(facts);
  returned_.counts = true;
}

// ---- the owner's own ------------------------------------------------------------------------------------

bool QueueDispatch::expire(WallTime now, std::size_t max, QueueFacts& facts) {
  begin();
  const std::size_t all = max;
  for (const auto& [id, level] : state_.levels()) {
    if (level.size() == 0) continue;
    for (auto next = returned_head(id, level); max > 0 && next && next->message.expired(now); --max) {
      drop(Why::kExpired, *next);
      next = returned_head(id, level);
    }
    for (auto next = fresh_head(id, level); max > 0 && next && next->message.expired(now); --max) {
      drop(Why::kExpired, *next);
      next = fresh_head(id, level);
    }
  }
  finish(facts);
  return max == 0 && all > 0;
}

std::int64_t QueueDispatch::next_expiry_ms() const {
  std::int64_t first = kNever;
  for (const auto& [id, level] : state_.levels()) {
    if (level.size() == 0) continue;
    if (const auto next = returned_head(id, level)) first = std::min(first, next->message.expires_at_ms);
    if (const auto next = fresh_head(id, level)) first = std::min(first, next->message.expires_at_ms);
  }
  return first;
}

bool QueueDispatch::over_limit(std::uint64_t more, std::uint64_t more_bytes) const {
  const QueueOptions& options = state_.options();
  return (options.max_length && ready_now() + state_.counted_dead() + more > *options.max_length) ||
         (options.max_length_bytes &&
          ready_bytes_now() + state_.counted_dead_bytes() + more_bytes > *options.max_length_bytes);
}

bool QueueDispatch::overflow(std::size_t max, QueueFacts& facts) {
  begin();
  bool more = false;
  while (state_.options().overflow == Overflow::kDropHead && over_limit(0, 0)) {
    const std::optional<Head> next = head();
    if (!next) break;
    more = max == 0;
    if (more) break;
    --max;
    drop(Why::kMaxLength, *next);
  }
  finish(facts);
  return more;
}

bool QueueDispatch::refuses(std::uint32_t bytes) const {
  STELE_ASSERT(!pending());
  const QueueOptions& options = state_.options();
  if (options.overflow == Overflow::kDropHead) return false;
  return (options.max_length && ready() + state_.counted_dead() + 1 > *options.max_length) ||
         (options.max_length_bytes &&
          ready_bytes() + state_.counted_dead_bytes() + bytes > *options.max_length_bytes);
}

void QueueDispatch::purge_level(std::uint8_t id, const QueueLevel& level) {
  std::vector<KeyRange>& purged = removed_[static_cast<std::size_t>(Why::kPurged)].messages;
  Front& front = fronts_[id];
  while (const auto next = level.returned_from(front.turn)) {
    // The others are among those behind the front.
    if (next->number < front.number) add_key(purged, {id, next->number});
    front.turn = next->turn + 1;
  }
  // What was returned before this owner came may be out again, and behind the front.
  for (auto holder = holders_.lower_bound({id, front.number});
       holder != holders_.end() && holder->first.level == id; ++holder) {
    const std::uint64_t out = holder->first.number;
    if (out > front.number) purged.push_back({id, front.number, out - front.number});
    front.number = out + 1;
  }
  if (level.next() > front.number) purged.push_back({id, front.number, level.next() - front.number});
  front.number = level.next();
}

std::uint64_t QueueDispatch::purge(QueueFacts& facts) {
  begin();
  const std::uint64_t all = ready_now();
  const std::uint64_t all_bytes = ready_bytes_now();
  if (all > 0) {
    for (const auto& [id, level] : state_.levels()) {
      if (level.size() > 0) purge_level(id, level);
    }
  }
  leaving_ += all;
  leaving_bytes_ += all_bytes;
  finish(facts);
  return all;
}

std::vector<ChannelId> QueueDispatch::overdue(WallTime now) const {
  std::vector<ChannelId> found;
  const std::int64_t timeout_ms = state_.options().consumer_timeout_ms.value_or(limits_.consumer_timeout_ms);
  if (timeout_ms <= 0) return found;
  for (const auto& [id, channel] : channels_) {
    if (!channel.out.empty() && now.ms - channel.out.begin()->second.since_ms >= timeout_ms)
      found.push_back(id);
  }
  return found;
}

std::int64_t QueueDispatch::expires_at_ms() const {
  if (!state_.options().expires_ms || !consumers_.empty()) return kNever;
  return used_at_ms_ + *state_.options().expires_ms;
}

std::uint32_t QueueDispatch::unsettled_of(ChannelId channel) const {
  const auto found = channels_.find(channel);
  return found != channels_.end() ? found->second.counted : 0;
}

std::size_t QueueDispatch::memory_bytes() const {
  constexpr std::size_t kPerOut =
      (sizeof(Outs::value_type) + sizeof(std::pair<const MessageKey, Holder>)) * 4 / 3;
  constexpr std::size_t kPerConsumer = sizeof(Consumer) * 4 / 3 + 2 * sizeof(ConsumerId);
  return sizeof *this + fronts_.size() * sizeof(Front) + holders_.size() * kPerOut +
         consumers_.size() * kPerConsumer + channels_.size() * (sizeof(Channel) + 64);
}

}  // namespace stele::broker::queue
