#include "model/topic_name.h"

#include <algorithm>
#include <utility>

namespace stele {
namespace {

bool is_topic_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

}  // namespace

bool is_topic_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTopicNameLength && name != "." && name != ".." &&
         std::ranges::all_of(name, is_topic_character);
}

Result<> check_topic_name(std::string_view name) {
  if (is_topic_name(name)) return {};
  if (name.size() > kMaxTopicNameLength) {
    return error(ErrorCode::kInvalidArgument,
                 "a topic name of " + std::to_string(name.size()) + " bytes; at most 249 are possible");
  }
  return error(ErrorCode::kInvalidArgument,
               "'" + std::string(name) +
                   "' is no topic name: it takes letters, digits, '.', '_' and '-', and is not '.' or '..'");
}

Result<Address> address_of_topic(std::string_view name) {
  STELE_CHECK(check_topic_name(name));
  return Address::from_dotted(name);
}

std::optional<std::string> topic_of_address(std::string_view address) {
  auto dotted = to_dotted(address);
  if (!dotted || !is_topic_name(*dotted)) return std::nullopt;
  return *std::move(dotted);
}

}  // namespace stele
