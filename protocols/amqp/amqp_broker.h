// What connections and channels of AMQP 0-9-1 need of a broker. The machine (connection.h, channel.h) is
// written against this, and knows no queue; a broker implements it, and knows no frame.
//
//   AmqpBroker --authenticate()--> AmqpUser --open()--> AmqpHost --open_channel()--> AmqpBrokerChannel
//
// All of it lives on one core, and is called and calls back there. What is left of them is the right of who
// owns it: each outlives what was made from it, and none may be destroyed while a task of its own runs or
// from within one of its callbacks. Hot paths (publish, deliver, settle, get) are synchronous and call back,
// the rest are tasks; strings given to tasks are theirs.
//
// Errors are RabbitMQ's: a code, whose severity says what ends (reply_code.h), and a text without the code's
// name. Class and method of a task's error may be left 0: the channel knows what it asked.
//
// Names are at most 255 bytes of UTF-8. Queue names have been made out: an empty one is the server's to
// choose, in declare_queue only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/strong_id.h"
#include "protocols/amqp/content.h"
#include "protocols/amqp/field_table.h"
#include "protocols/amqp/reply_code.h"
#include "protocols/amqp/sasl.h"
#include "runtime/runtime.h"
#include "runtime/task.h"

namespace stele::amqp {

// ---- what is asked --------------------------------------------------------------------------------------

struct AmqpLogin {
  SaslMechanism mechanism = SaslMechanism::kPlain;
  std::string user;       // EXTERNAL: the name that it wants to act as, empty for the proven one
  std::string password;   // PLAIN, AMQPLAIN
  std::string peer_name;  // proven by the transport (runtime::Connection::peer_name), or empty
  runtime::Endpoint peer;
};

struct ExchangeDeclaration {
  std::string name;
  std::string type;
  bool passive = false;  // only whether it is there: type, flags and arguments do not count
  bool durable = false;
  bool auto_delete = false;
  bool internal = false;
  Table arguments;
};

struct QueueDeclaration {
  std::string name;  // empty: the server chooses one
  bool passive = false;
  bool durable = false;
  bool exclusive = false;  // to the AmqpHost, and gone with it
  bool auto_delete = false;
  Table arguments;
};

struct QueueDeclared {
  std::string name;
  std::uint32_t messages = 0;  // ready
  std::uint32_t consumers = 0;
};

struct BindingRequest {
  std::string source;  // exchange
  std::string destination;
  bool to_exchange = false;  // else to a queue
  std::string routing_key;
  Table arguments;
};

// Given by the channel, from 1 on and never twice on it; 0 is basic.get.
using ConsumerKey = StrongId<struct AmqpConsumerKeyTag>;

struct ConsumeRequest {
  ConsumerKey key;
  std::string queue;
  std::string tag;  // for whoever lists consumers
  bool no_ack = false;
  bool exclusive = false;
  std::uint16_t prefetch = 0;  // messages; 0: no limit of its own
  Table arguments;             // x-priority, x-stream-offset, …
};

struct AmqpPublish {
  std::string_view exchange;
  std::string_view routing_key;
  bool mandatory = false;
  // Whether on_published follows. Without it all that follows is on_returned, or on_error.
  bool answer = false;
  const BasicProperties& properties;
  std::string_view encoded_properties;  // the same, as they go on
  const Bytes& body;                    // a slice of what was read; may be kept
};

// What a delivery is settled by: the broker puts there what it likes, nobody else looks at it.
struct DeliveryToken {
  std::array<std::uint64_t, 5> words{};
  friend bool operator==(const DeliveryToken&, const DeliveryToken&) = default;
};

enum class Settlement : std::uint8_t {
  kAck,
  kReject,   // gone, or to the dead-letter exchange
  kRequeue,  // ready again, redelivered
};

// ---- what is answered -----------------------------------------------------------------------------------

struct AmqpDelivery {
  ConsumerKey consumer;
  DeliveryToken token;  // means nothing to who does not acknowledge
  bool redelivered = false;
  std::string_view exchange;
  std::string_view routing_key;
  std::string_view properties;  // encoded
  const Bytes& body;
};

struct AmqpReturn {
  ReplyCode why = ReplyCode::kNoRoute;
  std::string_view exchange;
  std::string_view routing_key;
  std::string_view properties;  // encoded
  const Bytes& body;
};

enum class PublishOutcome : std::uint8_t {
  kTaken,    // wherever it was routed to, it is kept; or it was routed nowhere
  kRefused,  // a queue is full and refuses, or nobody can tell: basic.nack
};

// What a channel is told. Views are valid during the call.
class AmqpChannelListener {
 public:
  // A mandatory message found no queue. Comes before its on_published, if there is one.
  virtual void on_returned(const AmqpReturn& message) = 0;
  // Once for each publish with `answer`, in the order of publishing.
  virtual void on_published(PublishOutcome outcome) = 0;
  // After publish() gave false, once.
  virtual void on_ready() = 0;

