// Puts the frames of one channel together again: a method, or a method with its content (section 4.2.6).
// Pure.
//
//   auto step = assembler.on_frame(frame, reader.block());
//   if (!step) … close the connection or the channel with step.error()
//   if (*step == Assembler::Step::kMore) …
//   switch (assembler.method().id()) … decode<BasicPublish>(assembler.arguments()) …
//
// A body that came in one frame stays where it was read. One of several frames is gathered in a block that
// grows with what has arrived, never by the announced size alone.
//
// A channel that waits for channel.close-ok throws its frames away, but for close and close-ok: it does not
// ask this here (clear() when it begins anew).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "protocols/amqp/content.h"
#include "protocols/amqp/frame.h"
#include "protocols/amqp/method_info.h"
#include "protocols/amqp/reply_code.h"

namespace stele::amqp {

// Which one we are.
enum class Side : std::uint8_t { kServer, kClient };

class Assembler {
 public:
  enum class Step : std::uint8_t { kMore, kMethod, kMessage };

  // Of the channel `channel`. A message may have `max_body_bytes` at most.
  Assembler(Side side, std::uint16_t channel, std::uint64_t max_body_bytes)
      : side_(side), channel_(channel), max_body_bytes_(max_body_bytes) {}

  // The next frame of the channel, no heartbeat; it lies in `block`. What makes the step complete can be
  // looked at until the next frame or clear(). After an error only clear() may be called.
  //
  //   COMMAND_INVALID      no such method; not for our side; a connection's on a channel
  //   CHANNEL_ERROR        a channel's method on channel 0
  //   UNEXPECTED_FRAME     not what has to come next, or content of another class
  //   FRAME_ERROR          cannot be read, or bodies are longer than announced
  //   PRECONDITION_FAILED  (the channel's) the message is larger than allowed
  Decoded<Step> on_frame(const Frame& frame, const Bytes& block);

  const MethodInfo& method() const { return *method_; }
  // The payload of the method's frame, for decode().
  std::string_view arguments() const { return arguments_; }
  // Of a message:
  const ContentHeader& header() const { return header_; }
  const Bytes& body() const { return body_; }

  // The input pauses in the middle of a message: copies what points into the block that it was read into.
  void pause();
  // Bytes of memory taken for a message that is not complete.
  std::size_t held() const { return gathered_.capacity(); }
  // Of its method and its header, which pause() copies.
  std::size_t kept() const {
    return wants_ == Wants::kMethod ? 0 : method_block_.size() + header_block_.size();
  }
  void clear();

 private:
  enum class Wants : std::uint8_t { kMethod, kHeader, kBody };

  Decoded<Step> on_method(const Frame& frame, const Bytes& block);
  Decoded<Step> on_header(const Frame& frame, const Bytes& block);
  Decoded<Step> on_body(const Frame& frame, const Bytes& block);
  void gather(std::string_view part);
  std::unexpected<ProtocolError> fail(ReplyCode code, std::string text) const;

  const Side side_;
  const std::uint16_t channel_;
  const std::uint64_t max_body_bytes_;
  Wants wants_ = Wants::kMethod;
  const MethodInfo* method_ = nullptr;
  std::string_view arguments_;
  Bytes method_block_;  // keeps arguments_, if content follows
  ContentHeader header_;
  Bytes header_block_;  // keeps header_.properties
  Bytes body_;
  Buffer gathered_;  // bodies of several frames
  std::size_t gathered_bytes_ = 0;
};

}  // namespace stele::amqp
