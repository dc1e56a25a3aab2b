// A queue's state and dispatch against the model, whatever happens to them: each message is ready, out or
// gone, goes once, and is given in order to somebody who may have it; and the log is all that the state
// depends on.
#include "broker/queue/queue_model.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "broker/queue/queue_testing.h"

namespace stele::broker::queue {
namespace {

using Where = QueueModel::Where;

// Even, also in the first cases, in which inRange() keeps to the small values: what is rare has the large
// ones.
template <class T>
T below(T end) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(0, end));
}
bool once_in(int n) {
  return below(n) == 0;
}

QueueOptions any_options() {
  QueueOptions options;
  if (once_in(2)) options.dead_letter_exchange = "dlx";
  if (once_in(2)) options.max_length = below<std::uint64_t>(30);
  if (once_in(3)) options.max_length_bytes = below<std::uint64_t>(300);
  if (once_in(3)) options.delivery_limit = below<std::uint32_t>(3);
  if (once_in(3)) options.message_ttl_ms = below<std::int64_t>(20);
  if (once_in(2)) options.dead_letter_strategy = DeadLetterStrategy::kAtLeastOnce;
  options.overflow = static_cast<Overflow>(below(3));
  options.dead_letters_max = once_in(2) ? 4 : 1'000'000;
  return options;
}
QueueOptions first_options() {
  QueueOptions options = any_options();
  if (once_in(2)) options.max_priority = below<std::uint8_t>(4);
  options.single_active_consumer = once_in(4);
  return options;
}
DispatchLimits any_limits() {
  DispatchLimits limits;
  limits.prefetch = 1 + below<std::uint32_t>(100);
  limits.unsent = 1 + below<std::uint32_t>(5);
  return limits;
}

class Run {
 public:
  Run(const QueueOptions& options, DispatchLimits limits) : owner_(options, limits), model_(options, limits) {
    model_.epoch = owner_.state().epoch();
  }

  void step() {
    owner_.pass(once_in(3) ? below<std::int64_t>(10) : 0);
    model_.now = owner_.now();
    const int what = below(100);
    if (what < 22) {
      publish();
    } else if (what < 42) {
      deliver();
    } else if (what < 60) {
      settle();
    } else {
      rarer(what);
    }
    check();
  }

  // The state is a fold: over the whole log, and over what follows a snapshot of any length.
  void check_log() {
    const std::size_t cut = below(owner_.log().size() + 1);
    QueueState whole(owner_.first_options());
    QueueState resumed(owner_.first_options());
    for (std::size_t i = 0; i < owner_.log().size(); ++i) {
      if (i == cut) {
        std::optional<QueueState> loaded = state_of(records_of(resumed), Lsn(i));
        RC_ASSERT(loaded.has_value());
        resumed = *std::move(loaded);
      }
      apply(whole, owner_.log()[i]);
      apply(resumed, owner_.log()[i]);
    }
    RC_ASSERT(whole.hash() == owner_.state().hash());
    RC_ASSERT(resumed.hash() == owner_.state().hash());
  }

 private:
  static ChannelId any_channel() { return ChannelId(1 + below<std::uint64_t>(3)); }

  void publish() {
    for (int left = once_in(6) ? below(200) : 1 + below(5); left > 0; --left) {
      const std::uint32_t bytes = below<std::uint32_t>(30);
      const auto priority = below<std::uint8_t>(6);
      const auto ttl = once_in(4) ? std::optional(below<std::int64_t>(30)) : std::nullopt;
      const Lsn lsn = owner_.end();
      const bool refused = model_.options.overflow != Overflow::kDropHead && model_.over(1, bytes);
      RC_ASSERT(owner_.publish(bytes, priority, ttl) == !refused);
      model_.arrive({{lsn, 0}, bytes, priority, ttl}, refused);
    }
  }

