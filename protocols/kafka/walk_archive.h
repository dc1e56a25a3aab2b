// The archive that shows a message to a Walker. For the messages' descriptions only.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocols/kafka/describe.h"
#include "protocols/kafka/types.h"
#include "protocols/kafka/walker.h"

namespace stele::kafka {

// See Encoder for what a description may call. Lives on the stack for one message.
class WalkArchive {
 public:
  WalkArchive(Walker& walker, std::int16_t version, bool flexible)
      : walker_(walker), version_(version), flexible_(flexible) {}

  std::int16_t version() const { return version_; }

  template <class T>
  void field(const char* name, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      walker_.boolean(name, value);
    } else if constexpr (std::is_enum_v<T> || std::integral<T>) {
      auto wide = static_cast<std::int64_t>(value);
      walker_.integer(name, wide, sizeof(T));
      value = static_cast<T>(wide);
    } else if constexpr (std::is_same_v<T, Uuid>) {
      walker_.uuid(name, value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      walker_.string(name, value);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      walker_.view(name, value);
    } else if constexpr (requires { typename T::value_type; }) {
      array(name, value, [name](WalkArchive& self, auto& element) { self.field(name, element); });
    } else {
      structure(value);
    }
  }
  template <class T>
  void nullable(const char* name, std::optional<T>& value) {
    if (walker_.null(name, !value)) return value.reset();
    required(name, value);
  }
  template <class T>
  void required(const char* name, std::optional<T>& value) {
    if (!value) value.emplace();
    field(name, *value);
  }
  template <class T>
  void nullable_since(std::int16_t since, const char* name, std::optional<T>& value) {
    version_ >= since ? nullable(name, value) : required(name, value);
  }
  template <class T>
  void null_as_empty(const char* name, std::optional<std::vector<T>>& value) {
    required(name, value);
    if (value->empty()) value.reset();
  }
  template <class T, class Each>
  void array(const char* name, std::vector<T>& values, Each each) {
    values.resize(walker_.array(name, values.size()));
    for (T& value : values) each(*this, value);
  }
  template <class T>
  T* only(const char*, std::vector<T>& values) {
    values.resize(1);
    return &values.front();
  }
  void bytes(const char* name, std::string& value) { walker_.bytes(name, value); }
  void records(const char* name, Records& records) { walker_.records(name, records); }
  void records(const char* name, std::optional<std::string_view>& records) { nullable(name, records); }

  // Tagged fields look like any others here.
  template <class T>
  void field(std::uint32_t, const char* name, T& value, const T& = T()) {
    field(name, value);
  }
  template <class T>
  void nullable(std::uint32_t, const char* name, std::optional<T>& value) {
    nullable(name, value);
  }

  template <class T>
  void structure(T& value) {
    describe(*this, value);
    if (flexible_) describe_tags(*this, value);
  }

 private:
  Walker& walker_;
  std::int16_t version_;
  bool flexible_;
};

}  // namespace stele::kafka
