// The archive that writes. For the messages' descriptions only; everyone else includes codec.h.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/wire.h"
#include "protocols/kafka/codec.h"
#include "protocols/kafka/describe.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

// Where fetched records belong between the text of a frame.
struct Splice {
  std::size_t text_position;  // size of the text before it
  Bytes bytes;
};

// Reads from the message and never changes it; descriptions take a mutable reference for the Decoder's sake.
// Lives on the stack for one message.
class Encoder {
 public:
  // Appends to `text`. With `splices`, long records go there; without, they are copied into the text.
  Encoder(std::string& text, std::vector<Splice>* splices, std::int16_t version, bool flexible)
      : writer_(text), splices_(splices), version_(version), flexible_(flexible) {}

  std::int16_t version() const { return version_; }
  bool failed() const { return why_ != nullptr; }
  // Why it failed. `what` names the message.
  Error error(std::string_view what) const;

  // A field that cannot be null. Structs, and arrays of anything, included.
  template <class T>
  void field(const char* name, const T& value) {
    if (failed()) return;
    put(value);
    if (failed()) note(name);
  }

  template <class T>
  void nullable(const char* name, const std::optional<T>& value) {
    if (failed()) return;
    if (value) return field(name, *value);
    put_null<T>();
  }
  // Optional in the struct, but never null in this version.
  template <class T>
  void required(const char* name, const std::optional<T>& value) {
    if (failed()) return;
    if (value) return field(name, *value);
    fail("is null, which this version cannot say");
    note(name);
  }
  template <class T>
  void nullable_since(std::int16_t since, const char* name, const std::optional<T>& value) {
    version_ >= since ? nullable(name, value) : required(name, value);
  }
  // An array that is empty on the wire when it is null in the struct.
  template <class T>
  void null_as_empty(const char* name, const std::optional<std::vector<T>>& value) {
    field(name, value ? *value : std::vector<T>());
  }
  // An array whose elements `each` describes, for elements that do not travel as structs.
  template <class T, class Each>
  void array(const char* name, std::vector<T>& values, Each each) {
    if (failed()) return;
    put_array_length(values.size());
    for (T& value : values) each(*this, value);
    if (failed()) note(name);
  }
  // The sole element of an array, in versions that have no array; null when there is not exactly one.
  template <class T>
  T* only(const char* name, std::vector<T>& values) {
    if (failed()) return nullptr;
    if (values.size() == 1) return &values.front();
    fail("does not have exactly one element, which this version requires");
    note(name);
    return nullptr;
  }
  void bytes(const char* name, const std::string& value);
  void records(const char* name, const Records& records);
  void records(const char* name, const std::optional<std::string_view>& records);

  // Tagged fields (KIP-482), in ascending order; one that has its default value is not sent.
  class Tags {
   public:
    template <class T>
    void field(std::uint32_t tag, const char* name, const T& value, const T& default_value = T()) {
      if (encoder_.failed() || value == default_value) return;
      encoder_.put_tag(tag, [&](Encoder& payload) { payload.field(name, value); });
      ++count_;
    }
    template <class T>
    void nullable(std::uint32_t tag, const char* name, const std::optional<T>& value) {
      if (encoder_.failed() || !value) return;
      encoder_.put_tag(tag, [&](Encoder& payload) { payload.nullable(name, value); });
      ++count_;
    }
    std::int16_t version() const { return encoder_.version(); }

   private:
    friend class Encoder;
    explicit Tags(Encoder& encoder) : encoder_(encoder) {}
    Encoder& encoder_;
    std::uint8_t count_ = 0;
  };

  template <class T>
  void structure(const T& value) {
    T& description_takes_mutable = const_cast<T&>(value);
    describe(*this, description_takes_mutable);
    if (!flexible_ || failed()) return;
    std::size_t count_position = writer_.size();
    writer_.u8(0);
    Tags tags(*this);
    describe_tags(tags, description_takes_mutable);
    // No message has 128 tagged fields, so the count is one byte.
    writer_.patch_be(count_position, tags.count_);
  }

 private:
  void fail(const char* why) {
    if (!why_) why_ = why;
  }
  void note(const char* name);

  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      writer_.u8(value);
    } else if constexpr (std::is_enum_v<T>) {
      writer_.be(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::integral<T>) {
      writer_.be(value);
    } else if constexpr (std::is_same_v<T, Uuid>) {
      writer_.be(value.high).be(value.low);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      put_string(value);
    } else if constexpr (requires { typename T::value_type; }) {
      put_array_length(value.size());
      for (const auto& element : value) put(element);
    } else {
      structure(value);
    }
  }
  template <class T>
  void put_null() {
    if (flexible_) {
      writer_.uvarint(0);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      writer_.be(std::int16_t{-1});
    } else {
      writer_.be(std::int32_t{-1});
    }
  }
  template <class Body>
  void put_tag(std::uint32_t tag, Body body) {
    std::string payload;
    Encoder nested(payload, nullptr, version_, flexible_);
    body(nested);
    if (nested.failed()) {
      why_ = nested.why_;
      path_ = std::move(nested.path_);
      return;
    }
    writer_.uvarint(tag).sized(payload);
  }
  void put_string(std::string_view value);
  void put_array_length(std::size_t size);
  void put_records_length(std::size_t size);

  Writer writer_;
  std::vector<Splice>* splices_;
  std::int16_t version_;
  bool flexible_;
  const char* why_ = nullptr;  // set once the message turned out not to be expressible
  std::string path_;           // names of the fields that led there
};

}  // namespace stele::kafka
