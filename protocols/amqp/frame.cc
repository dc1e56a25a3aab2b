#include "protocols/amqp/frame.h"

#include "base/wire.h"

namespace stele::amqp {

namespace {

bool is_frame_type(std::uint8_t type) {
  switch (static_cast<FrameType>(type)) {
    case FrameType::kMethod:
    case FrameType::kHeader:
    case FrameType::kBody:
    case FrameType::kHeartbeat:
      return true;
  }
  return false;
}

struct Head {
  FrameType type;
  std::uint16_t channel;
  std::uint32_t size;
};

Head read_head(std::string_view input) {
  return {static_cast<FrameType>(input[0]), load_be<std::uint16_t>(input.data() + 1),
          load_be<std::uint32_t>(input.data() + 3)};
}

}  // namespace

Decoded<std::optional<std::size_t>> frame_size(std::string_view input, std::uint32_t frame_max) {
  if (input.empty()) return std::nullopt;
  const auto type = static_cast<std::uint8_t>(input[0]);
  if (!is_frame_type(type)) {
    return protocol_error(ReplyCode::kFrameError, "no frame has type " + std::to_string(type));
  }
  if (input.size() < kFrameHeadBytes) return std::nullopt;
  const Head head = read_head(input);
  if (frame_max != 0 && head.size > frame_max) {
    return protocol_error(ReplyCode::kFrameError, "a frame with a payload of " + std::to_string(head.size) +
                                                      " bytes is larger than the negotiated frame-max of " +
                                                      std::to_string(frame_max));
  }
  if (head.type == FrameType::kHeartbeat) {
    if (head.channel != 0) return protocol_error(ReplyCode::kCommandInvalid, "a heartbeat on a channel");
    if (head.size != 0) return protocol_error(ReplyCode::kFrameError, "a heartbeat with a payload");
  } else if (head.type != FrameType::kMethod && head.channel == 0) {
    return protocol_error(ReplyCode::kChannelError, "content on channel 0");
  }
  return kFrameOverhead + head.size;
}

Decoded<std::optional<Frame>> next_frame(std::string_view input, std::uint32_t frame_max) {
  const auto size = frame_size(input, frame_max);
  if (!size) return std::unexpected(size.error());
  if (!*size || input.size() < **size) return std::nullopt;
  if (input[**size - 1] != kFrameEnd) {
    return protocol_error(ReplyCode::kFrameError, "a frame does not end with 206 where its size says so");
  }
  const Head head = read_head(input);
  return Frame{head.type, head.channel, input.substr(kFrameHeadBytes, head.size)};
}

void append_frame_head(std::string& out, FrameType type, std::uint16_t channel, std::uint32_t payload_size) {
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(type)).u16_be(channel).u32_be(payload_size);
}

}  // namespace stele::amqp
