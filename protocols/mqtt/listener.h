// Accepts MQTT clients on one endpoint of one core, or takes connections that others have accepted.
//
//   auto listener = MqttListener::listen(broker, endpoint, options);
//   …
//   co_await (*listener)->stop();
//
// Lives on the core of its broker, which must outlive it. Destroying it without stop() drops all connections
// at once.
#pragma once

#include <memory>
#include <utility>

#include "broker/api.h"
#include "protocols/mqtt/options.h"
#include "runtime/network.h"
#include "runtime/task.h"

namespace stele::mqtt {

struct MqttShared;

class MqttListener final : private runtime::AcceptHandler, private broker::IdentityWatcher {
 public:
  // The errors of runtime::Network::listen.
  static Result<std::unique_ptr<MqttListener>> listen(broker::Broker& broker, const runtime::Endpoint& at,
                                                      MqttOptions options);
  // One that only takes what it is given.
  static std::unique_ptr<MqttListener> without_endpoint(broker::Broker& broker, MqttOptions options);
  ~MqttListener() override;

  runtime::Endpoint local() const { return socket_->local(); }  // of one with an endpoint
  const MqttCounters& counters() const;

  // Whether one more connection would be served.
  bool has_room() const;
  // A connection that was just obtained and not started. Closed if there is no room.
  void take(std::unique_ptr<runtime::Connection> connection) { on_accept(std::move(connection)); }

  // Takes no more clients, tells those it has that the server shuts down, and completes when all are gone.
  runtime::Task<void> stop();

 private:
  MqttListener(broker::Broker& broker, MqttOptions options);
  void on_accept(std::unique_ptr<runtime::Connection> connection) override;
  void on_identities_changed() override;

  std::unique_ptr<MqttShared> shared_;
  std::unique_ptr<runtime::Listener> socket_;
  bool stopping_ = false;
};

}  // namespace stele::mqtt
