// How nodes reach each other with certificates: the server's must be of the node that is wanted, and one's
// own is shown. The server's side is runtime::tls::Server, with clients' certificates required.
#pragma once

#include <memory>
#include <optional>

#include "model/ids.h"
#include "runtime/dial.h"
#include "runtime/tls/context.h"

namespace stele::rpc {

// `context` is a client's, with a certificate of one's own name (certificate_name_of). `to`: none: whoever
// the authority has signed; the hello then compares its name with the node it says to be.
runtime::Dial tls_dial(std::shared_ptr<const runtime::tls::Context> context, std::optional<NodeId> to);

}  // namespace stele::rpc
