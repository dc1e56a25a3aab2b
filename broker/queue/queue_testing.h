// For tests: an owner with one queue, that logs and applies whatever its dispatch decides.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/wire.h"
#include "broker/queue/queue_dispatch.h"
#include "broker/queue/queue_state.h"

namespace stele::broker::queue {

// What a shard would have in its log.
struct Logged {
  struct Arrived {
    Arrival arrival;
    bool refused = false;
  };
  struct Forwarded {
    std::uint64_t first, count;
  };
  WallTime now;
  std::variant<Arrived, QueueFact, Forwarded, QueueOptions, Epoch> what;
};

inline void apply(QueueState& state, const Logged& entry) {
  if (const auto* arrived = std::get_if<Logged::Arrived>(&entry.what)) {
    if (arrived->refused) {
      state.refuse(arrived->arrival, entry.now);
    } else {
      state.enqueue(arrived->arrival, entry.now);
    }
  } else if (const auto* fact = std::get_if<QueueFact>(&entry.what)) {
    state.apply(*fact, entry.now);
  } else if (const auto* forwarded = std::get_if<Logged::Forwarded>(&entry.what)) {
    state.forwarded(forwarded->first, forwarded->count);
  } else if (const auto* options = std::get_if<QueueOptions>(&entry.what)) {
    state.set_options(*options);
  } else {
    state.take_over(std::get<Epoch>(entry.what));
  }
}

inline std::vector<std::string> records_of(const QueueState& state) {
  std::vector<std::string> records;
  state.encode([&](std::string_view record) { records.emplace_back(record); });
  return records;
}

// None: they are not a state's.
inline std::optional<QueueState> state_of(const std::vector<std::string>& records, Lsn end) {
  QueueStateDecoder decoder(end);
  for (const std::string& record : records) {
    Reader reader(record);
    decoder.add(reader);
    if (reader.failed() || !reader.at_end()) return std::nullopt;
  }
  if (!decoder.done()) return std::nullopt;
  return decoder.take();
}

class Owner {
 public:
  explicit Owner(QueueOptions options = {}, DispatchLimits limits = {})
      : limits_(limits), first_options_(options), state_(std::move(options)) {
    take_over();
  }

  QueueState& state() { return state_; }
  QueueDispatch& dispatch() { return *dispatch_; }
  WallTime now() const { return now_; }
  Lsn end() const { return Lsn(log_.size()); }
  const std::vector<Logged>& log() const { return log_; }
  const QueueOptions& first_options() const { return first_options_; }
  void pass(std::int64_t ms) { now_.ms += ms; }

  void append(decltype(Logged::what) what) {
    log_.push_back({now_, std::move(what)});
    apply(state_, log_.back());
  }
  void append(const QueueFacts& facts) {
    for (const QueueFact& fact : facts) append(decltype(Logged::what)(fact));
  }

  // False: it is refused.
  bool publish(std::uint32_t bytes = 10, std::uint8_t priority = 0, std::optional<std::int64_t> ttl_ms = {}) {
    const bool refused = dispatch_->refuses(bytes);
    append(Logged::Arrived{{{end(), 0}, bytes, priority, ttl_ms}, refused});
    return !refused;
  }
  Lsn published() const { return Lsn(log_.size() - 1); }

