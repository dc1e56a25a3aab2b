// What is known of a method besides its arguments.
//
// A method is a plain struct under methods/, which has this as kInfo and names its arguments once, in wire
// order, in
//
//   template <class Archive, class M> static void describe(Archive& a, M& m);
//
// That description is instantiated for reading, for writing and for whatever else looks at arguments (tests
// fill them so), and cannot disagree with itself. What an archive has:
//
//   a.integer(name, m.x)         u8, u16, u32, u64 by the member's type
//   a.short_text(name, m.x)      at most 255 bytes of UTF-8 without U+0000; std::string_view
//   a.long_text(name, m.x)       any bytes; std::string_view
//   a.table(name, m.x)           TableView
//   a.flags(Flag{name, m.x}…)    consecutive bits; eight at most
//   a.template reserved<T>()     an integer that means nothing: written as 0 and not looked at
//   a.reserved_short_text(), a.reserved_long_text()
//
// Views in a decoded method point into the frame.
#pragma once

#include <cstdint>
#include <string_view>

namespace stele::amqp {

// Class and method in one number, for switch: case BasicPublish::kInfo.id().
enum class MethodId : std::uint32_t {};

constexpr MethodId method_id(std::uint16_t class_id, std::uint16_t method) {
  return static_cast<MethodId>(std::uint32_t{class_id} << 16 | method);
}

// Who may receive it.
inline constexpr unsigned kToServer = 1;
inline constexpr unsigned kToClient = 2;
inline constexpr unsigned kToBoth = kToServer | kToClient;
// A content header and bodies follow.
inline constexpr unsigned kContent = 4;
// Its sender waits for an answer, unless a no_wait among its arguments says otherwise.
inline constexpr unsigned kSynchronous = 8;

struct MethodInfo {
  std::uint16_t class_id;
  std::uint16_t method;
  std::string_view name;  // "basic.get-ok"
  unsigned traits;

  constexpr MethodId id() const { return method_id(class_id, method); }
  constexpr bool to_server() const { return traits & kToServer; }
  constexpr bool to_client() const { return traits & kToClient; }
  constexpr bool has_content() const { return traits & kContent; }
  constexpr bool is_synchronous() const { return traits & kSynchronous; }
};

// The classes of 0-9-1.
inline constexpr std::uint16_t kConnectionClass = 10;
inline constexpr std::uint16_t kChannelClass = 20;
inline constexpr std::uint16_t kAccessClass = 30;
inline constexpr std::uint16_t kExchangeClass = 40;
inline constexpr std::uint16_t kQueueClass = 50;
inline constexpr std::uint16_t kBasicClass = 60;
inline constexpr std::uint16_t kConfirmClass = 85;
inline constexpr std::uint16_t kTxClass = 90;

// One bit of Archive::flags().
template <class B>
struct Flag {
  const char* name;
  B& value;
};
template <class B>
Flag(const char*, B&) -> Flag<B>;

// What methods without arguments derive from.
struct NoArguments {
  template <class Archive, class M>
  static void describe(Archive&, M&) {}
  friend bool operator==(const NoArguments&, const NoArguments&) = default;
};

}  // namespace stele::amqp
