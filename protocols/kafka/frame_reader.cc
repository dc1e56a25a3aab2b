#include "protocols/kafka/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace stele::kafka {

std::span<char> FrameReader::read_buffer() {
  if (!frame_) return {};
  return {frame_.data() + frame_filled_, frame_.capacity() - frame_filled_};
}

void FrameReader::add(Bytes data) {
  STELE_ASSERT(input_.empty());
  if (frame_ && data.data() == frame_.data() + frame_filled_) {
    frame_filled_ += data.size();  // was read into place
    STELE_ASSERT(frame_filled_ <= frame_.capacity());
    return;
  }
  input_ = std::move(data);
}

// An empty slice would keep its block as well.
void FrameReader::skip(std::size_t bytes) {
  input_ = bytes == input_.size() ? Bytes() : input_.slice(bytes);
}

Result<std::optional<Bytes>> FrameReader::next(std::size_t max_frame_bytes) {
  if (!frame_) {
    const std::size_t part = std::min(input_.size(), kLengthBytes - length_filled_);
    std::memcpy(length_ + length_filled_, input_.data(), part);
    length_filled_ += part;
    skip(part);
    if (length_filled_ < kLengthBytes) return std::nullopt;
    STELE_TRY(const auto length, frame_length({length_, kLengthBytes}, max_frame_bytes));
    STELE_ASSERT(length.has_value());
    if (*length == 0) return error(ErrorCode::kMalformed, "an empty Kafka frame");
    length_filled_ = 0;
    if (input_.size() >= *length) {
      Bytes frame = input_.slice(0, *length);
      skip(*length);
      return frame;
    }
    frame_ = Buffer(*length);
  }
  const std::size_t part = std::min(input_.size(), frame_.capacity() - frame_filled_);
  if (part > 0) std::memcpy(frame_.data() + frame_filled_, input_.data(), part);
  frame_filled_ += part;
  skip(part);
  if (frame_filled_ < frame_.capacity()) return std::nullopt;
  const std::size_t size = std::exchange(frame_filled_, 0);
  return std::exchange(frame_, {}).freeze(size);
}

}  // namespace stele::kafka