  void deliver() {
    const std::size_t max = once_in(2) ? below<std::size_t>(10) : 10'000;
    const auto active = owner_.dispatch().active();
    const std::vector<Delivery> deliveries = owner_.deliver(max);
    std::size_t seen = 0;
    for (std::size_t done = 0; done < max; ++done) {
      const std::optional<std::int32_t> priority = model_.best_priority(active);
      QueueModel::Message* head = model_.head();
      if (!priority || !head) break;
      if (model_.now.ms >= head->expires_at_ms) {
        model_.go(*head, Why::kExpired);
        continue;
      }
      RC_ASSERT(seen < deliveries.size());
      const Delivery& delivery = deliveries[seen++];
      RC_ASSERT(delivery.message.key == head->key);
      expect_same(delivery.message, *head);
      QueueModel::Consumer& consumer = model_.consumers.at(delivery.consumer);
      RC_ASSERT(model_.has_room(consumer, active));
      RC_ASSERT(consumer.spec.priority == *priority);
      RC_ASSERT(consumer.spec.channel == delivery.channel);
      if (consumer.spec.auto_ack) ++consumer.unsent;
      model_.give(*head, delivery, consumer.spec.auto_ack);
    }
    RC_ASSERT(seen == deliveries.size());
  }

  void get() {
    const ChannelId channel = any_channel();
    const bool auto_ack = once_in(2);
    std::optional<Delivery> delivery;
    const QueueDispatch::Get got = owner_.get(channel, delivery, auto_ack);
    QueueModel::Message* head = model_.head();
    if (model_.options.single_active_consumer) {
      RC_ASSERT(got == QueueDispatch::Get::kSingleActive);
    } else if (!head) {
      RC_ASSERT(got == QueueDispatch::Get::kEmpty);
    } else if (model_.now.ms >= head->expires_at_ms) {
      RC_ASSERT(got == QueueDispatch::Get::kExpired);
    } else {
      RC_ASSERT(got == QueueDispatch::Get::kGot);
      expect_same(delivery->message, *head);
      model_.give(*head, *delivery, auto_ack);
    }
  }

  // Any delivery there ever was, and any channel: most of what comes is right, some is late, stale or wrong.
  void settle() {
    if (model_.given.empty()) return;
    std::vector<std::size_t> chosen;
    for (int left = 1 + below(6); left > 0; --left) {
      std::size_t one = below(model_.given.size());
      const int kind = below(4);
      const auto fits = [&] {
        const QueueModel::Given& given = model_.given[one];
        const bool late = given.delivery.acquisition.epoch < model_.epoch;
        if (kind == 0) return late && model_.messages[given.message].where != Where::kGone;
        return kind == 1 || given.held;
      };
      while (one + 1 < model_.given.size() && !fits()) ++one;
      chosen.push_back(one);
    }
    const ChannelId channel = once_in(10) ? any_channel() : model_.given[chosen[0]].delivery.channel;
    const auto outcome = static_cast<Outcome>(below(3));
    std::vector<Acquisition> what;
    std::size_t expected = 0;
    for (const std::size_t one : chosen) {
      QueueModel::Given& given = model_.given[one];
      what.push_back(given.delivery.acquisition);
      if (given.held && given.delivery.channel == channel && model_.settle(given, outcome)) ++expected;
    }
    for (const std::size_t one : chosen) {
      QueueModel::Message& message = model_.messages[model_.given[one].message];
      const bool late = model_.given[one].delivery.acquisition.epoch < model_.epoch;
      if (!late || outcome != Outcome::kAck || message.where == Where::kGone) continue;
      model_.go(message, Why::kSettled);
      ++expected;
    }
    RC_ASSERT(owner_.settle(channel, what, outcome) == expected);
  }

  void take_back() {
    if (model_.given.empty()) return;
    QueueModel::Given& given = model_.given[below(model_.given.size())];
    const Delivery& delivery = given.delivery;
    owner_.decide(
        [&](QueueDispatch& d, QueueFacts& f) { d.take_back(delivery.channel, delivery.acquisition, f); });
    if (!given.held) return;
    given.held = false;
    QueueModel::Message& message = model_.messages[given.message];
    if (message.where == Where::kOut) model_.come_back(message, false);
  }

