#include "model/uuid.h"

#include <array>

#include "base/wire.h"

namespace stele {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kTextSize = 22;

}  // namespace

Uuid Uuid::from_random(std::uint64_t high, std::uint64_t low) {
  // The text begins with the uppermost six bits; 62 of the alphabet is the dash.
  if (high >> 58 == 62) high ^= std::uint64_t(1) << 63;
  return Uuid{(high & ~std::uint64_t(0xf000)) | 0x4000,
              (low & ~(std::uint64_t(3) << 62)) | (std::uint64_t(2) << 62)};
}

std::string Uuid::to_string() const {
  std::array<char, 16> bytes;
  store_be(bytes.data(), high);
  store_be(bytes.data() + 8, low);
  std::string text;
  text.reserve(kTextSize);
  std::uint32_t bits = 0;
  int count = 0;
  for (char byte : bytes) {
    bits = bits << 8 | static_cast<std::uint8_t>(byte);
    for (count += 8; count >= 6; count -= 6) text.push_back(kAlphabet[bits >> (count - 6) & 63]);
  }
  text.push_back(kAlphabet[bits << (6 - count) & 63]);
  return text;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != kTextSize) return std::nullopt;
  std::array<char, 16> bytes;
  std::size_t filled = 0;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes[filled++] = static_cast<char>(bits >> count);
    }
  }
  if ((bits & 15) != 0) return std::nullopt;  // four bits are left over: one text for each id
  return Uuid{load_be<std::uint64_t>(bytes.data()), load_be<std::uint64_t>(bytes.data() + 8)};
}

}  // namespace stele
