// Frames of AMQP 0-9-1 (section 4.2.3): type, channel, size, payload, end. Pure.
//
// An error here means that the bytes behind it cannot be told apart any more: nothing more is to be read from
// the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/amqp/reply_code.h"

namespace stele::amqp {

enum class FrameType : std::uint8_t { kMethod = 1, kHeader = 2, kBody = 3, kHeartbeat = 8 };

inline constexpr std::size_t kFrameHeadBytes = 7;
inline constexpr char kFrameEnd = '\xCE';
inline constexpr std::size_t kFrameOverhead = kFrameHeadBytes + 1;
// Every peer takes frames of this size, whatever is negotiated; before connection.tune it is the limit.
inline constexpr std::uint32_t kFrameMinSize = 4096;

// As it stands in the input.
struct Frame {
  FrameType type = FrameType::kMethod;
  std::uint16_t channel = 0;
  std::string_view payload;
  std::size_t total_size() const { return kFrameOverhead + payload.size(); }
};

// The size of the frame that `input` begins with, all of it; nothing while its head is not all there. What
// can be seen to be wrong is refused as soon as it is there:
//
//   FRAME_ERROR      the type is none, or the frame is larger than `frame_max` (0: no limit). Like RabbitMQ
//                    we let pass frames that are up to 8 bytes larger: clients count them differently.
//   COMMAND_INVALID  a heartbeat on a channel other than 0
//   CHANNEL_ERROR    a content frame on channel 0
Decoded<std::optional<std::size_t>> frame_size(std::string_view input, std::uint32_t frame_max);

// The frame that `input` begins with, or nothing while it is not all there. FRAME_ERROR also for a wrong end,
// and for a heartbeat with a payload.
Decoded<std::optional<Frame>> next_frame(std::string_view input, std::uint32_t frame_max);

// Appends the head of a frame; `payload_size` bytes and kFrameEnd have to follow.
void append_frame_head(std::string& out, FrameType type, std::uint16_t channel, std::uint32_t payload_size);

// A whole heartbeat.
inline constexpr std::string_view kHeartbeatFrame{"\x08\0\0\0\0\0\0\xCE", 8};

}  // namespace stele::amqp