  // Whether one more delivery can be taken now; asked before each. If not, AmqpBrokerChannel::go_on() is
  // called when it can. `no_ack`: of the consumer.
  virtual bool has_room(bool no_ack) = 0;
  // Never from within a call of the channel other than go_on(), never before its consume() has completed nor
  // after its cancel() has, and only if there is room.
  virtual void on_delivery(const AmqpDelivery& delivery) = 0;
  // The answer to get(): null if the queue is empty. `ready`: messages that are left. May come from within.
  virtual void on_got(const AmqpDelivery* delivery, std::uint32_t ready) = 0;
  // The consumer is no more: its queue was deleted, or may not be read any longer.
  virtual void on_cancelled(ConsumerKey consumer) = 0;
  // The channel, or with a hard error the connection, ends: a publish to an exchange that there is not, a
  // get that is refused, an acknowledgement that came too late. Nothing else is called from then on.
  virtual void on_error(const ProtocolError& error) = 0;

 protected:
  ~AmqpChannelListener() = default;
};

// on_returned, on_published and on_error may come from within publish(), get() and settle(); but for those,
// on_got and go_on() every callback is from a turn of its own.
class AmqpBrokerChannel {
 public:
  // What is unsettled comes back, its consumers go. What was published stays published.
  virtual ~AmqpBrokerChannel() = default;

  // One task at a time, and after everything that was asked for before. NOT_FOUND, ACCESS_REFUSED,
  // PRECONDITION_FAILED (not the same as what is there; in use; not empty), RESOURCE_LOCKED (exclusive to
  // another connection), COMMAND_INVALID (type of exchange), NOT_ALLOWED (a limit), RESOURCE_ERROR.
  virtual runtime::Task<Decoded<void>> declare_exchange(ExchangeDeclaration what) = 0;
  virtual runtime::Task<Decoded<void>> delete_exchange(std::string name, bool if_unused) = 0;
  virtual runtime::Task<Decoded<QueueDeclared>> declare_queue(QueueDeclaration what) = 0;
  // How many messages went with it.
  virtual runtime::Task<Decoded<std::uint32_t>> delete_queue(std::string name, bool if_unused,
                                                             bool if_empty) = 0;
  virtual runtime::Task<Decoded<std::uint32_t>> purge_queue(std::string name) = 0;
  virtual runtime::Task<Decoded<void>> bind(BindingRequest what) = 0;
  virtual runtime::Task<Decoded<void>> unbind(BindingRequest what) = 0;

  // False: taken, but take no more before on_ready. Messages of a channel keep their order.
  virtual bool publish(const AmqpPublish& message) = 0;

  virtual runtime::Task<Decoded<void>> consume(ConsumeRequest what) = 0;
  // Its unsettled messages stay with the channel. One that there is not is no error.
  virtual runtime::Task<void> cancel(ConsumerKey consumer) = 0;
  // One at a time. on_got or on_error follows.
  virtual void get(std::string_view queue, bool no_ack) = 0;
  // Of deliveries and of what was got, in the order of their delivery tags. One that means nothing any more
  // is none of the channel's faults.
  virtual void settle(std::span<const DeliveryToken> what, Settlement how) = 0;
  // For all consumers of the channel together; 0: none. has_room() minds it across queues.
  virtual void set_limit(std::uint32_t messages) = 0;
  // There is room again. Deliveries may come from within.
  virtual void go_on() = 0;

  // Direct reply-to: gives a name that nobody can guess, beginning with kReplyTo and a dot. What is published
  // to it by the default exchange, on any connection, is delivered to `consumer`, which does not acknowledge,
  // and is lost if there is no room. Until close_replies().
  virtual std::string open_replies(ConsumerKey consumer) = 0;
  virtual void close_replies() = 0;
};

inline constexpr std::string_view kReplyTo = "amq.rabbitmq.reply-to";

// What a connection is told of its virtual host.
class AmqpHostListener {
 public:
  // Memory or disk is short: who publishes is to be stopped (connection.blocked). May be repeated.
  virtual void on_blocked(std::string_view reason) = 0;
  virtual void on_unblocked() = 0;
  // The connection must go: the node stops, the virtual host or the user was deleted, an operator wants it.
  virtual void on_forced_close(const ProtocolError& why) = 0;

 protected:
  ~AmqpHostListener() = default;
};

// A virtual host as one connection sees it.
class AmqpHost {
 public:
  // Its exclusive queues go. All its channels have gone before.
  virtual ~AmqpHost() = default;
  // NOT_ALLOWED: a limit of the user or of the node.
  virtual Decoded<std::unique_ptr<AmqpBrokerChannel>> open_channel(std::uint16_t number,
                                                                   AmqpChannelListener& listener) = 0;
};

class AmqpUser {
 public:
  virtual ~AmqpUser() = default;
  virtual std::string_view name() const = 0;
  // Once. NOT_ALLOWED: there is none, or not for this user, or a limit. INTERNAL_ERROR: it is down.
  virtual runtime::Task<Decoded<std::unique_ptr<AmqpHost>>> open(std::string virtual_host,
                                                                 AmqpHostListener& listener) = 0;
  // connection.update-secret. NOT_ALLOWED.
  virtual runtime::Task<Decoded<void>> update_secret(std::string secret) = 0;
};

// One per core.
class AmqpBroker {
 public:
  virtual ~AmqpBroker() = default;
  virtual runtime::Runtime& runtime() = 0;
  // New connections are refused while it stops.
  virtual bool stopping() const = 0;
  // ACCESS_REFUSED for whatever reason; its text is for the log and never sent.
  virtual runtime::Task<Decoded<std::unique_ptr<AmqpUser>>> authenticate(AmqpLogin login) = 0;
};

}  // namespace stele::amqp
