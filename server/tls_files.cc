#include "server/tls_files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

namespace stele::server {

using runtime::tls::Context;
using runtime::tls::ServerMaterial;

Result<std::string> read_pem(const char* flag, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream stream(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(stream), {});
  if (stream.is_open() && !stream.bad()) return text;
  return error(ErrorCode::kNotFound,
               std::string(flag) + ": " + path + " cannot be read: " + std::strerror(errno));
}

namespace {

bool same(const Result<ServerMaterial>& a, const Result<ServerMaterial>& b) {
  return a && b ? *a == *b : !a && !b && a.error().message == b.error().message;
}

}  // namespace

Result<RpcTls> load_rpc_tls(const Config& config) {
  RpcTls out;
  if (config.rpc_certificate.empty()) return out;
  STELE_TRY(const std::string certificate, read_pem("--rpc-certificate", config.rpc_certificate));
  STELE_TRY(const std::string key, read_pem("--rpc-key", config.rpc_key));
  STELE_TRY(const std::string ca, read_pem("--rpc-ca", config.rpc_ca));
  auto server = Context::server({.certificate_chain = certificate,
                                 .private_key = key,
                                 .client_authorities = ca,
                                 .clients = runtime::tls::ClientCertificate::kRequired});
  if (!server) return std::unexpected(server.error().with_context("TLS between nodes"));
  auto client = Context::client({.authorities = ca, .certificate_chain = certificate, .private_key = key});
  if (!client) return std::unexpected(client.error().with_context("TLS between nodes"));
  out.server = *std::move(server);
  out.client = *std::move(client);
  return out;
}

Result<ServerMaterial> TlsFiles::read() const {
  ServerMaterial out;
  STELE_TRY(out.certificate_chain, read_pem("--tls-certificate", config_.tls_certificate));
  STELE_TRY(out.private_key, read_pem("--tls-key", config_.tls_key));
  STELE_TRY(out.client_authorities, read_pem("--tls-client-ca", config_.tls_client_ca));
  out.clients = config_.tls_clients;
  return out;
}

Result<std::shared_ptr<const Context>> TlsFiles::use(const Result<ServerMaterial>& material) {
  if (!material) return std::unexpected(material.error());
  auto context = Context::server(*material);
  if (!context) return std::unexpected(context.error().with_context("TLS"));
  return context;
}

Result<std::shared_ptr<const Context>> TlsFiles::load() {
  last_ = read();
  return use(last_);
}

std::optional<Result<std::shared_ptr<const Context>>> TlsFiles::load_if_changed() {
  Result<ServerMaterial> now = read();
  if (same(now, last_)) return std::nullopt;
  last_ = std::move(now);
  return use(last_);
}

}  // namespace stele::server
