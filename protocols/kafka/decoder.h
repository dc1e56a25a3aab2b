// The archive that reads. For the messages' descriptions only; everyone else includes codec.h.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/wire.h"
#include "protocols/kafka/describe.h"
#include "protocols/kafka/types.h"

namespace stele::kafka {

// Fills a message from untrusted bytes. It never reads past them, and what it allocates is bounded: an array
// grows with its elements as they are found, never by its announced length alone, and a message has at most
// kMaxElements of them in all. After the first failure every call is a no-op. Lives on the stack for one
// message.
class Decoder {
 public:
  // The elements of all arrays of one message; some hundred thousand partitions fit.
  static constexpr std::size_t kMaxElements = std::size_t{1} << 20;

  // `owner` is what body points into, if records may share it; else they are copied.
  Decoder(std::string_view body, std::int16_t version, bool flexible, const Bytes* owner)
      : reader_(body), owner_(owner), version_(version), flexible_(flexible) {}

  std::int16_t version() const { return version_; }
  bool failed() const { return reader_.failed(); }
  // To be asked last: the body must also have been used up.
  bool succeeded() const { return !failed() && reader_.at_end(); }
  // What to say otherwise. `what` names the message.
  Error error(std::string_view what) const;

  template <class T>
  void field(const char* name, T& value) {
    if (failed()) return;
    get(value);
    if (failed()) note(name);
  }
  template <class T>
  void nullable(const char* name, std::optional<T>& value) {
    get_optional(name, value, true);
  }
  template <class T>
  void required(const char* name, std::optional<T>& value) {
    get_optional(name, value, false);
  }
  template <class T>
  void nullable_since(std::int16_t since, const char* name, std::optional<T>& value) {
    get_optional(name, value, version_ >= since);
  }
  template <class T>
  void null_as_empty(const char* name, std::optional<std::vector<T>>& value) {
    get_optional(name, value, false);
    if (value && value->empty()) value.reset();
  }
  template <class T, class Each>
  void array(const char* name, std::vector<T>& values, Each each) {
    if (failed()) return;
    std::int64_t length = array_length();
    if (length < 0) fail("is null");
    elements(values, length, 1, each);
    if (failed()) note(name);
  }
  template <class T>
  T* only(const char*, std::vector<T>& values) {
    if (failed()) return nullptr;
    values.resize(1);
    return &values.front();
  }
  // Bytes that are neither a string nor records; never null.
  void bytes(const char* name, std::string& value);
  void records(const char* name, Records& records);
  void records(const char* name, std::optional<std::string_view>& records);

  // Picks the field that the tag at hand belongs to. Tags that no field claims are skipped (KIP-482).
  class Tags {
   public:
    template <class T>
    void field(std::uint32_t tag, const char* name, T& value, const T& = T()) {
      if (tag == tag_) claim([&](Decoder& payload) { payload.field(name, value); });
    }
    template <class T>
    void nullable(std::uint32_t tag, const char* name, std::optional<T>& value) {
      if (tag == tag_) claim([&](Decoder& payload) { payload.nullable(name, value); });
    }
    std::int16_t version() const { return decoder_.version(); }

   private:
    friend class Decoder;
    Tags(Decoder& decoder, std::uint64_t tag) : decoder_(decoder), tag_(tag) {}
    template <class Body>
    void claim(Body body) {
      claimed_ = true;
      body(decoder_);
    }
    Decoder& decoder_;
    std::uint64_t tag_;
    bool claimed_ = false;
  };

  template <class T>
  void structure(T& value) {
    describe(*this, value);
    if (!flexible_ || failed()) return;
    for (std::uint64_t left = reader_.uvarint(); left > 0 && !failed(); --left) tagged_field(value);
  }

 private:
  void fail(const char* why) {
    if (!why_) why_ = why;
    reader_.fail();
  }
  template <class T>
  void tagged_field(T& value) {
    Tags tags(*this, reader_.uvarint());
    std::string_view payload = reader_.sized();
    if (failed()) return;
    Reader after = std::exchange(reader_, Reader(payload));
    describe_tags(tags, value);
    if (failed()) return;
    if (tags.claimed_ && !reader_.at_end()) return fail("has a tagged field with bytes too many");
    reader_ = after;
  }
  void note(const char* name);
  void note_element(std::size_t index);

  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = reader_.u8() != 0;
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(reader_.be<std::underlying_type_t<T>>());
    } else if constexpr (std::integral<T>) {
      value = reader_.be<T>();
    } else if constexpr (std::is_same_v<T, Uuid>) {
      value.high = reader_.u64_be();
      value.low = reader_.u64_be();
    } else if constexpr (is_string<T>() || requires { typename T::value_type; }) {
      std::int64_t length = is_string<T>() ? string_length() : array_length();
      if (length < 0) return fail("is null");
      get_sized(value, length);
    } else {
      structure(value);
    }
  }
  // A string or an array whose length was read.
  template <class T>
  void get_sized(T& value, std::int64_t length) {
    if constexpr (is_string<T>()) {
      // A compact string could be longer, but the protocol does not allow it.
      if (length > INT16_MAX) return fail("is longer than 32767 bytes");
      value = reader_.bytes(static_cast<std::size_t>(length));
    } else {
      using Element = typename T::value_type;
      elements(value, length, std::integral<Element> ? sizeof(Element) : 1,
               [](Decoder& self, Element& element) { self.get(element); });
    }
  }
  template <class T>
  void get_optional(const char* name, std::optional<T>& value, bool may_be_null) {
    if (failed()) return;
    value.reset();
    std::int64_t length = is_string<T>() ? string_length() : array_length();
    if (length < 0 && !may_be_null) fail("is null");
    if (length >= 0 && !failed()) get_sized(value.emplace(), length);
    if (failed()) note(name);
  }
  template <class T, class Each>
  void elements(std::vector<T>& values, std::int64_t length, std::size_t element_bytes_min, Each each) {
    if (failed()) return;
    auto count = static_cast<std::size_t>(length);
    if (count > reader_.remaining() / element_bytes_min)
      return fail("announces more elements than there are bytes");
    if (count > elements_left_) return fail("takes the message over the limit of elements");
    elements_left_ -= count;
    values.clear();
    values.reserve(std::min<std::size_t>(count, kReserveMax));
    for (std::size_t i = 0; i < count; ++i) {
      each(*this, values.emplace_back());
      if (failed()) return note_element(i);
    }
  }

  template <class T>
  static constexpr bool is_string() {
    return std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>;
  }
  // A length field: -1 for null, else what follows. A bad one is a failure, and gives 0.
  std::int64_t string_length();
  std::int64_t array_length();
  std::int64_t compact_length();

  static constexpr std::size_t kReserveMax = 1024;

  Reader reader_;
  const Bytes* owner_;
  std::int16_t version_;
  bool flexible_;
  std::size_t elements_left_ = kMaxElements;
  const char* why_ = nullptr;  // null with a failed reader: the input ended early
  std::string path_;           // names of the fields that led to the failure
};

}  // namespace stele::kafka
