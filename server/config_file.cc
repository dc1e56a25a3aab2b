#include "server/config_file.h"

#include <toml++/toml.h>
#include <algorithm>
#include <optional>
#include <utility>

namespace stele::server {
namespace {

std::string place(std::string_view path, const toml::source_region& source) {
  return std::string(path) + ":" + std::to_string(source.begin.line);
}

std::optional<std::string> scalar(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

std::optional<std::vector<std::string>> values_of(const toml::node& node) {
  std::vector<std::string> values;
  const auto* array = node.as_array();
  if (!array) {
    const auto one = scalar(node);
    if (!one) return std::nullopt;
    values.push_back(*one);
    return values;
  }
  for (const toml::node& element : *array) {
    const auto one = scalar(element);
    if (!one) return std::nullopt;
    values.push_back(*one);
  }
  if (values.empty()) return std::nullopt;
  return values;
}

}  // namespace

Result<std::vector<FileKey>> read_config_file(std::string_view path, std::string_view text) {
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& failure) {
    return error(ErrorCode::kInvalidArgument,
                 place(path, failure.source()) + ": not TOML: " + std::string(failure.description()));
  }
  struct Placed {
    toml::source_position at;
    FileKey key;
  };
  std::vector<Placed> keys;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const std::string where = place(path, key.source());
    auto values = values_of(node);
    if (!values) {
      return error(ErrorCode::kInvalidArgument, where + ": the value of '" + name +
                                                    "' is a string, a whole number, true or false" +
                                                    (node.is_table()   ? "; there are no sections"
                                                     : node.is_array() ? ", or a list of these"
                                                                       : ""));
    }
    keys.push_back({key.source().begin, {name, *std::move(values), where}});
  }
  std::ranges::sort(keys, [](const Placed& a, const Placed& b) { return a.at < b.at; });
  std::vector<FileKey> out;
  for (Placed& placed : keys) out.push_back(std::move(placed.key));
  return out;
}

}  // namespace stele::server
