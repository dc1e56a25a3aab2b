// Arbitrary methods, properties and tables for tests and corpora, made from a string of arbitrary bytes.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/amqp/content.h"
#include "protocols/amqp/field_table.h"
#include "protocols/amqp/method_info.h"

namespace stele::amqp {

// Once the entropy is used up everything is empty or zero, so less entropy makes a simpler value. Views in
// what it makes point into the generator.
class Generator {
 public:
  explicit Generator(std::string_view entropy) : entropy_(entropy) {}

  template <class M>
  M method() {
    M out;
    M::describe(*this, out);
    return out;
  }
  BasicProperties properties() {
    BasicProperties out;
    PropertyArchive archive{*this};
    BasicProperties::describe(archive, out);
    return out;
  }
  // Of every type; tables and arrays within others down to `depth` levels in all, this one included.
  Table table(unsigned depth);
  FieldValue value(unsigned depth);
  std::string_view any_bytes();

  // As an archive of methods.
  template <std::integral T>
  void integer(const char*, T& value) {
    value = static_cast<T>(draw_bytes(sizeof(T)));
  }
  void short_text(const char*, std::string_view& value);
  void long_text(const char*, std::string_view& value) { value = any_bytes(); }
  void table(const char*, TableView& value);
  template <class... Bs>
  void flags(Flag<Bs>... flags) {
    unsigned bits = draw();
    ((flags.value = bits & 1, bits >>= 1), ...);
  }
  template <std::integral T>
  void reserved() {}
  void reserved_short_text() {}
  void reserved_long_text() {}

  std::uint8_t draw();
  std::uint64_t draw_bytes(std::size_t count);

 private:
  // As an archive of properties: about half of them are there.
  struct PropertyArchive {
    Generator& self;
    void text(unsigned, const char*, std::optional<std::string_view>& value) {
      if (self.draw() & 1) value = self.any_bytes();
    }
    void table(unsigned, const char* name, std::optional<TableView>& value) {
      if (self.draw() & 1) self.table(name, value.emplace());
    }
    void octet(unsigned, const char*, std::optional<std::uint8_t>& value) {
      if (self.draw() & 1) value = self.draw();
    }
    void time(unsigned, const char*, std::optional<std::uint64_t>& value) {
      if (self.draw() & 1) value = self.draw_bytes(8);
    }
  };
  Array array(unsigned depth);
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  std::string_view entropy_;
  std::deque<std::string> kept_;  // never moves its elements
  std::deque<Table> tables_;
  std::deque<Array> arrays_;
};

}  // namespace stele::amqp
