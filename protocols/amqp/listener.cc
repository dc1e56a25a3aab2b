#include "protocols/amqp/listener.h"

#include <iterator>
#include <utility>

#include "base/assert.h"
#include "protocols/amqp/channel.h"
#include "protocols/amqp/connection.h"

namespace stele::amqp {

Result<std::unique_ptr<AmqpListener>> AmqpListener::listen(AmqpBroker& broker, const runtime::Endpoint& at,
                                                           AmqpOptions options) {
  std::unique_ptr<AmqpListener> out(new AmqpListener(broker, options));
  runtime::Transport& transport = options.transport ? *options.transport : broker.runtime().network();
  auto socket = transport.listen(at, options.listen, *out);
  if (!socket) return std::unexpected(socket.error().with_context("AMQP on " + at.to_string()));
  out->socket_ = *std::move(socket);
  return out;
}

std::unique_ptr<AmqpListener> AmqpListener::without_endpoint(AmqpBroker& broker, AmqpOptions options) {
  return std::unique_ptr<AmqpListener>(new AmqpListener(broker, options));
}

AmqpListener::AmqpListener(AmqpBroker& broker, AmqpOptions options)
    : shared_(std::make_unique<AmqpShared>(broker, options)) {
  STELE_ASSERT(options.frame_max == 0 || options.frame_max >= kFrameMinSize);
  STELE_ASSERT(options.initial_frame_max >= kFrameMinSize && options.max_unanswered > 0);
}

AmqpListener::~AmqpListener() = default;

const AmqpCounters& AmqpListener::counters() const {
  return shared_->counters;
}

bool AmqpListener::has_room() const {
  return !stopping_ && !shared_->broker.stopping() &&
         shared_->connections.size() < shared_->options.max_connections;
}

void AmqpListener::on_accept(std::unique_ptr<runtime::Connection> connection) {
  if (!has_room()) {
    ++shared_->counters.refused;
    return;  // closes it
  }
  ++shared_->counters.accepted;
  shared_->connections.emplace_back(*shared_, std::move(connection));
  auto self = std::prev(shared_->connections.end());
  self->start(self);
}

runtime::Task<void> AmqpListener::stop() {
  stopping_ = true;
  for (AmqpConnection& connection : shared_->connections) connection.shut_down();
  while (!shared_->connections.empty()) co_await shared_->none_left.wait();
}

}  // namespace stele::amqp
