// How a client reaches its server: as the network does, or through something that stands between them, such
// as TLS.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/result.h"
#include "runtime/network.h"
#include "runtime/runtime.h"
#include "runtime/stop.h"
#include "runtime/task.h"

namespace stele::runtime {

// Errors are those of Network::connect, and kUnauthorized where the two must know each other.
using Dial = std::function<Task<Result<std::unique_ptr<Connection>>>(Runtime&, Endpoint to, Duration timeout,
                                                                     StopToken)>;

// With `dial`, or, if there is none, with the network.
inline Task<Result<std::unique_ptr<Connection>>> connect(Runtime& runtime, const Dial& dial, Endpoint to,
                                                         Duration timeout, StopToken stop) {
  if (dial) return dial(runtime, std::move(to), timeout, std::move(stop));
  return runtime.network().connect(std::move(to), timeout, std::move(stop));
}

}  // namespace stele::runtime