  std::vector<Delivery> deliver(std::size_t max = SIZE_MAX, std::uint64_t max_bytes = UINT64_MAX) {
    std::vector<Delivery> deliveries;
    QueueFacts facts;
    more_ = dispatch_->deliver(now_, max, max_bytes, deliveries, facts);
    append(facts);
    return deliveries;
  }
  bool more() const { return more_; }
  std::size_t settle(ChannelId channel, std::vector<Acquisition> what, Outcome outcome = Outcome::kAck) {
    QueueFacts facts;
    const std::size_t settled = dispatch_->settle(channel, what, outcome, facts);
    append(facts);
    return settled;
  }
  std::size_t settle(const Delivery& delivery, Outcome outcome = Outcome::kAck) {
    return settle(delivery.channel, {delivery.acquisition}, outcome);
  }
  QueueDispatch::Get get(ChannelId channel, std::optional<Delivery>& delivery, bool auto_ack = false) {
    QueueFacts facts;
    const auto got = dispatch_->get(channel, auto_ack, now_, delivery, facts);
    append(facts);
    return got;
  }
  // Whatever else decides facts.
  template <class Call>
  auto decide(Call&& call) {
    QueueFacts facts;
    if constexpr (std::is_void_v<decltype(call(*dispatch_, facts))>) {
      call(*dispatch_, facts);
      append(facts);
    } else {
      auto result = call(*dispatch_, facts);
      append(facts);
      return result;
    }
  }
  bool expire(std::size_t max = SIZE_MAX) {
    return decide([&](QueueDispatch& d, QueueFacts& f) { return d.expire(now_, max, f); });
  }
  bool overflow(std::size_t max = SIZE_MAX) {
    return decide([&](QueueDispatch& d, QueueFacts& f) { return d.overflow(max, f); });
  }
  std::uint64_t purge() {
    return decide([&](QueueDispatch& d, QueueFacts& f) { return d.purge(f); });
  }
  void close(ChannelId channel) {
    decide([&](QueueDispatch& d, QueueFacts& f) { d.close(channel, now_, f); });
  }
  void recover(ChannelId channel) {
    decide([&](QueueDispatch& d, QueueFacts& f) { d.recover(channel, f); });
  }

  void take_over() {
    append(Epoch(state_.epoch().value + 1));
    dispatch_ = std::make_unique<QueueDispatch>(state_, limits_, now_);
  }
  // The next owner loads a snapshot first.
  void fail_over() {
    std::optional<QueueState> loaded = state_of(records_of(state_), end());
    ASSERT_TRUE(loaded.has_value());
    ASSERT_EQ(loaded->hash(), state_.hash());
    state_ = *std::move(loaded);
    take_over();
  }

  std::vector<DeadLetter> dead_letters() const {
    std::vector<DeadLetter> all;
    for (auto next = state_.dead_letter_from(0); next; next = state_.dead_letter_from(next->number + 1)) {
      all.push_back(*next);
    }
    return all;
  }

 private:
  const DispatchLimits limits_;
  const QueueOptions first_options_;
  WallTime now_{1'000'000};
  std::vector<Logged> log_;
  QueueState state_;
  std::unique_ptr<QueueDispatch> dispatch_;
  bool more_ = false;
};

// ---- in few words

inline constexpr ChannelId kChannel(7), kOther(8);

inline ConsumerSpec consumer(std::uint64_t id, std::uint16_t prefetch = 0, ChannelId channel = kChannel) {
  ConsumerSpec spec;
  spec.id = ConsumerId(id);
  spec.channel = channel;
  spec.prefetch = prefetch;
  return spec;
}
inline ConsumerSpec auto_ack(std::uint64_t id) {
  ConsumerSpec spec = consumer(id);
  spec.auto_ack = true;
  return spec;
}
inline void consume(Owner& owner, const ConsumerSpec& spec) {
  ASSERT_EQ(owner.dispatch().consume(spec), QueueDispatch::Consume::kOk);
}
inline void publish(Owner& owner, int count) {
  for (; count > 0; --count) owner.publish();
}
inline std::vector<std::uint64_t> numbers(const std::vector<Delivery>& deliveries) {
  std::vector<std::uint64_t> all;
  for (const Delivery& one : deliveries) all.push_back(one.message.key.number);
  return all;
}
inline std::vector<std::uint64_t> takers(const std::vector<Delivery>& deliveries) {
  std::vector<std::uint64_t> all;
  for (const Delivery& one : deliveries) all.push_back(one.consumer.value);
  return all;
}
using Numbers = std::vector<std::uint64_t>;

}  // namespace stele::broker::queue
