// Accepts AMQP clients on one endpoint of one core, or takes connections that others have accepted.
//
//   auto listener = AmqpListener::listen(broker, endpoint, options);
//   …
//   co_await (*listener)->stop();
//
// Lives on the core of its broker, which must outlive it. Destroying it without stop() drops all connections
// at once.
#pragma once

#include <memory>
#include <utility>

#include "base/result.h"
#include "protocols/amqp/amqp_broker.h"
#include "protocols/amqp/options.h"
#include "runtime/network.h"
#include "runtime/task.h"

namespace stele::amqp {

struct AmqpShared;

class AmqpListener final : private runtime::AcceptHandler {
 public:
  // The errors of runtime::Network::listen.
  static Result<std::unique_ptr<AmqpListener>> listen(AmqpBroker& broker, const runtime::Endpoint& at,
                                                      AmqpOptions options);
  // One that only takes what it is given.
  static std::unique_ptr<AmqpListener> without_endpoint(AmqpBroker& broker, AmqpOptions options);
  ~AmqpListener() override;

  runtime::Endpoint local() const { return socket_->local(); }  // of one with an endpoint
  const AmqpCounters& counters() const;

  // Whether one more connection would be served.
  bool has_room() const;
  // A connection that was just obtained and not started. Closed if there is no room.
  void take(std::unique_ptr<runtime::Connection> connection) { on_accept(std::move(connection)); }

  // Takes no more clients, tells those it has that the server shuts down, and completes when all are gone.
  runtime::Task<void> stop();

 private:
  AmqpListener(AmqpBroker& broker, AmqpOptions options);
  void on_accept(std::unique_ptr<runtime::Connection> connection) override;

  std::unique_ptr<AmqpShared> shared_;
  std::unique_ptr<runtime::Listener> socket_;
  bool stopping_ = false;
};

}  // namespace stele::amqp
