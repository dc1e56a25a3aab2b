// The network of a core.
#pragma once

#include "runtime/network.h"

namespace stele::runtime::uv {

class UvCore;

class UvNetwork final : public Network {
 public:
  explicit UvNetwork(UvCore& core) : core_(core) {}
  Result<std::unique_ptr<Listener>> listen(const Endpoint& at, ListenOptions options,
                                           AcceptHandler& handler) override;
  Task<Result<std::unique_ptr<Connection>>> connect(Endpoint to, Duration timeout, StopToken stop) override;

 private:
  UvCore& core_;
};

}  // namespace stele::runtime::uv
