// TLS over any runtime::Connection: on libuv's sockets as on the simulator's.
//
// What arrives is decrypted from the slice it came in into the handler's own buffer, or into a slab of the
// core's; what is written is gathered until the end of the turn, so that many small frames share a TLS
// record. Nothing here waits or blocks, and no thread is used: a handshake costs its signature on the core.
//
// Lives on one core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/tls/context.h"

namespace stele::runtime::tls {

// Its handshake is done. `connection` is started like any other: in the turn in which it was obtained. Its
// peer_name() is the common name of the certificate that the peer has shown and that was verified.
struct HandshakeResult {
  std::unique_ptr<Connection> connection;  // null: it failed
  std::string failure;
};

// A handshake under way. Destroying it gives it up and closes the connection; so does `timeout`.
class Handshake {
 public:
  virtual ~Handshake() = default;
};
// `done` comes once, in a later turn, and may destroy the Handshake. `plain` was not started.
std::unique_ptr<Handshake> accept(Runtime& runtime, std::shared_ptr<const Context> context,
                                  std::unique_ptr<Connection> plain, Duration timeout,
                                  std::move_only_function<void(HandshakeResult)> done);

// The client's side: `name` is who the server must be; empty: whoever the authorities have signed, and the
// caller looks at peer_name().
Task<Result<std::unique_ptr<Connection>>> connect(Runtime& runtime, std::shared_ptr<const Context> context,
                                                  std::string name, Endpoint to, Duration timeout,
                                                  StopToken stop);

// ---- listening -------------------------------------------------------------------------------------------

struct ServerOptions {
  Duration handshake_timeout = std::chrono::seconds(10);
  std::size_t max_handshakes = 1000;  // under way; more connections are closed
};

struct ServerStats {
  std::uint64_t handshakes = 0;
  std::uint64_t handshakes_failed = 0;
  std::uint64_t handshakes_refused = 0;
};

// The certificate that the listeners of a core show. Outlives them.
class Server final : public Transport {
 public:
  Server(Runtime& runtime, std::shared_ptr<const Context> context, ServerOptions options)
      : runtime_(runtime), context_(std::move(context)), options_(options) {}

  // Connections accepted from now on.
  void use(std::shared_ptr<const Context> context) { context_ = std::move(context); }
  // The handler is given connections whose handshake is done.
  Result<std::unique_ptr<Listener>> listen(const Endpoint& at, ListenOptions options,
                                           AcceptHandler& handler) override;

  const ServerStats& stats() const { return stats_; }

 private:
  class TlsListener;
  Runtime& runtime_;
  std::shared_ptr<const Context> context_;
  const ServerOptions options_;
  ServerStats stats_;
  std::size_t under_way_ = 0;
  Instant next_line_{};  // of the log, about failures
};

}  // namespace stele::runtime::tls
