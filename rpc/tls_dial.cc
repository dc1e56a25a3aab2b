#include "rpc/tls_dial.h"

#include <utility>

#include "rpc/hello.h"
#include "runtime/tls/connection.h"

namespace stele::rpc {

runtime::Dial tls_dial(std::shared_ptr<const runtime::tls::Context> context, std::optional<NodeId> to) {
  return [context = std::move(context), name = to ? certificate_name_of(*to) : std::string()](
             runtime::Runtime& runtime, runtime::Endpoint at, runtime::Duration timeout,
             runtime::StopToken stop) {
    return runtime::tls::connect(runtime, context, name, std::move(at), timeout, std::move(stop));
  };
}

}  // namespace stele::rpc
