#include "protocols/kafka/message_generator.h"

#include <utility>
#include <vector>

#include "base/bytes.h"
#include "protocols/kafka/codec.h"

namespace stele::kafka {

std::uint8_t MessageGenerator::draw() {
  if (entropy_.empty()) return 0;
  auto byte = static_cast<std::uint8_t>(entropy_.front());
  entropy_.remove_prefix(1);
  return byte;
}

std::uint64_t MessageGenerator::draw_bytes(std::size_t count) {
  std::uint64_t value = 0;
  while (count-- > 0) value = value << 8 | draw();
  return value;
}

// Lengths around 127 matter: there the length of a compact string grows to two bytes.
std::string MessageGenerator::draw_string() {
  std::uint8_t kind = draw();
  std::size_t length = kind < 240 ? kind % 12 : 120 + kind % 16;
  std::string text(length, '\0');
  for (char& c : text) c = static_cast<char>('a' + draw() % 26);
  return text;
}

void MessageGenerator::boolean(const char*, bool& value) {
  value = draw() % 2 == 1;
}

void MessageGenerator::integer(const char*, std::int64_t& value, std::size_t bytes) {
  std::uint64_t bits = draw_bytes(bytes);
  // Sign-extended from its width.
  int unused = static_cast<int>(64 - 8 * bytes);
  value = static_cast<std::int64_t>(bits << unused) >> unused;
}

void MessageGenerator::uuid(const char*, Uuid& value) {
  value.high = draw_bytes(8);
  value.low = draw_bytes(8);
}

void MessageGenerator::string(const char*, std::string& value) {
  value = draw_string();
}

void MessageGenerator::view(const char*, std::string_view& value) {
  value = kept_.emplace_back(draw_string());
}

void MessageGenerator::bytes(const char*, std::string& value) {
  value = draw_string();
}

void MessageGenerator::records(const char*, Records& value) {
  std::uint8_t kind = draw();
  if (kind % 8 == 0) {
    value = Records();
    return;
  }
  std::vector<Bytes> slices;
  for (int i = kind % 4; i > 0; --i) {
    std::string bytes = draw_string();
    // Some are long enough to be sent as they are.
    if (kind >= 128 && i % 2 == 1) bytes.resize(kCopyBelowBytes + bytes.size(), static_cast<char>(kind));
    slices.push_back(Bytes::copy(bytes));
  }
  value = Records(std::move(slices));
}

bool MessageGenerator::null(const char*, bool) {
  return draw() % 4 == 0;
}

std::size_t MessageGenerator::array(const char*, std::size_t) {
  return draw() % 4;
}

}  // namespace stele::kafka
