// One channel of a connection (docs/amqp.md): what its methods do, what the broker answers and delivers, what
// is unsettled and unconfirmed.
//
// Life: made by the connection for channel.open, and gone with channel.close or channel.close-ok, or with the
// connection. In between it is closing once it has sent channel.close itself: then all but the client's
// close and close-ok is thrown away. What it had of the broker is let go of at the turn's end.
//
// Beside channel.cc: channel_publish.cc has publishes, confirms and transactions, channel_consume.cc what
// goes the other way, channel_declare.cc exchanges and queues.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/intrusive_list.h"
#include "protocols/amqp/amqp_broker.h"
#include "protocols/amqp/assembler.h"
#include "protocols/amqp/connection.h"
#include "protocols/amqp/unsettled.h"

namespace stele::amqp {

class AmqpChannel final : public ListNode<>, private AmqpChannelListener {
 public:
  AmqpChannel(AmqpConnection& connection, std::uint16_t number);
  ~AmqpChannel();

  std::uint16_t number() const { return number_; }
  // Before its first frame, channel.open.
  Decoded<void> open();
  // It may throw the connection's state over, but never destroys this.
  void on_frame(const Frame& frame, const Bytes& block);
  // The number is free again.
  bool closed() const { return state_ == State::kClosed; }
  // The input pauses.
  void pause_input();
  // There is room in the output.
  void go_on();
  // Acks and nacks of publishes that have gathered.
  void flush_confirms();
  void on_turn_end();
  // The connection ends, or the channel: nothing more is sent on it, or taken from the broker.
  void end();

 private:
  enum class State : std::uint8_t {
    kStarting,  // channel.open is to come
    kOpen,
    kClosing,  // channel.close is sent
    kClosed,
    kEnded,  // with the connection
  };
  enum class Mode : std::uint8_t { kPlain, kConfirm, kTransactional };
  bool is_open() const { return state_ == State::kOpen; }

  // AmqpChannelListener (channel_publish.cc, channel_consume.cc)
  void on_returned(const AmqpReturn& message) override;
  void on_published(PublishOutcome outcome) override;
  void on_ready() override;
  bool has_room(bool no_ack) override;
  void on_delivery(const AmqpDelivery& delivery) override;
  void on_got(const AmqpDelivery* delivery, std::uint32_t ready) override;
  void on_cancelled(ConsumerKey consumer) override;
  void on_error(const ProtocolError& error) override { fail(error); }

  // channel.cc
  void on_closing_frame(const Frame& frame);
  void handle();
  void on_open();
  void on_close();
  void on_flow();
  void fail(const ProtocolError& error);
  void fail(ReplyCode code, std::string text);
  void let_go_of_broker();
  void count_input();
  // What the frames hold, or nothing and the channel, or the connection, has failed.
  template <class M>
  std::optional<M> arguments() {
    auto method = decode<M>(assembler_.arguments());
    if (method) return *std::move(method);
    fail(method.error());
    return std::nullopt;
  }
  // A method, behind the confirms that are older.
  template <class M>
  void send(const M& method) {
    flush_confirms();
    connection_.send(number_, method);
  }
  template <class M>
  void answer(bool no_wait, const M& method) {
    if (!no_wait) send(method);
  }
  // Asks the broker, and hands on what it says to `done` if the channel is still open then.
  template <class T, class Done>
  void ask(runtime::Task<Decoded<T>> question, Done done) {
    asking_ = true;
    connection_.begin_task(wait_for(std::move(question), assembler_.method(), std::move(done)));
  }
  template <class T, class Done>
  runtime::Task<void> wait_for(runtime::Task<Decoded<T>> question, MethodInfo method, Done done);
  // An answer by callback comes before anything else.
  void await_answer();
  void answer_came();
  std::string full_queue_name(std::string_view name);

