#include "protocols/mqtt/frame_input.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace stele::mqtt {

using Status = FrameResult::Status;

std::span<char> FrameInput::read_buffer() {
  if (!partial_ || partial_.capacity() - filled_ < kReadDirectly) return {};
  return {partial_.data() + filled_, partial_.capacity() - filled_};
}

void FrameInput::feed(Bytes data) {
  if (partial_ && data.data() == partial_.data() + filled_) {
    filled_ += data.size();
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

std::uint32_t FrameInput::limit_for(std::string_view input) const {
  if (input.empty()) return control_limit_;
  const bool publish =
      static_cast<std::uint8_t>(input[0]) >> 4 == static_cast<unsigned>(PacketType::kPublish);
  return publish ? publish_limit_ : control_limit_;
}

FrameResult FrameInput::next() {
  done_ = {};
  if (head_size_ > 0) return next_of_head();
  if (partial_) return next_of_partial();
  FrameResult result = next_frame(rest(), limit_for(rest()));
  switch (result.status) {
    case Status::kFrame:
      block_ = &chunk_;
      at_ += result.frame.total_size;
      break;
    case Status::kNeedMore:
      if (result.total_size_needed > 0) {
        if (!begin_partial(result.total_size_needed, rest())) {
          result.status = Status::kError;
          result.error = ReasonCode::kServerBusy;
        }
      } else {
        head_size_ = static_cast<std::uint8_t>(rest().size());
        STELE_ASSERT(head_size_ < kMaxHead);
        std::ranges::copy(rest(), head_.begin());
      }
      chunk_ = {};
      at_ = 0;
      break;
    case Status::kError:
      break;
  }
  return result;
}

// The fixed header came in pieces: byte by byte until it says how long the frame is.
FrameResult FrameInput::next_of_head() {
  while (true) {
    const std::string_view head(head_.data(), head_size_);
    FrameResult result = next_frame(head, limit_for(head));
    if (result.status == Status::kError) return result;
    if (result.status == Status::kFrame) {  // only a frame without a body fits
      head_size_ = 0;
      return result;
    }
    if (result.total_size_needed > 0) {
      head_size_ = 0;
      if (begin_partial(result.total_size_needed, head)) return next_of_partial();
      result.status = Status::kError;
      result.error = ReasonCode::kServerBusy;
      return result;
    }
    if (rest().empty()) return result;
    STELE_ASSERT(head_size_ < kMaxHead);
    head_[head_size_++] = rest()[0];
    ++at_;
  }
}

FrameResult FrameInput::next_of_partial() {
  const std::size_t take = std::min(partial_.capacity() - filled_, rest().size());
  if (take > 0) std::memcpy(partial_.data() + filled_, rest().data(), take);
  filled_ += take;
  at_ += take;
  if (filled_ < partial_.capacity()) {
    chunk_ = {};
    at_ = 0;
    FrameResult more;
    more.total_size_needed = partial_.capacity();
    return more;
  }
  budget_.used -= partial_.capacity();
  const std::size_t size = partial_.capacity();
  done_ = std::exchange(partial_, Buffer()).freeze(size);
  filled_ = 0;
  block_ = &done_;
  const FrameResult result = next_frame(done_, limit_for(done_));
  STELE_ASSERT(result.status == Status::kFrame);
  return result;
}

bool FrameInput::begin_partial(std::size_t total, std::string_view begun) {
  STELE_ASSERT(!partial_ && begun.size() < total);
  if (total > budget_.limit - std::min(budget_.used, budget_.limit)) return false;
  budget_.used += total;
  partial_ = Buffer(total);
  std::memcpy(partial_.data(), begun.data(), begun.size());
  filled_ = begun.size();
  return true;
}

void FrameInput::drop_partial() {
  if (!partial_) return;
  STELE_ASSERT(budget_.used >= partial_.capacity());
  budget_.used -= partial_.capacity();
  partial_ = Buffer();
  filled_ = 0;
}

void FrameInput::pause() {
  done_ = {};
  chunk_ = rest().empty() ? Bytes() : Bytes::copy(rest());
  at_ = 0;
}

void FrameInput::clear() {
  drop_partial();
  done_ = chunk_ = {};
  at_ = 0;
  head_size_ = 0;
}

}  // namespace stele::mqtt
