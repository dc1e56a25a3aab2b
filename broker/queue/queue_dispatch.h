// Who gets which message of a queue: what only the owner of its shard knows. Consumers, what they were given
// and have not settled, and where in the queue deliveries have come to. It ends with the ownership; the next
// owner begins with an empty one, and everything that was not settled is ready again. Pure; the shard's core.
//
// It decides and changes nothing in the queue: what is to change it puts into `facts`. Before anything else
// is asked of it, the caller logs these, in their order, and applies them to the state.
//
// Order. Messages of a higher level go first; within a level those that were returned, in the order of
// return, before the others in the order of arrival (RabbitMQ: rabbit_fifo.erl, take_next_msg; levels are
// classic queues', rabbit_priority_queue.erl). So what is given moves two places forward per level and
// nothing else: all before them is out with somebody, or gone.
//
// Consumers. Of those with room the ones of the highest priority take turns, a message each. One has room
// while it has fewer messages than its prefetch, and its channel fewer than its own limit. With a single
// active consumer there is one, the first of the highest priority; it stays until it goes, or until one of a
// higher priority is there and it has settled all that it has. A cancelled consumer's messages are its
// channel's, to be settled or to come back when that closes.
#pragma once

#include <absl/container/btree_map.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/fifo.h"
#include "broker/queue/queue_state.h"
#include "broker/queue/queue_values.h"

namespace stele::broker::queue {

// Given by the caller, unique among those that are here.
using ConsumerId = StrongId<struct QueueConsumerTag>;
using ChannelId = StrongId<struct QueueChannelTag>;

struct ConsumerSpec {
  ConsumerId id;
  ChannelId channel;
  std::int32_t priority = 0;   // x-priority
  std::uint16_t prefetch = 0;  // 0: as many as the dispatch lets anybody have
  bool auto_ack = false;       // AMQP's no-ack: settled by being delivered
  bool exclusive = false;
};

// What a delivery is settled by. It goes to the channel and comes back from there.
struct Acquisition {
  Epoch epoch;               // of the owner that gave it
  std::uint64_t number = 0;  // its own count, from 1; 0: delivered to who does not acknowledge
  MessageKey message;
  friend bool operator==(const Acquisition&, const Acquisition&) = default;
};

struct Delivery {
  ConsumerId consumer;  // of basic.get: 0
  ChannelId channel;
  Acquisition acquisition;
  MessageInfo message;
};

enum class Outcome : std::uint8_t { kAck, kReject, kRequeue };

struct DispatchLimits {
  // Nobody has more, whatever its prefetch: that of AMQP ends here. (RabbitMQ's quorum queues: 2,000.)
  std::uint32_t prefetch = UINT16_MAX;
  // Messages to a consumer that does not acknowledge, until sent() says that they have left.
  std::uint32_t unsent = 1024;
  // Until a delivery must be settled, where the queue does not say; 0: for ever.
  std::int64_t consumer_timeout_ms = 1'800'000;
};

class QueueDispatch {
 public:
  // Ranges or messages; what is more becomes several facts.
  static constexpr std::size_t kMaxPerFact = 4096;

  // `state`: outlives this; has been taken over by its owner's epoch.
  QueueDispatch(const QueueState& state, DispatchLimits limits, WallTime now);

  // ---- consumers
  enum class Consume : std::uint8_t {
    kOk,
    kExclusive,  // there is an exclusive one, or it wants to be that and there are others: ACCESS_REFUSED
  };
  Consume consume(const ConsumerSpec& spec);
  // False: there is none. Its messages stay with its channel.
  bool cancel(ConsumerId id, WallTime now);
  // Its consumers go, and what it had comes back.
  void close(ChannelId channel, WallTime now, QueueFacts& facts);
  // basic.recover: what it has comes back, and its consumers stay.
  void recover(ChannelId channel, QueueFacts& facts);
  // basic.qos with global: for all its consumers together. 0: none.
  void set_channel_limit(ChannelId channel, std::uint32_t limit);
  std::size_t consumers() const { return consumers_.size(); }
  std::vector<ConsumerSpec> all_consumers() const;
  // There was one, and there is none any more: the end of a queue with auto-delete.
  bool abandoned() const { return next_order_ > 0 && consumers_.empty(); }
  // With a single active consumer: that one, while there is any.
  std::optional<ConsumerId> active() const { return active_; }

  // ---- messages

  // Gives what can be given: at most `max` messages, and `max_bytes` unless that is not even one. What has
  // expired in front of them goes, and counts as well. True: there may be more.
  bool deliver(WallTime now, std::size_t max, std::uint64_t max_bytes, std::vector<Delivery>& deliveries,
               QueueFacts& facts);
  enum class Get : std::uint8_t {
    kGot,
    kEmpty,
    kExpired,       // something in front has: expire(), then again
    kSingleActive,  // not on a queue with a single active consumer: RESOURCE_LOCKED
  };
  Get get(ChannelId channel, bool auto_ack, WallTime now, std::optional<Delivery>& delivery,
          QueueFacts& facts);
  // So many messages to a consumer that does not acknowledge have left.
  void sent(ConsumerId consumer, std::uint32_t count);
  // Gives how many of them meant anything. A stale one does not; but what an earlier owner gave and is still
  // in the queue can be acknowledged.
  std::size_t settle(ChannelId channel, std::span<const Acquisition> what, Outcome outcome,
                     QueueFacts& facts);
  // A delivery that could not be made after all (its message cannot be read now): it comes back, not counted.
  void take_back(ChannelId channel, const Acquisition& what, QueueFacts& facts);

