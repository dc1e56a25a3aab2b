#include "protocols/amqp/testing/fake_amqp_broker.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "protocols/amqp/methods/basic.h"
#include "protocols/amqp/routing.h"

namespace stele::amqp {

namespace {

std::string in_vhost(std::string_view kind, std::string_view name) {
  return std::string(kind) + " '" + std::string(name) + "' in vhost '/'";
}

std::unexpected<ProtocolError> denied(std::string_view kind, std::string_view name) {
  return protocol_error(ReplyCode::kAccessRefused, "access to " + in_vhost(kind, name) + " refused");
}

}  // namespace

class FakeAmqpBroker::Host final : public AmqpHost {
 public:
  Host(FakeAmqpBroker& broker, AmqpHostListener& listener) : broker(broker), listener(listener) {
    broker.hosts_.insert(this);
  }
  ~Host() override {
    broker.hosts_.erase(this);
    std::vector<std::string> mine;
    for (const auto& [name, queue] : broker.queues_) {
      if (queue.owner == this) mine.push_back(name);
    }
    for (const std::string& name : mine) broker.remove_queue(name);
  }
  Decoded<std::unique_ptr<AmqpBrokerChannel>> open_channel(std::uint16_t number,
                                                           AmqpChannelListener& listener) override;
  FakeAmqpBroker& broker;
  AmqpHostListener& listener;
};

class FakeAmqpBroker::User final : public AmqpUser {
 public:
  User(FakeAmqpBroker& broker, std::string name) : broker_(broker), name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  runtime::Task<Decoded<std::unique_ptr<AmqpHost>>> open(std::string virtual_host,
                                                         AmqpHostListener& listener) override {
    co_await broker_.pause();
    if (virtual_host != "/") {
      co_return protocol_error(ReplyCode::kNotAllowed, "vhost " + virtual_host + " not found");
    }
    co_return std::make_unique<Host>(broker_, listener);
  }
  runtime::Task<Decoded<void>> update_secret(std::string secret) override {
    co_await broker_.pause();
    if (secret == "bad") {
      co_return protocol_error(ReplyCode::kNotAllowed, "New secret was refused by one of the backends");
    }
    co_return Decoded<void>();
  }

 private:
  FakeAmqpBroker& broker_;
  std::string name_;
};

class FakeAmqpBroker::Channel final : public AmqpBrokerChannel {
 public:
  Channel(Host& host, AmqpChannelListener& listener) : host(host), broker(host.broker), listener(listener) {
    broker.channels_.insert(this);
  }
  ~Channel() override {
    STELE_ASSERT(!within_ && tasks_ == 0);
    broker.channels_.erase(this);
    close_replies();
    std::vector<std::string> consumed;
    for (auto& [name, queue] : broker.queues_) {
      const std::size_t before = queue.consumers.size();
      std::erase_if(queue.consumers, [&](const Consumer& consumer) { return consumer.channel == this; });
      if (queue.consumers.size() != before) consumed.push_back(name);
    }
    while (!out_.empty()) give_back(std::prev(out_.end()));
    for (const std::string& name : consumed) broker.remove_if_abandoned(name);
    broker.wake();
  }

  runtime::Task<Decoded<void>> declare_exchange(ExchangeDeclaration what) override;
  runtime::Task<Decoded<void>> delete_exchange(std::string name, bool if_unused) override;
  runtime::Task<Decoded<QueueDeclared>> declare_queue(QueueDeclaration what) override;
  runtime::Task<Decoded<std::uint32_t>> delete_queue(std::string name, bool if_unused,
                                                     bool if_empty) override;
  runtime::Task<Decoded<std::uint32_t>> purge_queue(std::string name) override;
  runtime::Task<Decoded<void>> bind(BindingRequest what) override { return change(std::move(what), true); }
  runtime::Task<Decoded<void>> unbind(BindingRequest what) override { return change(std::move(what), false); }
  bool publish(const AmqpPublish& message) override;
  runtime::Task<Decoded<void>> consume(ConsumeRequest what) override;
  runtime::Task<void> cancel(ConsumerKey consumer) override;
  void get(std::string_view queue, bool no_ack) override;
  void settle(std::span<const DeliveryToken> what, Settlement how) override;
  void set_limit(std::uint32_t messages) override {
    broker.notes.push_back("limit " + std::to_string(messages));
  }
  void go_on() override { broker.wake(); }
  std::string open_replies(ConsumerKey consumer) override {
    reply_name_ = std::string(kReplyTo) + "." + std::to_string(++broker.last_id_);
    broker.replies_[reply_name_] = {this, consumer};
    return reply_name_;
  }
  void close_replies() override { broker.replies_.erase(std::exchange(reply_name_, {})); }

