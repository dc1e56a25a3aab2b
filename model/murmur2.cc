#include "model/murmur2.h"

#include <cstddef>

#include "base/assert.h"
#include "base/wire.h"

namespace stele {

std::int32_t murmur2(std::string_view data) {
  constexpr std::uint32_t kSeed = 0x9747b28c;
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  constexpr int kShift = 24;

  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(data.size());
  std::size_t i = 0;
  for (; data.size() - i >= 4; i += 4) {
    auto word = load_le<std::uint32_t>(data.data() + i);
    word *= kMultiplier;
    word ^= word >> kShift;
    word *= kMultiplier;
    hash *= kMultiplier;
    hash ^= word;
  }
  if (i < data.size()) {
    for (std::size_t n = data.size(); n > i; --n) {
      hash ^= std::uint32_t{static_cast<unsigned char>(data[n - 1])} << (8 * (n - 1 - i));
    }
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return static_cast<std::int32_t>(hash);
}

std::int32_t partition_for_key(std::string_view key, std::int32_t partition_count) {
  STELE_ASSERT(partition_count > 0);
  return (murmur2(key) & 0x7fffffff) % partition_count;
}

}  // namespace stele