  // ---- what the owner does on its own account, all for at most `max` messages

  // Ready messages in front that have expired. True: there may be more.
  bool expire(WallTime now, std::size_t max, QueueFacts& facts);
  // When the next one in front does; kNever: none.
  std::int64_t next_expiry_ms() const;
  // The ready messages that are too many go, from the front, with drop-head. After deliver(). True: more.
  bool overflow(std::size_t max, QueueFacts& facts);
  // Whether a message must be refused, with reject-publish. It is asked before the message is logged.
  bool refuses(std::uint32_t bytes) const;
  // All that is ready goes; gives how many.
  std::uint64_t purge(QueueFacts& facts);
  // Channels that have had a delivery for longer than the consumer timeout: they are to be closed.
  std::vector<ChannelId> overdue(WallTime now) const;

  // ---- x-expires: basic.get and declaring again are uses; so is any consumer.
  void use(WallTime now) { used_at_ms_ = now.ms; }
  std::int64_t expires_at_ms() const;  // of the queue; kNever

  // ---- numbers
  std::uint64_t ready() const { return state_.size() - out_ - (pending() ? leaving_ : 0); }
  std::uint64_t ready_bytes() const { return state_.bytes() - out_bytes_ - (pending() ? leaving_bytes_ : 0); }
  std::uint64_t unsettled() const { return out_; }
  // Of a channel, without what basic.get gave.
  std::uint32_t unsettled_of(ChannelId channel) const;
  std::size_t memory_bytes() const;

 private:
  struct Consumer {
    ConsumerSpec spec;
    std::uint64_t order = 0;  // of coming
    std::uint32_t out = 0;    // not settled, or not sent
    std::uint32_t limit = 0;
    bool waiting = false;  // in waiting_
  };
  struct Out {
    MessageKey key;
    ConsumerId consumer;  // 0: basic.get
    std::uint32_t bytes = 0;
    std::int64_t since_ms = 0;
    bool gone = false;  // from the queue: an acknowledgement of an earlier delivery came
  };
  struct Channel {
    std::uint32_t limit = 0;
    std::uint32_t counted = 0;  // towards it
    std::vector<ConsumerId> consumers;
    absl::btree_map<std::uint64_t, Out> out;  // by acquisition, so by time
  };
  struct Front {  // of a level: before it nothing is ready
    std::uint64_t turn = 0;
    std::uint64_t number = 0;
  };
  struct Holder {
    ChannelId channel;
    std::uint64_t acquisition;
  };
  struct Head {
    MessageInfo message;
    std::uint64_t turn = 0;  // 0: it was never returned
  };
  using Outs = absl::btree_map<std::uint64_t, Out>;

  // Facts of the last call are not applied yet.
  bool pending() const { return state_.facts() != facts_expected_; }
  void begin();
  void finish(QueueFacts& facts);
  std::uint64_t ready_now() const { return state_.size() - out_ - leaving_; }
  std::uint64_t ready_bytes_now() const { return state_.bytes() - out_bytes_ - leaving_bytes_; }
  bool over_limit(std::uint64_t more, std::uint64_t more_bytes) const;

  std::optional<Head> returned_head(std::uint8_t id, const QueueLevel& level) const;
  std::optional<Head> fresh_head(std::uint8_t id, const QueueLevel& level) const;
  std::optional<Head> head() const;
  void pass(const Head& head);
  void leave(std::uint32_t bytes);
  void leave(Why why, MessageKey key, std::uint32_t bytes);
  void drop(Why why, const Head& head);
  void purge_level(std::uint8_t id, const QueueLevel& level);

  bool has_room(const Consumer& consumer) const;
  void queue_up(Consumer& consumer);
  void queue_up(Channel& channel);
  Consumer* next_consumer();
  void end_turn(Consumer& consumer);
  void choose_active();
  void remove_consumer(ConsumerId id, WallTime now);

  Delivery give(ChannelId channel, ConsumerId consumer, bool auto_ack, const Head& head, WallTime now);
  // It is with nobody from then on.
  Out release(Channel& channel, Outs::iterator out);
  void give_back(const Out& out);
  void give_back_all(Channel& channel);
  bool settle_late(MessageKey key);
  void forget_if_idle(ChannelId id);

  const QueueState& state_;
  const DispatchLimits limits_;
  std::vector<Front> fronts_;  // by level
  absl::btree_map<ConsumerId, Consumer> consumers_;
  std::map<ChannelId, Channel> channels_;
  absl::btree_map<MessageKey, Holder> holders_;                       // of what is out and still in the queue
  std::map<std::int32_t, Fifo<ConsumerId>, std::greater<>> waiting_;  // for messages, by priority
  std::optional<ConsumerId> active_;
  bool contested_ = false;  // a consumer of a higher priority waits for the active one to settle
  std::uint64_t next_acquisition_ = 1;
  std::uint64_t next_order_ = 0;
  std::uint64_t out_ = 0;  // in the queue, and with somebody
  std::uint64_t out_bytes_ = 0;
  std::uint64_t leaving_ = 0;  // in the queue until the facts of this call are applied
  std::uint64_t leaving_bytes_ = 0;
  std::int64_t used_at_ms_;
  std::uint64_t facts_expected_;
  // Of the call that is under way.
  std::array<Removed, kWhys> removed_;
  Returned returned_;
};

}  // namespace stele::broker::queue
