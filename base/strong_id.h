// Integers that do not convert into each other: Offset, Lsn, Position, Epoch, ShardId …
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace stele {

// An identifier: compares and hashes, no arithmetic.
template <class Tag, class Integer = std::uint64_t>
struct StrongId {
  using Value = Integer;
  Integer value{};

  constexpr StrongId() = default;
  constexpr explicit StrongId(Integer v) : value(v) {}
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
};

// A place in a sequence: an identifier that can be stepped, and whose differences are plain integers.
template <class Tag, class Integer = std::uint64_t>
struct StrongIndex {
  using Value = Integer;
  Integer value{};

  constexpr StrongIndex() = default;
  constexpr explicit StrongIndex(Integer v) : value(v) {}
  friend constexpr auto operator<=>(StrongIndex, StrongIndex) = default;
  friend constexpr StrongIndex operator+(StrongIndex a, Integer n) { return StrongIndex(a.value + n); }
  friend constexpr StrongIndex operator-(StrongIndex a, Integer n) { return StrongIndex(a.value - n); }
  friend constexpr Integer operator-(StrongIndex a, StrongIndex b) { return a.value - b.value; }
  constexpr StrongIndex& operator+=(Integer n) {
    value += n;
    return *this;
  }
  constexpr StrongIndex& operator++() {
    ++value;
    return *this;
  }

  template <class H>
  friend H AbslHashValue(H h, StrongIndex id) {
    return H::combine(std::move(h), id.value);
  }
};

template <class H, class Tag, class Integer>
H AbslHashValue(H h, StrongId<Tag, Integer> id) {
  return H::combine(std::move(h), id.value);
}

}  // namespace stele

template <class Tag, class Integer>
struct std::hash<stele::StrongId<Tag, Integer>> {
  std::size_t operator()(stele::StrongId<Tag, Integer> id) const noexcept {
    return std::hash<Integer>{}(id.value);
  }
};
template <class Tag, class Integer>
struct std::hash<stele::StrongIndex<Tag, Integer>> {
  std::size_t operator()(stele::StrongIndex<Tag, Integer> id) const noexcept {
    return std::hash<Integer>{}(id.value);
  }
};