  void consume() {
    ConsumerSpec spec;
    spec.id = ConsumerId(++last_consumer_);
    spec.channel = any_channel();
    spec.priority = below(3) - 1;
    spec.prefetch = below<std::uint16_t>(6);
    spec.auto_ack = once_in(4);
    spec.exclusive = once_in(10);
    bool alone = spec.exclusive;
    for (const auto& [id, other] : model_.consumers) alone = alone || other.spec.exclusive;
    const bool refused = alone && !model_.consumers.empty();
    RC_ASSERT((owner_.dispatch().consume(spec) == QueueDispatch::Consume::kExclusive) == refused);
    if (!refused) model_.consumers[spec.id] = {spec, last_consumer_, 0};
  }

  ConsumerId any_consumer() {
    if (model_.consumers.empty()) return ConsumerId(1);
    auto at = model_.consumers.begin();
    std::advance(at, below(static_cast<int>(model_.consumers.size())));
    return at->first;
  }

  void rarer(int what) {
    if (what < 68) {
      consume();
    } else if (what < 71) {
      const ConsumerId id = any_consumer();
      RC_ASSERT(owner_.dispatch().cancel(id, owner_.now()) == (model_.consumers.erase(id) == 1));
    } else if (what < 74) {
      const ChannelId channel = any_channel();
      owner_.close(channel);
      model_.come_back_from(channel);
      std::erase_if(model_.consumers, [&](const auto& one) { return one.second.spec.channel == channel; });
      model_.channel_limits.erase(channel);
    } else if (what < 76) {
      const ChannelId channel = any_channel();
      owner_.recover(channel);
      model_.come_back_from(channel);
    } else if (what < 79) {
      const ChannelId channel = any_channel();
      const auto limit = below<std::uint32_t>(8);
      owner_.dispatch().set_channel_limit(channel, limit);
      model_.channel_limits[channel] = limit;
    } else if (what < 82) {
      const ConsumerId id = any_consumer();
      const auto count = below<std::uint32_t>(4);
      owner_.dispatch().sent(id, count);
      if (const auto found = model_.consumers.find(id); found != model_.consumers.end()) {
        found->second.unsent -= std::min(count, found->second.unsent);
      }
    } else if (what < 85) {
      get();
    } else if (what < 87) {
      take_back();
    } else {
      rarest(what);
    }
  }

  void rarest(int what) {
    if (what < 90) {
      const std::size_t at_once = 1 + below<std::size_t>(20);
      while (owner_.expire(at_once)) {
      }
      for (int level = 3; level >= 0; --level) model_.expire_level(static_cast<std::uint8_t>(level));
    } else if (what < 93) {
      const std::size_t at_once = 1 + below<std::size_t>(20);
      while (owner_.overflow(at_once)) {
      }
      while (model_.options.overflow == Overflow::kDropHead && model_.over(0, 0) && model_.head()) {
        model_.go(*model_.head(), Why::kMaxLength);
      }
    } else if (what < 94) {
      const std::uint64_t ready = model_.count(Where::kReady);
      for (QueueModel::Message& one : model_.messages) {
        if (one.where == Where::kReady) model_.go(one, Why::kPurged);
      }
      RC_ASSERT(owner_.purge() == ready);
    } else if (what < 95) {
      QueueOptions options = any_options();
      options.max_priority = model_.options.max_priority;
      options.single_active_consumer = model_.options.single_active_consumer;
      owner_.append(options);
      model_.set_options(options);
    } else if (what < 96) {
      const auto first = below<std::uint64_t>(30), count = below<std::uint64_t>(10);
      owner_.append(Logged::Forwarded{first, count});
      model_.forwarded += std::erase_if(model_.dead, [&](const DeadLetter& one) {
        return one.number >= first && one.number < first + count;
      });
    } else {
      if (once_in(2)) {
        owner_.fail_over();
      } else {
        owner_.take_over();
      }
      model_.take_over();
    }
  }

