// Accepts MQTT clients on one endpoint of one core.
//
//   auto listener = MqttListener::listen(broker, endpoint, options);
//   …
//   co_await (*listener)->stop();
//
// Lives on the core of its broker, which must outlive it. Destroying it without stop() drops all connections
// at once.
#pragma once

#include <memory>

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
  ~MqttListener() override;

  runtime::Endpoint local() const { return socket_->local(); }
  const MqttCounters& counters() const;

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
