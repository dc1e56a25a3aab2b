#include "protocols/mqtt/utf8.h"

#include <cstdint>
#include <cstring>

namespace stele::mqtt {

namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080;
constexpr std::uint64_t kOnes = 0x0101010101010101;

// Length of the well-formed sequence at `p` (Unicode 15, table 3-7), 0 if there is none.
std::size_t sequence_length(const unsigned char* p, std::size_t left) {
  const auto continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return p[i] >= low && p[i] <= high;
  };
  const unsigned char lead = p[0];
  if (lead < 0x80) return lead != 0 ? 1 : 0;
  if (lead < 0xC2) return 0;  // a continuation byte, or an overlong form
  if (lead < 0xE0) return left >= 2 && continues(1) ? 2 : 0;
  if (lead < 0xF0) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;  // U+D800..DFFF are surrogates
    return left >= 3 && continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead > 0xF4) return 0;
  const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
  return left >= 4 && continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t left = text.size();
  while (left > 0) {
    if (left >= 8) {
      std::uint64_t word;
      std::memcpy(&word, p, 8);
      // No byte has its high bit set, and none is zero (it would borrow): eight ASCII characters at once.
      if ((((word - kOnes) | word) & kHighBits) == 0) {
        p += 8;
        left -= 8;
        continue;
      }
    }
    const std::size_t length = sequence_length(p, left);
    if (length == 0) return false;
    p += length;
    left -= length;
  }
  return true;
}

}  // namespace stele::mqtt
