// Methods to bytes and back, for servers and clients alike. Pure.
//
// Who knows what to expect asks for it by its type, and nothing is allocated:
//
//   switch (peek_method(payload)->id()) {
//     case BasicPublish::kInfo.id(): { auto publish = decode<BasicPublish>(payload); … }
//
// decode_method() is for who takes any.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/wire.h"
#include "protocols/amqp/all_methods.h"
#include "protocols/amqp/frame.h"
#include "protocols/amqp/reply_code.h"

namespace stele::amqp {

inline constexpr std::size_t kMethodIdBytes = 4;

// Null if 0-9-1 has none of that number.
const MethodInfo* find_method(std::uint16_t class_id, std::uint16_t method);

// What the payload of a method frame is. FRAME_ERROR if it is too short to say, COMMAND_INVALID if there is
// no such method.
Decoded<const MethodInfo*> peek_method(std::string_view payload);

// Calls f(std::type_identity<M>()) for every method.
template <class F>
void for_each_method(F f) {
  [&]<class... Ms>(std::type_identity<std::variant<Ms...>>) {
    (f(std::type_identity<Ms>()), ...);
  }(std::type_identity<Method>());
}

// The archive that reads (method_info.h); for decode() and for content properties. After the first failure
// nothing is read any more.
class ArgumentReader {
 public:
  explicit ArgumentReader(std::string_view arguments) : reader_(arguments) {}

  template <std::integral T>
  void integer(const char* name, T& value) {
    value = reader_.be<T>();
    note(name);
  }
  void short_text(const char* name, std::string_view& value);
  void long_text(const char* name, std::string_view& value) {
    value = reader_.bytes(reader_.u32_be());
    note(name);
  }
  void table(const char* name, TableView& value);
  template <class... Bs>
  void flags(Flag<Bs>... flags) {
    static_assert(sizeof...(Bs) <= 8);
    unsigned octet = reader_.u8();
    ((flags.value = octet & 1, octet >>= 1), ...);
    note("flags");
  }
  template <std::integral T>
  void reserved() {
    (void)reader_.be<T>();
    note("a reserved field");
  }
  void reserved_short_text() {
    reader_.bytes(reader_.u8());
    note("a reserved field");
  }
  void reserved_long_text() {
    reader_.bytes(reader_.u32_be());
    note("a reserved field");
  }
  // Any short text: properties of content are not checked, as RabbitMQ does not.
  void short_bytes(const char* name, std::string_view& value) {
    value = reader_.bytes(reader_.u8());
    note(name);
  }

  // To be asked last: all of it must also have been used up.
  bool succeeded() const { return reader_.ok() && reader_.at_end(); }
  // What to say otherwise. `what` is the method's name, or the like.
  ProtocolError error(std::string_view what) const;

 private:
  void note(const char* name) {
    if (reader_.failed() && !field_) field_ = name;
  }
  void fail(const char* name, ReplyCode code, std::string why);

  Reader reader_;
  const char* field_ = nullptr;  // that failed
  ReplyCode code_ = ReplyCode::kFrameError;
  std::string why_;
};

// The archive that writes. A text or a table that is too long for its length makes it failed().
class ArgumentWriter {
 public:
  explicit ArgumentWriter(std::string& out) : writer_(out) {}

  template <std::integral T>
  void integer(const char*, T value) {
    writer_.be(value);
  }
  void short_text(const char*, std::string_view value) {
    failed_ = failed_ || value.size() > 255;
    writer_.u8(static_cast<std::uint8_t>(value.size())).bytes(value);
  }
  void short_bytes(const char* name, std::string_view value) { short_text(name, value); }
  void long_text(const char*, std::string_view value) {
    failed_ = failed_ || value.size() > UINT32_MAX;
    writer_.u32_be(static_cast<std::uint32_t>(value.size())).bytes(value);
  }
  void table(const char* name, TableView value) { long_text(name, value.encoded()); }
  template <class... Bs>
  void flags(Flag<Bs>... flags) {
    unsigned octet = 0, bit = 1;
    ((octet |= flags.value ? bit : 0, bit <<= 1), ...);
    writer_.u8(static_cast<std::uint8_t>(octet));
  }
  template <std::integral T>
  void reserved() {
    writer_.be(T{0});
  }
  void reserved_short_text() { writer_.u8(0); }
  void reserved_long_text() { writer_.u32_be(0); }

  bool failed() const { return failed_; }

 private:
  Writer writer_;
  bool failed_ = false;
};

// Of the whole payload of a method frame, whose class and method must be M's.
//
//   FRAME_ERROR    the arguments are cut short, too many, or hold text that is not UTF-8 (all as RabbitMQ)
//   SYNTAX_ERROR   a table makes no sense
template <class M>
Decoded<M> decode(std::string_view payload) {
  M method;
  Reader ids(payload);
  const std::uint16_t class_id = ids.u16_be();
  if (ids.u16_be() != M::kInfo.method || class_id != M::kInfo.class_id || ids.failed()) {
    return protocol_error(ReplyCode::kCommandInvalid, "is not a " + std::string(M::kInfo.name));
  }
  ArgumentReader arguments(ids.rest());
  M::describe(arguments, method);
  if (!arguments.succeeded()) {
    ProtocolError error = arguments.error(M::kInfo.name);
    error.class_id = M::kInfo.class_id;
    error.method_id = M::kInfo.method;
    return std::unexpected(std::move(error));
  }
  return method;
}

// Whichever it is.
Decoded<Method> decode_method(std::string_view payload);

const MethodInfo& info(const Method& method);

// Fills in the size of the frame whose head is at `start`, and ends it; `ok` false takes it back instead.
// Returns `ok`.
bool finish_frame(std::string& out, std::size_t start, bool ok);

// Appends a whole method frame. False, and `out` left as it was, if a short text has more than 255 bytes or
// all of it more than 4 GiB. Only methods with a table or a long text can be larger than the smallest
// frame-max: the others need no look at it.
template <class M>
[[nodiscard]] bool append_method(std::string& out, std::uint16_t channel, const M& method) {
  const std::size_t start = out.size();
  append_frame_head(out, FrameType::kMethod, channel, 0);
  Writer(out).u16_be(M::kInfo.class_id).u16_be(M::kInfo.method);
  ArgumentWriter arguments(out);
  M::describe(arguments, method);
  return finish_frame(out, start, !arguments.failed());
}
[[nodiscard]] bool append_method(std::string& out, std::uint16_t channel, const Method& method);

}  // namespace stele::amqp
