// Cuts the bytes of a connection into frames. A frame that lies whole in what was read is used where it lies;
// one that is cut gets a block of its own size, into which the socket reads the rest.
//
//   reader.add(std::move(data));
//   while (true) {
//     auto frame = reader.next(frame_max);
//     if (!frame) … the connection cannot be read on
//     if (!*frame) break;
//     …
//   }
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "protocols/amqp/frame.h"

namespace stele::amqp {

class FrameReader {
 public:
  FrameReader() = default;
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  // Where the rest of a large frame goes (ConnectionHandler::read_buffer); empty otherwise.
  std::span<char> read_buffer();

  // What arrived, in read_buffer() or elsewhere.
  void add(Bytes data);

  // The next frame, valid until the following call of next(), add() or pause(). Nothing while it is not all
  // there; then at most the part of one frame is kept. Errors are those of next_frame(); after one the reader
  // is not used any more.
  Decoded<std::optional<Frame>> next(std::uint32_t frame_max);
  // What the frame lies in: a slice of it keeps the payload.
  const Bytes& block() const { return *block_; }

  // The connection stops between frames: copies what is left, so that it does not keep the block that it was
  // read into.
  void pause();

  // Bytes of memory taken for a frame that is not all there.
  std::size_t held() const { return partial_.capacity(); }

 private:
  static constexpr std::size_t kReadDirectly = 4096;

  std::string_view rest() const { return chunk_.view().substr(at_); }
  void drop_chunk();
  std::size_t take_into(char* to, std::size_t wanted);
  Decoded<bool> finish_head(std::uint32_t frame_max);

  Bytes chunk_;  // as read; from at_ on not looked at
  std::size_t at_ = 0;
  Bytes done_;  // a frame that had a block of its own
  const Bytes* block_ = &chunk_;
  Buffer partial_;  // a frame whose size is known, filled so far
  std::size_t filled_ = 0;
  std::array<char, kFrameHeadBytes> head_{};  // the start of a frame whose size is not known
  std::size_t head_size_ = 0;
};

}  // namespace stele::amqp
