// Stable 64-bit hashing: the same on every machine and in every build. For placement, state hashes and
// traces.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace stele {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that mixes well.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// An order-dependent running hash. Lengths are hashed too, so ("ab","c") and ("a","bc") differ.
class Hasher {
 public:
  Hasher& add(std::uint64_t value) {
    state_ = mix64(state_ + 0x9e3779b97f4a7c15ULL + value);
    return *this;
  }
  Hasher& add(std::string_view bytes) {
    add(bytes.size());
    while (bytes.size() >= 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data(), 8);
      add(word);
      bytes.remove_prefix(8);
    }
    if (!bytes.empty()) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), bytes.size());
      add(word);
    }
    return *this;
  }
  std::uint64_t value() const { return mix64(state_); }

 private:
  std::uint64_t state_ = 0;
};

inline std::uint64_t hash64(std::string_view bytes) {
  return Hasher().add(bytes).value();
}

}  // namespace stele
