// How a member's messages reach the others. Implemented by whoever has connections; the other way round they
// call Member::deliver().
#pragma once

#include <vector>

#include "base/bytes.h"
#include "model/ids.h"

namespace stele::raft {

class PeerTransport {
 public:
  virtual ~PeerTransport() = default;
  // One message, as slices to be sent one behind the other (docs/formats/raft-messages.md). It may be lost,
  // repeated, or overtaken by others, but arrives whole or not at all. Takes it or drops it at once, and does
  // not call back: what waits for a slow member is bounded by the transport, and what does not fit is lost.
  virtual void send(NodeId to, std::vector<Bytes> message) = 0;
};

}  // namespace stele::raft
