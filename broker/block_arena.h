// Memory for what one core sends another during a turn: pieces of a few large blocks instead of a block for
// each. A block is given up at the end of the turn, so that from then on only the receiver counts its
// references, and what is kept for long holds no more than its neighbours of the same turn.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/bytes.h"

namespace stele::broker {

class BlockArena {
 public:
  // What is larger has a block of its own: so has all that MQTT sends as a slice instead of copying it.
  static constexpr std::size_t kLargestPiece = 1536;
  struct Piece {
    Bytes bytes;
    char* data = nullptr;  // the same, to be written
  };
  Piece take(std::size_t size) {
    if (size > kLargestPiece) {
      Buffer own(size);
      char* const data = own.data();
      return {std::move(own).freeze(size), data};
    }
    if (block_.capacity() - used_ < size) {
      // As much as the last turn took in all, then as much again as this one has.
      block_ = Buffer(std::clamp(std::max(expected_, taken_), size, kBlockBytes));
      used_ = 0;
      expected_ = 0;
    }
    const std::size_t at = used_;
    used_ += size;
    taken_ += size;
    return {block_.slice(at, size), block_.data() + at};
  }
  void end_turn() {
    if (taken_ == 0) return;
    block_ = Buffer();
    used_ = 0;
    expected_ = taken_;
    taken_ = 0;
  }

 private:
  static constexpr std::size_t kBlockBytes = 16 << 10;
  Buffer block_;
  std::size_t used_ = 0;
  std::size_t taken_ = 0;     // in this turn
  std::size_t expected_ = 0;  // still to be taken, as the last turn went
};

}  // namespace stele::broker
