// 128-bit ids as Kafka shows them: 22 characters of URL-safe base64 without padding. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stele {

struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool is_zero() const { return high == 0 && low == 0; }
  friend auto operator<=>(const Uuid&, const Uuid&) = default;

  // A version 4 UUID (RFC 9562, section 5.4) from random bits. As in Kafka its text never begins with a dash,
  // which command lines would take for an option, and it is none of the ids that Kafka reserves.
  static Uuid from_random(std::uint64_t high, std::uint64_t low);
  static std::optional<Uuid> parse(std::string_view text);
  std::string to_string() const;
};

}  // namespace stele
