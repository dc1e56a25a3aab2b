// For tests: a queue written the slow way, to compare with. Every message that ever arrived stands in one
// list with what became of it, every delivery in another; whatever is to be known is looked for there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "broker/queue/queue_dispatch.h"
#include "broker/queue/queue_options.h"
#include "broker/queue/queue_values.h"

namespace stele::broker::queue {

class QueueModel {
 public:
  enum class Where { kReady, kOut, kGone };
  struct Message {
    MessageKey key;
    Place place;
    std::uint32_t bytes = 0;
    std::int64_t expires_at_ms = kNever;
    std::uint32_t deliveries = 0;
    bool before_take_over = false;
    std::uint64_t turn = 0;  // when it was returned last; 0: never
    Where where = Where::kReady;
    Why why = Why::kSettled;  // if it is gone
  };
  struct Given {
    Delivery delivery;
    std::size_t message = 0;
    bool held = true;  // by its channel, settled or not
  };
  struct Consumer {
    ConsumerSpec spec;
    std::uint64_t order = 0;
    std::uint32_t unsent = 0;
  };

  QueueModel(QueueOptions first, DispatchLimits first_limits)
      : options(std::move(first)), limits(first_limits) {}

  QueueOptions options;
  DispatchLimits limits;
  WallTime now;
  Epoch epoch;
  std::vector<Message> messages;
  std::vector<Given> given;
  std::map<ConsumerId, Consumer> consumers;
  std::map<ChannelId, std::uint32_t> channel_limits;
  std::vector<DeadLetter> dead;
  std::uint64_t lost = 0, forwarded = 0, refused = 0;

