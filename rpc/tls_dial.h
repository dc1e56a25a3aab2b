// How nodes reach each other with certificates: the server's must be of the node that is wanted, and one's
// own is shown. The server's side is runtime::tls::Server, with clients' certificates required.
#pragma once

#include <memory>

#include "model/ids.h"
#include "runtime/dial.h"
#include "runtime/tls/context.h"

namespace stele::rpc {

// `context` is a client's, with a certificate of one's own name (certificate_name_of).
runtime::Dial tls_dial(std::shared_ptr<const runtime::tls::Context> context, NodeId to);

}  // namespace stele::rpc
