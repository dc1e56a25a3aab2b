#include "protocols/mqtt/listener.h"

#include <iterator>
#include <utility>

#include "base/assert.h"
#include "protocols/mqtt/connection.h"

namespace stele::mqtt {

Result<std::unique_ptr<MqttListener>> MqttListener::listen(broker::Broker& broker,
                                                           const runtime::Endpoint& at, MqttOptions options) {
  std::unique_ptr<MqttListener> out(new MqttListener(broker, options));
  runtime::Transport& transport = options.transport ? *options.transport : broker.runtime().network();
  auto socket = transport.listen(at, options.listen, *out);
  if (!socket) return std::unexpected(socket.error().with_context("MQTT on " + at.to_string()));
  out->socket_ = *std::move(socket);
  return out;
}

std::unique_ptr<MqttListener> MqttListener::without_endpoint(broker::Broker& broker, MqttOptions options) {
  return std::unique_ptr<MqttListener>(new MqttListener(broker, options));
}

MqttListener::MqttListener(broker::Broker& broker, MqttOptions options)
    : shared_(std::make_unique<MqttShared>(broker, options)) {
  STELE_ASSERT(options.receive_maximum > 0 && options.max_in_flight > 0);
  broker.authenticator().watch(*this);
}

MqttListener::~MqttListener() = default;

const MqttCounters& MqttListener::counters() const {
  return shared_->counters;
}

bool MqttListener::has_room() const {
  return !stopping_ && !shared_->broker.stopping() &&
         shared_->connections.size() < shared_->options.max_connections;
}

void MqttListener::on_accept(std::unique_ptr<runtime::Connection> connection) {
  if (!has_room()) {
    ++shared_->counters.refused;
    return;  // closes it
  }
  ++shared_->counters.accepted;
  shared_->connections.emplace_back(*shared_, std::move(connection));
  auto self = std::prev(shared_->connections.end());
  self->start(self);
}

void MqttListener::on_identities_changed() {
  for (MqttConnection& connection : shared_->connections) connection.check_identity();
}

runtime::Task<void> MqttListener::stop() {
  stopping_ = true;
  for (MqttConnection& connection : shared_->connections) connection.shut_down();
  while (!shared_->connections.empty()) co_await shared_->none_left.wait();
}

}  // namespace stele::mqtt
