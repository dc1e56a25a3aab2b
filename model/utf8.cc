#include "model/utf8.h"

#include <cstdint>
#include <cstring>

namespace stele {
namespace {

// How many bytes the sequence at `p` takes, 0 if it is ill-formed. RFC 3629 section 4, without U+0000.
std::size_t sequence_length(const unsigned char* p, std::size_t left) {
  auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < left && p[i] >= low && p[i] <= high;
  };
  unsigned first = p[0];
  if (first < 0x80) return first != 0 ? 1 : 0;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return follows(1) ? 2 : 0;
  if (first < 0xf0) {
    unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    unsigned high = first == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first > 0xf4) return 0;
  unsigned low = first == 0xf0 ? 0x90 : 0x80;
  unsigned high = first == 0xf4 ? 0x8f : 0xbf;
  return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
}

// True when all eight bytes are ASCII and none is zero.
bool plain_ascii(std::uint64_t word) {
  constexpr std::uint64_t kHigh = 0x8080808080808080ULL;
  return ((word | ((word - 0x0101010101010101ULL) & ~word)) & kHigh) == 0;
}

}  // namespace

bool is_clean_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t i = 0;
  while (i < text.size()) {
    if (text.size() - i >= 8) {
      std::uint64_t word;
      std::memcpy(&word, p + i, 8);
      if (plain_ascii(word)) {
        i += 8;
        continue;
      }
    }
    std::size_t length = sequence_length(p + i, text.size() - i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

}  // namespace stele
