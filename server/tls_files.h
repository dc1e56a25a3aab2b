// The certificate, the key and the authorities of `stele serve`, from their files; and such files of other
// commands.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/tls/context.h"
#include "server/config.h"

namespace stele::server {

// What is in the file; nothing if none is named. kNotFound: names the flag and the file.
Result<std::string> read_pem(const char* flag, const std::string& path);

// What nodes show each other, and whom they believe.
struct RpcTls {
  std::shared_ptr<const runtime::tls::Context> server, client;  // null: no certificates
};
// kNotFound, kInvalidArgument: which file is wrong, and how.
Result<RpcTls> load_rpc_tls(const Config& config);

class TlsFiles {
 public:
  explicit TlsFiles(const Config& config) : config_(config) {}

  // kNotFound, kInvalidArgument: which file is wrong, and how.
  Result<std::shared_ptr<const runtime::tls::Context>> load();
  // Nothing if the files are as they were at the last call of either, whatever that came to. Reads small
  // files: not on a core's thread.
  std::optional<Result<std::shared_ptr<const runtime::tls::Context>>> load_if_changed();

 private:
  Result<runtime::tls::ServerMaterial> read() const;
  static Result<std::shared_ptr<const runtime::tls::Context>> use(
      const Result<runtime::tls::ServerMaterial>& material);

  const Config& config_;
  Result<runtime::tls::ServerMaterial> last_;
};

}  // namespace stele::server
