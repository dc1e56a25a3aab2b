// Of a queue's dispatch: consumers and channels, whose turn it is, and who the single active consumer is.
#include <algorithm>

#include "base/assert.h"
#include "base/marks.h"
#include "broker/queue/queue_dispatch.h"

namespace stele::broker::queue {

// ---- turns ----------------------------------------------------------------------------------------------

bool QueueDispatch::has_room(const Consumer& consumer) const {
  if (consumer.out >= consumer.limit) return false;
  if (state_.options().single_active_consumer && (active_ != consumer.spec.id || contested_)) return false;
  if (consumer.spec.auto_ack) return true;
  const Channel& channel = channels_.at(consumer.spec.channel);
  return channel.limit == 0 || channel.counted < channel.limit;
}

void QueueDispatch::queue_up(Consumer& consumer) {
  if (consumer.waiting || !has_room(consumer)) return;
  consumer.waiting = true;
  waiting_[consumer.spec.priority].push_back(consumer.spec.id);
}

void QueueDispatch::queue_up(Channel& channel) {
  for (ConsumerId id : channel.consumers) queue_up(consumers_.at(id));
}

QueueDispatch::Consumer* QueueDispatch::next_consumer() {
  while (!waiting_.empty()) {
    Fifo<ConsumerId>& first = waiting_.begin()->second;
    while (!first.empty()) {
      Consumer& consumer = consumers_.at(first.front());
      if (has_room(consumer)) return &consumer;
      consumer.waiting = false;
      first.pop_front();
    }
    waiting_.erase(waiting_.begin());
  }
  return nullptr;
}

void QueueDispatch::end_turn(Consumer& consumer) {
  waiting_.at(consumer.spec.priority).pop_front();
  consumer.waiting = false;
  queue_up(consumer);
  // What a full channel settles goes to its consumers in turn, too.
  Channel& channel = channels_.at(consumer.spec.channel);
  if (channel.limit == 0 || channel.consumers.size() == 1) return;
  const auto at = std::ranges::find(channel.consumers, consumer.spec.id);
  std::rotate(at, at + 1, channel.consumers.end());
}

void QueueDispatch::choose_active() {
  if (!state_.options().single_active_consumer) return;
  const Consumer* best = nullptr;
  for (const auto& [id, consumer] : consumers_) {
    const bool better = !best || consumer.spec.priority > best->spec.priority ||
                        (consumer.spec.priority == best->spec.priority && consumer.order < best->order);
    if (better) best = &consumer;
  }
  if (best && active_) {
    const Consumer& current = consumers_.at(*active_);
    contested_ = best->spec.priority > current.spec.priority;
    if (!contested_) return queue_up(consumers_.at(*active_));
    if (current.out > 0) return;  // it is given nothing more, and settles what it has
    STELE_MARK("queue: single active consumer gave way to a higher priority");
  }
  contested_ = false;
  active_.reset();
  if (!best) return;
  active_ = best->spec.id;
  queue_up(consumers_.at(*active_));
}

// ---- consumers ------------------------------------------------------------------------------------------

QueueDispatch::Consume QueueDispatch::consume(const ConsumerSpec& spec) {
  STELE_ASSERT(spec.id != ConsumerId() && !consumers_.contains(spec.id));
  if (spec.exclusive && !consumers_.empty()) return Consume::kExclusive;
  if (consumers_.size() == 1 && consumers_.begin()->second.spec.exclusive) return Consume::kExclusive;
  Consumer consumer;
  consumer.spec = spec;
  consumer.order = next_order_++;
  consumer.limit = spec.auto_ack ? limits_.unsent : limits_.prefetch;
  if (!spec.auto_ack && spec.prefetch != 0)
    consumer.limit = std::min<std::uint32_t>(spec.prefetch, consumer.limit);
  channels_[spec.channel].consumers.push_back(spec.id);
  Consumer& added = consumers_.emplace(spec.id, consumer).first->second;
  if (state_.options().single_active_consumer) {
    choose_active();
  } else {
    queue_up(added);
  }
  return Consume::kOk;
}

void QueueDispatch::remove_consumer(ConsumerId id, WallTime now) {
  const auto found = consumers_.find(id);
  STELE_ASSERT(found != consumers_.end());
  const Consumer& consumer = found->second;
  if (consumer.waiting) {
    const auto line = waiting_.find(consumer.spec.priority);
    const auto at = std::find(line->second.begin(), line->second.end(), id);
    line->second.erase(static_cast<std::size_t>(at - line->second.begin()));
    if (line->second.empty()) waiting_.erase(line);
  }
  std::erase(channels_.at(consumer.spec.channel).consumers, id);
  if (active_ == id) active_.reset();
  consumers_.erase(found);
  if (consumers_.empty()) used_at_ms_ = now.ms;
}

bool QueueDispatch::cancel(ConsumerId id, WallTime now) {
  const auto found = consumers_.find(id);
  if (found == consumers_.end()) return false;
  const ChannelId channel = found->second.spec.channel;
  remove_consumer(id, now);
  choose_active();
  forget_if_idle(channel);
  return true;
}

std::vector<ConsumerSpec> QueueDispatch::all_consumers() const {
  std::vector<ConsumerSpec> all;
  for (const auto& [id, consumer] : consumers_) all.push_back(consumer.spec);
  return all;
}

void QueueDispatch::sent(ConsumerId id, std::uint32_t count) {
  const auto found = consumers_.find(id);
  if (found == consumers_.end() || !found->second.spec.auto_ack) return;
  found->second.out -= std::min(count, found->second.out);
  queue_up(found->second);
  if (contested_) choose_active();
}

// ---- channels -------------------------------------------------------------------------------------------

void QueueDispatch::set_channel_limit(ChannelId id, std::uint32_t limit) {
  Channel& channel = channels_[id];
  channel.limit = limit;
  queue_up(channel);
  forget_if_idle(id);
}

void QueueDispatch::forget_if_idle(ChannelId id) {
  const auto found = channels_.find(id);
  if (found == channels_.end()) return;
  const Channel& channel = found->second;
  if (channel.consumers.empty() && channel.out.empty() && channel.limit == 0) channels_.erase(found);
}

void QueueDispatch::give_back_all(Channel& channel) {
  while (!channel.out.empty()) give_back(release(channel, channel.out.begin()));
}

void QueueDispatch::close(ChannelId id, WallTime now, QueueFacts& facts) {
  begin();
  const auto found = channels_.find(id);
  if (found == channels_.end()) return;
  while (!found->second.consumers.empty()) remove_consumer(found->second.consumers.back(), now);
  give_back_all(found->second);
  channels_.erase(found);
  choose_active();
  finish(facts);
}

void QueueDispatch::recover(ChannelId id, QueueFacts& facts) {
  begin();
  const auto found = channels_.find(id);
  if (found == channels_.end()) return;
  give_back_all(found->second);
  forget_if_idle(id);
  if (contested_) choose_active();
  finish(facts);
}

}  // namespace stele::broker::queue
