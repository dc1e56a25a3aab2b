// What a call carries: one slice, or several that go out one behind the other, never joined here.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace stele::rpc {

class Payload {
 public:
  Payload() = default;
  Payload(Bytes one) : one_(std::move(one)) {}  // NOLINT(google-explicit-constructor)
  Payload(std::vector<Bytes> several)
      : several_(std::move(several)) {}  // NOLINT(google-explicit-constructor)
  std::span<const Bytes> slices() const {
    if (!several_.empty()) return several_;
    return {&one_, one_.empty() ? 0u : 1u};
  }

 private:
  Bytes one_;
  std::vector<Bytes> several_;
};

}  // namespace stele::rpc