  void answer() {
    std::deque<std::function<void()>> now;
    now.swap(held_);
    for (const auto& tell : now) tell();
    if (!std::exchange(ready_, true)) listener.on_ready();
  }
  DeliveryToken take_out(const std::string& queue, Message message, ConsumerKey consumer) {
    DeliveryToken token;
    token.words[0] = ++broker.last_id_;
    out_.emplace(token.words[0], Out{queue, std::move(message), consumer});
    return token;
  }

  Host& host;
  FakeAmqpBroker& broker;
  AmqpChannelListener& listener;

 private:
  struct Out {
    std::string queue;
    Message message;
    ConsumerKey consumer;
  };
  // Of a call, or of a task.
  struct Counting {
    explicit Counting(std::size_t& count) : count(++count) {}
    ~Counting() { --count; }
    std::size_t& count;
  };

  Decoded<Queue*> find(const std::string& name) {
    const auto found = broker.queues_.find(name);
    if (found == broker.queues_.end()) {
      return protocol_error(ReplyCode::kNotFound, "no " + in_vhost("queue", name));
    }
    if (found->second.owner && found->second.owner != &host) {
      return protocol_error(ReplyCode::kResourceLocked,
                            "cannot obtain exclusive access to locked " + in_vhost("queue", name));
    }
    return &found->second;
  }
  void give_back(std::map<std::uint64_t, Out>::iterator out) {
    const auto queue = broker.queues_.find(out->second.queue);
    if (queue != broker.queues_.end()) {
      out->second.message.redelivered = true;
      queue->second.messages.push_front(std::move(out->second.message));
    }
    forget(out);
  }
  void forget(std::map<std::uint64_t, Out>::iterator out) {
    const auto queue = broker.queues_.find(out->second.queue);
    if (queue != broker.queues_.end()) {
      for (Consumer& consumer : queue->second.consumers) {
        if (consumer.channel == this && consumer.request.key == out->second.consumer) --consumer.out;
      }
    }
    out_.erase(out);
  }
  void tell(std::function<void()> what) {
    if (broker.hold_answers) {
      held_.push_back(std::move(what));
    } else {
      what();
    }
  }
  runtime::Task<Decoded<void>> change(BindingRequest what, bool add);

