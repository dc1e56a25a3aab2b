#include "broker/queue/arguments.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace stele::broker::queue {

namespace {

constexpr std::array<std::string_view, 17> kNames = {
    "void",      "bool",        "byte",   "unsignedbyte", "short",  "unsignedshort",
    "signedint", "unsignedint", "long",   "float",        "double", "decimal",
    "timestamp", "longstr",     "binary", "array",        "table"};

// What can equal each other.
int class_of(ArgumentType type) {
  if (is_integer(type)) return -1;
  if (type == ArgumentType::kFloat || type == ArgumentType::kDouble) return -2;
  return static_cast<int>(type);
}

}  // namespace

std::string_view to_string(ArgumentType type) {
  return kNames[static_cast<std::size_t>(type)];
}

std::optional<std::int64_t> Argument::integer() const {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (!number || !is_integer(type)) return std::nullopt;
  return *number;
}

std::optional<bool> Argument::boolean() const {
  const auto* truth = std::get_if<bool>(&value);
  if (!truth) return std::nullopt;
  return *truth;
}

std::optional<std::string_view> Argument::text() const {
  const auto* text = std::get_if<std::string_view>(&value);
  if (!text || type != ArgumentType::kLongString) return std::nullopt;
  return *text;
}

const Argument* find_argument(Arguments arguments, std::string_view name) {
  const auto found = std::ranges::find(arguments, name, &Argument::name);
  return found != arguments.end() ? &*found : nullptr;
}

std::string value_text(const Argument& argument) {
  if (const auto* truth = std::get_if<bool>(&argument.value)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&argument.value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&argument.value)) {
    std::array<char, 32> text{};
    const int length = std::snprintf(text.data(), text.size(), "%.17g", *real);
    return {text.data(), static_cast<std::size_t>(length)};
  }
  const bool shown = argument.type == ArgumentType::kLongString;
  const auto* text = std::get_if<std::string_view>(&argument.value);
  return shown && text ? std::string(*text) : std::string(to_string(argument.type));
}

bool same_argument(const Argument& a, const Argument& b) {
  return class_of(a.type) == class_of(b.type) && a.value == b.value;
}

}  // namespace stele::broker::queue
