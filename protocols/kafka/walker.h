// Visiting the fields of a message without knowing its type: for generators of test messages and for
// printing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocols/kafka/types.h"

namespace stele::kafka {

// Called once per field that exists in the version, in wire order. Each call may replace the value it is
// given.
class Walker {
 public:
  virtual ~Walker() = default;
  virtual void boolean(const char* name, bool& value) = 0;
  // `bytes` is its size on the wire; the value must stay within it.
  virtual void integer(const char* name, std::int64_t& value, std::size_t bytes) = 0;
  virtual void uuid(const char* name, Uuid& value) = 0;
  virtual void string(const char* name, std::string& value) = 0;
  // What the view is set to must outlive the message.
  virtual void view(const char* name, std::string_view& value) = 0;
  virtual void bytes(const char* name, std::string& value) = 0;
  virtual void records(const char* name, Records& value) = 0;
  // Whether a field that may be null is to be null; if not, its value follows.
  virtual bool null(const char* name, bool is_null) = 0;
  // The number of elements that an array is to have; they follow.
  virtual std::size_t array(const char* name, std::size_t size) = 0;
};

}  // namespace stele::kafka
