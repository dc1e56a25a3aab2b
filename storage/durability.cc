#include "storage/segment_store.h"

namespace stele::storage {

std::string_view to_string(Durability durability) {
  switch (durability) {
    case Durability::kFsync:
      return "fsync";
    case Durability::kFlush:
      return "flush";
    case Durability::kMemory:
      return "memory";
  }
  return "unknown";
}

Result<Durability> parse_durability(std::string_view text) {
  for (Durability d : {Durability::kFsync, Durability::kFlush, Durability::kMemory}) {
    if (text == to_string(d)) return d;
  }
  return error(ErrorCode::kInvalidArgument,
               "durability is fsync, flush or memory, not '" + std::string(text) + "'");
}

}  // namespace stele::storage