  // channel_publish.cc
  void on_publish();
  bool publish(const BasicPublish& method, std::string_view encoded, const Bytes& body, bool answer);
  std::string_view with_reply_to(BasicProperties& properties, std::string_view encoded);
  void add_to_transaction(const BasicPublish& method, std::string_view encoded, const Bytes& body);
  void on_confirm_select();
  void on_tx_select();
  void on_tx_commit();
  void on_tx_published(PublishOutcome outcome);
  void finish_commit();
  void on_tx_rollback();

  // channel_consume.cc
  void on_qos();
  void on_consume();
  void consume_replies(const BasicConsume& method);
  std::string new_consumer_tag();
  bool check_new_consumer(std::string_view tag);
  void on_cancel();
  void forget_consumer(ConsumerKey key);
  void on_get();
  void on_ack();
  void on_nack();
  void on_reject();
  void on_recover(bool answers);
  void take_and_settle(std::uint64_t tag, bool multiple, Settlement how);
  void settle(std::span<const UnsettledDelivery> what, Settlement how);
  bool room_for_unsettled() const;

  // channel_declare.cc
  void on_exchange_declare();
  void on_exchange_delete();
  void on_queue_declare();
  void on_queue_delete();
  void on_queue_purge();
  void on_queue_bind();
  void on_queue_unbind();
  void on_exchange_bind();
  void on_exchange_unbind();
  template <class Ok>
  void change_binding(BindingRequest request, bool unbind, bool no_wait);

  struct Consumer {
    ConsumerKey key;
    std::string tag;
    bool no_ack = false;
  };
  Consumer* find_consumer(ConsumerKey key);

  struct Transaction {
    struct Message {
      std::string exchange, routing_key, properties;
      Bytes body;
      bool mandatory = false;
    };
    struct Settled {
      Settlement how;
      std::vector<UnsettledDelivery> what;
    };
    std::vector<Message> messages;
    std::size_t bytes = 0;
    std::vector<Settled> settled;
    std::size_t deliveries = 0;  // in settled
    std::size_t unanswered = 0;
    bool committing = false;
    bool refused = false;
  };

  AmqpConnection& connection_;
  const std::uint16_t number_;
  State state_ = State::kStarting;
  Mode mode_ = Mode::kPlain;
  Assembler assembler_;
  std::unique_ptr<AmqpBrokerChannel> broker_;
  std::size_t held_ = 0;  // counted by the connection
  bool asking_ = false;   // a task of the broker's channel
  bool awaits_answer_ = false;
  bool ready_ = true;  // to be published to
  bool room_awaited_ = false;
  bool getting_no_ack_ = false;

  // Publishes.
  std::size_t unanswered_ = 0;                       // all of them
  std::uint64_t confirmed_ = 0;                      // the last tag that was answered
  std::uint64_t to_confirm_ = 0;                     // how many up to it have not been told
  PublishOutcome outcome_ = PublishOutcome::kTaken;  // theirs
  std::unique_ptr<Transaction> tx_;

  // Deliveries.
  std::string last_queue_;  // that was declared
  std::uint64_t last_tag_ = 0;
  Unsettled unsettled_;
  std::vector<Consumer> consumers_;  // by key
  std::map<std::string, ConsumerKey, std::less<>> by_tag_;
  std::uint64_t last_consumer_ = 0;
  ConsumerKey reply_consumer_;  // 0: none
  std::string reply_name_;
  std::uint16_t prefetch_ = 0;  // of consumers to come
  std::uint16_t limit_ = 0;     // of all together; 0: none
};

template <class T, class Done>
runtime::Task<void> AmqpChannel::wait_for(runtime::Task<Decoded<T>> question, MethodInfo method, Done done) {
  Decoded<T> said = co_await std::move(question);
  asking_ = false;
  if (!is_open()) {
    connection_.call_at_turn_end(*this);
  } else if (said) {
    if constexpr (std::is_void_v<T>) {
      done();
    } else {
      done(*std::move(said));
    }
  } else {
    ProtocolError error = std::move(said).error();
    if (error.class_id == 0) {
      error.class_id = method.class_id;
      error.method_id = method.method;
    }
    fail(error);
  }
  connection_.end_task();
}

}  // namespace stele::amqp
