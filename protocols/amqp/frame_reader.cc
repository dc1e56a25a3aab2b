#include "protocols/amqp/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace stele::amqp {

std::span<char> FrameReader::read_buffer() {
  if (!partial_ || partial_.capacity() - filled_ < kReadDirectly) return {};
  return {partial_.data() + filled_, partial_.capacity() - filled_};
}

void FrameReader::add(Bytes data) {
  if (partial_ && data.data() == partial_.data() + filled_) {
    filled_ += data.size();  // was read into place
    STELE_ASSERT(filled_ <= partial_.capacity());
    return;
  }
  if (rest().empty()) {
    chunk_ = std::move(data);
    at_ = 0;
    return;
  }
  // Read while paused: a backend may have had it under way.
  Buffer joined(rest().size() + data.size());
  std::memcpy(joined.data(), rest().data(), rest().size());
  std::memcpy(joined.data() + rest().size(), data.data(), data.size());
  const std::size_t size = joined.capacity();
  chunk_ = std::move(joined).freeze(size);
  at_ = 0;
}

void FrameReader::drop_chunk() {
  chunk_ = {};
  at_ = 0;
}

std::size_t FrameReader::take_into(char* to, std::size_t wanted) {
  const std::size_t size = std::min(wanted, rest().size());
  if (size > 0) std::memcpy(to, rest().data(), size);
  at_ += size;
  return size;
}

// Whether the head of a frame that is cut is there; then the frame has its block.
Decoded<bool> FrameReader::finish_head(std::uint32_t frame_max) {
  head_size_ += take_into(head_.data() + head_size_, kFrameHeadBytes - head_size_);
  const auto size = frame_size({head_.data(), head_size_}, frame_max);
  if (!size) return std::unexpected(size.error());
  if (!*size) return false;
  partial_ = Buffer(**size);
  std::memcpy(partial_.data(), head_.data(), head_size_);
  filled_ = std::exchange(head_size_, 0);
  return true;
}

Decoded<std::optional<Frame>> FrameReader::next(std::uint32_t frame_max) {
  done_ = {};
  if (!partial_ && head_size_ == 0) {
    auto frame = next_frame(rest(), frame_max);
    if (!frame || *frame) {
      block_ = &chunk_;
      if (frame) at_ += (*frame)->total_size();
      return frame;
    }
  }
  if (!partial_) {
    const auto known = finish_head(frame_max);
    if (!known) return std::unexpected(known.error());
    if (!*known) {
      drop_chunk();
      return std::nullopt;
    }
  }
  filled_ += take_into(partial_.data() + filled_, partial_.capacity() - filled_);
  if (filled_ < partial_.capacity()) {
    drop_chunk();
    return std::nullopt;
  }
  done_ = std::exchange(partial_, Buffer()).freeze(std::exchange(filled_, 0));
  block_ = &done_;
  return next_frame(done_, frame_max);
}

void FrameReader::pause() {
  done_ = {};
  chunk_ = rest().empty() ? Bytes() : Bytes::copy(rest());
  at_ = 0;
}

}  // namespace stele::amqp
