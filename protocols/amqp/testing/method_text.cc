#include "protocols/amqp/testing/method_text.h"

#include <charconv>
#include <concepts>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <variant>

#include "base/assert.h"
#include "protocols/amqp/method_codec.h"

namespace stele::amqp {

namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

template <class T>
T number(std::string_view text) {
  T out{};
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Table parse_table(std::string_view text) {
  STELE_ASSERT(text.starts_with('{') && text.ends_with('}'));
  text = text.substr(1, text.size() - 2);
  Table out;
  while (!text.empty()) {
    const std::string_view field = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), field.size() + 1));
    const std::size_t equals = field.find('=');
    STELE_ASSERT(equals != std::string_view::npos);
    const std::string_view name = field.substr(0, equals), value = field.substr(equals + 1);
    if (value == "true" || value == "false") {
      out.add(name, value == "true");
    } else if (is_number(value)) {
      out.add(name, number<std::int32_t>(value));
    } else {
      out.add(name, value);
    }
  }
  return out;
}

// An archive (method_info.h) that takes arguments from words.
class TextReader {
 public:
  explicit TextReader(std::map<std::string, std::string>& words) : words_(words) {}
  template <std::integral T>
  void integer(const char* name, T& value) {
    if (const auto word = take(name)) value = number<T>(*word);
  }
  void short_text(const char* name, std::string_view& value) {
    if (const auto word = take(name)) value = kept_.emplace_back(*word);
  }
  void long_text(const char* name, std::string_view& value) { short_text(name, value); }
  void table(const char* name, TableView& value) {
    if (const auto word = take(name)) value = tables_.emplace_back(parse_table(*word)).view();
  }
  template <class... Bs>
  void flags(Flag<Bs>... flags) {
    (flag(flags.name, flags.value), ...);
  }
  template <std::integral T>
  void reserved() {}
  void reserved_short_text() {}
  void reserved_long_text() {}
  // Properties.
  void text(unsigned, const char* name, std::optional<std::string_view>& value) {
    if (const auto word = take_property(name)) value = kept_.emplace_back(*word);
  }
  void table(unsigned, const char* name, std::optional<TableView>& value) {
    if (const auto word = take_property(name)) value = tables_.emplace_back(parse_table(*word)).view();
  }
  void octet(unsigned, const char* name, std::optional<std::uint8_t>& value) {
    if (const auto word = take_property(name)) value = static_cast<std::uint8_t>(number<unsigned>(*word));
  }
  void time(unsigned, const char* name, std::optional<std::uint64_t>& value) {
    if (const auto word = take_property(name)) value = number<std::uint64_t>(*word);
  }

 private:
  template <class B>
  void flag(const char* name, B& value) {
    if (const auto word = take(name)) value = *word != "0";
  }
  std::optional<std::string> take(const std::string& name) {
    const auto found = words_.find(name);
    if (found == words_.end()) return std::nullopt;
    std::string value = found->second;
    words_.erase(found);
    return value;
  }
  std::optional<std::string> take_property(const std::string& name) { return take("properties." + name); }

  std::map<std::string, std::string>& words_;
  std::deque<std::string> kept_;
  std::deque<Table> tables_;
};

std::string value_text(const FieldValue& value);

std::string table_text(TableView table) {
  std::string out;
  for (const Field& field : table) {
    out.append(out.empty() ? "{" : ",").append(field.name).append("=").append(value_text(field.value));
  }
  return out.empty() ? "{}" : out + "}";
}

std::string value_text(const FieldValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* table = std::get_if<TableView>(&value)) return table_text(*table);
  if (const auto integer = as_integer(value)) return std::to_string(*integer);
  return std::string(as_text(value).value_or("?"));
}

std::string quoted(std::string_view text) {
  return text.find_first_of(" =") == std::string_view::npos ? std::string(text)
                                                            : "\"" + std::string(text) + "\"";
}

// An archive that writes them down.
class TextWriter {
 public:
  template <std::integral T>
  void integer(const char* name, T value) {
    if (value != 0) put(name, std::to_string(value));
  }
  void short_text(const char* name, std::string_view value) {
    if (!value.empty()) put(name, quoted(value));
  }
  void long_text(const char* name, std::string_view value) { short_text(name, value); }
  void table(const char* name, TableView value) {
    if (!value.empty()) put(name, table_text(value));
  }
  template <class... Bs>
  void flags(Flag<Bs>... flags) {
    ((flags.value ? void(out.append(" ").append(flags.name)) : void()), ...);
  }
  template <std::integral T>
  void reserved() {}
  void reserved_short_text() {}
  void reserved_long_text() {}
  void text(unsigned, const char* name, const std::optional<std::string_view>& value) {
    if (value) put(name, quoted(*value));
  }
  void table(unsigned, const char* name, const std::optional<TableView>& value) {
    if (value) put(name, table_text(*value));
  }
  void octet(unsigned, const char* name, const std::optional<std::uint8_t>& value) {
    if (value) put(name, std::to_string(*value));
  }
  void time(unsigned, const char* name, const std::optional<std::uint64_t>& value) {
    if (value) put(name, std::to_string(*value));
  }
  std::string out;

 private:
  void put(const char* name, std::string_view value) {
    out.append(" ").append(name).append("=").append(value);
  }
};

std::string expand(std::string_view word) {
  const std::size_t star = word.rfind('*');
  if (star == std::string_view::npos || !is_number(word.substr(star + 1))) return std::string(word);
  std::string out;
  for (auto n = number<std::size_t>(word.substr(star + 1)); n > 0; --n) out += word.substr(0, star);
  return out;
}

}  // namespace

void append_text_method(std::string& out, std::uint16_t channel, std::string_view text,
                        std::uint32_t frame_max) {
  std::map<std::string, std::string> words;
  const std::string_view name = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(text.size(), name.size() + 1));
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const std::size_t equals = word.find('=');
    words[std::string(word.substr(0, equals))] =
        equals == std::string_view::npos ? "1" : expand(word.substr(equals + 1));
  }
  const std::string body = words.contains("body") ? words["body"] : "";
  words.erase("body");
  bool known = false;
  for_each_method([&]<class M>(std::type_identity<M>) {
    if (M::kInfo.name != name) return;
    known = true;
    TextReader reader(words);
    M method;
    M::describe(reader, method);
    STELE_ASSERT(append_method(out, channel, method));
    if (!M::kInfo.has_content()) return;
    BasicProperties properties;
    BasicProperties::describe(reader, properties);
    STELE_ASSERT(append_content_header(out, channel, body.size(), properties));
    append_body(out, channel, body, frame_max);
  });
  if (!known || !words.empty()) {
    std::fprintf(stderr, "%s: unknown, or an argument of it: %s\n", std::string(name).c_str(),
                 words.empty() ? "" : words.begin()->first.c_str());
    STELE_ASSERT(false);
  }
}

std::string to_text(std::string_view method_payload) {
  const auto info = peek_method(method_payload);
  if (!info) return "unknown method";
  std::string out((*info)->name);
  for_each_method([&]<class M>(std::type_identity<M>) {
    if (M::kInfo.id() != (*info)->id()) return;
    const auto method = decode<M>(method_payload);
    if (!method) return void(out += " (malformed)");
    TextWriter writer;
    M::describe(writer, *method);
    out += writer.out;
  });
  return out;
}

std::string to_text(const BasicProperties& properties) {
  TextWriter writer;
  BasicProperties::describe(writer, properties);
  return writer.out;
}

}  // namespace stele::amqp
