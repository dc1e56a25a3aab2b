// How the commands speak TLS to a node.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/dial.h"
#include "server/cli/cli.h"

namespace stele::server::cli {

struct TlsFlags {
  bool tls = false;
  std::string authorities, certificate, key;  // files
};
void add_tls_flags(CLI::App& command, TlsFlags& flags);

// Nothing if TLS is not wanted. kInvalidArgument: a file cannot be used, or flags that need each other.
Result<runtime::Dial> read(const TlsFlags& flags);

}  // namespace stele::server::cli
