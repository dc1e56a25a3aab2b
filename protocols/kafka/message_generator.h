// Arbitrary messages for tests, fuzz corpora and the like, made from a string of arbitrary bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "protocols/kafka/walker.h"

namespace stele::kafka {

// Fills what it walks over. Once the entropy is used up everything is empty, null or zero, so less entropy
// makes a simpler message. Views in the message point into the generator.
class MessageGenerator : public Walker {
 public:
  explicit MessageGenerator(std::string_view entropy) : entropy_(entropy) {}

  void boolean(const char* name, bool& value) override;
  void integer(const char* name, std::int64_t& value, std::size_t bytes) override;
  void uuid(const char* name, Uuid& value) override;
  void string(const char* name, std::string& value) override;
  void view(const char* name, std::string_view& value) override;
  void bytes(const char* name, std::string& value) override;
  void records(const char* name, Records& value) override;
  bool null(const char* name, bool is_null) override;
  std::size_t array(const char* name, std::size_t size) override;

 private:
  std::uint8_t draw();
  std::uint64_t draw_bytes(std::size_t count);
  std::string draw_string();

  std::string_view entropy_;
  std::deque<std::string> kept_;
};

}  // namespace stele::kafka
