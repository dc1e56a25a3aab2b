// Arguments of queue.declare and keys of policies, as whoever decoded them hands them over: names with typed
// values, in no protocol's encoding. Views; the bytes must outlive them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace stele::broker::queue {

// RabbitMQ's names are what to_string gives; clients see them in errors. JSON has long, double, longstr,
// bool, void, array and table.
enum class ArgumentType : std::uint8_t {
  kVoid,
  kBool,
  kByte,
  kUnsignedByte,
  kShort,
  kUnsignedShort,
  kSignedInt,
  kUnsignedInt,
  kLong,
  kFloat,
  kDouble,
  kDecimal,
  kTimestamp,
  kLongString,
  kBinary,
  kArray,
  kTable,
};
std::string_view to_string(ArgumentType type);
constexpr bool is_integer(ArgumentType type) {
  return type >= ArgumentType::kByte && type <= ArgumentType::kLong;
}

struct Argument {
  std::string_view name;
  ArgumentType type = ArgumentType::kVoid;
  // Of integers and timestamps, floats, strings and binaries; of the others what they encode to, only for
  // telling whether two are the same.
  std::variant<std::monostate, bool, std::int64_t, double, std::string_view> value;

  std::optional<std::int64_t> integer() const;
  std::optional<bool> boolean() const;
  std::optional<std::string_view> text() const;  // of a long string
};

using Arguments = std::span<const Argument>;
// The first of that name; null: there is none.
const Argument* find_argument(Arguments arguments, std::string_view name);

// The value as an error shows it.
std::string value_text(const Argument& argument);
// The same value, of numbers whatever their width.
bool same_argument(const Argument& a, const Argument& b);

}  // namespace stele::broker::queue
