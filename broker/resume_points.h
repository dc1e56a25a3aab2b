// Where readers of one stream stopped lately, so that their next read begins there and not at the place of
// the sparse index before it, which is a long walk away in a shard with much else in its log. What a point
// says stays true, whatever is appended or trimmed. In memory only, of the shard's core.
#pragma once

#include <array>
#include <cstddef>

#include "model/ids.h"

namespace stele::broker {

class ResumePoints {
 public:
  // Every record at or above `offset` is in the entry at `lsn` or in a later one. Replaces the oldest.
  void note(Offset offset, Lsn lsn);
  // Where to begin for the records from `offset` on: at `place`, or further if a point allows it.
  Lsn from(Offset offset, Lsn place) const;

 private:
  struct Point {
    Offset offset;
    Lsn lsn;
  };
  std::array<Point, 8> points_{};  // as it begins, each says what is true
  std::size_t next_ = 0;
};

}  // namespace stele::broker