  static void expect_same(const MessageInfo& info, const QueueModel::Message& message) {
    RC_ASSERT(info.place == message.place);
    RC_ASSERT(info.bytes == message.bytes);
    RC_ASSERT(info.expires_at_ms == message.expires_at_ms);
    RC_ASSERT(info.deliveries == message.deliveries);
    RC_ASSERT(info.redelivered == (message.deliveries > 0 || message.before_take_over));
  }

  void check() {
    const QueueState& state = owner_.state();
    const QueueDispatch& dispatch = owner_.dispatch();
    RC_ASSERT(state.epoch() == model_.epoch);
    RC_ASSERT(dispatch.ready() == model_.count(Where::kReady));
    RC_ASSERT(dispatch.unsettled() == model_.count(Where::kOut));
    RC_ASSERT(state.size() == dispatch.ready() + dispatch.unsettled());
    RC_ASSERT(dispatch.ready_bytes() == model_.bytes(Where::kReady));
    RC_ASSERT(state.bytes() == model_.bytes(Where::kReady) + model_.bytes(Where::kOut));
    std::optional<Lsn> needed;
    std::array<std::uint64_t, kWhys> left{};
    for (const QueueModel::Message& one : model_.messages) {
      const std::optional<MessageInfo> info = state.find(one.key);
      RC_ASSERT(info.has_value() == (one.where != Where::kGone));
      if (!info) {
        ++left[static_cast<std::size_t>(one.why)];
        continue;
      }
      expect_same(*info, one);
      needed = std::min(needed.value_or(one.place.lsn), one.place.lsn);
    }
    for (const DeadLetter& one : model_.dead)
      needed = std::min(needed.value_or(one.place.lsn), one.place.lsn);
    RC_ASSERT(state.lsn_needed().has_value() == needed.has_value());
    if (needed) RC_ASSERT(*state.lsn_needed() <= *needed);
    RC_ASSERT(owner_.dead_letters() == model_.dead);
    RC_ASSERT(state.counts() ==
              (QueueCounts{model_.messages.size(), model_.refused, left, model_.forwarded, model_.lost}));
    check_consumers();
  }

  void check_consumers() {
    const QueueDispatch& dispatch = owner_.dispatch();
    RC_ASSERT(dispatch.consumers() == model_.consumers.size());
    for (std::uint64_t channel = 1; channel <= 3; ++channel) {
      RC_ASSERT(dispatch.unsettled_of(ChannelId(channel)) == model_.held_on(ChannelId(channel)));
    }
    const QueueModel::Consumer* best = nullptr;
    for (const auto& [id, consumer] : model_.consumers) {
      RC_ASSERT(model_.held_by(id) <= model_.limit_of(consumer));
      const bool better = !best || consumer.spec.priority > best->spec.priority;  // else the earlier one
      if (better) best = &consumer;
    }
    const bool single = model_.options.single_active_consumer;
    RC_ASSERT(dispatch.active().has_value() == (single && best));
    if (!single || !best) return;
    // It stays while it is of the highest priority, or has something to settle; the next one is the first.
    const auto holds = [&](const QueueModel::Consumer& one) {
      return one.spec.auto_ack ? one.unsent > 0 : model_.held_by(one.spec.id) > 0;
    };
    const QueueModel::Consumer& active = model_.consumers.at(*dispatch.active());
    RC_ASSERT(active.spec.priority == best->spec.priority || holds(active));
    if (last_active_ != dispatch.active()) {
      RC_ASSERT(active.spec.id == best->spec.id);
      const auto last = last_active_ ? model_.consumers.find(*last_active_) : model_.consumers.end();
      RC_ASSERT(last == model_.consumers.end() || !holds(last->second));
    }
    last_active_ = dispatch.active();
  }

  Owner owner_;
  QueueModel model_;
  std::uint64_t last_consumer_ = 0;
  std::optional<ConsumerId> last_active_;
};

RC_GTEST_PROP(QueueModel, TheQueueIsTheModels, ()) {
  Run run(first_options(), any_limits());
  const int steps = 1 + below(300);
  for (int i = 0; i < steps; ++i) run.step();
  run.check_log();
}

}  // namespace
}  // namespace stele::broker::queue
