// Bytes of a connection, cut into frames.
//
// A frame that lies whole in what was read is used where it lies. One that is cut gets a block of exactly its
// own size as soon as its length is known; the rest of a large one is read straight into it, so that its
// payload is never copied. Between frames nothing is held.
//
// next() gives frame after frame. When the connection stops in the middle, because an answer must come first,
// pause() copies what is left, so that it does not pin the core's read slab.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "protocols/mqtt/decode.h"

namespace stele::mqtt {

// What all connections of a listener may hold of frames that are not complete yet.
struct InputBudget {
  std::size_t limit = SIZE_MAX;
  std::size_t used = 0;
};

class FrameInput {
 public:
  explicit FrameInput(InputBudget& budget) : budget_(budget) {}
  FrameInput(const FrameInput&) = delete;
  FrameInput& operator=(const FrameInput&) = delete;
  ~FrameInput() { drop_partial(); }

  // For PUBLISH, and for every other packet.
  void set_limits(std::uint32_t publish, std::uint32_t control) {
    publish_limit_ = publish;
    control_limit_ = control;
  }

  // Where the rest of a large frame is to be read to; empty otherwise.
  std::span<char> read_buffer();
  // Bytes were read, perhaps into read_buffer().
  void feed(Bytes data);

  // The next frame, valid until the following call of next(). kServerBusy when the budget is spent.
  FrameResult next();
  // The block in which the frame that next() gave lies.
  const Bytes& block() const { return *block_; }

  void pause();
  // Forgets everything.
  void clear();
  // Nothing is held.
  bool idle() const { return !partial_ && head_size_ == 0 && at_ == chunk_.size() && done_.empty(); }

 private:
  static constexpr std::size_t kReadDirectly = 4096;
  static constexpr std::size_t kMaxHead = 5;  // the longest fixed header

  std::string_view rest() const { return chunk_.view().substr(at_); }
  std::uint32_t limit_for(std::string_view input) const;
  FrameResult next_of_partial();
  FrameResult next_of_head();
  bool begin_partial(std::size_t total, std::string_view begun);
  void drop_partial();

  InputBudget& budget_;
  std::uint32_t publish_limit_ = 0;
  std::uint32_t control_limit_ = 0;
  Bytes chunk_;  // as read; from at_ on not looked at
  std::size_t at_ = 0;
  Bytes done_;  // a frame that had a block of its own
  const Bytes* block_ = &chunk_;
  Buffer partial_;  // a frame whose size is known, filled so far
  std::size_t filled_ = 0;
  std::array<char, kMaxHead> head_{};  // the start of a frame whose size is not known
  std::uint8_t head_size_ = 0;
};

}  // namespace stele::mqtt
