// Cuts the bytes of a connection into frames. A frame that is not all there is collected in a buffer of its
// own size, into which the socket reads directly.
//
//   reader.add(std::move(data));
//   while (true) {
//     auto frame = reader.next(max_frame_bytes);
//     if (!frame) … the connection cannot be read on
//     if (!*frame) break;
//     …
//   }
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "protocols/kafka/frame.h"

namespace stele::kafka {

class FrameReader {
 public:
  // Where the rest of a frame goes (ConnectionHandler::read_buffer); empty while none has begun.
  std::span<char> read_buffer();

  // What arrived, in read_buffer() or elsewhere. Everything before it has been taken by next().
  void add(Bytes data);

  // The next frame without its length; a slice of what was added if it lay there whole. Nothing while it is
  // not all there. kMalformed for a length that is not positive or above `max_frame_bytes`.
  Result<std::optional<Bytes>> next(std::size_t max_frame_bytes);

 private:
  void skip(std::size_t bytes);

  Bytes input_;
  char length_[kLengthBytes];
  std::size_t length_filled_ = 0;
  Buffer frame_;
  std::size_t frame_filled_ = 0;
};

}  // namespace stele::kafka
