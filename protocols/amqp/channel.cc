#include "protocols/amqp/channel.h"

#include "base/assert.h"

namespace stele::amqp {

AmqpChannel::AmqpChannel(AmqpConnection& connection, std::uint16_t number)
    : connection_(connection),
      number_(number),
      assembler_(Side::kServer, number, connection.options().max_message_bytes) {}

AmqpChannel::~AmqpChannel() {
  end();
}

Decoded<void> AmqpChannel::open() {
  auto opened = connection_.host().open_channel(number_, *this);
  if (!opened) return std::unexpected(std::move(opened).error());
  broker_ = *std::move(opened);
  return {};
}

void AmqpChannel::on_frame(const Frame& frame, const Bytes& block) {
  if (state_ == State::kClosing) return on_closing_frame(frame);
  const auto step = assembler_.on_frame(frame, block);
  if (!step) return fail(step.error());
  if (*step == Assembler::Step::kMore) return count_input();
  handle();
  assembler_.clear();  // what was read is not needed any more
  count_input();
}

// Only the end of the handshake counts. A close that crossed ours is answered, and its close-ok still awaited
// (rabbit_channel.erl).
void AmqpChannel::on_closing_frame(const Frame& frame) {
  if (frame.type != FrameType::kMethod) return;
  const auto method = peek_method(frame.payload);
  if (!method) return;
  if ((*method)->id() == ChannelCloseOk::kInfo.id()) state_ = State::kClosed;
  if ((*method)->id() == ChannelClose::kInfo.id()) connection_.send(number_, ChannelCloseOk{});
}

void AmqpChannel::handle() {
  if (state_ == State::kStarting) return on_open();
  switch (assembler_.method().id()) {
    case BasicPublish::kInfo.id():
      return on_publish();
    case BasicAck::kInfo.id():
      return on_ack();
    case BasicNack::kInfo.id():
      return on_nack();
    case BasicReject::kInfo.id():
      return on_reject();
    case BasicGet::kInfo.id():
      return on_get();
    case BasicConsume::kInfo.id():
      return on_consume();
    case BasicCancel::kInfo.id():
      return on_cancel();
    case BasicCancelOk::kInfo.id():
      return;  // ours need none
    case BasicQos::kInfo.id():
      return on_qos();
    case BasicRecover::kInfo.id():
      return on_recover(true);
    case BasicRecoverAsync::kInfo.id():
      return on_recover(false);
    case ExchangeDeclare::kInfo.id():
      return on_exchange_declare();
    case ExchangeDelete::kInfo.id():
      return on_exchange_delete();
    case ExchangeBind::kInfo.id():
      return on_exchange_bind();
    case ExchangeUnbind::kInfo.id():
      return on_exchange_unbind();
    case QueueDeclare::kInfo.id():
      return on_queue_declare();
    case QueueDelete::kInfo.id():
      return on_queue_delete();
    case QueuePurge::kInfo.id():
      return on_queue_purge();
    case QueueBind::kInfo.id():
      return on_queue_bind();
    case QueueUnbind::kInfo.id():
      return on_queue_unbind();
    case ConfirmSelect::kInfo.id():
      return on_confirm_select();
    case TxSelect::kInfo.id():
      return on_tx_select();
    case TxCommit::kInfo.id():
      return on_tx_commit();
    case TxRollback::kInfo.id():
      return on_tx_rollback();
    case ChannelFlow::kInfo.id():
      return on_flow();
    case ChannelClose::kInfo.id():
      return on_close();
    case ChannelOpen::kInfo.id():
      return fail(ReplyCode::kChannelError, "second 'channel.open' seen");
    case AccessRequest::kInfo.id():
      if (arguments<AccessRequest>()) send(AccessRequestOk{});
      return;
    default:
      return fail(ReplyCode::kCommandInvalid, "unimplemented method");
  }
}

void AmqpChannel::on_open() {
  STELE_ASSERT(assembler_.method().id() == ChannelOpen::kInfo.id());
  state_ = State::kOpen;
  if (arguments<ChannelOpen>()) send(ChannelOpenOk{});
}

void AmqpChannel::on_close() {
  if (!arguments<ChannelClose>()) return;
  flush_confirms();
  end();
  connection_.send(number_, ChannelCloseOk{});
  state_ = State::kClosed;
}

// Nobody stops deliveries so any more, and neither RabbitMQ nor we let them: prefetch does it.
void AmqpChannel::on_flow() {
  const auto flow = arguments<ChannelFlow>();
  if (!flow) return;
  if (!flow->active) return fail(ReplyCode::kNotImplemented, "active=false");
  send(ChannelFlowOk{true});
}

void AmqpChannel::fail(ReplyCode code, std::string text) {
  const MethodInfo& method = assembler_.method();
  fail(ProtocolError{code, std::move(text), method.class_id, method.method});
}

void AmqpChannel::fail(const ProtocolError& error) {
  if (!is_open()) return;
  if (error.ends_connection()) return connection_.fail(error);
  ++connection_.counters().channel_errors;
  ChannelClose close;
  const std::string text = reply_text(error.code, error.text);
  close.reply_code = static_cast<std::uint16_t>(error.code);
  close.reply_text = text;
  close.failed_class = error.class_id;
  close.failed_method = error.method_id;
  send(close);
  end();
  state_ = State::kClosing;
}

void AmqpChannel::end() {
  if (state_ >= State::kClosing && !broker_) return;
  const bool first = is_open() || state_ == State::kStarting;
  if (state_ < State::kClosed) state_ = State::kEnded;
  if (!first) return;
  if (!std::exchange(ready_, true)) connection_.remove_not_ready();
  connection_.remove_unanswered(std::exchange(unanswered_, 0));
  answer_came();
  connection_.change_input(std::exchange(held_, 0), 0);
  unsettled_.clear();
  consumers_.clear();
  by_tag_.clear();
  connection_.call_at_turn_end(*this);  // the broker's objects may be in the middle of something
}

void AmqpChannel::on_turn_end() {
  if (is_open()) return flush_confirms();
  if (asking_) return;  // comes back
  broker_.reset();
  tx_.reset();
}

void AmqpChannel::pause_input() {
  if (!is_open()) return;
  assembler_.pause();
  count_input();
}

void AmqpChannel::count_input() {
  if (!is_open()) return;
  const std::size_t now = assembler_.held() + assembler_.kept();
  if (now != held_) connection_.change_input(std::exchange(held_, now), now);
}

void AmqpChannel::await_answer() {
  STELE_ASSERT(!awaits_answer_);
  awaits_answer_ = true;
  connection_.hold(AmqpConnection::kHoldAnswer);
}

void AmqpChannel::answer_came() {
  if (std::exchange(awaits_answer_, false)) connection_.let_go(AmqpConnection::kHoldAnswer);
}

}  // namespace stele::amqp
