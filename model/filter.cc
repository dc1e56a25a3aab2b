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

namespace {

bool is_wildcard(std::string_view word) {
  return word == "+" || word == "#";
}

// A wildcard as the first level leaves out what begins with $ [MQTT-4.7.2-1].
bool hidden_from(std::string_view filter, std::string_view other) {
  return is_wildcard(*AddressWords(filter).begin()) && is_mqtt_only(other);
}

}  // namespace

bool filter_covers(std::string_view wide, std::string_view narrow) {
  if (wide.empty() || narrow.empty()) return wide == narrow;
  if (hidden_from(wide, narrow)) return false;
  // No address is empty, so these are the same; the longer form is what the levels are compared with.
  if (narrow == "#") narrow = "+/#";
  if (narrow == "/#") narrow = "/+/#";
  const AddressWords wide_words(wide), narrow_words(narrow);
  auto w = wide_words.begin(), n = narrow_words.begin();
  const std::default_sentinel_t end;
  for (; w != end; ++w, ++n) {
    if (*w == "#") return true;  // the level above it too [MQTT-4.7.1-2]
    if (n == end || *n == "#") return false;
    if (*w != "+" && *w != *n) return false;
  }
  return n == end;
}

bool filters_overlap(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a == b;
  if (hidden_from(a, b) || hidden_from(b, a)) return false;
  const AddressWords a_words(a), b_words(b);
  auto x = a_words.begin(), y = b_words.begin();
  const std::default_sentinel_t end;
  for (; x != end && y != end; ++x, ++y) {
    if (*x == "#" || *y == "#") return true;
    if (*x != "+" && *y != "+" && *x != *y) return false;
  }
  if ((x != end && *x != "#") || (y != end && *y != "#")) return false;
  // `/#` and `+` have but the empty text in common, which is no address.
  const bool only_empty = (a.starts_with('/') || b.starts_with('/')) && (a == "+" || b == "+");
  return !only_empty;
}

}  // namespace stele
