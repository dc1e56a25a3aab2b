#include "server/cli/tls_flags.h"

#include <memory>
#include <utility>

#include "runtime/tls/connection.h"
#include "runtime/tls/context.h"
#include "server/tls_files.h"

namespace stele::server::cli {

void add_tls_flags(CLI::App& command, TlsFlags& flags) {
  command.add_flag("--tls", flags.tls, "speak TLS, with a node whom the system's authorities vouch for");
  command.add_option("--tls-ca", flags.authorities, "the same, but these authorities, in PEM")
      ->type_name("FILE");
  command.add_option("--tls-certificate", flags.certificate, "the same, and show this certificate, in PEM")
      ->type_name("FILE");
  command.add_option("--tls-key", flags.key, "its private key, without a passphrase")->type_name("FILE");
}

Result<runtime::Dial> read(const TlsFlags& flags) {
  if (flags.certificate.empty() != flags.key.empty()) {
    return error(ErrorCode::kInvalidArgument, "--tls-certificate and --tls-key need each other");
  }
  if (!flags.tls && flags.authorities.empty() && flags.certificate.empty()) return runtime::Dial();
  runtime::tls::ClientMaterial material;
  if (!flags.authorities.empty()) {
    STELE_TRY(material.authorities, read_pem("--tls-ca", flags.authorities));
  }
  if (!flags.certificate.empty()) {
    STELE_TRY(material.certificate_chain, read_pem("--tls-certificate", flags.certificate));
    STELE_TRY(material.private_key, read_pem("--tls-key", flags.key));
  }
  STELE_TRY(auto context, runtime::tls::Context::client(material));
  return [context](runtime::Runtime& runtime, runtime::Endpoint to, runtime::Duration timeout,
                   runtime::StopToken stop) {
    std::string name = to.host;
    return runtime::tls::connect(runtime, context, std::move(name), std::move(to), timeout, std::move(stop));
  };
}

}  // namespace stele::server::cli
