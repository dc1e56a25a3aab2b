// Exchanges, queues and bindings: what the broker is asked, and how it is answered.
#include <algorithm>
#include <utility>

#include "protocols/amqp/channel.h"

namespace stele::amqp {

namespace {

// As RabbitMQ: line ends in names were left there by mistake.
std::string clean(std::string_view name) {
  std::string out(name);
  std::erase_if(out, [](char c) { return c == '\r' || c == '\n'; });
  return out;
}

}  // namespace

// An empty name is the queue that was last declared on the channel. Empty if there is none: the channel has
// failed.
std::string AmqpChannel::full_queue_name(std::string_view name) {
  if (!name.empty()) return std::string(name);
  if (last_queue_.empty()) fail(ReplyCode::kNotFound, "no previously declared queue");
  return last_queue_;
}

void AmqpChannel::on_exchange_declare() {
  const auto method = arguments<ExchangeDeclare>();
  if (!method) return;
  ExchangeDeclaration what;
  what.name = clean(method->exchange);
  what.type = method->type;
  what.passive = method->passive;
  what.durable = method->durable;
  what.auto_delete = method->auto_delete;
  what.internal = method->internal;
  what.arguments = Table(method->arguments);
  ask(broker_->declare_exchange(std::move(what)),
      [this, no_wait = method->no_wait] { answer(no_wait, ExchangeDeclareOk{}); });
}

void AmqpChannel::on_exchange_delete() {
  const auto method = arguments<ExchangeDelete>();
  if (!method) return;
  ask(broker_->delete_exchange(clean(method->exchange), method->if_unused),
      [this, no_wait = method->no_wait] { answer(no_wait, ExchangeDeleteOk{}); });
}

void AmqpChannel::on_queue_declare() {
  const auto method = arguments<QueueDeclare>();
  if (!method) return;
  QueueDeclaration what;
  what.name = clean(method->queue);
  if (method->passive && what.name.empty()) what.name = full_queue_name({});
  if (!is_open()) return;
  what.passive = method->passive;
  what.durable = method->durable;
  what.exclusive = method->exclusive;
  what.auto_delete = method->auto_delete;
  what.arguments = Table(method->arguments);
  ask(broker_->declare_queue(std::move(what)), [this, no_wait = method->no_wait](QueueDeclared declared) {
    last_queue_ = std::move(declared.name);
    answer(no_wait, QueueDeclareOk{last_queue_, declared.messages, declared.consumers});
  });
}

void AmqpChannel::on_queue_delete() {
  const auto method = arguments<QueueDelete>();
  if (!method) return;
  std::string queue = clean(full_queue_name(method->queue));
  if (!is_open()) return;
  ask(broker_->delete_queue(std::move(queue), method->if_unused, method->if_empty),
      [this, no_wait = method->no_wait](std::uint32_t messages) {
        answer(no_wait, QueueDeleteOk{messages});
      });
}

void AmqpChannel::on_queue_purge() {
  const auto method = arguments<QueuePurge>();
  if (!method) return;
  std::string queue = full_queue_name(method->queue);
  if (!is_open()) return;
  ask(broker_->purge_queue(std::move(queue)),
      [this, no_wait = method->no_wait](std::uint32_t messages) { answer(no_wait, QueuePurgeOk{messages}); });
}

template <class Ok>
void AmqpChannel::change_binding(BindingRequest request, bool unbind, bool no_wait) {
  auto change = unbind ? broker_->unbind(std::move(request)) : broker_->bind(std::move(request));
  ask(std::move(change), [this, no_wait] { answer(no_wait, Ok{}); });
}

// Without a queue and without a key, the key is the queue that was last declared as well.
void AmqpChannel::on_queue_bind() {
  const auto method = arguments<QueueBind>();
  if (!method) return;
  BindingRequest request;
  request.destination = clean(full_queue_name(method->queue));
  if (!is_open()) return;
  request.source = clean(method->exchange);
  const bool by_its_name = method->queue.empty() && method->routing_key.empty();
  request.routing_key = by_its_name ? std::string_view(last_queue_) : method->routing_key;
  request.arguments = Table(method->arguments);
  change_binding<QueueBindOk>(std::move(request), false, method->no_wait);
}

void AmqpChannel::on_queue_unbind() {
  const auto method = arguments<QueueUnbind>();
  if (!method) return;
  BindingRequest request;
  request.destination = clean(full_queue_name(method->queue));
  if (!is_open()) return;
  request.source = clean(method->exchange);
  const bool by_its_name = method->queue.empty() && method->routing_key.empty();
  request.routing_key = by_its_name ? std::string_view(last_queue_) : method->routing_key;
  request.arguments = Table(method->arguments);
  change_binding<QueueUnbindOk>(std::move(request), true, false);
}

void AmqpChannel::on_exchange_bind() {
  const auto method = arguments<ExchangeBind>();
  if (!method) return;
  BindingRequest request{clean(method->source), clean(method->destination), true,
                         std::string(method->routing_key), Table(method->arguments)};
  change_binding<ExchangeBindOk>(std::move(request), false, method->no_wait);
}

void AmqpChannel::on_exchange_unbind() {
  const auto method = arguments<ExchangeUnbind>();
  if (!method) return;
  BindingRequest request{clean(method->source), clean(method->destination), true,
                         std::string(method->routing_key), Table(method->arguments)};
  change_binding<ExchangeUnbindOk>(std::move(request), true, method->no_wait);
}

}  // namespace stele::amqp
