#include "protocols/amqp/generator.h"

#include <array>
#include <bit>
#include <utility>

namespace stele::amqp {

std::uint8_t Generator::draw() {
  if (entropy_.empty()) return 0;
  const auto byte = static_cast<std::uint8_t>(entropy_.front());
  entropy_.remove_prefix(1);
  return byte;
}

std::uint64_t Generator::draw_bytes(std::size_t count) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < count; ++i) out = out << 8 | draw();
  return out;
}

// At most 255 of them; the longest sometimes.
std::string_view Generator::any_bytes() {
  std::string out(draw() % 16, '\0');
  for (char& c : out) c = static_cast<char>(draw());
  if (out.size() == 15) out.resize(255, 'x');
  return keep(std::move(out));
}

void Generator::short_text(const char*, std::string_view& value) {
  constexpr std::array<std::string_view, 8> kPieces = {
      "a", ".", "q-7", "*", "\xC3\xA9", "\xE2\x82\xAC", "#", "\xF0\x9F\x90\xB0"};
  std::string out;
  for (unsigned left = draw() % 16; left > 0; --left) out += kPieces[draw() % kPieces.size()];
  if (out.size() > 24) out.resize(255, 'x');
  value = keep(std::move(out));
}

void Generator::table(const char*, TableView& value) {
  value = tables_.emplace_back(table(3)).view();
}

Table Generator::table(unsigned depth) {
  Table out;
  for (unsigned left = draw() % 5; left > 0; --left) {
    const std::string_view name = any_bytes();
    out.add(name, value(depth));
  }
  return out;
}

Array Generator::array(unsigned depth) {
  Array out;
  for (unsigned left = draw() % 5; left > 0; --left) out.add(value(depth));
  return out;
}

FieldValue Generator::value(unsigned depth) {
  switch (draw() % 17) {
    case 0:
      return Void{};
    case 1:
      return (draw() & 1) != 0;
    case 2:
      return static_cast<std::int8_t>(draw());
    case 3:
      return draw();
    case 4:
      return static_cast<std::int16_t>(draw_bytes(2));
    case 5:
      return static_cast<std::uint16_t>(draw_bytes(2));
    case 6:
      return static_cast<std::int32_t>(draw_bytes(4));
    case 7:
      return static_cast<std::uint32_t>(draw_bytes(4));
    case 8:
      return static_cast<std::int64_t>(draw_bytes(8));
    case 9:
      return std::bit_cast<float>(static_cast<std::uint32_t>(draw_bytes(4)));
    case 10:
      return std::bit_cast<double>(draw_bytes(8));
    case 11: {
      const std::uint8_t scale = draw();
      return Decimal{scale, static_cast<std::int32_t>(draw_bytes(4))};
    }
    case 12:
      return Timestamp{draw_bytes(8)};
    case 13:
      return ByteArray{any_bytes()};
    case 14:
      if (depth > 1) return arrays_.emplace_back(array(depth - 1)).view();
      break;
    case 15:
      if (depth > 1) return tables_.emplace_back(table(depth - 1)).view();
      break;
    default:
      break;
  }
  return any_bytes();
}

}  // namespace stele::amqp
