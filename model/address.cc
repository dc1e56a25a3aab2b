#include "model/address.h"

#include "model/utf8.h"

namespace stele {
namespace {

// A `%` with what follows it: the longest run of `25`, then perhaps the rest of an escape. The run is the
// nesting depth of an escaped escape; each conversion changes the depth by one, or keeps the text.
struct Percent {
  std::size_t depth = 0;   // how often `25` follows
  std::size_t length = 1;  // `%` and the run, without the escape's last two characters
  char escaped = 0;        // what `%XX` at the end of the run stands for, 0 if it is no escape of ours
};

Percent read_percent(std::string_view text) {
  Percent out;
  while (text.substr(out.length, 2) == "25") {
    ++out.depth;
    out.length += 2;
  }
  std::string_view code = text.substr(out.length, 2);
  if (code == "2F") out.escaped = '/';
  if (code == "2B") out.escaped = '+';
  if (code == "23") out.escaped = '#';
  if (code == "2E") out.escaped = '.';
  return out;
}

std::string_view code_of(char c) {
  switch (c) {
    case '/':
      return "%2F";
    case '+':
      return "%2B";
    case '#':
      return "%23";
    case '.':
      return "%2E";
    default:
      return {};
  }
}

// Writes the escape of `c` at `depth`: 0 is `%XX`, 1 is `%25XX`.
void append_escape(char c, std::size_t depth, std::string& out) {
  out.push_back('%');
  for (std::size_t i = 0; i < depth; ++i) out.append("25");
  out.append(code_of(c).substr(1));
}

// Both directions are one function: the characters special in the form we go to are escaped, the escapes of
// the form we come from are undone, and a run that would be mistaken for the one or the other changes its
// depth.
void convert(std::string_view word, bool to_dotted, std::string& out) {
  auto special_there = [&](char c) { return to_dotted ? c == '.' : c == '/' || c == '+' || c == '#'; };
  std::size_t i = 0;
  while (i < word.size()) {
    std::size_t plain = i;
    while (plain < word.size() && word[plain] != '%' && !special_there(word[plain])) ++plain;
    out.append(word.substr(i, plain - i));
    i = plain;
    if (i == word.size()) return;
    if (word[i] != '%') {
      append_escape(word[i++], 0, out);
      continue;
    }
    Percent percent = read_percent(word.substr(i));
    i += percent.length;
    if (percent.escaped == 0) {
      // Depths 0 and 1 change places, deeper ones stay: a bijection that writes a lone `%` as `%25`.
      std::size_t depth = percent.depth < 2 ? 1 - percent.depth : percent.depth;
      out.push_back('%');
      for (std::size_t n = 0; n < depth; ++n) out.append("25");
      continue;
    }
    i += 2;
    if (special_there(percent.escaped)) {
      append_escape(percent.escaped, percent.depth + 1, out);
    } else if (percent.depth == 0) {
      out.push_back(percent.escaped);
    } else {
      append_escape(percent.escaped, percent.depth - 1, out);
    }
  }
}

}  // namespace

void append_word_as_dotted(std::string_view mqtt_word, std::string& out) {
  convert(mqtt_word, true, out);
}
void append_word_as_mqtt(std::string_view dotted_word, std::string& out) {
  convert(dotted_word, false, out);
}

Result<> check_address(std::string_view text, bool allow_empty) {
  if (text.empty() && !allow_empty) return error(ErrorCode::kInvalidArgument, "an empty topic name");
  if (text.size() > kMaxAddressLength) {
    return error(ErrorCode::kInvalidArgument,
                 "an address of " + std::to_string(text.size()) + " bytes; at most 65535 are possible");
  }
  if (text.find_first_of("+#") != std::string_view::npos) {
    return error(ErrorCode::kInvalidArgument, "a wildcard in an address that is published to");
  }
  if (!is_clean_utf8(text)) return error(ErrorCode::kInvalidArgument, "an address that is not UTF-8 text");
  return {};
}

Result<Address> Address::from_mqtt(std::string_view topic) {
  STELE_CHECK(check_address(topic));
  return Address(std::string(topic));
}

Result<Address> Address::from_dotted(std::string_view dotted) {
  if (is_mqtt_only(dotted)) {
    return error(ErrorCode::kInvalidArgument, "an address that begins with $ is MQTT's own: choose another");
  }
  std::string text;
  text.reserve(dotted.size() + dotted.size() / 8);
  for (std::size_t begin = 0; begin < dotted.size();) {
    std::size_t end = dotted.find('.', begin);
    append_word_as_mqtt(dotted.substr(begin, end - begin), text);
    if (end == std::string_view::npos) break;
    text.push_back('/');
    begin = end + 1;
  }
  STELE_CHECK(check_address(text, true));
  return Address(std::move(text));
}

Result<std::string> to_dotted(std::string_view address) {
  if (is_mqtt_only(address)) {
    return error(ErrorCode::kInvalidArgument, "an address that begins with $ never leaves MQTT");
  }
  std::string out;
  out.reserve(address.size() + address.size() / 8);
  bool first = true;
  for (std::string_view word : AddressWords(address)) {
    if (!first) out.push_back('.');
    first = false;
    append_word_as_dotted(word, out);
  }
  return out;
}

}  // namespace stele