  // ---- numbers
  template <class Which>
  std::uint64_t count(Which&& which) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(messages, which));
  }
  std::uint64_t count(Where where) const {
    return count([&](const Message& one) { return one.where == where; });
  }
  std::uint64_t bytes(Where where) const {
    std::uint64_t sum = 0;
    for (const Message& one : messages) sum += one.where == where ? one.bytes : 0;
    return sum;
  }
  std::uint64_t held_by(ConsumerId consumer) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        given, [&](const Given& one) { return one.held && one.delivery.consumer == consumer; }));
  }
  std::uint64_t held_on(ChannelId channel) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(given, [&](const Given& one) {
      return one.held && one.delivery.channel == channel && one.delivery.consumer != ConsumerId();
    }));
  }
  std::uint32_t limit_of(const Consumer& consumer) const {
    if (consumer.spec.auto_ack) return limits.unsent;
    const std::uint32_t own = consumer.spec.prefetch;
    return own == 0 ? limits.prefetch : std::min(own, limits.prefetch);
  }
  std::uint64_t counted(std::uint64_t of_ready, bool as_bytes) const {
    if (options.at_least_once()) {
      for (const DeadLetter& one : dead) of_ready += as_bytes ? one.bytes : 1;
    }
    return of_ready;
  }
  bool over(std::uint64_t more, std::uint64_t more_bytes) const {
    return (options.max_length && counted(count(Where::kReady), false) + more > *options.max_length) ||
           (options.max_length_bytes &&
            counted(bytes(Where::kReady), true) + more_bytes > *options.max_length_bytes);
  }
  bool has_room(const Consumer& consumer, std::optional<ConsumerId> active) const {
    if (options.single_active_consumer) {
      if (active != consumer.spec.id) return false;
      for (const auto& [id, other] : consumers) {
        if (other.spec.priority > consumer.spec.priority) return false;
      }
    }
    if (consumer.spec.auto_ack) return consumer.unsent < limit_of(consumer);
    const auto limit = channel_limits.find(consumer.spec.channel);
    const bool channel_has =
        limit == channel_limits.end() || limit->second == 0 || held_on(consumer.spec.channel) < limit->second;
    return channel_has && held_by(consumer.spec.id) < limit_of(consumer);
  }
  std::optional<std::int32_t> best_priority(std::optional<ConsumerId> active) const {
    std::optional<std::int32_t> best;
    for (const auto& [id, consumer] : consumers) {
      if (has_room(consumer, active)) best = std::max(best.value_or(INT32_MIN), consumer.spec.priority);
    }
    return best;
  }

  // ---- order
  // The first that is ready; of one level, and of the returned or the others, if that is asked for.
  Message* head(std::optional<std::uint8_t> level = {}, std::optional<bool> returned = {}) {
    Message* first = nullptr;
    for (Message& one : messages) {
      if (one.where != Where::kReady || (level && one.key.level != *level)) continue;
      if (returned && *returned != (one.turn != 0)) continue;
      if (!first || before(one, *first)) first = &one;
    }
    return first;
  }
  static bool before(const Message& a, const Message& b) {
    if (a.key.level != b.key.level) return a.key.level > b.key.level;
    if ((a.turn != 0) != (b.turn != 0)) return a.turn != 0;
    return a.turn != b.turn ? a.turn < b.turn : a.key.number < b.key.number;
  }

  // ---- what happens
  void bury(const Message& message, Why why) {
    if (!options.dead_letter_exchange) return;
    dead.push_back({next_dead_++, message.place, message.bytes, why, now.ms, message.deliveries});
    while (!options.at_least_once() && dead.size() > options.dead_letters_max) {
      dead.erase(dead.begin());
      ++lost;
    }
  }
  void go(Message& message, Why why) {
    message.where = Where::kGone;
    message.why = why;
    if (is_death(why)) bury(message, why);
  }
  void come_back(Message& message, bool counts) {
    message.deliveries += counts ? 1 : 0;
    if (counts && options.delivery_limit && message.deliveries > *options.delivery_limit) {
      return go(message, Why::kDeliveryLimit);
    }
    message.where = Where::kReady;
    message.turn = next_turn_++;
  }
  void arrive(const Arrival& arrival, bool is_refused) {
    Message message;
    message.key.level = std::min(arrival.priority, options.max_priority.value_or(0));
    message.place = arrival.place;
    message.bytes = arrival.bytes;
    if (is_refused) {
      ++refused;
      if (options.overflow == Overflow::kRejectPublishDlx) bury(message, Why::kMaxLength);
      return;
    }
    message.key.number = count([&](const Message& one) { return one.key.level == message.key.level; });
    std::optional<std::int64_t> ttl = options.message_ttl_ms;
    if (arrival.ttl_ms && (!ttl || *arrival.ttl_ms < *ttl)) ttl = arrival.ttl_ms;
    if (ttl) message.expires_at_ms = now.ms + std::max<std::int64_t>(1, *ttl);
    messages.push_back(message);
  }
  void give(Message& message, const Delivery& delivery, bool auto_ack) {
    if (auto_ack) return go(message, Why::kSettled);
    message.where = Where::kOut;
    given.push_back({delivery, static_cast<std::size_t>(&message - messages.data()), true});
  }
  // What an acknowledgement and the like do: whether they meant anything.
  bool settle(Given& one, Outcome outcome) {
    one.held = false;
    Message& message = messages[one.message];
    if (message.where != Where::kOut) return false;
    if (outcome == Outcome::kRequeue) {
      come_back(message, true);
    } else {
      go(message, outcome == Outcome::kAck ? Why::kSettled : Why::kRejected);
    }
    return true;
  }
  void come_back_from(ChannelId channel) {
    for (Given& one : given) {
      if (one.held && one.delivery.channel == channel) settle(one, Outcome::kRequeue);
    }
  }
  void expire_level(std::uint8_t level) {
    for (const bool returned : {true, false}) {
      for (Message* next = head(level, returned); next && now.ms >= next->expires_at_ms;
           next = head(level, returned)) {
        go(*next, Why::kExpired);
      }
    }
  }
  void take_over() {
    for (Message& one : messages) {
      if (one.where == Where::kOut) one.where = Where::kReady;
      one.before_take_over = true;
    }
    for (Given& one : given) one.held = false;
    consumers.clear();
    channel_limits.clear();
    ++epoch;
  }
  void set_options(QueueOptions changed) {
    options = std::move(changed);
    if (options.dead_letter_exchange) return;
    lost += dead.size();
    dead.clear();
  }

 private:
  std::uint64_t next_turn_ = 1;
  std::uint64_t next_dead_ = 0;
};

}  // namespace stele::broker::queue
