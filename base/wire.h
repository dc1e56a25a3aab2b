// Reading and writing of fixed-size integers, varints and strings. Pure; a Reader never reads past its input:
// once it ran short it is failed() for good and gives zeros.
//
// Big-endian (…_be) for MQTT, Kafka and AMQP; little-endian (…_le) for our own formats.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace stele {

namespace internal {
template <std::endian E, std::integral T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (E != std::endian::native && sizeof(T) > 1) value = std::byteswap(value);
  return value;
}
template <std::endian E, std::integral T>
void store(char* to, T value) {
  if constexpr (E != std::endian::native && sizeof(T) > 1) value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}
}  // namespace internal

template <std::integral T>
T load_be(const char* p) {
  return internal::load<std::endian::big, T>(p);
}
template <std::integral T>
T load_le(const char* p) {
  return internal::load<std::endian::little, T>(p);
}
template <std::integral T>
void store_be(char* p, T v) {
  internal::store<std::endian::big, T>(p, v);
}
template <std::integral T>
void store_le(char* p, T v) {
  internal::store<std::endian::little, T>(p, v);
}

class Reader {
 public:
  explicit Reader(std::string_view input) : rest_(input) {}

  bool failed() const { return failed_; }
  bool ok() const { return !failed_; }
  // Marks the input as bad from here on (a value was read but makes no sense).
  void fail() {
    failed_ = true;
    rest_ = {};
  }
  std::size_t remaining() const { return rest_.size(); }
  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  template <std::integral T>
  T be() {
    return fixed<std::endian::big, T>();
  }
  template <std::integral T>
  T le() {
    return fixed<std::endian::little, T>();
  }
  std::uint8_t u8() { return be<std::uint8_t>(); }
  std::uint16_t u16_be() { return be<std::uint16_t>(); }
  std::uint32_t u32_be() { return be<std::uint32_t>(); }
  std::uint64_t u64_be() { return be<std::uint64_t>(); }

  // The next `length` bytes, a view of the input.
  std::string_view bytes(std::size_t length) {
    if (length > rest_.size()) return fail(), std::string_view();
    std::string_view out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }

  // LEB128, at most 10 bytes (5 for 32 bits): Kafka's UNSIGNED_VARINT and protobuf's.
  std::uint64_t uvarint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      std::uint8_t byte = u8();
      if (failed_) return 0;
      if (shift == 63 && byte > 1) break;
      value |= std::uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return value;
    }
    fail();
    return 0;
  }
  // Zig-zag varint: Kafka's VARINT and VARLONG.
  std::int64_t varint() {
    std::uint64_t v = uvarint();
    return static_cast<std::int64_t>((v >> 1) ^ (~(v & 1) + 1));
  }
  // Our own formats: uvarint length, then the bytes.
  std::string_view sized() {
    std::uint64_t length = uvarint();
    if (length > rest_.size()) return fail(), std::string_view();
    return bytes(static_cast<std::size_t>(length));
  }

 private:
  template <std::endian E, std::integral T>
  T fixed() {
    if (rest_.size() < sizeof(T)) return fail(), T{};
    T value = internal::load<E, T>(rest_.data());
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::string_view rest_;
  bool failed_ = false;
};

// Appends to a std::string it does not own.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  std::string& out() { return out_; }
  std::size_t size() const { return out_.size(); }

  template <std::integral T>
  Writer& be(T v) {
    return fixed<std::endian::big>(v);
  }
  template <std::integral T>
  Writer& le(T v) {
    return fixed<std::endian::little>(v);
  }
  Writer& u8(std::uint8_t v) {
    out_.push_back(static_cast<char>(v));
    return *this;
  }
  Writer& u16_be(std::uint16_t v) { return be(v); }
  Writer& u32_be(std::uint32_t v) { return be(v); }
  Writer& u64_be(std::uint64_t v) { return be(v); }
  Writer& bytes(std::string_view v) {
    out_.append(v);
    return *this;
  }
  Writer& uvarint(std::uint64_t v) {
    while (v >= 0x80) {
      u8(static_cast<std::uint8_t>(v | 0x80));
      v >>= 7;
    }
    return u8(static_cast<std::uint8_t>(v));
  }
  Writer& varint(std::int64_t v) {
    return uvarint((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
  }
  Writer& sized(std::string_view v) { return uvarint(v.size()).bytes(v); }
  // Overwrites what was written at `position`: lengths that are known late.
  template <std::integral T>
  void patch_be(std::size_t position, T v) {
    store_be(out_.data() + position, v);
  }
  template <std::integral T>
  void patch_le(std::size_t position, T v) {
    store_le(out_.data() + position, v);
  }

 private:
  template <std::endian E, std::integral T>
  Writer& fixed(T v) {
    char buffer[sizeof(T)];
    internal::store<E>(buffer, v);
    out_.append(buffer, sizeof buffer);
    return *this;
  }
  std::string& out_;
};

}  // namespace stele
