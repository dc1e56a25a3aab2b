// What a listener or a client needs to speak TLS: certificate, key, and whom to believe. Made from PEM text;
// immutable, and replaced as a whole when the files change. TLS 1.2 and 1.3. May be used on any core.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;

namespace stele::runtime::tls {

enum class ClientCertificate { kNone, kOptional, kRequired };

struct ServerMaterial {
  std::string certificate_chain = {};   // the server's own first
  std::string private_key = {};         // without a passphrase
  std::string client_authorities = {};  // who signs clients' certificates; empty: no client is asked for one
  ClientCertificate clients = ClientCertificate::kNone;
  friend bool operator==(const ServerMaterial&, const ServerMaterial&) = default;
};

struct ClientMaterial {
  std::string authorities = {};        // empty: those of the system
  std::string certificate_chain = {};  // empty: none is shown
  std::string private_key = {};
};

class Context {
 public:
  // kInvalidArgument: what of it is wrong, and how.
  static Result<std::shared_ptr<const Context>> server(const ServerMaterial& material);
  static Result<std::shared_ptr<const Context>> client(const ClientMaterial& material);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  ssl_ctx_st* get() const { return context_; }

 private:
  Context() = default;
  ssl_ctx_st* context_ = nullptr;
};

// The first lines of OpenSSL's errors of this thread, which are then forgotten.
std::string take_errors();

}  // namespace stele::runtime::tls
