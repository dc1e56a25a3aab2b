// Frames of one direction of a connection, as they go out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "rpc/frame.h"
#include "runtime/network.h"

namespace stele::rpc {

class FrameOutput {
 public:
  explicit FrameOutput(runtime::Connection& connection) : connection_(connection) {}

  void bind(std::uint32_t tag) { stamp_.bind(tag); }
  // At the end of the turn. Large slices of the payload are shared, small ones copied.
  void send(FrameKind kind, std::string_view control, std::span<const Bytes> payload = {});
  template <class Control, std::size_t kBytes>
  void send(FrameKind kind, const Control& control, std::span<const Bytes> payload) {
    char bytes[kBytes];
    encode(control, std::span<char, kBytes>(bytes));
    send(kind, {bytes, kBytes}, payload);
  }

  // Whether anything was sent since it was last asked.
  bool take_sent() { return std::exchange(sent_, false); }

 private:
  // A slice costs a place in the system call, and a count of references.
  static constexpr std::size_t kShareFrom = 2 << 10;

  runtime::Connection& connection_;
  FrameStamp stamp_;
  bool sent_ = false;
};

}  // namespace stele::rpc
