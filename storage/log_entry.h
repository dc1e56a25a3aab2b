// One entry of a shard log as bytes.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace stele::storage {

// Its bytes are head then body, so that a large body is never copied; an entry read back from the disk is all
// head.
struct LogEntry {
  Bytes head;
  Bytes body;
  std::size_t size() const { return head.size() + body.size(); }
};

}  // namespace stele::storage
