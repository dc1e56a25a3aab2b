#include "model/filter.h"

#include <string>

#include "model/address.h"
#include "model/utf8.h"

namespace stele {

Result<> check_filter(std::string_view filter) {
  const auto invalid = [&](std::string_view why) {
    return error(ErrorCode::kInvalidArgument,
                 "'" + std::string(filter.substr(0, 200)) + "' is no topic filter: " + std::string(why));
  };
  if (filter.empty()) return invalid("it is empty");
  if (filter.size() > kMaxAddressLength) return invalid("it has more than 65535 bytes");
  if (!is_clean_utf8(filter)) {
    return error(ErrorCode::kInvalidArgument, "a topic filter is UTF-8 without U+0000");
  }
  bool rest_seen = false;
  for (std::string_view word : AddressWords(filter)) {
    if (rest_seen) return invalid("'#' may only be its last level");
    if (word.size() > 1 && word.find_first_of("+#") != std::string_view::npos) {
      return invalid("'+' and '#' stand for whole levels");
    }
    rest_seen = word == "#";
  }
  return {};
}

}  // namespace stele
