// TLS in a run: certificates that are the same in every one, and random numbers for OpenSSL that come from
// the seed.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/dial.h"
#include "runtime/random.h"
#include "runtime/tls/connection.h"
#include "runtime/tls/context.h"

namespace stele::sim {

// While it lives, what OpenSSL draws in this process comes from the seed: how long a handshake's messages are
// depends on it. One at a time.
class SeededTls {
 public:
  explicit SeededTls(std::uint64_t seed);
  ~SeededTls();
  SeededTls(const SeededTls&) = delete;
  SeededTls& operator=(const SeededTls&) = delete;

 private:
  std::unique_ptr<runtime::Random> random_;
};

// The node's, which asks for certificates and does without. Clients': without one, with that of `certified`,
// and with that of `stranger`.
std::shared_ptr<const runtime::tls::Context> server_tls();
std::shared_ptr<const runtime::tls::Context> client_tls();
std::shared_ptr<const runtime::tls::Context> client_tls_of_certified();
std::shared_ptr<const runtime::tls::Context> client_tls_of_stranger();
// For MQTT, Kafka and HTTP alike.
runtime::Dial dial_tls(std::shared_ptr<const runtime::tls::Context> context);

}  // namespace stele::sim
