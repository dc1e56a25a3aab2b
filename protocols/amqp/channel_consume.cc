// Messages to the client: basic.consume, get, deliver, and how they are settled.
#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "protocols/amqp/channel.h"

namespace stele::amqp {

namespace {

runtime::Task<Decoded<void>> cancelled(runtime::Task<void> cancelling) {
  co_await std::move(cancelling);
  co_return Decoded<void>();
}

}  // namespace

// ---- consumers --------------------------------------------------------------------------------------------

// RabbitMQ's meaning: for each consumer to come, or with global for all of the channel together.
void AmqpChannel::on_qos() {
  const auto qos = arguments<BasicQos>();
  if (!qos) return;
  if (qos->prefetch_size != 0) {
    return fail(ReplyCode::kNotImplemented, "prefetch_size!=0 (" + std::to_string(qos->prefetch_size) + ")");
  }
  if (!qos->global) prefetch_ = qos->prefetch_count;
  const std::uint16_t limit = qos->global ? qos->prefetch_count : std::uint16_t{0};
  if (std::exchange(limit_, limit) != limit) broker_->set_limit(limit);
  send(BasicQosOk{});
  go_on();
}

bool AmqpChannel::check_new_consumer(std::string_view tag) {
  if (by_tag_.contains(tag)) {
    fail(ReplyCode::kNotAllowed, "attempt to reuse consumer tag '" + std::string(tag) + "'");
    return false;
  }
  const std::size_t most = connection_.options().max_consumers;
  if (consumers_.size() < most) return true;
  fail(ReplyCode::kNotAllowed, "reached maximum (" + std::to_string(most) + ") of consumers per channel");
  return false;
}

std::string AmqpChannel::new_consumer_tag() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 16> secret;
  connection_.runtime().fill_secret(secret);
  std::string out = "amq.ctag-";
  for (const char c : secret) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

void AmqpChannel::on_consume() {
  const auto method = arguments<BasicConsume>();
  if (!method || !check_new_consumer(method->consumer_tag)) return;
  if (method->queue == kReplyTo) return consume_replies(*method);
  ConsumeRequest request;
  request.queue = full_queue_name(method->queue);
  if (request.queue.empty()) return;
  request.key = ConsumerKey(++last_consumer_);
  request.tag = method->consumer_tag.empty() ? new_consumer_tag() : std::string(method->consumer_tag);
  request.no_ack = method->no_ack;
  request.exclusive = method->exclusive;
  request.prefetch = prefetch_;
  request.arguments = Table(method->arguments);
  Consumer consumer{request.key, request.tag, request.no_ack};
  ask(broker_->consume(std::move(request)),
      [this, consumer = std::move(consumer), no_wait = method->no_wait]() mutable {
        by_tag_.emplace(consumer.tag, consumer.key);
        consumers_.push_back(std::move(consumer));
        answer(no_wait, BasicConsumeOk{consumers_.back().tag});
      });
}

// Direct reply-to: the pseudo-queue is the channel's own, and there is one at most.
void AmqpChannel::consume_replies(const BasicConsume& method) {
  if (!method.no_ack) return fail(ReplyCode::kPreconditionFailed, "reply consumer cannot acknowledge");
  if (reply_consumer_.value) return fail(ReplyCode::kPreconditionFailed, "reply consumer already set");
  const std::string tag = method.consumer_tag.empty() ? new_consumer_tag() : std::string(method.consumer_tag);
  reply_consumer_ = ConsumerKey(++last_consumer_);
  by_tag_.emplace(tag, reply_consumer_);
  consumers_.push_back({reply_consumer_, tag, true});
  reply_name_ = broker_->open_replies(reply_consumer_);
  STELE_ASSERT(reply_name_.starts_with(kReplyTo) && reply_name_.size() <= 255);
  answer(method.no_wait, BasicConsumeOk{tag});
}

AmqpChannel::Consumer* AmqpChannel::find_consumer(ConsumerKey key) {
  const auto found = std::ranges::lower_bound(consumers_, key, {}, &Consumer::key);
  return found == consumers_.end() || found->key != key ? nullptr : &*found;
}

void AmqpChannel::forget_consumer(ConsumerKey key) {
  Consumer* consumer = find_consumer(key);
  if (!consumer) return;
  by_tag_.erase(consumer->tag);
  consumers_.erase(consumers_.begin() + (consumer - consumers_.data()));
}

void AmqpChannel::on_cancel() {
  const auto method = arguments<BasicCancel>();
  if (!method) return;
  const auto found = by_tag_.find(method->consumer_tag);
  if (found == by_tag_.end()) return answer(method->no_wait, BasicCancelOk{method->consumer_tag});
  const ConsumerKey key = found->second;
  if (key == reply_consumer_) {
    broker_->close_replies();
    reply_consumer_ = ConsumerKey();
    reply_name_.clear();
    forget_consumer(key);
    return answer(method->no_wait, BasicCancelOk{method->consumer_tag});
  }
  // What is delivered until then is still its own.
  ask(cancelled(broker_->cancel(key)),
      [this, key, tag = std::string(method->consumer_tag), no_wait = method->no_wait] {
        forget_consumer(key);
        answer(no_wait, BasicCancelOk{tag});
      });
}

void AmqpChannel::on_cancelled(ConsumerKey key) {
  const Consumer* consumer = is_open() ? find_consumer(key) : nullptr;
  if (!consumer) return;
  STELE_MARK("amqp: a consumer is cancelled by the broker");
  if (connection_.tells_cancelled()) send(BasicCancel{consumer->tag, true});
  forget_consumer(key);
}

// ---- deliveries -------------------------------------------------------------------------------------------

bool AmqpChannel::room_for_unsettled() const {
  const std::size_t kept = tx_ ? tx_->deliveries : 0;
  return unsettled_.size() + kept < connection_.options().max_unsettled;
}

bool AmqpChannel::has_room(bool no_ack) {
  const std::size_t kept = tx_ ? tx_->deliveries : 0;
  const bool room =
      is_open() && !connection_.output_is_full() &&
      (no_ack || (room_for_unsettled() && (limit_ == 0 || unsettled_.of_consumers() + kept < limit_)));
  if (!room) room_awaited_ = true;
  return room;
}

void AmqpChannel::go_on() {
  if (!is_open() || !room_awaited_ || connection_.output_is_full()) return;
  room_awaited_ = false;
  broker_->go_on();
}

void AmqpChannel::on_delivery(const AmqpDelivery& delivery) {
  if (!is_open()) return;
  const Consumer* consumer = find_consumer(delivery.consumer);
  STELE_ASSERT(consumer);
  BasicDeliver method;
  method.consumer_tag = consumer->tag;
  method.delivery_tag = ++last_tag_;
  method.redelivered = delivery.redelivered;
  method.exchange = delivery.exchange;
  method.routing_key = delivery.routing_key;
  if (!consumer->no_ack) unsettled_.add(last_tag_, delivery.token, true);
  ++connection_.counters().delivered;
  connection_.send_message(number_, method, delivery.properties, delivery.body);
}

void AmqpChannel::on_get() {
  const auto method = arguments<BasicGet>();
  if (!method) return;
  const std::string queue = full_queue_name(method->queue);
  if (queue.empty()) return;
  if (!method->no_ack && !room_for_unsettled()) {
    return fail(ReplyCode::kPreconditionFailed, "too many unacknowledged messages");
  }
  getting_no_ack_ = method->no_ack;
  await_answer();
  broker_->get(queue, method->no_ack);
}

void AmqpChannel::on_got(const AmqpDelivery* delivery, std::uint32_t ready) {
  if (!is_open()) return;
  STELE_ASSERT(awaits_answer_);
  answer_came();
  if (!delivery) return send(BasicGetEmpty{});
  flush_confirms();
  BasicGetOk method;
  method.delivery_tag = ++last_tag_;
  method.redelivered = delivery->redelivered;
  method.exchange = delivery->exchange;
  method.routing_key = delivery->routing_key;
  method.message_count = ready;
  if (!getting_no_ack_) unsettled_.add(last_tag_, delivery->token, false);
  ++connection_.counters().delivered;
  connection_.send_message(number_, method, delivery->properties, delivery->body);
}

// ---- settling ---------------------------------------------------------------------------------------------

void AmqpChannel::on_ack() {
  const auto method = arguments<BasicAck>();
  if (method) take_and_settle(method->delivery_tag, method->multiple, Settlement::kAck);
}

void AmqpChannel::on_nack() {
  const auto method = arguments<BasicNack>();
  if (!method) return;
  take_and_settle(method->delivery_tag, method->multiple,
                  method->requeue ? Settlement::kRequeue : Settlement::kReject);
}

void AmqpChannel::on_reject() {
  const auto method = arguments<BasicReject>();
  if (!method) return;
  take_and_settle(method->delivery_tag, false, method->requeue ? Settlement::kRequeue : Settlement::kReject);
}

void AmqpChannel::take_and_settle(std::uint64_t tag, bool multiple, Settlement how) {
  std::vector<UnsettledDelivery>& taken = connection_.shared().taken;
  taken.clear();
  if (!unsettled_.take(tag, multiple, taken)) {
    return fail(ReplyCode::kPreconditionFailed, "unknown delivery tag " + std::to_string(tag));
  }
  if (!tx_) {
    settle(taken, how);
    return go_on();
  }
  std::vector<Transaction::Settled>& settled = tx_->settled;
  if (settled.empty() || settled.back().how != how) settled.push_back({how, {}});
  settled.back().what.insert(settled.back().what.end(), taken.begin(), taken.end());
  tx_->deliveries += taken.size();
}

void AmqpChannel::settle(std::span<const UnsettledDelivery> what, Settlement how) {
  if (what.empty()) return;
  std::vector<DeliveryToken>& tokens = connection_.shared().tokens;
  tokens.clear();
  for (const UnsettledDelivery& delivery : what) tokens.push_back(delivery.token);
  connection_.counters().settled += what.size();
  broker_->settle(tokens, how);
}

// What a transaction has acknowledged stays with it.
void AmqpChannel::on_recover(bool answers) {
  // The two have the same arguments.
  bool requeue = false;
  if (answers) {
    const auto method = arguments<BasicRecover>();
    if (!method) return;
    requeue = method->requeue;
  } else {
    const auto method = arguments<BasicRecoverAsync>();
    if (!method) return;
    requeue = method->requeue;
  }
  if (!requeue) return fail(ReplyCode::kNotImplemented, "requeue=false");
  std::vector<UnsettledDelivery>& taken = connection_.shared().taken;
  taken.clear();
  unsettled_.take(0, true, taken);
  settle(taken, Settlement::kRequeue);
  if (!is_open()) return;
  if (answers) send(BasicRecoverOk{});
  go_on();
}

}  // namespace stele::amqp