  std::map<std::uint64_t, Out> out_;
  std::deque<std::function<void()>> held_;
  std::string reply_name_;
  std::size_t within_ = 0;
  std::size_t tasks_ = 0;
  bool ready_ = true;
};

// ---- exchanges and queues ---------------------------------------------------------------------------------

runtime::Task<Decoded<void>> FakeAmqpBroker::Channel::declare_exchange(ExchangeDeclaration what) {
  const Counting counting(tasks_);
  co_await broker.pause();
  const auto found = broker.exchanges_.find(what.name);
  if (what.passive && found == broker.exchanges_.end()) {
    co_return protocol_error(ReplyCode::kNotFound, "no " + in_vhost("exchange", what.name));
  }
  if (what.passive) co_return Decoded<void>();
  if (what.name.starts_with("denied")) co_return denied("exchange", what.name);
  if (what.type != "direct" && what.type != "fanout" && what.type != "topic" && what.type != "headers") {
    co_return protocol_error(ReplyCode::kCommandInvalid, "unknown exchange type '" + what.type + "'");
  }
  if (found != broker.exchanges_.end() && found->second.type != what.type) {
    co_return protocol_error(ReplyCode::kPreconditionFailed,
                             "inequivalent arg 'type' for " + in_vhost("exchange", what.name));
  }
  if (found == broker.exchanges_.end()) broker.exchanges_[what.name] = {what.type, what.internal, {}};
  co_return Decoded<void>();
}

runtime::Task<Decoded<void>> FakeAmqpBroker::Channel::delete_exchange(std::string name, bool if_unused) {
  const Counting counting(tasks_);
  co_await broker.pause();
  const auto found = broker.exchanges_.find(name);
  if (found == broker.exchanges_.end()) co_return Decoded<void>();
  if (if_unused && !found->second.bindings.empty()) {
    co_return protocol_error(ReplyCode::kPreconditionFailed, in_vhost("exchange", name) + " in use");
  }
  broker.exchanges_.erase(found);
  co_return Decoded<void>();
}

runtime::Task<Decoded<QueueDeclared>> FakeAmqpBroker::Channel::declare_queue(QueueDeclaration what) {
  const Counting counting(tasks_);
  co_await broker.pause();
  if (what.name.empty()) what.name = "amq.gen-" + std::to_string(++broker.named_);
  if (what.passive || broker.queues_.contains(what.name)) {
    auto queue = find(what.name);
    if (!queue) co_return std::unexpected(queue.error());
    if (!what.passive && !equivalent((*queue)->arguments.view(), what.arguments.view())) {
      co_return protocol_error(ReplyCode::kPreconditionFailed,
                               "inequivalent arguments for " + in_vhost("queue", what.name));
    }
    co_return QueueDeclared{what.name, static_cast<std::uint32_t>((*queue)->messages.size()),
                            static_cast<std::uint32_t>((*queue)->consumers.size())};
  }
  Queue& queue = broker.queues_[what.name];
  queue.id = ++broker.last_id_;
  queue.owner = what.exclusive ? &host : nullptr;
  queue.auto_delete = what.auto_delete;
  queue.arguments = what.arguments;
  co_return QueueDeclared{what.name, 0, 0};
}

runtime::Task<Decoded<std::uint32_t>> FakeAmqpBroker::Channel::delete_queue(std::string name, bool if_unused,
                                                                            bool if_empty) {
  const Counting counting(tasks_);
  co_await broker.pause();
  if (!broker.queues_.contains(name)) co_return 0u;
  auto queue = find(name);
  if (!queue) co_return std::unexpected(queue.error());
  if (if_unused && !(*queue)->consumers.empty()) {
    co_return protocol_error(ReplyCode::kPreconditionFailed, in_vhost("queue", name) + " in use");
  }
  if (if_empty && !(*queue)->messages.empty()) {
    co_return protocol_error(ReplyCode::kPreconditionFailed, in_vhost("queue", name) + " not empty");
  }
  const auto messages = static_cast<std::uint32_t>((*queue)->messages.size());
  broker.remove_queue(name);
  co_return messages;
}

runtime::Task<Decoded<std::uint32_t>> FakeAmqpBroker::Channel::purge_queue(std::string name) {
  const Counting counting(tasks_);
  co_await broker.pause();
  auto queue = find(name);
  if (!queue) co_return std::unexpected(queue.error());
  const auto messages = static_cast<std::uint32_t>((*queue)->messages.size());
  (*queue)->messages.clear();
  co_return messages;
}

runtime::Task<Decoded<void>> FakeAmqpBroker::Channel::change(BindingRequest what, bool add) {
  const Counting counting(tasks_);
  co_await broker.pause();
  const auto source = broker.exchanges_.find(what.source);
  if (source == broker.exchanges_.end()) {
    co_return protocol_error(ReplyCode::kNotFound, "no " + in_vhost("exchange", what.source));
  }
  if (what.to_exchange && !broker.exchanges_.contains(what.destination)) {
    co_return protocol_error(ReplyCode::kNotFound, "no " + in_vhost("exchange", what.destination));
  }
  if (!what.to_exchange) {
    if (auto queue = find(what.destination); !queue) co_return std::unexpected(queue.error());
  }
  if (source->second.type == "headers") {
    if (auto headers = HeadersBinding::parse(what.arguments.view()); !headers) {
      co_return std::unexpected(headers.error());
    }
  }
  std::vector<Binding>& bindings = source->second.bindings;
  std::erase_if(bindings, [&](const Binding& binding) {
    return binding.destination == what.destination && binding.to_exchange == what.to_exchange &&
           binding.routing_key == what.routing_key && binding.arguments == what.arguments;
  });
  if (add) bindings.push_back({what.destination, what.to_exchange, what.routing_key, what.arguments});
  co_return Decoded<void>();
}

// ---- messages
// -----------------------------------------------------------------------------------------------

bool FakeAmqpBroker::Channel::publish(const AmqpPublish& message) {
  const Counting within(within_);
  const std::string exchange(message.exchange);
  if (exchange.starts_with("denied")) {
    listener.on_error(denied("exchange", exchange).error());
    return true;
  }
  if (!broker.exchanges_.contains(exchange)) {
    listener.on_error({ReplyCode::kNotFound, "no " + in_vhost("exchange", exchange), kBasicClass,
                       BasicPublish::kInfo.method});
    return true;
  }
  std::set<std::string> queues;
  Message kept{exchange, std::string(message.routing_key), std::string(message.encoded_properties),
               Bytes::copy(message.body), false};
  const bool reply = exchange.empty() && broker.replies_.contains(kept.routing_key);
  if (reply) {
    broker.reply_mail_.push_back({kept.routing_key, kept});
  } else {
    broker.route(exchange, message.routing_key, message.properties, queues, 0);
  }
  bool refused = false;
  for (const std::string& name : queues) {
    refused |= name.starts_with("full");
    if (!name.starts_with("full")) broker.queues_.at(name).messages.push_back(kept);
  }
  broker.wake();
  if (message.mandatory && queues.empty() && !reply) {
    listener.on_returned({ReplyCode::kNoRoute, message.exchange, message.routing_key,
                          message.encoded_properties, message.body});
  }
  if (!message.answer) return true;
  tell([this, refused] {
    listener.on_published(refused ? PublishOutcome::kRefused : PublishOutcome::kTaken);
  });
  ready_ = held_.size() < broker.window;
  return ready_;
}

runtime::Task<Decoded<void>> FakeAmqpBroker::Channel::consume(ConsumeRequest what) {
  const Counting counting(tasks_);
  co_await broker.pause();
  if (what.queue.starts_with("denied")) co_return denied("queue", what.queue);
  auto queue = find(what.queue);
  if (!queue) co_return std::unexpected(queue.error());
  std::vector<Consumer>& consumers = (*queue)->consumers;
  const bool taken = !consumers.empty() && (what.exclusive || consumers.front().request.exclusive);
  if (taken) {
    co_return protocol_error(ReplyCode::kAccessRefused, in_vhost("queue", what.queue) + " in exclusive use");
  }
  consumers.push_back({this, std::move(what), 0});
  broker.wake();
  co_return Decoded<void>();
}

runtime::Task<void> FakeAmqpBroker::Channel::cancel(ConsumerKey key) {
  const Counting counting(tasks_);
  co_await broker.pause();
  std::string from;
  for (auto& [name, queue] : broker.queues_) {
    for (std::size_t i = 0; i < queue.consumers.size(); ++i) {
      if (queue.consumers[i].channel != this || queue.consumers[i].request.key != key) continue;
      broker.remove_consumer(queue, i);
      from = name;
      break;
    }
  }
  if (!from.empty()) broker.remove_if_abandoned(from);
}

void FakeAmqpBroker::Channel::get(std::string_view name, bool no_ack) {
  const Counting within(within_);
  const std::string queue_name(name);
  auto queue = find(queue_name);
  if (!queue) {
    ProtocolError error = queue.error();
    error.class_id = kBasicClass;
    error.method_id = BasicGet::kInfo.method;
    return listener.on_error(error);
  }
  tell([this, queue_name, no_ack] {
    const auto found = broker.queues_.find(queue_name);
    if (found == broker.queues_.end() || found->second.messages.empty()) return listener.on_got(nullptr, 0);
    Message message = std::move(found->second.messages.front());
    found->second.messages.pop_front();
    const auto left = static_cast<std::uint32_t>(found->second.messages.size());
    DeliveryToken token;
    if (!no_ack) token = take_out(queue_name, message, ConsumerKey());
    const AmqpDelivery delivery{
        {},          token, message.redelivered, message.exchange, message.routing_key, message.properties,
        message.body};
    listener.on_got(&delivery, left);
  });
}

void FakeAmqpBroker::Channel::settle(std::span<const DeliveryToken> what, Settlement how) {
  const Counting within(within_);
  std::vector<std::map<std::uint64_t, Out>::iterator> back;
  for (const DeliveryToken& token : what) {
    const auto out = out_.find(token.words[0]);
    STELE_ASSERT(out != out_.end());  // the channel settles what it was given, and once
    if (how == Settlement::kRequeue) {
      back.push_back(out);
    } else {
      forget(out);
    }
  }
  while (!back.empty()) give_back(back.back()), back.pop_back();
  broker.wake();
}

Decoded<std::unique_ptr<AmqpBrokerChannel>> FakeAmqpBroker::Host::open_channel(std::uint16_t,
                                                                               AmqpChannelListener& with) {
  return std::make_unique<Channel>(*this, with);
}

// ---- the broker
// -----------------------------------------------------------------------------------------------

FakeAmqpBroker::FakeAmqpBroker(runtime::Runtime& runtime) : runtime_(runtime) {
  exchanges_[""] = {"direct", false, {}};
  for (const char* type : {"direct", "fanout", "topic", "headers"}) {
    exchanges_[std::string("amq.") + type] = {type, false, {}};
  }
}

FakeAmqpBroker::~FakeAmqpBroker() {
  STELE_ASSERT(channels_.empty() && hosts_.empty());
}

runtime::Task<void> FakeAmqpBroker::pause() {
  if (hold_tasks) co_await tasks_.wait();
}

runtime::Task<Decoded<std::unique_ptr<AmqpUser>>> FakeAmqpBroker::authenticate(AmqpLogin login) {
  co_await pause();
  if (login.mechanism == SaslMechanism::kExternal) {
    co_return std::make_unique<User>(*this, login.peer_name);
  }
  if (login.user != "guest" || login.password != "guest") {
    co_return protocol_error(ReplyCode::kAccessRefused, "user '" + login.user + "' - invalid credentials");
  }
  co_return std::make_unique<User>(*this, login.user);
}

void FakeAmqpBroker::route(const std::string& exchange, std::string_view key,
                           const BasicProperties& properties, std::set<std::string>& queues,
                           unsigned depth) const {
  if (exchange.empty()) {
    if (queues_.contains(std::string(key))) queues.insert(std::string(key));
    return;
  }
  const auto found = exchanges_.find(exchange);
  if (found == exchanges_.end() || depth > 8) return;
  for (const Binding& binding : found->second.bindings) {
    const std::string& type = found->second.type;
    const bool matches = type == "fanout"   ? true
                         : type == "direct" ? binding.routing_key == key
                         : type == "topic"
                             ? topic_matches(binding.routing_key, key)
                             : HeadersBinding::parse(binding.arguments.view())
                                   ->matches(SortedHeaders(properties.headers.value_or(TableView())));
    if (!matches) continue;
    if (binding.to_exchange) {
      route(binding.destination, key, properties, queues, depth + 1);
    } else if (queues_.contains(binding.destination)) {
      queues.insert(binding.destination);
    }
  }
}

void FakeAmqpBroker::remove_queue(const std::string& name) {
  const auto found = queues_.find(name);
  if (found == queues_.end()) return;
  const std::vector<Consumer> consumers = std::move(found->second.consumers);
  queues_.erase(found);
  for (auto& [exchange_name, exchange] : exchanges_) {
    std::erase_if(exchange.bindings, [&](const Binding& binding) {
      return !binding.to_exchange && binding.destination == name;
    });
  }
  for (const Consumer& consumer : consumers) consumer.channel->listener.on_cancelled(consumer.request.key);
}

void FakeAmqpBroker::remove_consumer(Queue& queue, std::size_t at) {
  queue.consumers.erase(queue.consumers.begin() + static_cast<std::ptrdiff_t>(at));
}

void FakeAmqpBroker::remove_if_abandoned(const std::string& name) {
  const auto found = queues_.find(name);
  if (found == queues_.end() || !found->second.auto_delete || !found->second.consumers.empty()) return;
  notes.push_back("queue " + name + " is abandoned");
  remove_queue(name);
}

void FakeAmqpBroker::on_turn_end() {
  std::deque<Reply> mail;
  mail.swap(reply_mail_);
  for (const Reply& reply : mail) {
    const auto found = replies_.find(reply.name);
    if (found == replies_.end()) continue;
    auto [channel, key] = found->second;
    if (!channel->listener.has_room(true)) continue;
    const Message& message = reply.message;
    channel->listener.on_delivery(
        {key, {}, false, message.exchange, message.routing_key, message.properties, message.body});
  }
  for (auto& [name, queue] : queues_) {
    while (deliver_one(queue)) {
    }
  }
}

bool FakeAmqpBroker::deliver_one(Queue& queue) {
  if (queue.messages.empty()) return false;
  for (std::size_t tried = 0; tried < queue.consumers.size(); ++tried) {
    Consumer& consumer = queue.consumers[queue.next++ % queue.consumers.size()];
    const ConsumeRequest& request = consumer.request;
    if (!request.no_ack && request.prefetch != 0 && consumer.out >= request.prefetch) continue;
    AmqpChannelListener& listener = consumer.channel->listener;
    if (!listener.has_room(request.no_ack)) continue;
    Message message = std::move(queue.messages.front());
    queue.messages.pop_front();
    DeliveryToken token;
    if (!request.no_ack) {
      token = consumer.channel->take_out(request.queue, message, request.key);
      ++consumer.out;
    }
    listener.on_delivery({request.key, token, message.redelivered, message.exchange, message.routing_key,
                          message.properties, message.body});
    return true;
  }
  return false;
}

void FakeAmqpBroker::answer() {
  hold_answers = false;
  const std::vector<Channel*> now(channels_.begin(), channels_.end());
  for (Channel* channel : now) channel->answer();
}

void FakeAmqpBroker::block(std::string_view reason) {
  for (Host* host : hosts_) host->listener.on_blocked(reason);
}
void FakeAmqpBroker::unblock() {
  for (Host* host : hosts_) host->listener.on_unblocked();
}
void FakeAmqpBroker::delete_queue(const std::string& name) {
  remove_queue(name);
}
void FakeAmqpBroker::fail_channels(const ProtocolError& error) {
  for (Channel* channel : channels_) channel->listener.on_error(error);
}
void FakeAmqpBroker::force_close() {
  for (Host* host : hosts_) {
    host->listener.on_forced_close({ReplyCode::kConnectionForced, "the virtual host is gone", 0, 0});
  }
}

std::size_t FakeAmqpBroker::ready(const std::string& queue) const {
  const auto found = queues_.find(queue);
  return found == queues_.end() ? 0 : found->second.messages.size();
}

}  // namespace stele::amqp
