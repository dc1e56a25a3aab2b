#include "rpc/frame_output.h"

namespace stele::rpc {

void FrameOutput::send(FrameKind kind, std::string_view control, std::span<const Bytes> payload) {
  const auto header = stamp_.next(kind, control, payload);
  connection_.write(std::string_view(header.data(), header.size()));
  connection_.write(control);
  for (const Bytes& slice : payload) {
    if (slice.size() < kShareFrom) {
      connection_.write(slice.view());
    } else {
      connection_.write(slice);
    }
  }
  sent_ = true;
}

}  // namespace stele::rpc
