// Messages from the client: basic.publish and basic.return, publisher confirms, transactions.
//
// The broker answers in the order of publishing. Answers of a turn become one ack, or nack, as long as they
// are alike; a return is sent as it comes, and so before its message's ack.
//
// A transaction is kept here until tx.commit; then its messages are published, its settlements made, and
// commit-ok sent when all messages are answered for. As in RabbitMQ that is not atomic: if one is refused the
// others stay, and the channel is closed.
#include <utility>

#include "base/assert.h"
#include "base/marks.h"
#include "protocols/amqp/channel.h"

namespace stele::amqp {

namespace {

// Besides its bytes.
constexpr std::size_t kTxMessageCost = 256;

}  // namespace

void AmqpChannel::on_publish() {
  const auto method = arguments<BasicPublish>();
  if (!method) return;
  if (method->immediate) return fail(ReplyCode::kNotImplemented, "immediate=true");
  const std::string_view properties = assembler_.header().properties;
  if (mode_ == Mode::kTransactional) return add_to_transaction(*method, properties, assembler_.body());
  publish(*method, properties, assembler_.body(), mode_ == Mode::kConfirm);
}

// False: the channel has failed.
bool AmqpChannel::publish(const BasicPublish& method, std::string_view encoded, const Bytes& body,
                          bool answer) {
  auto properties = decode_properties(encoded);
  if (!properties) {
    fail(properties.error().code, std::move(properties.error().text));
    return false;
  }
  if (properties->reply_to == kReplyTo) {
    if (!reply_consumer_.value) {
      fail(ReplyCode::kPreconditionFailed, "fast reply consumer does not exist");
      return false;
    }
    encoded = with_reply_to(*properties, encoded);
  }
  if (answer) {
    ++unanswered_;
    connection_.add_unanswered(1);
  }
  ++connection_.counters().published;
  connection_.note_publish();
  const bool ready = broker_->publish(
      {method.exchange, method.routing_key, method.mandatory, answer, *properties, encoded, body});
  if (!ready && is_open() && std::exchange(ready_, false)) connection_.add_not_ready();
  return is_open();
}

// The pseudo-queue becomes the name by which others find this channel.
std::string_view AmqpChannel::with_reply_to(BasicProperties& properties, std::string_view encoded) {
  properties.reply_to = reply_name_;
  std::string& out = connection_.shared().properties;
  out.clear();
  const bool fits = append_properties(out, properties);
  STELE_ASSERT(fits);
  return fits ? std::string_view(out) : encoded;
}

void AmqpChannel::on_ready() {
  if (!std::exchange(ready_, true)) connection_.remove_not_ready();
}

void AmqpChannel::on_returned(const AmqpReturn& message) {
  if (!is_open()) return;
  ++connection_.counters().returned;
  BasicReturn method;
  method.reply_code = static_cast<std::uint16_t>(message.why);
  method.reply_text = to_string(message.why);
  method.exchange = message.exchange;
  method.routing_key = message.routing_key;
  connection_.send_message(number_, method, message.properties, message.body);
}

void AmqpChannel::on_published(PublishOutcome outcome) {
  if (!is_open()) return;
  STELE_ASSERT(unanswered_ > 0);
  --unanswered_;
  connection_.remove_unanswered(1);
  if (mode_ == Mode::kTransactional) return on_tx_published(outcome);
  STELE_ASSERT(mode_ == Mode::kConfirm);
  if (to_confirm_ > 0 && outcome != outcome_) flush_confirms();
  outcome_ = outcome;
  ++confirmed_;
  if (to_confirm_++ == 0) connection_.call_at_turn_end(*this);
}

void AmqpChannel::flush_confirms() {
  if (to_confirm_ == 0 || !is_open()) return;
  const bool multiple = std::exchange(to_confirm_, 0) > 1;
  ++connection_.counters().confirmed;
  if (outcome_ == PublishOutcome::kTaken) {
    connection_.send(number_, BasicAck{confirmed_, multiple});
  } else {
    connection_.send(number_, BasicNack{confirmed_, multiple, false});
  }
}

void AmqpChannel::on_confirm_select() {
  const auto method = arguments<ConfirmSelect>();
  if (!method) return;
  if (mode_ == Mode::kTransactional) {
    return fail(ReplyCode::kPreconditionFailed, "cannot switch from tx to confirm mode");
  }
  mode_ = Mode::kConfirm;
  answer(method->no_wait, ConfirmSelectOk{});
}

// ---- transactions ---------------------------------------------------------------------------------------

void AmqpChannel::on_tx_select() {
  if (!arguments<TxSelect>()) return;
  if (mode_ == Mode::kConfirm) {
    return fail(ReplyCode::kPreconditionFailed, "cannot switch from confirm to tx mode");
  }
  mode_ = Mode::kTransactional;
  if (!tx_) tx_ = std::make_unique<Transaction>();
  send(TxSelectOk{});
}

void AmqpChannel::add_to_transaction(const BasicPublish& method, std::string_view encoded,
                                     const Bytes& body) {
  if (auto properties = decode_properties(encoded); !properties) {
    return fail(properties.error().code, std::move(properties.error().text));
  }
  const AmqpOptions& options = connection_.options();
  const std::size_t size = kTxMessageCost + encoded.size() + body.size();
  if (tx_->messages.size() >= options.max_tx_messages || tx_->bytes + size > options.max_tx_bytes) {
    STELE_MARK("amqp: a transaction is too large");
    return fail(ReplyCode::kPreconditionFailed,
                "the transaction is larger than the maximum of " + std::to_string(options.max_tx_messages) +
                    " messages and " + std::to_string(options.max_tx_bytes) + " bytes");
  }
  tx_->bytes += size;
  tx_->messages.push_back({std::string(method.exchange), std::string(method.routing_key),
                           std::string(encoded), body.held() > body.size() ? Bytes::copy(body) : body,
                           method.mandatory});
}

void AmqpChannel::on_tx_commit() {
  if (!arguments<TxCommit>()) return;
  if (!tx_) return fail(ReplyCode::kPreconditionFailed, "channel is not transactional");
  Transaction& tx = *tx_;
  await_answer();
  tx.unanswered = tx.messages.size();
  for (const Transaction::Message& message : tx.messages) {
    const BasicPublish method{message.exchange, message.routing_key, message.mandatory, false};
    if (!publish(method, message.properties, message.body, true)) return;
  }
  for (const Transaction::Settled& settled : tx.settled) {
    settle(settled.what, settled.how);
    if (!is_open()) return;
  }
  tx.committing = true;
  if (tx.unanswered == 0) finish_commit();
}

void AmqpChannel::on_tx_published(PublishOutcome outcome) {
  STELE_ASSERT(tx_ && tx_->unanswered > 0);
  if (outcome == PublishOutcome::kRefused) tx_->refused = true;
  if (--tx_->unanswered == 0 && tx_->committing) finish_commit();
}

void AmqpChannel::finish_commit() {
  const bool refused = tx_->refused;
  *tx_ = {};
  if (refused) {
    STELE_MARK("amqp: a part of a transaction was refused");
    return fail(ProtocolError{ReplyCode::kPreconditionFailed, "partial tx completion", kTxClass,
                              TxCommit::kInfo.method});
  }
  send(TxCommitOk{});
  answer_came();
  go_on();
}

void AmqpChannel::on_tx_rollback() {
  if (!arguments<TxRollback>()) return;
  if (!tx_) return fail(ReplyCode::kPreconditionFailed, "channel is not transactional");
  for (Transaction::Settled& settled : tx_->settled) unsettled_.put_back(std::move(settled.what));
  *tx_ = {};
  send(TxRollbackOk{});
}

}  // namespace stele::amqp
